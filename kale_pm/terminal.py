"""How things look in a terminal: rich renderables of pipelines, problems and runs.

Nothing here prints; ``cli`` does.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kale_pm.errors import KalePmError
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
from kale_pm.model import Pipeline, Problem, Step
from kale_pm.record import CellError, RunRecord, State
from kale_pm.report.page import duration

_STYLES = {
    State.WAITING: ("·", "dim"),
    State.RUNNING: ("▸", "cyan"),
    State.DONE: ("✓", "green"),
    State.CACHED: ("=", "blue"),
    State.FAILED: ("✗", "bold red"),
    State.SKIPPED: ("-", "yellow"),
    State.INTERRUPTED: ("!", "yellow"),
}
_SCREEN = 16  # lines of an error message that leave room for what to do about it
_SEVERITIES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
# What would move the cursor, recolour the screen, turn the text around or break the line.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LONG_WORD = re.compile(r"(\S{60})\S{40,}?(['\"]?[.,:;?)]*)(?!\S)")


def visible(text: str) -> str:
    r"""``text`` with control characters and lone surrogates as escapes such as ``\x1b``."""
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


# -- check ------------------------------------------------------------------------------------


def pipeline_view(pipeline: Pipeline) -> RenderableType:
    """The steps in the order of the notebook, and what flows along each edge."""
    implied = set(pipeline.implied_edges)
    parts: list[RenderableType] = [
        Text.assemble(
            (visible(pipeline.name), "bold"), (f"  {visible(str(pipeline.path))}", "dim")
        ),
    ]
    for step in pipeline.steps:
        after = [
            f"{parent} (implied)" if (parent, step.name) in implied else parent
            for parent in pipeline.parents.get(step.name, ())
        ]
        parts += [
            Text(),
            Text.assemble((step.name, "bold cyan"), f"  after {', '.join(after)}" if after else ""),
        ]
        rows = [("from " + source, names) for source, names in _inflow(pipeline, step).items()]
        rows += [
            ("gives", list(step.gives)),
            ("if changed", list(step.gives_if_changed)),
            ("parameters", list(step.parameters)),
            ("metrics", list(step.metrics)),
        ]
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for label, names in rows:
            if names:
                table.add_row(label, Text(", ".join(names)))
        if table.row_count:
            parts.append(Padding(table, (0, 0, 0, 2)))
    return Group(*parts)


def _inflow(pipeline: Pipeline, step: Step) -> dict[str, list[str]]:
    """Source step -> variables; a step that only may change one is not called its source."""
    found: dict[str, list[str]] = {}
    for need in step.needs:
        sure = [s.step for s in need.sources if need.name in pipeline.step(s.step).gives]
        found.setdefault(sure[0] if sure else need.source.step, []).append(need.name)
    return found


def problems_view(pipeline: Pipeline, problems: Iterable[Problem]) -> RenderableType:
    """Every problem with its place, the line it is about, and what to do; notes come last."""
    cells = [*pipeline.prelude, *(cell for step in pipeline.steps for cell in step.cells)]
    sources = {cell.number: cell.source.split("\n") for cell in cells}
    ordered = sorted(problems, key=lambda problem: list(_SEVERITIES).index(problem.severity))
    return Group(*(_problem(problem, sources) for problem in ordered))


def problem_counts(problems: Iterable[Problem]) -> str:
    """How many there are of each severity, as in ``2 errors, 1 warning``."""
    found = Counter[str](problem.severity for problem in problems)
    counts = [
        f"{found[severity]} {severity}{'' if found[severity] == 1 else 's'}"
        for severity in _SEVERITIES
        if found[severity]
    ]
    return ", ".join(counts) or "no problems"


def _problem(problem: Problem, sources: dict[int, list[str]]) -> RenderableType:
    where = []
    if problem.cell:
        where.append(f"cell {problem.cell}")
    if problem.line:
        where.append(f"line {problem.line}")
    if problem.step:
        where.append(f"step {_cut(problem.step, 60)}")
    head = Text.assemble(
        (problem.severity, _SEVERITIES[problem.severity]),
        " ",
        (problem.code, "bold"),
        (f"  {', '.join(where)}" if where else "", "dim"),
    )
    lines: list[RenderableType] = [head, Padding(Text(_told(problem.message)), (0, 0, 0, 2))]
    source = sources.get(problem.cell or 0, [])
    if problem.line and problem.line <= len(source) and source[problem.line - 1].strip():
        excerpt = visible(source[problem.line - 1].strip()[:100])
        lines.insert(1, Padding(Text(f"│ {excerpt}", "dim"), (0, 0, 0, 2)))
    if problem.hint:
        lines.append(Padding(Text(f"→ {_told(problem.hint)}", "cyan"), (0, 0, 0, 2)))
    return Padding(Group(*lines), (0, 0, 1, 0))


def _told(text: str) -> str:
    """A message or hint in which no tag or name fills the screen."""
    return visible(_cut(_LONG_WORD.sub(r"\1…\2", text), 2000))


def warning_view(message: str) -> Text:
    return Text.assemble(("warning ", "yellow"), visible(message))


def error_view(error: KalePmError) -> RenderableType:
    """What went wrong and what to do; a message of a thousand lines is cut to a screenful."""
    lines = str(error).splitlines() or [""]
    if len(lines) > _SCREEN:
        lines = [*lines[:_SCREEN], f"… and {len(lines) - _SCREEN} more lines"]
    message = "\n".join(visible(_cut(line, 1000)) for line in lines)
    parts = [Text.assemble(("error ", "bold red"), message)]
    if error.hint:
        parts.append(Text(f"  → {visible(_cut(error.hint, 1000))}", "cyan"))
    return Group(*parts)


# -- run --------------------------------------------------------------------------------------


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
            sign, style = _STYLES[line.state]
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
            sign, style = _STYLES[state]
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
    return _cut(f"{error.ename}: {first}" if first else error.ename, 200)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _counts(states: Iterable[State]) -> str:
    """How many there are of each, as in ``3 done, 1 failed``."""
    every = list(states)
    return ", ".join(f"{every.count(state)} {state.value}" for state in dict.fromkeys(every))


def summary_view(record: RunRecord, folder: Path) -> RenderableType:
    """How the run ended: counts, time, metrics, where to look."""
    words = _counts(step.state for step in record.steps.values())
    took = duration(record.seconds or 0)
    sign, style = _STYLES[record.state]
    parts: list[RenderableType] = [
        Text.assemble((f"{sign} {record.id}", style), f"  {words} in {took}")
    ]
    for name, value in record.metrics.items():
        parts.append(Text(f"  {name} = {_cut(' '.join(str(value).split()), 200)}"))
    parts.append(Text(f"  report     {folder / 'report.html'}"))
    parts.append(Text(f"  notebooks  {folder / 'notebooks'}"))
    return Group(*parts)
