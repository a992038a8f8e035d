"""A run while it goes on: what its steps share, and its record as it grows."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kale_pm.events import Event, Listener, Warned
from kale_pm.local.cache.basis import Basis
from kale_pm.local.journal import Journal
from kale_pm.local.room import Room
from kale_pm.local.secrets import values
from kale_pm.local.store import write_run
from kale_pm.record import RunRecord, State, StepRecord
from kale_pm.runtime.masking import Mask

if TYPE_CHECKING:
    from kale_pm.local.kernels.pool import Pool
    from kale_pm.runtime.execution.monitor import Monitor

_NAP = 0.05  # seconds between two looks whether there is room
_AHEAD = 2  # kernels that are ready before a step is, at most


@dataclass
class LiveRun(Basis):
    """One run; its steps work in several threads, and every method may be called from any.

    ``room`` is what may be executed at once.  Once ``stopped`` is set nothing more is executed.
    With ``fail_fast`` the first failure ends the run, and ``gave_up`` is the step that failed.
    ``secrets`` are the values that each step gets as environment variables; none of them is
    told or written.
    """

    folder: Path
    record: RunRecord
    journal: Journal
    listener: Listener
    room: Room
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fail_fast: bool = False
    gave_up: str | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    _monitors: dict[str, Monitor] = field(default_factory=dict)
    _pool: Pool | None = None
    _record_lock: threading.Lock = field(default_factory=threading.Lock)
    _listener_lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def mask(self) -> Mask:
        """Takes the secrets of all steps out of texts."""
        return Mask(values(self.secrets))

    def manifest(self, step: str) -> Path:
        return self.folder / "manifests" / f"{step}.json"

    def notebook(self, step: str) -> Path:
        return self.folder / "notebooks" / f"{step}.ipynb"

    # -- what happens ---------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        """Journal an event and tell the listener, one event at a time."""
        event = self.mask.noun(event)
        with self._listener_lock:
            self.journal.write(event)
            self.listener(event)

    def warn(self, message: str) -> None:
        self.tell(Warned(message))

    def update(self, step: StepRecord) -> None:
        """Put the new record of a step into run.json.  Raises StoreError."""
        with self._record_lock:
            steps = {**self.record.steps, step.name: self.mask.noun(step)}
            # In the order of the notebook, whichever step is done first.
            metrics = {k: v for each in steps.values() for k, v in each.metrics.items()}
            self._write(steps=steps, metrics=metrics)

    def finish(self, **changes: Any) -> None:
        """Change fields of the run's own record, and write it.  Raises StoreError."""
        with self._record_lock:
            self._write(**changes)

    def _write(self, **changes: Any) -> None:
        self.record = replace(self.record, **changes)
        write_run(self.record, self.folder)

    # -- kernels ----------------------------------------------------------------------------

    def kernels(self) -> Pool:
        """Where the steps' kernels come from; the first call starts to have some ready."""
        from kale_pm.local.kernels.pool import Pool

        spec = self.spec()
        with self._kernel_lock:
            if self._pool is None:
                self._pool = Pool(
                    spec,
                    self.pipeline.folder,
                    warm=self.pipeline.configuration.kernels == "warm",
                    ahead=self._kernels_ahead,
                    tell=self.journal.note,
                )
            return self._pool

    def close_kernels(self) -> None:
        """Nothing is executed any more."""
        if self._pool is not None:
            self._pool.close()

    def _kernels_ahead(self) -> int:
        waiting = sum(step.state is State.WAITING for step in self.record.steps.values())
        return min(waiting, self.room.jobs, _AHEAD)

    # -- the end from outside -------------------------------------------------------------

    def watch(self, step: str, monitor: Monitor) -> None:
        """From now on ``stop`` ends the execution that ``monitor`` watches."""
        self._monitors[step] = monitor

    def forget(self, step: str) -> None:
        """The execution of the step has ended."""
        self._monitors.pop(step, None)

    def give_up(self, step: str) -> None:
        """The failure of ``step`` ends the run: the first one that does so is remembered."""
        with self._record_lock:
            self.gave_up = self.gave_up or step

    def pause(self, step: str, seconds: float) -> None:
        """Wait, while others may be executed; comes back at once when the run is stopped."""
        self.room.leave(step)
        self.stopped.wait(seconds)
        while not self.room.enter(step) and not self.stopped.wait(_NAP):
            pass

    def stop(self) -> None:
        """End the kernels; what they have done so far stays in their notebooks.

        A kernel that is just about to start is ended by the next call.
        """
        self.stopped.set()
        for monitor in list(self._monitors.values()):
            monitor.interrupt()
