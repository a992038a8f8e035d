"""A sweep while it goes on: which trials are open, what they share, what is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kale_pm.events import SweepEvent, TrialFinished, TrialStarted
from kale_pm.local.live import open_run
from kale_pm.local.records import inputs_of, not_begun
from kale_pm.local.step import do_step, skip_step
from kale_pm.local.sweep_files import TrialLog
from kale_pm.local.sweeping.adopting import Shared, adopt
from kale_pm.local.sweeping.trial import LiveTrial
from kale_pm.local.workplace import Workplace
from kale_pm.record import State, StepRecord, SweepRecord, Task, TrialRecord
from kale_pm.sweep import Plan, Trial
from kale_pm.trials.goal import Condition
from kale_pm.trials.values import number_text


@dataclass
class LiveSweep:
    """The sweep of ``record``; every method may be called from any thread.

    ``attempts`` says how often each trial has begun in earlier goes, and ``forced`` why a stored
    result of a step must not be used.  Once a trial meets ``stop_when``, ``enough`` says so; as
    soon as ``is_stopped()`` holds, trials that execute nothing do not begin any more.
    A trial is held only from the beginning of its first execution to the end of its last one.
    """

    workplace: Workplace
    plan: Plan
    record: SweepRecord
    log: TrialLog
    forced: Mapping[str, str]
    is_stopped: Callable[[], bool]
    stop_when: Condition | None = None
    attempts: Mapping[int, int] = field(default_factory=dict)
    enough: str = ""
    _open: dict[int, LiveTrial] = field(default_factory=dict)
    _shared: dict[Task, Shared] = field(default_factory=dict)
    _ended: dict[int, TrialRecord] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        order = self.workplace.pipeline.order
        self._trials: dict[int, Trial] = {trial.number: trial for trial in self.plan.trials}
        self._sharers = {execution.task: execution.trials for execution in self.plan.executions}
        self._missing = dict.fromkeys(self._trials, len(order))

    # -- executions -----------------------------------------------------------------------

    def execute(self, task: Task) -> State:
        """Carry out what the trial of this number executes for all that share it."""
        number, step = task
        trial = self._opened(number)
        pipeline = self.workplace.pipeline
        self._adopt(trial, inputs_of(pipeline, pipeline.step(step)))
        record = do_step(trial.live, step, self.forced.get(step, ""))
        self._note(task, record)
        return record.state

    def skip(self, task: Task, parent: Task) -> None:
        """Do not execute it, since its parent did not succeed."""
        if self.is_stopped():
            return  # thousands may follow one failure, and somebody waits for the end
        trial = self._opened(task[0])
        self._note(task, skip_step(trial.live, task[1], parent[1]))

    def _note(self, task: Task, record: StepRecord) -> None:
        """An execution has ended: so have the trials that waited for nothing else."""
        number, sharers = task[0], self._sharers[task]
        with self._lock:
            if len(sharers) > 1:
                folder = self._open[number].live.folder
                self._shared[task] = Shared(record, number, folder, len(sharers) - 1)
            for sharer in sharers:
                self._missing[sharer] -= 1
            over = [sharer for sharer in sharers if not self._missing[sharer]]
        for sharer in over:
            if sharer in self._open or not self.is_stopped():
                self._close(sharer)

    # -- trials ---------------------------------------------------------------------------

    def _opened(self, number: int) -> LiveTrial:
        """The trial, which begins now if it has not."""
        with self._lock:
            if number not in self._open:
                self._open[number] = self._begun(number)
            return self._open[number]

    def _begun(self, number: int) -> LiveTrial:
        workplace = self.workplace
        order = workplace.pipeline.order
        attempt = self.attempts.get(number, 0) + 1
        folder = workplace.store.trial_run(self.record.id, number, attempt)
        live = open_run(workplace, folder, self._trials[number].parameters, order, number)
        self.tell(TrialStarted(number, folder.name))
        own = frozenset(step for step in order if self.plan.owner(number, step) == number)
        return LiveTrial(number, live, own)

    def _adopt(self, trial: LiveTrial, steps: Iterable[str]) -> None:
        """Bring what other trials have executed of these steps, as far as it has ended."""
        with trial.lock:
            for step in steps:
                task = self.plan.owner(trial.number, step), step
                if step in trial.own or trial.live.record.steps[step].state is not State.WAITING:
                    continue
                with self._lock:
                    shared = self._shared.get(task)
                if shared is None:
                    continue
                adopt(trial.live, shared)
                with self._lock:
                    shared.takers -= 1
                    if not shared.takers:
                        del self._shared[task]

    def _close(self, number: int) -> None:
        trial = self._opened(number)  # one that executes nothing itself begins only now
        self._adopt(trial, self.workplace.pipeline.order)
        record = trial.close(self.record.varied, self.enough)
        self.log.write(record)
        with self._lock:
            del self._open[number]
            self._ended[number] = record
            if not self.enough:
                self.enough = self._enough(record)
        self.tell(TrialFinished(record))

    def _enough(self, trial: TrialRecord) -> str:
        """Why no more trials are needed, after this one; empty if they are."""
        asked = self.stop_when
        if asked is None or not trial.state.is_success or not asked.holds(trial.metrics):
            return ""
        value = number_text(trial.metrics[asked.metric])
        limit = f"{asked.comparison} {number_text(asked.value)}"
        return f"trial {trial.number} has {asked.metric} {value} {limit}"

    # -- the end --------------------------------------------------------------------------

    def close(self, seconds: float) -> None:
        """Nothing is executed any more: end the trials that are open, and complete the record.

        Raises StoreError.
        """
        for number in sorted(self._open):
            self._close(number)
        trials = tuple(self._last(trial) for trial in self.record.trials)
        state = _final_state(trials, self.workplace.gave_up)
        seconds += self.record.seconds or 0.0
        warnings = dict.fromkeys([*self.record.warnings, *self.workplace.warnings])
        self.record = replace(
            self.record, state=state, seconds=seconds, trials=trials, warnings=tuple(warnings)
        )

    def _last(self, before: TrialRecord) -> TrialRecord:
        """What became of a trial; one that ran before, and not now, stays as it was."""
        ended = self._ended.get(before.number)
        if ended is not None:
            return ended
        if before.state.is_success or before.state is State.FAILED:
            return before
        gave_up = self.workplace.gave_up
        if self.enough:
            return replace(before, state=State.SKIPPED, why=self.enough)
        if gave_up is not None:
            return replace(before, state=State.SKIPPED, why=not_begun(gave_up))
        return replace(before, state=State.INTERRUPTED, why="the sweep was interrupted")

    def tell(self, event: SweepEvent) -> None:
        """Journal an event and tell the listener."""
        self.workplace.tell(event)


def _final_state(trials: Sequence[TrialRecord], gave_up: str | None) -> State:
    """How a sweep ended all whose trials have ended; those that are not needed do no harm."""
    states = {trial.state for trial in trials}
    if State.FAILED in states and (gave_up is not None or State.INTERRUPTED not in states):
        return State.FAILED
    return State.INTERRUPTED if State.INTERRUPTED in states else State.DONE
