"""What happens during a run or a sweep, told as a stream of values.

The runner calls one listener with them.  The terminal draws them, the journal stores them,
tests collect them in a list; the logic itself never prints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kale_pm.record import CellError, State, TrialRecord


@dataclass(frozen=True)
class RunStarted:
    run: str
    pipeline: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class StepStarted:
    step: str
    cells: int
    why: str


@dataclass(frozen=True)
class KernelStarting:
    """The step waits for its kernel; nothing but its answer is needed before the first cell."""

    step: str


@dataclass(frozen=True)
class CellStarted:
    """Cell ``index`` of ``cells`` (from 1) of the slice; ``cell`` is its source number."""

    step: str
    index: int
    cells: int
    cell: int | None


@dataclass(frozen=True)
class CellOutput:
    step: str
    stream: str
    text: str


@dataclass(frozen=True)
class CellFinished:
    step: str
    index: int
    cells: int
    cell: int | None
    seconds: float


@dataclass(frozen=True)
class StepRetried:
    """The step failed and is tried again after ``pause`` seconds; ``attempt`` counts the tries."""

    step: str
    attempt: int
    error: CellError
    pause: float = 0.0


@dataclass(frozen=True)
class StepFinished:
    step: str
    state: State
    seconds: float
    why: str = ""
    error: CellError | None = None
    notebook: str | None = None


@dataclass(frozen=True)
class RunFinished:
    run: str
    state: State
    seconds: float


@dataclass(frozen=True)
class Warned:
    """Something that the user should know, but that stops nothing."""

    message: str
    step: str | None = None


Event = (
    RunStarted
    | StepStarted
    | KernelStarting
    | CellStarted
    | CellOutput
    | CellFinished
    | StepRetried
    | StepFinished
    | RunFinished
    | Warned
)
Listener = Callable[[Event], None]


@dataclass(frozen=True)
class SweepStarted:
    """``executions`` are those of all steps, of which trials share some."""

    sweep: str
    pipeline: str
    trials: int
    executions: int


@dataclass(frozen=True)
class TrialStarted:
    """Trial ``number`` (from 1) has begun as the run of this id."""

    number: int
    run: str


@dataclass(frozen=True)
class OfTrial:
    """What happens in a run happens in trial ``number``.

    What trials share is told of the one that executes it.
    """

    number: int
    event: Event


@dataclass(frozen=True)
class TrialFinished:
    record: TrialRecord


@dataclass(frozen=True)
class SweepFinished:
    sweep: str
    state: State
    seconds: float


SweepEvent = SweepStarted | TrialStarted | OfTrial | TrialFinished | SweepFinished | Warned
SweepListener = Callable[[SweepEvent], None]


def ignore(event: object) -> None:
    """The listener that does nothing."""
