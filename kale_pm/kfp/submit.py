"""From a pipeline to a run on a KFP server: compile, upload, start."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kale_pm.events import Listener, ignore
from kale_pm.kfp import own_volumes
from kale_pm.kfp.cluster.snapshots import SnapshotEvent
from kale_pm.kfp.compiling.compile import compile_pipeline
from kale_pm.kfp.compiling.component import reserved_names
from kale_pm.kfp.parameters import Encoded, encode, kfp_parameters, size_warnings
from kale_pm.kfp.server.access import Settled
from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.following import Pace, follow
from kale_pm.kfp.server.logs import read_log
from kale_pm.kfp.server.record import Task, run_state, tasks_of
from kale_pm.kfp.server.runs import Order, end_run, experiment_id, get_run, start_run
from kale_pm.kfp.server.schedule import kfp_cron, start_recurring_run
from kale_pm.kfp.server.upload import Uploaded, upload_pipeline, version_name
from kale_pm.model import Pipeline
from kale_pm.notebook.values import bind
from kale_pm.record import RunRecord, State


def _ignore(_: object) -> None:
    pass


@dataclass(frozen=True)
class SubmitOptions:
    """How to submit.

    ``parameters`` go by their names in the notebook.  None stands for what the notebook's
    configuration says of ``experiment`` and ``service_account``, for a name that tells when,
    for the server's own ``pipeline_root`` (where artifacts are kept).  ``cron`` makes the
    server start the run again and again.  ``image`` and ``install`` are those of the compiler.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    experiment: str | None = None
    run_name: str | None = None
    service_account: str | None = None
    pipeline_root: str | None = None
    cron: str | None = None
    image: str | None = None
    install: bool = True


@dataclass(frozen=True)
class Prepared:
    """What will be sent: the compiled pipeline, and everything that is said about the run."""

    pipeline: Pipeline
    package: bytes = field(repr=False)
    parameters: Encoded
    experiment: str
    name: str
    mark: str
    cron: str | None
    service_account: str | None
    pipeline_root: str | None
    warnings: tuple[str, ...]

    @property
    def version(self) -> str:
        return version_name(self.package)

    def to_dict(self) -> dict[str, Any]:
        return {
            "pipeline": self.pipeline.name,
            "version": self.version,
            "size": len(self.package),
            "experiment": self.experiment,
            "name": self.name,
            "parameters": dict(self.parameters),
            "service_account": self.service_account,
            "pipeline_root": self.pipeline_root,
            "cron": self.cron,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class Sent:
    """What the server has before anything is started; ``tasks`` are the steps of the package."""

    uploaded: Uploaded
    experiment_id: str
    tasks: tuple[Task, ...] = field(repr=False)


@dataclass(frozen=True)
class ClusterRun:
    """A run on a KFP server.

    ``link`` is its page, ``uploaded`` what it is a run of, and ``tasks`` are its steps.
    """

    id: str
    name: str
    link: str
    experiment: str
    uploaded: Uploaded
    tasks: tuple[Task, ...] = field(repr=False)
    connection: Connection = field(repr=False)
    pipeline: Pipeline = field(repr=False)

    @property
    def state(self) -> State:
        """Where the run stands now.  Raises ServerError."""
        return run_state(get_run(self.connection, self.id))

    def wait(self, listener: Listener = ignore, *, pace: Pace | None = None) -> RunRecord:
        """Follow the run until it has ended, however it ends; its record.

        ``listener`` hears what a local run tells.  Raises ServerError; the run goes on then.
        """
        return follow(
            self.connection,
            self.id,
            self.tasks,
            listener,
            read_log=read_log,
            pace=pace,
            notebook=str(self.pipeline.path),
        )

    def cancel(self) -> None:
        """Have the server end the run.  Raises ServerError."""
        end_run(self.connection, self.id)

    def to_dict(self) -> dict[str, Any]:
        return _described(self, "run")


@dataclass(frozen=True)
class Schedule:
    """Runs that the server starts by itself, at the times that ``cron`` says."""

    id: str
    name: str
    link: str
    experiment: str
    cron: str
    uploaded: Uploaded

    def to_dict(self) -> dict[str, Any]:
        return {**_described(self, "recurring_run"), "cron": self.cron}


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


def prepare(pipeline: Pipeline, options: SubmitOptions) -> Prepared:
    """Compile ``pipeline`` and make up what to send, without a server.

    Raises PipelineError, CompileError, ParameterError, or UsageError for a wrong schedule.
    """
    configuration = pipeline.configuration
    cron = kfp_cron(options.cron) if options.cron is not None else None
    values = bind(pipeline.parameters, options.parameters)
    parameters = encoded(pipeline, {name: values[name] for name in options.parameters})
    package, warnings = _compiled(pipeline, options)
    warnings = (*warnings, *size_warnings(parameters))
    mark = new_mark()
    when = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{mark[-4:]}"
    name = pipeline.name if cron is not None else f"{pipeline.name}-{when}"
    return Prepared(
        pipeline=pipeline,
        package=package,
        parameters=parameters,
        experiment=options.experiment or configuration.experiment,
        name=options.run_name or name,
        mark=mark,
        cron=cron,
        service_account=options.service_account or configuration.service_account,
        pipeline_root=options.pipeline_root,
        warnings=warnings,
    )


def new_mark() -> str:
    """A word that no other run has, and by which it is found again."""
    return f"kale-pm {secrets.token_hex(6)}"


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


def _compiled(pipeline: Pipeline, options: SubmitOptions) -> tuple[bytes, tuple[str, ...]]:
    with tempfile.TemporaryDirectory(prefix="kale-pm-") as folder:
        result = compile_pipeline(
            pipeline,
            Path(folder) / "pipeline.yaml",
            image=options.image,
            install=options.install,
        )
        return result.path.read_bytes(), result.warnings


def encoded(pipeline: Pipeline, values: Mapping[str, Any]) -> Encoded:
    """The values, which are of their parameters' types, by their names in the compiled pipeline.

    Raises ParameterError for one that KFP cannot carry.
    """
    known, _ = kfp_parameters(pipeline, reserved_names(pipeline))
    return {
        known[name].kfp_name: encode(value, known[name].parameter) for name, value in values.items()
    }


def _described(found: ClusterRun | Schedule, what: str) -> dict[str, Any]:
    return {
        what: found.id,
        "name": found.name,
        "link": found.link,
        "experiment": found.experiment,
        "pipeline": found.uploaded.pipeline_id,
        "version": found.uploaded.version,
        "version_id": found.uploaded.version_id,
        "uploaded": found.uploaded.is_new,
    }
