"""Everything that the DSL file says, before it is written down."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from kale_pm.errors import PipelineError
from kale_pm.kfp.compiling.bundle import named_files, runtime_archive, step_bundle
from kale_pm.kfp.compiling.component import Component, components, reserved_names
from kale_pm.kfp.compiling.imports import Imports, imports, runtime_packages
from kale_pm.kfp.compiling.options import not_carried, task_settings
from kale_pm.kfp.compiling.relays import with_relays
from kale_pm.kfp.compiling.sizes import KIB, LARGEST_ARGUMENT
from kale_pm.kfp.parameters import KfpParameter, kfp_parameters
from kale_pm.model import Pipeline

# A task of its own costs the run two pods; the runtime costs every step some 80 kB.
SHARED_ABOVE = 3  # steps
_FRAME = 12 * KIB  # what an argument holds beside the runtime and the step's bundle
# A KFP server refuses longer names of pipelines.
LONGEST_NAME = 128  # characters


@dataclass(frozen=True)
class Plan:
    """A pipeline in the words of KFP; the mappings go by the name of the step.

    ``bundles`` and ``runtime`` are archives in base64; ``settings`` are lines of Python.
    ``default_image`` is that of steps which do not name one.
    """

    pipeline: Pipeline
    name: str
    parameters: tuple[KfpParameter, ...]
    components: tuple[Component, ...]
    settings: Mapping[str, tuple[str, ...]]
    bundles: Mapping[str, str]
    runtime: str
    default_image: str
    images: Mapping[str, str]
    packages: Mapping[str, tuple[str, ...]]
    install: bool
    warnings: tuple[str, ...]

    @property
    def shared(self) -> bool:
        """Does the runtime travel once, by a task of its own, or within every step?"""
        largest = max(map(len, self.bundles.values()))
        fits = len(self.runtime) + largest + _FRAME <= LARGEST_ARGUMENT
        return len(self.components) > SHARED_ABOVE or not fits


def plan(pipeline: Pipeline, *, install: bool = True, image: str | None = None) -> Plan:
    """Settle names, settings, images, packages and what travels.

    Raises PipelineError if the notebook has errors, and CompileError where KFP has no words
    for it.
    """
    if pipeline.errors:
        raise PipelineError(pipeline.path, pipeline.errors)
    pipeline = with_relays(pipeline)
    parameters, warnings = kfp_parameters(pipeline, reserved_names(pipeline))
    parts = components(pipeline, parameters)
    settings = {
        part.step.name: task_settings(part.task, part.step, pipeline.configuration)
        for part in parts
    }
    shared, shared_warnings = named_files(pipeline.folder, pipeline.configuration.files)
    slices = _slices(pipeline)
    needed = _imports(pipeline, slices)
    modules = {
        name: (pipeline.folder / name).read_bytes()
        for name in sorted(set().union(*(found.files for found in needed.values())))
    }
    bundles = {
        part.step.name: step_bundle(
            part,
            slices[part.step.name],
            {name: modules[name] for name in needed[part.step.name].files} | shared,
            pipeline.users(part.step.name),
        )
        for part in parts
    }
    default_image = image or pipeline.configuration.image or _python_image()
    images = {part.step.name: part.step.options.image or default_image for part in parts}
    runtime = runtime_packages()
    packages = {
        name: tuple(sorted(found.packages | runtime, key=str.lower)) if install else ()
        for name, found in needed.items()
    }
    return Plan(
        pipeline=pipeline,
        # The configuration made it legal, but for its length.
        name=pipeline.name[:LONGEST_NAME].rstrip("-"),
        parameters=tuple(parameters.values()),
        components=parts,
        settings={name: found.lines for name, found in settings.items()},
        bundles=bundles,
        runtime=runtime_archive(),
        default_image=default_image,
        images=images,
        packages=packages,
        install=install,
        warnings=(
            *warnings,
            *(warning for found in settings.values() for warning in found.warnings),
            *not_carried(pipeline.configuration),
            *shared_warnings,
            *_package_warnings(needed, images, install),
        ),
    )


def _slices(pipeline: Pipeline) -> dict[str, bytes]:
    from kale_pm.slicing import cut, to_bytes

    return {step.name: to_bytes(cut(pipeline, step.name)) for step in pipeline.steps}


def _imports(pipeline: Pipeline, slices: Mapping[str, bytes]) -> dict[str, Imports]:
    """What each step rests on: its own imports, and those of all steps before it.

    A step that receives a model unpickles it, and needs its package without importing it.
    """
    import nbformat

    found: dict[str, Imports] = {}
    for name in pipeline.order:
        notebook = nbformat.reads(slices[name].decode(), as_version=4)
        sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        found[name] = imports(sources, pipeline.folder)
        for parent in pipeline.parents[name]:
            found[name] |= found[parent]
    return found


def _package_warnings(
    needed: Mapping[str, Imports], images: Mapping[str, str], install: bool
) -> list[str]:
    if not install:
        bare = sorted(name for name, image in images.items() if image == _python_image())
        if not bare:
            return []
        text = f"nothing is installed at run time, and {_python_image()} lacks papermill and kfp"
        return [f"{text}: name an image for {', '.join(bare)}"]
    warnings = []
    for kind, reason in (
        ("missing", "is neither installed here nor beside the notebook"),
        ("local_only", "was installed here from a folder or file"),
    ):
        names = sorted({name for found in needed.values() for name in getattr(found, kind)})
        for package in names:
            steps = [name for name, found in needed.items() if package in getattr(found, kind)]
            warnings.append(
                f"missing-package: '{package}' {reason}, so it is not installed in the pods of "
                f"{', '.join(steps)}: an image must have it"
            )
    return warnings


def _python_image() -> str:
    return f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
