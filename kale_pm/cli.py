"""The command line: argv -> one call below -> exit code.

Exit codes: 0 done, 1 the notebook or a step failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from kale_pm.commands.debug import debug
from kale_pm.commands.fetch import fetch
from kale_pm.commands.history import clean, diff, runs
from kale_pm.commands.notebook import check, compile_, show, slice_
from kale_pm.commands.options import Folder, Infer, Json, Notebook, Strict
from kale_pm.commands.results import report, vars_
from kale_pm.commands.shared import INTERRUPTED, load_pipeline, refuse_errors
from kale_pm.commands.submit import submit
from kale_pm.commands.sweep import sweep
from kale_pm.commands.watch import watch_and_run
from kale_pm.console import (
    mention_warnings,
    prepare,
    progress,
    say,
    show_error,
    show_failures,
    show_json,
    show_view,
)
from kale_pm.errors import KalePmError, UsageError

if TYPE_CHECKING:
    from kale_pm.face import Pipeline, Run
    from kale_pm.local import RunOptions

app = typer.Typer(
    help="One tagged notebook in; a pipeline whose every step is an executed notebook out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    explain: Annotated[
        bool, typer.Option("--explain", help="Run nothing; say what would run, and why.")
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="End everything at the first failure.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every stored byte that is used.")
    ] = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Run again after every save of what it read; Ctrl-C ends it."),
    ] = False,
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

    options = RunOptions(
        parameters=_parameters(parameter),
        folder=folder,
        jobs=jobs,
        kernel=kernel,
        fresh=fresh,
        start=start,
        only=only,
        fail_fast=fail_fast,
        verify=verify,
    )

    def load() -> Pipeline:
        pipeline = load_pipeline(notebook, strict, infer_edges)
        refuse_errors(pipeline)
        return pipeline

    def carry_out(pipeline: Pipeline, options: RunOptions) -> Run:
        return _carry_out(pipeline, options, verbose, as_json)

    if watch and (as_json or explain):
        raise UsageError("--watch goes neither with --json nor with --explain")
    if watch:
        watch_and_run(notebook, options, load=load, run=carry_out, show=_show_run)
    elif explain:
        _explain(load(), options, as_json)
    else:
        _show_run(carry_out(load(), options), as_json)


app.command()(check)
app.command()(show)
app.command(name="slice")(slice_)
app.command()(run)
app.command()(sweep)
app.command(name="compile")(compile_)
app.command()(submit)
app.command()(fetch)
app.command()(runs)
app.command()(report)
app.command(name="vars")(vars_)
app.command()(diff)
app.command()(debug)
app.command()(clean)


def _parameters(texts: list[str] | None) -> dict[str, str]:
    from kale_pm.notebook import parse_assignment

    return dict(parse_assignment(text) for text in texts or ())


def _explain(pipeline: Pipeline, options: RunOptions, as_json: bool) -> None:
    from kale_pm.local import explain_pipeline
    from kale_pm.terminal import explanation_view

    found = explain_pipeline(pipeline, options)
    if as_json:
        show_json({"steps": {name: vars(each) for name, each in found.items()}})
    else:
        show_view(explanation_view(found))


def _carry_out(pipeline: Pipeline, options: RunOptions, verbose: bool, as_json: bool) -> Run:
    from kale_pm.local.interruption import interruptible

    if not as_json:
        mention_warnings(pipeline)
    try:
        with interruptible(), progress(pipeline, verbose, quiet=as_json) as listener:
            return pipeline.attempt(options, listener)
    except KeyboardInterrupt:
        say("interrupted; the next run takes up what is done", error=True)
        raise typer.Exit(INTERRUPTED) from None


def _show_run(finished: Run, as_json: bool = False) -> None:
    from kale_pm.terminal import summary_view

    if as_json:
        show_json(finished.to_dict())
    else:
        show_view(summary_view(finished.record, finished.folder), soft_wrap=True)
    failures = finished.failures
    show_failures(failures)
    if failures:
        raise typer.Exit(1)


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
