"""How ``check`` shows a pipeline and its problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kale_pm.model import Pipeline, Problem, Step
from kale_pm.terminal.text import cut, told, visible

_SEVERITIES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


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
        where.append(f"step {cut(problem.step, 60)}")
    head = Text.assemble(
        (problem.severity, _SEVERITIES[problem.severity]),
        " ",
        (problem.code, "bold"),
        (f"  {', '.join(where)}" if where else "", "dim"),
    )
    lines: list[RenderableType] = [head, Padding(Text(told(problem.message)), (0, 0, 0, 2))]
    source = sources.get(problem.cell or 0, [])
    if problem.line and problem.line <= len(source) and source[problem.line - 1].strip():
        excerpt = visible(source[problem.line - 1].strip()[:100])
        lines.insert(1, Padding(Text(f"│ {excerpt}", "dim"), (0, 0, 0, 2)))
    if problem.hint:
        lines.append(Padding(Text(f"→ {told(problem.hint)}", "cyan"), (0, 0, 0, 2)))
    return Padding(Group(*lines), (0, 0, 1, 0))
