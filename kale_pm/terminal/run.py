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
from kale_pm.terminal.output import Lines
from kale_pm.terminal.text import STYLES, cut, visible

_SUMMARY = 12  # lines that a summary, and the beginning of an error, take
_NARROW = 60  # columns, below which a line has no room for what a step says
# Which steps stay in sight where there are too many.
_RANKS = {
    state: rank
    for rank, state in enumerate(
        (State.RUNNING, State.FAILED, State.INTERRUPTED, State.WAITING, State.DONE, State.SKIPPED)
    )
}


@dataclass
class _Line:
    state: State = State.WAITING
    began: float = 0.0
    seconds: float = 0.0
    done: int = 0
    cells: int = 0
    attempt: int = 1
    note: str = ""
    output: Lines = field(default_factory=Lines)


@dataclass
class RunView:
    """One line a step, kept up to date by events; renders itself for rich's Live.

    It fits the height of the terminal: of many steps those that run stay in sight, those that
    failed, and at the end those that took longest.
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
            case CellOutput(step=name, stream=stream, text=text):
                output = self.lines[name].output
                ended = [line.plain.strip() for line in output.add(stream, text)]
                self.lines[name].note = next(
                    filter(None, [output.newest(stream), *ended[-1:]]), self.lines[name].note
                )
            case StepRetried(step=name, attempt=attempt):
                self.lines[name].done, self.lines[name].attempt = 0, attempt
                self.lines[name].note = _retried(event)
            case StepFinished(step=name, state=state, seconds=seconds, error=error, why=why):
                line = self.lines[name]
                line.state, line.seconds = state, seconds
                again = f"at attempt {line.attempt}" if line.attempt > 1 else ""
                line.note = _ending(state, why, error) or again
            case RunFinished():
                self.finished = True

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        # At the end there is also to be room for the summary.
        shown = self._in_sight(options.size.height - (_SUMMARY if self.finished else 2))
        # Where little of them would be seen, the names have the room of the notes.
        has_notes = options.max_width >= _NARROW
        # Columns that grow with what they hold would let the whole table jump about.
        longest = max((cell_len(name) + 2 for name in self.lines), default=0)
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.expand = True
        if has_notes:
            table.add_column(no_wrap=True, width=min(longest, options.max_width * 2 // 5))
        else:
            table.add_column(no_wrap=True, ratio=1)
        table.add_column(no_wrap=True, min_width=8, justify="right")
        table.add_column(no_wrap=True, min_width=6, justify="right")
        if has_notes:
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
                *([Text(line.note, "dim")] if has_notes else []),
            )
        yield table
        if len(shown) < len(self.lines):
            hidden = [line.state for name, line in self.lines.items() if name not in shown]
            yield Text(f"… and {counts(hidden)}", "dim")

    def _in_sight(self, height: int) -> list[str]:
        """As many steps as fit, in their order: first those that run or need attention."""
        if len(self.lines) <= height:
            return list(self.lines)

        def importance(name: str) -> tuple[int, float]:
            line = self.lines[name]
            return _RANKS.get(line.state, len(_RANKS)), -line.seconds

        names = sorted(self.lines, key=importance)
        chosen = set(names[: max(1, height)])
        return [name for name in self.lines if name in chosen]


class RunLines:
    """Events as plain lines, for logs and for terminals that cannot be redrawn.

    ``verbose`` adds what the cells print, with the name of the step before each line.
    """

    def __init__(self, verbose: bool = False) -> None:
        self._verbose = verbose
        self._output: dict[str, Lines] = {}

    def hear(self, event: Event) -> list[Text]:
        """The lines that tell the event."""
        match event:
            case CellOutput(step=name, stream=stream, text=text) if self._verbose:
                ended = self._output.setdefault(name, Lines()).add(stream, text)
                return [_prefixed(name, line) for line in ended]
            case CellFinished(step=name) | StepFinished(step=name) if name in self._output:
                rest = [_prefixed(name, line) for line in self._output.pop(name).rest()]
                return [*rest, *self._told(event)]
        return self._told(event)

    def _told(self, event: Event) -> list[Text]:
        line = event_line(event)
        return [] if line is None else [line]


def event_line(event: Event) -> Text | None:
    """An event as one plain line; None if it is not worth one."""
    match event:
        case StepStarted(step=name, why=why):
            return Text.assemble(("▸ ", "cyan"), f"{name}  ", (why, "dim"))
        case StepRetried(step=name):
            return Text(f"▸ {name}  {_retried(event)}", "yellow")
        case StepFinished(step=name, state=state, seconds=seconds, error=error, why=why):
            sign, style = STYLES[state]
            took = f" {duration(seconds)}" if state in (State.DONE, State.FAILED) else ""
            parts = [f"{state.value}{took}", _ending(state, why, error)]
            return Text.assemble(
                (f"{sign} {name}", style), *(f"  {part}" for part in parts if part)
            )
        case Warned(message=message, step=step):
            return Text(f"warning: {f'{step}: ' if step else ''}{visible(message)}", "yellow")
    return None


def _prefixed(step: str, line: Text) -> Text:
    return Text(f"{step} | ").append(line)


def _retried(event: StepRetried) -> str:
    later = f" in {duration(event.pause)}" if event.pause else ""
    return f"attempt {event.attempt}{later}, after {_error_line(event.error)}"


def _ending(state: State, why: str, error: CellError | None) -> str:
    """Why a step ended as it did, where its state does not say it all."""
    if state is State.FAILED and error is not None:
        return _error_line(error)
    return why if state is State.SKIPPED else ""


def _error_line(error: CellError) -> str:
    return cut(visible(error.message.strip().partition("\n")[0]), 200)


def counts(states: Iterable[State]) -> str:
    """How many there are of each, as in ``3 done, 1 failed``."""
    every = list(states)
    return ", ".join(f"{every.count(state)} {state.value}" for state in dict.fromkeys(every))


def summary_view(record: RunRecord, folder: Path) -> RenderableType:
    """How the run ended: counts, time, metrics, where to look."""
    words = counts(step.state for step in record.steps.values())
    took = duration(record.seconds or 0)
    sign, style = STYLES[record.state]
    parts: list[RenderableType] = [
        Text.assemble((f"{sign} {record.id}", style), f"  {words} in {took}")
    ]
    for name, value in record.metrics.items():
        parts.append(Text(f"  {name} = {visible(cut(' '.join(str(value).split()), 200))}"))
    places = {"report": folder / "report.html", "notebooks": folder / "notebooks"}
    parts += [Text(f"  {title:<9}  {visible(str(path))}") for title, path in places.items()]
    # What can be typed as it stands where the run lies: its id is enough there.
    parts.append(Text(f"  variables  kale-pm vars {record.id}"))
    ran = [step.name for step in record.failures if step.notebook]
    parts += [Text(f"  debug      kale-pm debug {record.id} {name}") for name in ran[:1]]
    return Group(*parts)
