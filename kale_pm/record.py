"""The nouns of a run and of a sweep: what happened, as it is kept and as reports show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

# Whose names tell nobody more than their texts do.
_OWN_WORDS = frozenset(
    {
        *("KalePmError", "LoadError", "PackError", "SaveError", "StoreError"),
        *("CellFailed", "CellTimeoutError", "DeadKernelError", "KernelNotStarted", "NothingSaved"),
        "ArtifactMissing",
    }
)

Task = tuple[int, str]
"""What is executed: the number of a trial (0 where there are none), and a step of it."""


class State(StrEnum):
    """Where a step or a run stands; the value is the word that people read."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    CACHED = "cached"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"

    @property
    def is_success(self) -> bool:
        return self in (State.DONE, State.CACHED)

    @property
    def is_final(self) -> bool:
        return self not in (State.WAITING, State.RUNNING)


@dataclass(frozen=True)
class Place:
    """A line of the source notebook, and what stands around it.

    ``cell`` and ``line`` count from 1; ``cell`` is None for the cells that kale-pm adds.
    ``function`` is the name of the function that the line is in, empty at the top level of
    the cell.  ``lines`` are a few lines of the cell, the first of which has number ``first``.
    """

    cell: int | None
    line: int
    function: str = ""
    first: int = 1
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class CellError:
    """What went wrong in a step, and where.

    ``cell`` is the number in the source notebook (None for the cells that kale-pm adds),
    ``line`` the line in that cell; both count from 1.  ``source`` holds the failing line.
    ``places`` begin with that line too; where it called a function of the notebook, the line
    of the notebook at which the call ended follows.  ``hint`` says what to do.
    Where a variable could not be stored, ``variable`` is its name, ``path`` leads from it to
    the culprit, as in ``model.callbacks[2]._lock``, and ``needed_by`` are the steps that
    wanted it.
    """

    ename: str
    evalue: str
    cell: int | None = None
    line: int | None = None
    source: str = ""
    traceback: str = ""
    variable: str = ""
    path: str = ""
    needed_by: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    hint: str = ""

    @property
    def message(self) -> str:
        """The name and the text of the exception; the text alone where kale-pm wrote it."""
        if not self.evalue or self.ename in _OWN_WORDS:
            return self.evalue or self.ename
        return f"{self.ename}: {self.evalue}"


@dataclass(frozen=True)
class StepRecord:
    """One step of one run.

    ``inputs`` are the steps whose variables it may read, ``needs`` the names of the variables
    that it loads, ``notebook`` the executed notebook relative to the run's folder, ``started``
    seconds since the epoch, ``why`` the reason for which it ran or did not, ``cached_from``
    the run that really executed it.  ``artifacts`` are the files that it has kept, by name,
    relative to the run's folder as well.
    """

    name: str
    state: State = State.WAITING
    parents: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    started: float | None = None
    seconds: float | None = None
    why: str = ""
    cached_from: str | None = None
    notebook: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: CellError | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """One execution of a pipeline.

    ``notebook`` is the path of the source notebook, ``implied_edges`` those of the edges that
    no tag says, ``process`` the id of the process that drives the run.
    """

    id: str
    pipeline: str
    notebook: str
    state: State
    parameters: Mapping[str, Any]
    steps: Mapping[str, StepRecord]
    started: float
    seconds: float | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    implied_edges: tuple[tuple[str, str], ...] = ()
    process: int | None = None

    @property
    def failures(self) -> tuple[StepRecord, ...]:
        return tuple(step for step in self.steps.values() if step.state is State.FAILED)


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a sweep.

    ``number`` counts from 1, ``parameters`` are the values that vary, ``run`` is the id of the
    trial's run, None where it did not come to have one.  ``executed`` of its steps were executed
    for it, the others it shares, or they had a result.  ``why`` is the reason for its state,
    ``error`` what failed.
    """

    number: int
    parameters: Mapping[str, Any]
    state: State = State.WAITING
    run: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    why: str = ""
    executed: int = 0
    error: str = ""


@dataclass(frozen=True)
class SweepRecord:
    """Many runs of one pipeline, its trials, that differ in the values of parameters.

    ``varied`` are the names of these parameters, ``fixed`` the values of all others.  ``goal`` and
    ``stop_when`` are as they were asked for, empty where they were not.  ``executions`` is how
    many steps had to be executed, ``code`` stands for what they execute, and ``process`` is the
    id of the process that drives the sweep.  ``warnings`` are what was to be known before it,
    and what was warned of while it went on, each once.
    """

    id: str
    pipeline: str
    notebook: str
    state: State
    varied: tuple[str, ...]
    fixed: Mapping[str, Any]
    trials: tuple[TrialRecord, ...]
    executions: int
    started: float
    goal: str = ""
    stop_when: str = ""
    seconds: float | None = None
    process: int | None = None
    code: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[TrialRecord, ...]:
        return tuple(trial for trial in self.trials if trial.state is State.FAILED)
