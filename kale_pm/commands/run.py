"""``run``: the notebook, executed on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kale_pm.commands.options import (
    FailFast,
    Folder,
    Fresh,
    Infer,
    Jobs,
    Json,
    Kernel,
    Notebook,
    Parameters,
    Strict,
    Verbose,
    Verify,
)
from kale_pm.commands.shared import INTERRUPTED, given_parameters, load_pipeline, refuse_errors
from kale_pm.commands.watch import watch_and_run
from kale_pm.console import (
    mention_warnings,
    progress,
    say,
    show_failures,
    show_json,
    show_view,
)
from kale_pm.errors import UsageError

if TYPE_CHECKING:
    from kale_pm.face import Pipeline, Run
    from kale_pm.local import RunOptions


def run(
    notebook: Notebook,
    *,
    parameter: Parameters = None,
    jobs: Jobs = None,
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
    fresh: Fresh = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Run nothing; say what would run, and why.")
    ] = False,
    fail_fast: FailFast = False,
    verify: Verify = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Run again after every save of what it read; Ctrl-C ends it."),
    ] = False,
    kernel: Kernel = None,
    folder: Folder = None,
    verbose: Verbose = False,
    as_json: Json = False,
    strict: Strict = False,
    infer_edges: Infer = False,
) -> None:
    """Run the notebook on this machine, steps in parallel."""
    from kale_pm.local import RunOptions

    options = RunOptions(
        parameters=given_parameters(parameter),
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
