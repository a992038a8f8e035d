"""How a run looks while it goes on, and when it has ended."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from kale_pm.events import (
    CellFinished,
    CellOutput,
    CellStarted,
    Event,
    RunFinished,
    RunStarted,
    StepFinished,
    StepRetried,
    StepStarted,
    Warned,
)
from kale_pm.record import CellError, RunRecord, State
from kale_pm.report.page import duration
from kale_pm.terminal.text import STYLES, cut


@dataclass
class _Line:
    state: State = State.WAITING
    began: float = 0.0
    seconds: float = 0.0
    done: int = 0
    cells: int = 0
    note: str = ""


@dataclass
class RunView:
    """One line a step, kept up to date by events; renders itself for rich's Live.

    While the run goes on it fits the height of the terminal; of many steps those that run
    and those that failed stay in sight.
    """

    steps: tuple[str, ...]
    lines: dict[str, _Line] = field(default_factory=dict)
    finished: bool = False

    def __post_init__(self) -> None:
        self.lines = {name: _Line() for name in self.steps}

    def hear(self, event: Event) -> None:
        match event:
            case RunStarted(steps=steps):
                self.lines = {name: _Line() for name in steps}
            case StepStarted(step=name):
                self.lines[name] = _Line(State.RUNNING, time.monotonic())
            case CellStarted(step=name, cells=cells):
                self.lines[name].cells = cells
            case CellFinished(step=name, index=index):
                self.lines[name].done = index
            case CellOutput(step=name, text=text):
                newest = _said(text)
                if newest:
                    self.lines[name].note = newest[-1].plain.strip()
            case StepRetried(step=name, attempt=attempt):
                self.lines[name].done = 0
                self.lines[name].note = f"attempt {attempt}"
            case StepFinished(step=name, state=state, seconds=seconds, error=error, why=why):
                line = self.lines[name]
                line.state, line.seconds = state, seconds
                line.note = _ending(state, why, error)
            case RunFinished():
                self.finished = True

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        shown = list(self.lines) if self.finished else self._in_sight(options.size.height - 2)
        # Columns that grow with what they hold would let the whole table jump about.
        longest = max((cell_len(name) + 2 for name in self.lines), default=0)
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.expand = True
        table.add_column(no_wrap=True, width=min(longest, options.max_width * 2 // 5))
        table.add_column(no_wrap=True, min_width=8, justify="right")
        table.add_column(no_wrap=True, min_width=6, justify="right")
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for name in shown:
            line = self.lines[name]
            sign, style = STYLES[line.state]
            running = line.state is State.RUNNING
            cells = f"{line.done}/{line.cells}" if line.cells else "starting"
            seconds = time.monotonic() - line.began if running else line.seconds
            table.add_row(
                Text(f"{sign} {name}", style),
                cells if running else line.state.value,
                duration(seconds) if running or line.seconds else "",
                Text(line.note, "dim"),
            )
        yield table
        if len(shown) < len(self.lines):
            hidden = [line.state for name, line in self.lines.items() if name not in shown]
            yield Text(f"… and {_counts(hidden)}", "dim")

    def _in_sight(self, height: int) -> list[str]:
        """As many steps as fit, in their order: first those that run or need attention."""
        if len(self.lines) <= height:
            return list(self.lines)
        rank = {State.RUNNING: 0, State.FAILED: 1, State.WAITING: 2}
        names = sorted(self.lines, key=lambda name: rank.get(self.lines[name].state, 3))
        chosen = set(names[: max(1, height)])
        return [name for name in self.lines if name in chosen]


def event_line(event: Event, verbose: bool) -> Text | None:
    """An event as one plain line, for logs and terminals that cannot be redrawn."""
    match event:
        case StepStarted(step=name, why=why):
            return Text.assemble(("▸ ", "cyan"), f"{name}  ", (why, "dim"))
        case StepRetried(step=name, attempt=attempt, error=error):
            return Text(f"▸ {name}  attempt {attempt} after {_error_line(error)}", "yellow")
        case StepFinished(step=name, state=state, seconds=seconds, error=error, why=why):
            sign, style = STYLES[state]
            took = f" {duration(seconds)}" if state in (State.DONE, State.FAILED) else ""
            parts = [f"{state.value}{took}", _ending(state, why, error)]
            return Text.assemble(
                (f"{sign} {name}", style), *(f"  {part}" for part in parts if part)
            )
        case CellOutput(step=name, text=text) if verbose and (lines := _said(text)):
            return Text("\n").join(Text(f"{name} | ").append(line) for line in lines)
        case Warned(message=message, step=step):
            return Text(f"warning: {f'{step}: ' if step else ''}{message}", "yellow")
    return None


def _said(text: str) -> list[Text]:
    """The lines of what a cell printed as one would see them: of a progress bar its last state."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return [Text.from_ansi(line) for line in lines if line.strip()]


def _ending(state: State, why: str, error: CellError | None) -> str:
    """Why a step ended as it did, where its state does not say it all."""
    if state is State.FAILED and error is not None:
        return _error_line(error)
    return why if state is State.SKIPPED else ""


def _error_line(error: CellError) -> str:
    first = error.evalue.strip().partition("\n")[0]
    return cut(f"{error.ename}: {first}" if first else error.ename, 200)


def _counts(states: Iterable[State]) -> str:
    """How many there are of each, as in ``3 done, 1 failed``."""
    every = list(states)
    return ", ".join(f"{every.count(state)} {state.value}" for state in dict.fromkeys(every))


def summary_view(record: RunRecord, folder: Path) -> RenderableType:
    """How the run ended: counts, time, metrics, where to look."""
    words = _counts(step.state for step in record.steps.values())
    took = duration(record.seconds or 0)
    sign, style = STYLES[record.state]
    parts: list[RenderableType] = [
        Text.assemble((f"{sign} {record.id}", style), f"  {words} in {took}")
    ]
    for name, value in record.metrics.items():
        parts.append(Text(f"  {name} = {cut(' '.join(str(value).split()), 200)}"))
    parts.append(Text(f"  report     {folder / 'report.html'}"))
    parts.append(Text(f"  notebooks  {folder / 'notebooks'}"))
    return Group(*parts)
