"""``submit``: a run of the notebook on a KFP server."""

from __future__ import annotations

import shlex
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from kale_pm.commands.options import (
    Authentication,
    Ca,
    Experiment,
    Host,
    Image,
    Infer,
    Insecure,
    Json,
    Namespace,
    NoInstall,
    Notebook,
    Parameters,
    PipelineRoot,
    ServiceAccount,
    Strict,
    TokenFile,
    on_kfp,
)
from kale_pm.commands.shared import (
    INTERRUPTED,
    Warnings,
    given_parameters,
    image_of_steps,
    load_pipeline,
    refuse_errors,
    server_access,
)
from kale_pm.console import (
    mention_warnings,
    progress,
    say,
    show_error,
    show_failures,
    show_json,
    show_view,
)
from kale_pm.errors import ServerError, StepFailed, UsageError

if TYPE_CHECKING:
    from kale_pm.face import Pipeline
    from kale_pm.kfp.cluster.snapshots import SnapshotEvent
    from kale_pm.kfp.cluster_run import ClusterRun
    from kale_pm.record import RunRecord


def submit(
    notebook: Notebook,
    *,
    parameter: Parameters = None,
    experiment: Experiment = None,
    run_name: Annotated[
        str | None,
        on_kfp("--run-name", metavar="NAME", help="What the run is called."),
    ] = None,
    cron: Annotated[
        str | None,
        typer.Option(
            "--cron",
            metavar="SCHEDULE",
            help="Run again and again: '30 9 * * 1-5' is 9:30 from Monday to Friday.",
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the run; exit 1 if it does not end well.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compile and say what would be sent; send nothing.")
    ] = False,
    image: Image = None,
    no_install: NoInstall = False,
    service_account: ServiceAccount = None,
    pipeline_root: PipelineRoot = None,
    host: Host = None,
    namespace: Namespace = None,
    authentication: Authentication = None,
    token_file: TokenFile = None,
    ca: Ca = None,
    insecure: Insecure = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="With --wait, print what the cells print.")
    ] = False,
    as_json: Json = False,
    strict: Strict = False,
    infer_edges: Infer = False,
) -> None:
    """Run the notebook on a Kubeflow Pipelines server."""
    if wait and cron is not None:
        raise UsageError(
            "--wait goes not with --cron: a schedule does not end",
            hint="leave out one of them; the server shows the runs of a schedule",
        )
    access = server_access(
        host, namespace, authentication, token_file=token_file, ca=ca, insecure=insecure
    )
    parameters = given_parameters(parameter)
    pipeline = load_pipeline(notebook, strict, infer_edges)
    refuse_errors(pipeline)
    if not as_json:
        mention_warnings(pipeline)

    from kale_pm.kfp.cluster_run import ClusterRun
    from kale_pm.kfp.submission import SubmitOptions, prepare
    from kale_pm.kfp.submit import submit_pipeline
    from kale_pm.terminal import prepared_view, submitted_view

    # Only the link, or JSON, belongs on the standard output.
    with redirect_stdout(sys.stderr):
        image = image_of_steps(pipeline, image)
    options = SubmitOptions(
        parameters=parameters,
        experiment=experiment,
        run_name=run_name,
        service_account=service_account,
        pipeline_root=pipeline_root,
        cron=cron,
        image=image,
        install=not no_install,
    )
    warnings = Warnings(as_json)
    if dry_run:
        prepared = prepare(pipeline, options)
        warnings.add(*prepared.warnings)
        if as_json:
            show_json(prepared.to_dict())
        else:
            show_view(prepared_view(prepared.to_dict()))
        return
    server = access.settled(pipeline.configuration, pipeline.folder)
    sent = submit_pipeline(pipeline, server, options, warn=warnings.add, tell=_tell_snapshot)
    if not as_json:
        show_view(submitted_view(sent), error=True)
        say(sent.link)
    if isinstance(sent, ClusterRun) and wait:
        _wait(sent, pipeline, verbose, as_json)
    elif as_json:
        show_json({**sent.to_dict(), "warnings": warnings.texts})


def _tell_snapshot(event: SnapshotEvent) -> None:
    from kale_pm.kfp.cluster.snapshots import SnapshotReady

    state = f"ready after {event.seconds:.0f} s" if isinstance(event, SnapshotReady) else "begun"
    say(f"snapshot of {event.claim}: {state}", error=True)


def _wait(run: ClusterRun, pipeline: Pipeline, verbose: bool, as_json: bool) -> None:
    """Follow the run to its end; exit code 1 unless that is a good one."""
    from kale_pm.local.interruption import interruptible
    from kale_pm.terminal import ended_view

    try:
        with interruptible(), progress(pipeline, verbose, quiet=as_json) as listener:
            record = run.wait(listener)
    except KeyboardInterrupt:
        say(f"no longer following; the run goes on: {run.link}", error=True)
        say(f"what it gave, now or later: {_fetching(run)}", error=True)
        raise typer.Exit(INTERRUPTED) from None
    except ServerError as error:
        show_error(error)
        say(f"the run may well go on: {run.link}", error=True)
        raise typer.Exit(1) from None
    if as_json:
        show_json({**run.to_dict(), "state": record.state, "steps": _steps(record)})
    else:
        show_view(ended_view(record, run.name), error=True)
    show_failures(
        [
            StepFailed(
                step.name,
                step.error.message if step.error is not None else "it failed",
                hint=f"its notebook: {_fetching(run, step.name)}",
            )
            for step in record.failures
        ]
    )
    if not record.state.is_success:
        raise typer.Exit(1)


def _fetching(run: ClusterRun, step: str = "") -> str:
    """The command that brings the run, or one step of it, here."""
    namespace = run.connection.namespace
    parts = ["kale-pm", "fetch", run.id, *filter(None, [step]), "--host", run.connection.host]
    parts += ["--namespace", namespace] if namespace else []
    return shlex.join([*parts, "--notebook", str(run.pipeline.path)])


def _steps(record: RunRecord) -> dict[str, dict[str, object]]:
    return {
        name: {
            "state": step.state,
            "seconds": step.seconds,
            "error": step.error.message if step.error is not None else None,
        }
        for name, step in record.steps.items()
    }
