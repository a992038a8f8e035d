"""How things look in a terminal: rich renderables of pipelines, problems and runs.

Nothing here prints; ``cli`` does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kale_pm.errors import KalePmError
from kale_pm.events import (
    CellFinished,
    CellOutput,
    CellStarted,
    Event,
    RunStarted,
    StepFinished,
    StepRetried,
    StepStarted,
    Warned,
)
from kale_pm.model import Pipeline, Problem, Step
from kale_pm.record import RunRecord, State

_STYLES = {
    State.WAITING: ("·", "dim"),
    State.RUNNING: ("▸", "cyan"),
    State.DONE: ("✓", "green"),
    State.CACHED: ("=", "blue"),
    State.FAILED: ("✗", "bold red"),
    State.SKIPPED: ("-", "yellow"),
    State.INTERRUPTED: ("!", "yellow"),
}
_SEVERITIES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


# -- check ------------------------------------------------------------------------------------


def pipeline_view(pipeline: Pipeline) -> RenderableType:
    """The steps in the order of the notebook, and what flows along each edge."""
    implied = set(pipeline.implied_edges)
    parts: list[RenderableType] = [
        Text.assemble((pipeline.name, "bold"), (f"  {pipeline.path}", "dim")),
    ]
    for step in pipeline.steps:
        after = [
            f"{parent} (implied)" if (parent, step.name) in implied else parent
            for parent in pipeline.parents.get(step.name, ())
        ]
        parts += [
            Text(),
            Text.assemble((step.name, "bold cyan"), (f"  after {', '.join(after)}" if after else "")),
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
    """Every problem with its place, the line it is about, and what to do."""
    cells = [*pipeline.prelude, *(cell for step in pipeline.steps for cell in step.cells)]
    sources = {cell.number: cell.source.splitlines() for cell in cells}
    return Group(*(_problem(problem, sources) for problem in problems))


def _problem(problem: Problem, sources: dict[int, list[str]]) -> RenderableType:
    where = []
    if problem.cell:
        where.append(f"cell {problem.cell}")
    if problem.line:
        where.append(f"line {problem.line}")
    if problem.step:
        where.append(f"step {problem.step}")
    head = Text.assemble(
        (problem.severity, _SEVERITIES[problem.severity]),
        " ",
        (problem.code, "bold"),
        (f"  {', '.join(where)}" if where else "", "dim"),
    )
    lines: list[RenderableType] = [head, Padding(Text(problem.message), (0, 0, 0, 2))]
    source = sources.get(problem.cell or 0, [])
    if problem.line and problem.line <= len(source) and source[problem.line - 1].strip():
        excerpt = source[problem.line - 1].strip()[:100]
        lines.insert(1, Padding(Text(f"│ {excerpt}", "dim"), (0, 0, 0, 2)))
    if problem.hint:
        lines.append(Padding(Text(f"→ {problem.hint}", "cyan"), (0, 0, 0, 2)))
    return Padding(Group(*lines), (0, 0, 1, 0))


def error_view(error: KalePmError) -> RenderableType:
    parts = [Text.assemble(("error ", "bold red"), str(error))]
    if error.hint:
        parts.append(Text(f"  → {error.hint}", "cyan"))
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
    """One line a step, kept up to date by events; renders itself for rich's Live."""

    steps: tuple[str, ...]
    lines: dict[str, _Line] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lines = {name: _Line() for name in self.steps}

    def hear(self, event: Event) -> None:
        match event:
            case RunStarted(steps=steps):
                self.lines = {name: _Line() for name in steps}
            case StepStarted(step=name, cells=cells):
                self.lines[name] = _Line(State.RUNNING, time.monotonic(), cells=cells)
            case CellStarted(step=name, cells=cells):
                self.lines[name].cells = cells
            case CellFinished(step=name, index=index):
                self.lines[name].done = index
            case CellOutput(step=name, text=text):
                newest = [line.split("\r")[-1] for line in text.splitlines() if line.strip()]
                if newest:
                    self.lines[name].note = newest[-1].strip()
            case StepRetried(step=name, attempt=attempt):
                self.lines[name].done = 0
                self.lines[name].note = f"attempt {attempt}"
            case StepFinished(step=name, state=state, seconds=seconds, error=error, why=why):
                line = self.lines[name]
                line.state, line.seconds = state, seconds
                line.note = f"{error.ename}: {error.evalue}" if error else ""
                if state is State.SKIPPED:
                    line.note = why

    def __rich__(self) -> RenderableType:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for name, line in self.lines.items():
            sign, style = _STYLES[line.state]
            running = line.state is State.RUNNING
            seconds = time.monotonic() - line.began if running else line.seconds
            table.add_row(
                Text(f"{sign} {name}", style),
                f"{line.done}/{line.cells}" if running else line.state.value,
                f"{seconds:.1f} s" if running or line.seconds else "",
                Text(line.note, "dim"),
            )
        return table


def event_line(event: Event, verbose: bool) -> Text | None:
    """An event as one plain line, for logs and terminals that cannot be redrawn."""
    match event:
        case StepStarted(step=name, why=why):
            return Text.assemble(("▸ ", "cyan"), f"{name}  ", (why, "dim"))
        case StepRetried(step=name, attempt=attempt, error=error):
            return Text(f"▸ {name}  attempt {attempt} after {error.ename}: {error.evalue}", "yellow")
        case StepFinished(step=name, state=state, seconds=seconds, error=error, why=why):
            sign, style = _STYLES[state]
            said = f"  {error.ename}: {error.evalue}" if error else ""
            said = f"  {why}" if state is State.SKIPPED else said
            return Text.assemble((f"{sign} {name}", style), f"  {state.value} {seconds:.1f} s{said}")
        case CellOutput(step=name, text=text) if verbose:
            lines = [line.split("\r")[-1] for line in text.splitlines()]
            return Text("\n".join(f"{name} | {line}" for line in lines))
        case Warned(message=message, step=step):
            return Text(f"warning: {f'{step}: ' if step else ''}{message}", "yellow")
    return None


def summary_view(record: RunRecord, folder: Path) -> RenderableType:
    """How the run ended: counts, time, metrics, where to look."""
    counts: dict[State, int] = {}
    for step in record.steps.values():
        counts[step.state] = counts.get(step.state, 0) + 1
    words = ", ".join(f"{count} {state.value}" for state, count in counts.items())
    sign, style = _STYLES[record.state]
    parts: list[RenderableType] = [
        Text.assemble((f"{sign} {record.id}", style), f"  {words} in {record.seconds or 0:.1f} s")
    ]
    for name, value in record.metrics.items():
        parts.append(Text(f"  {name} = {value}"))
    parts.append(Text(f"  report     {folder / 'report.html'}"))
    parts.append(Text(f"  notebooks  {folder / 'notebooks'}"))
    return Group(*parts)
