"""One trial while it goes on, and what is written of it when it has ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from kale_pm.local.live import LiveRun
from kale_pm.record import RunRecord, State, TrialRecord

_EXECUTED = (State.DONE, State.FAILED)


@dataclass
class LiveTrial:
    """A trial with its run; ``own`` are the steps that are executed for it, if any is.

    ``lock`` is held while results of other trials are brought into the run.
    """

    number: int
    live: LiveRun
    own: Collection[str]
    began: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def close(self, varied: Sequence[str], enough: str = "") -> TrialRecord:
        """Nothing of it is executed any more: write its run, and give its record.

        ``enough`` says why steps that have not begun are not needed.  The record's seconds are
        those of what was executed for this trial: those of its run have waiting in them, for
        other trials as well.  Raises StoreError.
        """
        self.live.close(time.monotonic() - self.began, enough)
        run = self.live.record
        steps = (step for step in run.steps.values() if step.name in self.own)
        executed = [step.seconds or 0.0 for step in steps if step.state in _EXECUTED]
        return TrialRecord(
            number=self.number,
            parameters={name: run.parameters[name] for name in varied},
            state=run.state,
            run=run.id,
            metrics=dict(run.metrics),
            seconds=sum(executed, 0.0),
            why=self._why(run),
            executed=len(executed),
            error=_error(run),
        )

    def _why(self, run: RunRecord) -> str:
        if run.state.is_success:
            return ""
        step = next(step for step in run.steps.values() if step.state is run.state)
        # Why a step was executed is no reason for its failure.
        is_own = step.state is State.FAILED and step.name in self.own
        return "" if is_own else step.why


def _error(run: RunRecord) -> str:
    """Which step failed first, and the first line of its error."""
    for step in run.failures:
        lines = step.error.message.splitlines() if step.error else []
        return f"{step.name}: {lines[0]}" if lines else f"{step.name} failed"
    return ""
