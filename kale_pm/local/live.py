"""A run while it goes on: its record as it grows."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kale_pm.events import Event
from kale_pm.local.cache.basis import Basis
from kale_pm.local.records import final_state, finished, first_record, left_undone
from kale_pm.local.run_file import write_run
from kale_pm.local.workplace import Workplace
from kale_pm.model import Step
from kale_pm.record import RunRecord, State, StepRecord, Task


@dataclass
class LiveRun(Basis):
    """One run, in its ``folder``; every method may be called from any thread.

    ``number`` is that of a trial, 0 for a run by itself: a trial's record is written when it
    begins, when a step fails and when it ends, since a sweep has many.
    """

    workplace: Workplace
    folder: Path
    record: RunRecord
    number: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def task(self, step: str) -> Task:
        """How the workplace knows the step."""
        return self.number, step

    def manifest(self, step: str) -> Path:
        return self.folder / "manifests" / f"{step}.json"

    def notebook(self, step: str) -> Path:
        return self.folder / "notebooks" / f"{step}.ipynb"

    def artifacts(self, step: Step) -> dict[str, str]:
        """The files that the step keeps, by name, relative to the run's folder."""
        return {
            each.name: f"artifacts/{step.name}/{each.name}{each.suffix}"
            for each in step.options.artifacts
        }

    def tell(self, event: Event) -> None:
        """Journal an event and tell the listener."""
        self.workplace.tell(event, self.number)

    def update(self, step: StepRecord) -> None:
        """Put the new record of a step into the run's.  Raises StoreError."""
        with self._lock:
            steps = {**self.record.steps, step.name: self.workplace.mask.noun(step)}
            # In the order of the notebook, whichever step is done first.
            metrics = {k: v for each in steps.values() for k, v in each.metrics.items()}
            self.record = replace(self.record, steps=steps, metrics=metrics)
            if not self.number or step.state is State.FAILED:
                write_run(self.record, self.folder)

    def close(self, seconds: float, enough: str = "") -> None:
        """Nothing of it is executed any more.  Raises StoreError.

        ``enough`` says why steps that have not begun are not needed.
        """
        gave_up = self.workplace.gave_up
        for step in left_undone(self.record, gave_up, enough):
            self.update(step)
            if step.state is State.SKIPPED:
                self.tell(finished(step))
        with self._lock:
            state = final_state(self.record, gave_up)
            self.record = replace(self.record, state=state, seconds=seconds)
            write_run(self.record, self.folder)


def open_run(
    workplace: Workplace,
    folder: Path,
    parameters: Mapping[str, Any],
    wanted: Collection[str],
    number: int = 0,
) -> LiveRun:
    """Begin a run with the steps ``wanted`` in its new ``folder``.  Raises StoreError."""
    record = first_record(workplace.pipeline, parameters, folder, wanted)
    write_run(record, folder)
    return LiveRun(
        workplace.pipeline,
        parameters,
        workplace.store,
        workplace.interpreter,
        workplace,
        folder,
        record,
        number,
        verify=workplace.verify,
    )
