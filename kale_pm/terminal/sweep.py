"""How a sweep looks while it goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kale_pm.events import (
    Event,
    OfTrial,
    RunFinished,
    RunStarted,
    StepFinished,
    SweepEvent,
    SweepFinished,
    SweepStarted,
    TrialFinished,
    Warned,
)
from kale_pm.record import State, TrialRecord
from kale_pm.report.page import duration
from kale_pm.terminal.history import pairs, value_text
from kale_pm.terminal.run import RunLines, RunView, event_line
from kale_pm.terminal.text import STYLES, cut, visible
from kale_pm.trials.goal import Goal, best
from kale_pm.trials.table import TrialRow

_LONGEST_BAR = 60  # columns
_TOLD = 5  # failures that are told as soon as they happen
_METRICS = 4  # in a line


@dataclass
class SweepView:
    """How far the trials are, the best one so far, and the steps that run; for rich's Live.

    ``steps`` are the names of the pipeline's steps, ``goal`` says which trial is the best.
    """

    steps: Sequence[str]
    goal: Goal | None = None
    trials: int = 0
    executions: int = 0
    ended: int = 0
    failed: int = 0
    executed: int = 0
    best: TrialRow | None = None
    seconds: float | None = None
    reports: tuple[int, int] | None = None
    _began: float = field(default_factory=time.monotonic)
    _running: RunView = field(default_factory=lambda: RunView(()))
    _told: set[str] = field(default_factory=set)

    def hear(self, event: SweepEvent) -> list[Text]:
        """Take in what happened; gives the lines that are to stay in sight."""
        match event:
            case SweepStarted(trials=trials, executions=executions):
                self.trials, self.executions = trials, executions
            case OfTrial(event=Warned() as warned):
                return _line(warned)
            case OfTrial(number=number, event=inner):
                self._watch(number, inner)
            case TrialFinished(record=record):
                return self._count(record)
            case SweepFinished(seconds=seconds):
                self.seconds = seconds
            case Warned():
                return _line(event)
        return []

    def tell(self, count: int, total: int) -> None:
        """So many of all reports that are to be written are there."""
        self.reports = count, total

    def _watch(self, number: int, event: Event) -> None:
        if isinstance(event, RunStarted | RunFinished | Warned):
            return
        # As long as any other, so that the columns stay where they are.
        width = max(map(len, self.steps), default=0)
        name = f"{number:>{len(str(self.trials))}} {event.step:<{width}}"
        if isinstance(event, StepFinished):
            self.executed += 1
            self._running.lines.pop(name, None)  # what is skipped never began
        else:
            self._running.hear(replace(event, step=name))

    def _count(self, record: TrialRecord) -> list[Text]:
        self.ended += 1
        if self.goal is not None:
            row = TrialRow(record.number, {}, record.metrics, record.state.value)
            self.best = best([self.best, row] if self.best else [row], self.goal)
        if record.state is not State.FAILED:
            return []
        self.failed += 1
        if record.error in self._told or len(self._told) == _TOLD:
            return []
        self._told.add(record.error)  # hundreds may fail for one reason
        return [_trial_line(record, self.goal)]

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        seconds = time.monotonic() - self._began if self.seconds is None else self.seconds
        bar = Table.grid(padding=(0, 2, 0, 0))
        width = max(10, min(_LONGEST_BAR, options.max_width - 14))
        drawn = ProgressBar(max(1, self.executions), self.executed, width=width)
        bar.add_row(drawn, Text(duration(seconds), "dim"))
        yield bar
        yield _filled(list(self._counts()), options.max_width)
        # A copy, for events come while this is drawn.
        running = RunView(())
        running.lines = self._running.lines.copy()
        if running.lines:
            left = options.copy()
            left.size = ConsoleDimensions(options.max_width, max(3, options.size.height - 4))
            yield from running.__rich_console__(console, left)

    def _counts(self) -> Iterator[Text]:
        if not self.trials:
            yield Text("starting", "dim")
            return
        yield Text(f"{self.ended:,}/{self.trials:,} trials")
        yield Text(f"{self.executed:,}/{self.executions:,} steps", "dim")
        if self.failed:
            yield Text(f"{self.failed:,} failed", STYLES[State.FAILED][1])
        if self.best and self.goal:
            found = value_text(self.best.metrics[self.goal.metric])
            said = f"best {visible(self.goal.metric)}={found} (trial {self.best.number})"
            yield Text(said, STYLES[State.DONE][1])
        if self.reports:
            count, total = self.reports
            yield Text(f"report {count + 1:,} of {total:,}", STYLES[State.RUNNING][1])


class SweepLines:
    """Events as plain lines: one for each trial that has ended.

    ``verbose`` adds one for each step that begins or ends, and what the cells print, with the
    number of the trial and the name of the step before each line.
    """

    def __init__(self, goal: Goal | None = None, verbose: bool = False) -> None:
        self._goal = goal
        self._verbose = verbose
        self._steps = RunLines(verbose)
        self._trials = 0
        self._ended = 0

    def hear(self, event: SweepEvent) -> list[Text]:
        """The lines that tell the event."""
        match event:
            case SweepStarted(sweep=sweep, trials=trials):
                self._trials = trials
                return [Text.assemble(("▸ ", "cyan"), visible(sweep))]
            case OfTrial(event=Warned() as warned):
                return _line(warned)
            case OfTrial(number=number, event=inner) if self._verbose:
                if isinstance(inner, RunStarted | RunFinished | Warned):
                    return []
                return self._steps.hear(replace(inner, step=f"{number} {inner.step}"))
            case TrialFinished(record=record):
                self._ended += 1
                place = f"{self._ended:>{len(str(self._trials))}}/{self._trials}"
                return [_trial_line(record, self._goal, place)]
            case Warned():
                return _line(event)
        return []


def _line(event: Event) -> list[Text]:
    line = event_line(event)
    return [] if line is None else [line]


def _trial_line(record: TrialRecord, goal: Goal | None, place: str = "") -> Text:
    """A trial that has ended: what it was given, and what it gave or why it gave nothing."""
    sign, style = STYLES[record.state]
    parts = [f"{place}  trial {record.number}" if place else f"trial {record.number}"]
    parts += [pairs(record.parameters)] if record.parameters else []
    if not record.state.is_success:
        parts.append(record.state.value)
        parts.append(first_line(record.error or record.why))
    names = sorted(record.metrics, key=lambda name: goal is None or name != goal.metric)
    if names:
        shown = pairs({name: record.metrics[name] for name in names[:_METRICS]})
        parts.append(f"{shown}  …" if len(names) > _METRICS else shown)
    if record.seconds is not None and record.executed:
        parts.append(duration(record.seconds))
    return Text.assemble((f"{sign} ", style), "  ".join(filter(None, parts)))


def first_line(message: str) -> str:
    """The first line of a message, in which nothing harms the terminal nor fills it."""
    return cut(visible(message.strip().partition("\n")[0]), 200)


def _filled(parts: Sequence[Text], width: int) -> Text:
    """The parts beside each other, in as many lines as they need."""
    text, column = Text(), 0
    for part in parts:
        if column and column + 3 + len(part) > width:
            text.append("\n")
            column = 0
        elif column:
            text.append(" · ", "dim")
            column += 3
        text.append_text(part)
        column += len(part)
    return text
