"""The command line: argv -> one call below -> exit code.  The only file that prints.

Exit codes: 0 done, 1 the notebook or a step failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import io
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kale_pm.errors import KalePmError, NotebookError, UsageError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from kale_pm.events import Event, Listener
    from kale_pm.face import Pipeline, Run

app = typer.Typer(
    help="One tagged notebook in; a pipeline whose every step is an executed notebook out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_UNWRAPPED = 10_000  # columns, where no terminal says how many there are

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

        typer.echo(f"kale-pm {__version__}")
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
            _print_json(_unreadable(error))
        raise
    if as_json:
        _print_json(pipeline.to_dict())
    else:
        _print(pipeline_view(pipeline))
        _print("")
        if pipeline.problems:
            _print(problems_view(pipeline, pipeline.problems))
        _print(problem_counts(pipeline.problems))
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
        typer.echo(as_mermaid(parents, implied=implied) if mermaid else as_text(parents))
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
    typer.echo(str(output))


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
            typer.echo(str(path))


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
        _mention_warnings(pipeline)
    try:
        with _interruptible(), _progress(pipeline, verbose, quiet=as_json) as listener:
            finished = pipeline.attempt(options, listener)
    except KeyboardInterrupt:
        typer.echo("interrupted; the next run takes up what is done", err=True)
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
    _mention_warnings(pipeline)
    with _writing(output or pipeline.path):
        result = pipeline.compile(output, dsl=dsl, image=image, install=not no_install)
    for warning in result.warnings:
        _print(warning_view(warning), error=True)
    typer.echo(f"{result.path}  {result.size / 1000:.0f} kB, {len(pipeline.steps)} steps")
    if result.dsl_path is not None:
        typer.echo(str(result.dsl_path))


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
        _print_json(_run_dict(found))
    else:
        typer.echo(str(path))
    if show_it:
        typer.launch(str(path))


# -- what the commands share ------------------------------------------------------------------


def _load(notebook: Path, strict: bool = False, infer_edges: bool = False) -> Pipeline:
    from kale_pm.face import load

    return load(notebook, strict=strict, infer_edges=infer_edges)


def _unreadable(error: NotebookError) -> dict[str, Any]:
    """What ``check --json`` prints where there is no pipeline: the usual keys, and why."""
    from kale_pm.model import Problem

    problem = Problem("unreadable", "error", error.message, error.hint)
    return {
        "steps": {},
        "edges": [],
        "implied_edges": [],
        "aliases": [],
        "error": problem.code,
        "problems": [vars(problem)],
    }


def _refuse_errors(pipeline: Pipeline, codes: set[str] | None = None) -> None:
    errors = [problem for problem in pipeline.errors if codes is None or problem.code in codes]
    if errors:
        from kale_pm.terminal import problems_view

        _print(problems_view(pipeline, errors), error=True)
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        _print(f"{pipeline.path}: {count}", error=True)
        raise typer.Exit(1)


def _mention_warnings(pipeline: Pipeline) -> None:
    count = sum(problem.severity == "warning" for problem in pipeline.problems)
    if count:
        from kale_pm.terminal import warning_view

        said = f"{count} {'warning' if count == 1 else 'warnings'}: kale-pm check {pipeline.path}"
        _print(warning_view(said), error=True)


def _parameters(texts: list[str] | None) -> dict[str, str]:
    from kale_pm.notebook import parse_assignment

    return dict(parse_assignment(text) for text in texts or ())


@contextmanager
def _progress(pipeline: Pipeline, verbose: bool, quiet: bool) -> Iterator[Listener]:
    """The listener that shows a run: live lines on a terminal, plain lines elsewhere."""
    from rich.live import Live

    from kale_pm.events import Warned, ignore
    from kale_pm.terminal import RunView, event_line

    console = _console(error=True)
    if quiet:
        yield ignore
        return
    if not console.is_terminal or verbose:

        def tell(event: Event) -> None:
            line = event_line(event, verbose)
            if line is not None:
                console.print(line, highlight=False, soft_wrap=True)

        yield tell
        return
    view = RunView(pipeline.order)
    with Live(view, console=console, refresh_per_second=8) as live:

        def draw(event: Event) -> None:
            view.hear(event)
            if isinstance(event, Warned):
                live.console.print(event_line(event, False))

        yield draw


def _show_run(finished: Run, as_json: bool) -> None:
    from kale_pm.terminal import summary_view

    if as_json:
        _print_json(_run_dict(finished))
    else:
        _print(summary_view(finished.record, finished.folder), soft_wrap=True)
    for failure in finished.failures:
        _show_error(failure)
    if finished.failures:
        raise typer.Exit(1)


def _run_dict(run_: Run) -> dict[str, Any]:
    content = json.loads((run_.folder / "run.json").read_text(encoding="utf-8"))
    return {**content, "state": run_.state.value, "folder": str(run_.folder)}


def _print_json(content: dict[str, Any]) -> None:
    from kale_pm import strict_json

    text = strict_json.dumps(content, indent=1, ensure_ascii=False, default=str)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = strict_json.dumps(content, indent=1, default=str)
    typer.echo(text)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or path}: {error.strerror}", hint="choose another place"
        ) from error


def _console(error: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=error, highlight=False)


def _print(what: RenderableType, *, error: bool = False, soft_wrap: bool = False) -> None:
    """Print for people; where a program may read, lines are neither wrapped nor filled up.

    ``soft_wrap`` leaves long lines to the terminal, so that a path can be copied whole.
    """
    console = _console(error)
    if console.is_terminal:
        console.print(what, soft_wrap=soft_wrap)
        return
    console.width = _UNWRAPPED
    with console.capture() as captured:
        console.print(what)
    lines = captured.get().removesuffix("\n").split("\n")
    typer.echo("\n".join(line.rstrip() for line in lines), err=error)


@contextmanager
def _interruptible() -> Iterator[None]:
    """A run that is told to end, or whose terminal is closed, ends in order as by Ctrl-C.

    Further signals do nothing then, to the very end of the process.
    """
    told = False

    def interrupt(*_: object) -> None:
        nonlocal told
        if not told:
            told = True
            raise KeyboardInterrupt

    # What ignores a signal on purpose, such as nohup, goes on doing so.
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    usual = {n: h for n in numbers if (h := signal.getsignal(n)) is not signal.SIG_IGN}
    for number in usual:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, signal.SIG_IGN if told else handler)


def _show_error(error: KalePmError) -> None:
    from kale_pm.terminal import error_view

    _print(error_view(error), error=True, soft_wrap=True)


def main() -> None:
    """The entry point ``kale-pm``."""
    for stream in (sys.stdout, sys.stderr):
        # A name or an output that the terminal cannot show must not end the command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="kale-pm")
    except KalePmError as error:
        _show_error(error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
