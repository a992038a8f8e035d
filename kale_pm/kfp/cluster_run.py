"""What was started on a KFP server: a run to follow, or a schedule of runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kale_pm.events import Listener, ignore
from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.following import Pace, follow
from kale_pm.kfp.server.logs import read_log
from kale_pm.kfp.server.record import Task, run_state
from kale_pm.kfp.server.runs import end_run, get_run
from kale_pm.kfp.server.upload import Uploaded
from kale_pm.model import Pipeline
from kale_pm.record import RunRecord, State


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
