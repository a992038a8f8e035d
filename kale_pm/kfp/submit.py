"""From a pipeline to a run on a KFP server: compile, upload, start."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kale_pm.kfp import own_volumes
from kale_pm.kfp.cluster.snapshots import SnapshotEvent
from kale_pm.kfp.cluster_run import ClusterRun, Schedule
from kale_pm.kfp.server.access import Settled
from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.record import Task, tasks_of
from kale_pm.kfp.server.runs import Order, experiment_id, start_run
from kale_pm.kfp.server.schedule import start_recurring_run
from kale_pm.kfp.server.upload import Uploaded, upload_pipeline
from kale_pm.kfp.submission import Prepared, SubmitOptions, prepare
from kale_pm.model import Pipeline


@dataclass(frozen=True)
class Sent:
    """What the server has before anything is started; ``tasks`` are the steps of the package."""

    uploaded: Uploaded
    experiment_id: str
    tasks: tuple[Task, ...] = field(repr=False)


def _ignore(_: object) -> None:
    pass


def submit_pipeline(
    pipeline: Pipeline,
    server: Settled,
    options: SubmitOptions,
    *,
    warn: Callable[[str], None] = _ignore,
    tell: Callable[[SnapshotEvent], None] = _ignore,
) -> ClusterRun | Schedule:
    """Compile, sign in, prepare the volumes, upload, and start the run or its schedule.

    ``warn`` hears what the user should know before anything is sent, ``tell`` how snapshots of
    the notebook server's own volumes go on, where the run has copies of these.

    Raises PipelineError, CompileError, UsageError, ServerError or ClusterError.
    """
    # Snapshots take minutes, so what can be wrong is to be found before.
    ready = prepare(pipeline, options)
    connection = server.connect()
    recurring = options.cron is not None
    with own_volumes.prepared(
        pipeline, os.environ, recurring=recurring, listener=tell
    ) as with_volumes:
        if with_volumes.pipeline is not pipeline:
            ready = prepare(with_volumes.pipeline, options)
        for warning in (*with_volumes.warnings, *ready.warnings):
            warn(warning)
        return submit(ready, connection)


def submit(prepared: Prepared, connection: Connection) -> ClusterRun | Schedule:
    """Upload the package, unless the server has it, and start the run or its schedule.

    Raises ServerError.
    """
    return start(prepared, send(prepared, connection), connection)


def send(prepared: Prepared, connection: Connection) -> Sent:
    """Upload the package, unless the server has it, and find or make the experiment.

    Raises ServerError.
    """
    pipeline = prepared.pipeline
    description = pipeline.configuration.description
    with tempfile.TemporaryDirectory(prefix="kale-pm-") as folder:
        package = Path(folder) / f"{pipeline.name}.yaml"
        package.write_bytes(prepared.package)
        uploaded = upload_pipeline(connection, package, name=pipeline.name, description=description)
    experiment = experiment_id(connection, prepared.experiment)
    return Sent(uploaded, experiment, _tasks(pipeline, prepared.package))


def start(prepared: Prepared, sent: Sent, connection: Connection) -> ClusterRun | Schedule:
    """Start a run of what was sent, or its schedule.  Raises ServerError."""
    pipeline, uploaded = prepared.pipeline, sent.uploaded
    order = Order(
        name=prepared.name,
        mark=prepared.mark,
        pipeline_id=uploaded.pipeline_id,
        version_id=uploaded.version_id,
        experiment_id=sent.experiment_id,
        description=f"from {pipeline.path.name}",
        parameters=prepared.parameters,
        service_account=prepared.service_account,
        pipeline_root=prepared.pipeline_root,
    )
    if prepared.cron is not None:
        found = start_recurring_run(connection, order, prepared.cron)
        link = connection.page(f"recurringrun/details/{found}")
        return Schedule(found, order.name, link, prepared.experiment, prepared.cron, uploaded)
    found = start_run(connection, order)
    link = connection.page(f"runs/details/{found}")
    return ClusterRun(
        found,
        order.name,
        link,
        prepared.experiment,
        uploaded,
        sent.tasks,
        connection,
        pipeline,
    )


def _tasks(pipeline: Pipeline, package: bytes) -> tuple[Task, ...]:
    """The steps by what the package calls them, parents first."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = tasks_of(next(yaml.load_all(package, Loader=loader)))
    return tuple(sorted(found, key=lambda task: pipeline.order.index(task.name)))
