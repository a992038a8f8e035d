"""Everything that the DSL file says, before it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from kale_pm.errors import PipelineError
from kale_pm.kfp.compiling.bundle import named_files, runtime_archive, step_bundle
from kale_pm.kfp.compiling.claims import CLAIMS_TASK
from kale_pm.kfp.compiling.closing import ExitTask, exit_task
from kale_pm.kfp.compiling.component import (
    EXIT_TASK,
    RUNTIME_TASK,
    Component,
    components,
    reserved_names,
)
from kale_pm.kfp.compiling.functions import FOLDED_ABOVE, Function, Surroundings, functions
from kale_pm.kfp.compiling.images import places
from kale_pm.kfp.compiling.imports import Imports, imports
from kale_pm.kfp.compiling.loop import LAST_TASK, NAMES, Loop, Swept, loop_of
from kale_pm.kfp.compiling.loop_limits import without_own_volumes
from kale_pm.kfp.compiling.options import not_carried, service_task_settings, task_settings
from kale_pm.kfp.compiling.parts import Part, parts
from kale_pm.kfp.compiling.relays import FEW_ASKED, MOST_ASKED, with_relays
from kale_pm.kfp.compiling.sizes import KIB, LARGEST_ARGUMENT
from kale_pm.kfp.compiling.volumes import VolumePlan, volume_plan
from kale_pm.kfp.parameters import KfpParameter, kfp_parameters
from kale_pm.model import Pipeline
from kale_pm.slicing import cut

if TYPE_CHECKING:
    from nbformat import NotebookNode

# A task of its own costs the run two pods; the runtime costs every step some 80 kB.
SHARED_ABOVE = 3  # steps
_FRAME = 12 * KIB  # what an argument holds beside the runtime and the step's bundle
# A KFP server refuses longer names of pipelines.
LONGEST_NAME = 128  # characters


@dataclass(frozen=True)
class Plan:
    """A pipeline in the words of KFP; the mappings go by the name of the step.

    ``bundles`` and ``runtime`` are archives in base64; ``settings`` are lines of Python.
    ``parts`` is empty where one graph takes all steps.  ``default`` is where a step runs that
    names no image of its own.  ``service`` are settings, too, of tasks that are no steps.
    ``loop`` are the trials of a sweep.
    """

    pipeline: Pipeline
    name: str
    parameters: tuple[KfpParameter, ...]
    components: tuple[Component, ...]
    parts: tuple[Part, ...]
    loop: Loop | None
    functions: Mapping[str, Function]
    settings: Mapping[str, tuple[str, ...]]
    service: Mapping[str, tuple[str, ...]]
    volumes: VolumePlan
    closing: ExitTask | None
    bundles: Mapping[str, str]
    runtime: str
    default: Surroundings
    warnings: tuple[str, ...]

    @property
    def shared(self) -> bool:
        """Does the runtime travel once, by a task of its own, or within every step?"""
        largest = max(map(len, self.bundles.values()))
        fits = len(self.runtime) + largest + _FRAME <= LARGEST_ARGUMENT
        return len(self.components) > SHARED_ABOVE or bool(self.parts) or not fits

    @property
    def closing_packages(self) -> tuple[str, ...]:
        """What the exit task installs: it renders notebooks."""
        has_report = self.closing is not None and self.closing.has_report
        return (
            (f"nbconvert=={version('nbconvert')}",) if has_report and self.default.install else ()
        )

    @property
    def folded(self) -> bool:
        """Do steps of one kind share a function?"""
        return self.loop is None and len(self.components) > FOLDED_ABOVE


def plan(
    pipeline: Pipeline,
    *,
    install: bool = True,
    image: str | None = None,
    swept: Swept | None = None,
) -> Plan:
    """Settle names, settings, images, packages and what travels; ``swept`` are the trials.

    Raises PipelineError if the notebook has errors, and CompileError where KFP has no words
    for it.
    """
    if pipeline.errors:
        raise PipelineError(pipeline.path, pipeline.errors)
    left_out: tuple[str, ...] = ()
    if swept is not None:
        pipeline, left_out = without_own_volumes(pipeline)
    is_folded = swept is None and len(pipeline.steps) > FOLDED_ABOVE
    pipeline = with_relays(pipeline, FEW_ASKED if is_folded else MOST_ASKED)
    names = NAMES if swept is not None else ()
    parameters, warnings = kfp_parameters(pipeline, reserved_names(pipeline, names))
    loop = None if swept is None else loop_of(pipeline, parameters, swept)
    taken = parameters if loop is None else loop.parameters
    given = tuple(parameters.values()) if loop is None else loop.fixed
    steps = components(pipeline, taken, names)
    volumes = volume_plan(pipeline)
    if loop is not None:
        # The notebooks of all trials have the same names: what they leave would be mixed up.
        volumes = replace(volumes, shared=None)
    shared, shared_warnings = named_files(pipeline.folder, pipeline.configuration.files)
    slices = {step.name: cut(pipeline, step.name) for step in pipeline.steps}
    needed = _imports(pipeline, slices)
    modules = {
        name: (pipeline.folder / name).read_bytes()
        for name in sorted(set().union(*(found.files for found in needed.values())))
    }
    bundles = {
        each.step.name: step_bundle(
            each,
            slices[each.step.name],
            {name: modules[name] for name in needed[each.step.name].files} | shared,
            pipeline.users(each.step.name),
            volumes.shared,
        )
        for each in steps
    }
    found = places(pipeline, needed, image=image, install=install)
    configuration = pipeline.configuration
    settings = {
        each.step.name: task_settings(each.task, each.step, configuration) for each in steps
    }
    # Where steps share a function, the task of each carries its bundle.
    sizes = {name: len(text) * is_folded for name, text in bundles.items()}
    divided = parts(steps, sizes) if loop is None else ()
    return Plan(
        pipeline=pipeline,
        # The configuration made it legal, but for its length.
        name=pipeline.name[:LONGEST_NAME].rstrip("-"),
        parameters=given,
        components=steps,
        parts=divided,
        loop=loop,
        functions=functions(steps, found.steps, folded=is_folded),
        settings={name: each.lines for name, each in settings.items()},
        service={
            task: service_task_settings(task, configuration)
            for task in (RUNTIME_TASK, CLAIMS_TASK, EXIT_TASK, LAST_TASK)
        },
        volumes=volumes,
        closing=exit_task(pipeline, volumes, given),
        bundles=bundles,
        runtime=runtime_archive(),
        default=found.default,
        warnings=(
            *(loop.warnings if loop is not None else ()),
            *left_out,
            *warnings,
            *(warning for each in settings.values() for warning in each.warnings),
            *volumes.warnings,
            *not_carried(pipeline.configuration),
            *shared_warnings,
            *found.warnings,
        ),
    )


def _imports(pipeline: Pipeline, slices: Mapping[str, NotebookNode]) -> dict[str, Imports]:
    """What each step rests on: its own imports, and those of all steps before it.

    A step that receives a model unpickles it, and needs its package without importing it.
    """
    found: dict[str, Imports] = {}
    for name in pipeline.order:
        cells = slices[name].cells
        sources = [cell.source for cell in cells if cell.cell_type == "code"]
        found[name] = imports(sources, pipeline.folder)
        for parent in pipeline.parents[name]:
            found[name] |= found[parent]
    return found
