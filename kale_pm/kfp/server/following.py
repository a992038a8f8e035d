"""A run on the server, told as events: what a local run tells while it goes on."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kale_pm.errors import ServerError
from kale_pm.events import (
    CellFinished,
    CellOutput,
    CellStarted,
    Event,
    Listener,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    Warned,
)
from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.framed import is_frame, read_told
from kale_pm.kfp.server.record import (
    Task,
    run_record,
    run_state,
    step_pods,
    step_records,
    told_error,
)
from kale_pm.kfp.server.runs import get_run
from kale_pm.record import RunRecord, State, StepRecord

_PATIENCE = 10  # failed looks in a row, after which nobody believes in the server any more
# How a pod's log tells which cell begins: see kale_pm/runtime/pod/log.py.
_CELL = re.compile(r"kale-pm: (\w+) (\d+)/(\d+)(?: \(cell (\d+) of the notebook\))?\s*")

ReadLog = Callable[[Connection, str, str], Iterator[str]]


@dataclass(frozen=True)
class Pace:
    """How often to look, in seconds, and how time is spent between."""

    interval: float = 3.0
    sleep: Callable[[float], None] = time.sleep


def follow(
    connection: Connection,
    run_id: str,
    tasks: Sequence[Task],
    listener: Listener,
    *,
    read_log: ReadLog,
    pace: Pace | None = None,
    notebook: str = "",
) -> RunRecord:
    """Tell what happens to the run until it has ended, however it ends; its record.

    ``read_log`` gives the lines of a pod's log so far.  Raises ServerError if the server
    refuses, or cannot be reached for long.
    """
    pace = pace or Pace()
    teller = _Teller(connection, run_id, tasks, listener, read_log)
    failures = 0
    first = True
    while True:
        try:
            run = get_run(connection, run_id)
        except ServerError as error:
            failures += 1
            if failures == _PATIENCE or not _is_passing(error):
                raise
            if failures == 1:
                listener(Warned(f"{error.message}; trying again"))
            pace.sleep(pace.interval)
            continue
        failures = 0
        if first:
            listener(RunStarted(run_id, run.display_name, tuple(task.name for task in tasks)))
            first = False
        teller.tell(run)
        if run_state(run).is_final:
            record = run_record(run, tasks, notebook=notebook)
            steps = {name: teller.explained(step) for name, step in record.steps.items()}
            record = replace(record, steps=steps)
            listener(RunFinished(run_id, record.state, record.seconds or 0.0))
            return record
        pace.sleep(pace.interval)


def _is_passing(error: ServerError) -> bool:
    """Whether the server may well answer the next time."""
    return error.status is None or error.status >= 500 or error.status == 429


@dataclass
class _Teller:
    """Tells what is new since it was told last."""

    connection: Connection
    run_id: str
    tasks: Sequence[Task]
    listener: Listener
    read_log: ReadLog
    known: dict[str, State] = field(default_factory=dict)
    logs: dict[str, _Log] = field(default_factory=dict)

    def tell(self, run: Any) -> None:
        for task, step in zip(self.tasks, step_records(run, self.tasks).values(), strict=True):
            before = self.known.get(step.name, State.WAITING)
            if before.is_final or step.state is State.WAITING:
                continue
            executed = step.state in (State.RUNNING, State.DONE, State.FAILED, State.INTERRUPTED)
            if before is State.WAITING and executed:
                self.listener(StepStarted(step.name, 0, ""))
            if executed:
                self._tell_log(run, task, ended=step.state.is_final)
            if step.state.is_final:
                self.listener(_finished(self.explained(step)))
            self.known[step.name] = step.state

    def explained(self, step: StepRecord) -> StepRecord:
        """The step with the error that its pod has written down: the server tells less."""
        if step.state is not State.FAILED:
            return step
        lines = [line for log in self.logs.values() if log.step == step.name for line in log.framed]
        told = read_told(lines)
        errors = [
            error for key in sorted(told) if key[0] == step.name if (error := told[key].error)
        ]
        content = errors[-1].get("error") if errors else None
        return replace(step, error=told_error(content, step.error)) if content else step

    def _tell_log(self, run: Any, task: Task, *, ended: bool) -> None:
        for pod in step_pods(run, task):
            log = self.logs.setdefault(pod, _Log(task.name))
            try:
                lines = self.read_log(self.connection, self.run_id, pod)
                for event in log.new(lines, ended=ended):
                    self.listener(event)
            except ServerError:
                # A pod that has only just begun, or is gone, has no log; the run goes on.
                continue


@dataclass
class _Log:
    """What is new in a log that is read from its beginning every time.

    ``framed`` are the lines that are written for a program.
    """

    step: str
    told: int = 0
    framed: list[str] = field(default_factory=list)
    began: tuple[int, int, int | None] | None = None

    def new(self, lines: Iterable[str], *, ended: bool) -> Iterator[Event]:
        """What the lines tell that was not told yet.

        The last line may be half there, so it waits for the next one, or until the pod has
        ``ended``.
        """
        number, last = 0, ""
        for number, line in enumerate(lines, start=1):
            if number - 1 > self.told:
                self.told = number - 1
                yield from self._events(last)
            last = line
        if ended and number > self.told:
            self.told = number
            yield from self._events(last)

    def _events(self, line: str) -> Iterator[Event]:
        if is_frame(line):
            self.framed.append(line)
            return
        cell = _CELL.fullmatch(line)
        if cell is None or cell[1] != self.step:
            yield CellOutput(self.step, "stdout", f"{line}\n")
            return
        if self.began is not None:
            index, cells, source = self.began
            yield CellFinished(self.step, index, cells, source, 0.0)
        self.began = (int(cell[2]), int(cell[3]), int(cell[4]) if cell[4] else None)
        yield CellStarted(self.step, *self.began)


def _finished(step: StepRecord) -> StepFinished:
    why = "the steps before it did not end well" if step.state is State.SKIPPED else ""
    return StepFinished(step.name, step.state, step.seconds or 0.0, why=why, error=step.error)
