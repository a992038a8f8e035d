"""The command line: argv -> one call below -> exit code.

Exit codes: 0 done, 1 the notebook or a step failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kale_pm.console import (
    mention_warnings,
    prepare,
    progress,
    say,
    show_error,
    show_json,
    show_refusal,
    show_unreadable,
    show_view,
)
from kale_pm.errors import KalePmError, NotebookError, UsageError

if TYPE_CHECKING:
    from kale_pm.face import Pipeline, Run

app = typer.Typer(
    help="One tagged notebook in; a pipeline whose every step is an executed notebook out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Notebook = Annotated[Path, typer.Argument(metavar="NOTEBOOK", help="The tagged notebook.")]
Strict = Annotated[bool, typer.Option("--strict", help="Treat warnings as errors.")]
Infer = Annotated[
    bool, typer.Option("--infer-edges", help="Steps without a prev: follow their data.")
]
Folder = Annotated[
    Path | None,
    typer.Option("--dir", metavar="FOLDER", help="Where .kale-pm lies; default: the notebook's."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


def _version(wanted: bool) -> None:
    if wanted:
        from kale_pm import __version__

        say(f"kale-pm {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def check(
    notebook: Notebook, as_json: Json = False, strict: Strict = False, infer_edges: Infer = False
) -> None:
    """Show the steps, what flows between them, and the problems."""
    from kale_pm.terminal import pipeline_view, problem_counts, problems_view

    try:
        pipeline = _load(notebook, strict, infer_edges)
    except NotebookError as error:
        if as_json:
            show_unreadable(error)
        raise
    if as_json:
        show_json(pipeline.to_dict())
    else:
        show_view(pipeline_view(pipeline))
        show_view("")
        if pipeline.problems:
            show_view(problems_view(pipeline, pipeline.problems))
        show_view(problem_counts(pipeline.problems))
    if pipeline.errors:
        raise typer.Exit(1)


@app.command()
def show(
    notebook: Notebook,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Write a .svg, or Mermaid as .mmd or .md."
        ),
    ] = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print Mermaid, not text.")] = False,
    infer_edges: Infer = False,
) -> None:
    """Draw the steps as a graph."""
    from kale_pm.report import as_mermaid, as_svg, as_text

    pipeline = _load(notebook, infer_edges=infer_edges)
    _refuse_errors(pipeline, {"cycle", "unknown-step", "bad-tags"})
    parents, implied = pipeline.parents, pipeline.implied_edges
    if output is None:
        say(as_mermaid(parents, implied=implied) if mermaid else as_text(parents))
        return
    if output.suffix == ".svg":
        text = as_svg(parents, implied=implied)
    elif output.suffix in (".mmd", ".md"):
        text = as_mermaid(parents, implied=implied)
        text = f"```mermaid\n{text}\n```\n" if output.suffix == ".md" else text
    else:
        raise UsageError(f"{output}: unknown kind of picture", hint="end it in .svg, .mmd or .md")
    with _writing(output):
        output.write_text(text, encoding="utf-8")
    say(output)


@app.command(name="slice")
def slice_(
    notebook: Notebook,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where to write the slices.")
    ] = Path("slices"),
) -> None:
    """Write the sub-notebook of every step."""
    from kale_pm.slicing import cut, to_bytes

    pipeline = _load(notebook)
    _refuse_errors(pipeline)
    with _writing(output):
        output.mkdir(parents=True, exist_ok=True)
        for step in pipeline.steps:
            path = output / f"{step.name}.ipynb"
            path.write_bytes(to_bytes(cut(pipeline, step.name)))
            say(path)


@app.command()
def run(
    notebook: Notebook,
    *,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "-p", "--parameter", metavar="NAME=VALUE", help="A parameter's value; may be repeated."
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("-j", "--jobs", min=1, metavar="N", help="Steps at a time; default: cores."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="Execute STEP and all that follow it again."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--only", metavar="STEP", help="Execute STEP, and of the others only what it needs."
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Reuse nothing of earlier runs.")] = False,
    kernel: Annotated[
        str | None,
        typer.Option("--kernel", metavar="NAME", help="Another kernel than the notebook's."),
    ] = None,
    folder: Folder = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Print what the cells print.")
    ] = False,
    as_json: Json = False,
    strict: Strict = False,
    infer_edges: Infer = False,
) -> None:
    """Run the notebook on this machine, steps in parallel."""
    from kale_pm.local import RunOptions
    from kale_pm.local.interruption import interruptible

    pipeline = _load(notebook, strict, infer_edges)
    _refuse_errors(pipeline)
    options = RunOptions(
        parameters=_parameters(parameter),
        folder=folder,
        jobs=jobs,
        kernel=kernel,
        fresh=fresh,
        start=start,
        only=only,
    )
    if not as_json:
        mention_warnings(pipeline)
    try:
        with interruptible(), progress(pipeline, verbose, quiet=as_json) as listener:
            finished = pipeline.attempt(options, listener)
    except KeyboardInterrupt:
        say("interrupted; the next run takes up what is done", error=True)
        raise typer.Exit(130) from None
    _show_run(finished, as_json)


@app.command(name="compile")
def compile_(
    notebook: Notebook,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="The YAML file; default: beside the notebook."
        ),
    ] = None,
    dsl: Annotated[
        Path | None,
        typer.Option("--py", metavar="FILE", help="Also write the pipeline as a Python file."),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option("--image", metavar="IMAGE", help="The container image of the steps."),
    ] = None,
    no_install: Annotated[
        bool, typer.Option("--no-install", help="The image has all packages already.")
    ] = False,
    strict: Strict = False,
    infer_edges: Infer = False,
) -> None:
    """Compile the notebook for Kubeflow Pipelines."""
    from kale_pm.terminal import warning_view

    pipeline = _load(notebook, strict, infer_edges)
    _refuse_errors(pipeline)
    mention_warnings(pipeline)
    with _writing(output or pipeline.path):
        result = pipeline.compile(output, dsl=dsl, image=image, install=not no_install)
    for warning in result.warnings:
        show_view(warning_view(warning), error=True)
    say(f"{result.path}  {result.size / 1000:.0f} kB, {len(pipeline.steps)} steps")
    if result.dsl_path is not None:
        say(result.dsl_path)


@app.command()
def report(
    run_name: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's id, or the notebook of its newest run.")
    ] = "latest",
    show_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Write the report of a run again, and print where it is."""
    from kale_pm.face import find_run

    found = find_run(run_name, near=folder)
    path = found.write_report()
    if as_json:
        show_json(found.to_dict())
    else:
        say(path)
    if show_it:
        typer.launch(str(path))


@app.command(name="vars")
def vars_(
    run_name: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run's id, the notebook of its newest run, or a .pack file."
        ),
    ] = "latest",
    step: Annotated[
        str | None,
        typer.Argument(metavar="STEP", help="What this step received and gave; default: the end."),
    ] = None,
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every byte of the files they lie in.")
    ] = False,
    folder: Folder = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Print the files they lie in.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the variables that a run stored, who gave them and who needs them.

    With a .pack file in the place of RUN: what lies in it.  Nothing is loaded.
    """
    from kale_pm.face import find_run
    from kale_pm.local.packs import damaged_packs
    from kale_pm.terminal import WHOLE, step_variables_view, variables_view

    if run_name.endswith(".pack"):
        if step is not None:
            raise UsageError(f"{run_name} has no steps", hint="leave out the step")
        _show_pack(Path(run_name), verify, as_json)
        return
    found = find_run(run_name, near=folder)
    if step is None:
        sections = {"variables": found.variables}
        view = variables_view(found.id, found.state, found.variables, packs=verbose)
    else:
        chosen = found.step(step)
        sections = {"received": chosen.received, "gave": chosen.variables}
        view = step_variables_view(found.id, step, chosen.state, **sections, packs=verbose)
    packs = [v.pack for each in sections.values() for v in each.values() if v.pack is not None]
    damaged = damaged_packs(packs) if verify else {}
    if as_json:
        told = {title: {n: vars(v) for n, v in each.items()} for title, each in sections.items()}
        faults = {str(path): error.message for path, error in damaged.items()}
        show_json({"run": found.id, "step": step, **told, "verified": verify, "damaged": faults})
    else:
        show_view(view)
        if verify and not damaged:
            say(f"\n{WHOLE}")
    for error in damaged.values():
        show_error(error)
    if damaged:
        raise typer.Exit(1)


# -- what the commands share ------------------------------------------------------------------


def _load(notebook: Path, strict: bool = False, infer_edges: bool = False) -> Pipeline:
    from kale_pm.face import load

    return load(notebook, strict=strict, infer_edges=infer_edges)


def _refuse_errors(pipeline: Pipeline, codes: set[str] | None = None) -> None:
    errors = [problem for problem in pipeline.errors if codes is None or problem.code in codes]
    if errors:
        show_refusal(pipeline, errors)
        raise typer.Exit(1)


def _parameters(texts: list[str] | None) -> dict[str, str]:
    from kale_pm.notebook import parse_assignment

    return dict(parse_assignment(text) for text in texts or ())


def _show_run(finished: Run, as_json: bool) -> None:
    from kale_pm.terminal import summary_view

    if as_json:
        show_json(finished.to_dict())
    else:
        show_view(summary_view(finished.record, finished.folder), soft_wrap=True)
    for failure in finished.failures:
        show_error(failure)
    if finished.failures:
        raise typer.Exit(1)


def _show_pack(path: Path, verify: bool, as_json: bool) -> None:
    from kale_pm.local.packs import read_pack
    from kale_pm.terminal import pack_view

    content = read_pack(path, verify=verify)
    if as_json:
        show_json({**vars(content), "components": [vars(each) for each in content.components]})
    else:
        show_view(pack_view(content))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or path}: {error.strerror}", hint="choose another place"
        ) from error


def main() -> None:
    """The entry point ``kale-pm``."""
    prepare()
    try:
        app(prog_name="kale-pm")
    except KalePmError as error:
        show_error(error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
