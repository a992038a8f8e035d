"""From a pipeline to the file that a KFP server takes.

There is one road: the DSL file is written first, imported, and compiled by KFP's own
compiler.  So what ``--py`` shows is what was compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.dsl_source import dsl_source
from kale_pm.kfp.compiling.loop import LAST_KEY, Swept
from kale_pm.kfp.compiling.loop_limits import check_loop
from kale_pm.kfp.compiling.package import Package, compiled
from kale_pm.kfp.compiling.parts import Part
from kale_pm.kfp.compiling.plan import Plan, plan
from kale_pm.kfp.compiling.sizes import StepSize, argument_size, check_graph, check_sizes
from kale_pm.model import Pipeline
from kale_pm.runtime.atomic import replacing
from kale_pm.runtime.garbage import collection_paused


@dataclass(frozen=True)
class CompileResult:
    """What was written.

    ``size`` counts the bytes of the package as compact JSON, ``sizes`` go by the step.
    """

    path: Path
    dsl_path: Path | None
    size: int
    warnings: tuple[str, ...]
    sizes: Mapping[str, StepSize]


def compile_pipeline(
    pipeline: Pipeline,
    output: Path,
    *,
    dsl: Path | None = None,
    install: bool = True,
    image: str | None = None,
) -> CompileResult:
    """Compile ``pipeline`` to the YAML file ``output``, and the Python file ``dsl`` if asked.

    ``install`` lets every step install its packages when it starts; without it the image must
    have them, papermill and kfp included.  ``image`` is for steps without an ``image:`` tag.
    Equal input gives equal bytes; existing files are replaced.

    Raises PipelineError if the notebook has errors, CompileError if KFP cannot run it.
    """
    return _compile(pipeline, output, dsl, lambda: plan(pipeline, install=install, image=image))


def compile_sweep(
    pipeline: Pipeline,
    swept: Swept,
    output: Path,
    *,
    dsl: Path | None = None,
    install: bool = True,
    image: str | None = None,
) -> CompileResult:
    """Compile the trials of ``swept`` to one pipeline: see :func:`compile_pipeline`.

    What the trials share runs once, the other steps in a loop over them.  The last step chooses
    the best one and hands on its parameters and metrics, with a report of all trials.

    Raises CompileError also for a single trial, for more trials than one run can take, and for
    volumes that a run makes for itself.
    """
    return _compile(
        pipeline,
        output,
        dsl,
        lambda: plan(pipeline, install=install, image=image, swept=swept),
    )


@collection_paused()
def _compile(
    pipeline: Pipeline, output: Path, dsl: Path | None, planning: Callable[[], Plan]
) -> CompileResult:
    if output.suffix not in (".yaml", ".yml"):
        raise CompileError(
            f"{output}: a compiled pipeline is a YAML file", hint="end the name with .yaml"
        )
    _refuse_overwriting(pipeline, output, dsl)
    if not pipeline.is_analysed:
        raise CompileError(
            f"{pipeline.path}: its cells are {pipeline.language}, and the pods run Python kernels",
            hint="run it here, or write its steps as cells of a Python notebook with a magic such "
            "as %%bash, in an image that has what they call",
        )
    planned = planning()
    source = dsl_source(planned)
    package = compiled(source)
    sizes = _sizes(planned, package)
    if planned.loop is not None:
        last = package.container(package.task(LAST_KEY))
        check_loop(planned.loop.items, argument_size(package.spec["root"]), argument_size(last))
    warnings = (
        *planned.warnings,
        *_divided(planned.parts),
        *check_sizes(sizes, package.kept, planned.bundles),
    )
    # After the steps: the graph holds what a step carries where steps share a function.
    check_graph(package.largest_graph)
    if dsl is not None:
        _write(dsl, source.encode())
    _write(output, package.to_yaml())
    return CompileResult(output, dsl, package.size, warnings, sizes)


def _refuse_overwriting(pipeline: Pipeline, output: Path, dsl: Path | None) -> None:
    """Neither file may take the place of the notebook, or of the other one."""
    taken = {pipeline.path.resolve(): "the notebook itself"}
    for path in (output, *([dsl] if dsl else [])):
        if path.resolve() in taken:
            raise CompileError(
                f"{path} is {taken[path.resolve()]}: it would be overwritten",
                hint="choose another name",
            )
        taken[path.resolve()] = "the compiled pipeline"


def _divided(parts: Sequence[Part]) -> tuple[str, ...]:
    """What the user should know of the parts, if there are any."""
    if not parts:
        return ()
    text = (
        f"the steps are divided into {len(parts)} parts, each a node of its own in the user "
        "interface; a part starts when the parts have ended from which it takes anything"
    )
    return (text,)


def _sizes(planned: Plan, package: Package) -> dict[str, StepSize]:
    sizes = {}
    for part in planned.components:
        task = package.task(part.kfp_name)
        sizes[part.step.name] = StepSize(
            argument=max(argument_size(task), argument_size(package.container(task))),
            bundle=len(planned.bundles[part.step.name]),
            runtime=0 if planned.shared else len(planned.runtime),
        )
    return sizes


def _write(path: Path, content: bytes) -> None:
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise CompileError(
            f"cannot write {path}: {error.strerror}", hint="choose another place with -o"
        ) from error
