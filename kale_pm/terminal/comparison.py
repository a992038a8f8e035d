"""How ``diff`` shows what differs between two runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kale_pm.record import RunRecord, StepRecord
from kale_pm.report.page import duration
from kale_pm.terminal.history import moment, value_text
from kale_pm.terminal.text import STYLES, cut, visible

if TYPE_CHECKING:
    from kale_pm.local.results.changed_cells import CellChange
    from kale_pm.local.results.comparison import Change, Comparison, StepComparison

_BRIEF = 12  # lines of one cell's diff, where not all are asked for
_COLOURS = {"-": "red", "+": "green", "@": "dim"}


def comparison_view(comparison: Comparison, *, whole: bool) -> RenderableType:
    """What differs from the first run to the second; ``whole`` shows every changed line."""
    parts: list[RenderableType] = [
        _head("-", comparison.before, "red"),
        _head("+", comparison.after, "green"),
    ]
    parts += _section("parameters", _values(comparison.parameters))
    parts += _section("metrics", _values(comparison.metrics))
    if comparison.kernels is not None:
        parts += _section("kernels", _values({"": comparison.kernels}))
    parts += [Text(), _steps(comparison.steps)]
    parts += _code("prelude", comparison.prelude, whole)
    for step in comparison.steps:
        parts += _code(step.name, step.cells, whole)
    parts += [Text(visible(note), "yellow") for note in comparison.notes]
    if not comparison.differs:
        same = "the same run" if comparison.before.id == comparison.after.id else "nothing differs"
        parts += [Text(), Text(f"{same}: parameters, metrics, code and variables are equal")]
    return Group(*parts)


def _head(sign: str, record: RunRecord, style: str) -> Text:
    took = f" in {duration(record.seconds)}" if record.seconds is not None else ""
    return Text.assemble(
        (f"{sign} {visible(record.id)}", style), f"  {moment(record)}  {record.state.value}{took}"
    )


def _section(title: str, rows: Iterable[tuple[str, Text]]) -> Iterator[RenderableType]:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="cyan")
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    if table.row_count:
        yield from (Text(), Text(title, "bold"), Padding(table, (0, 0, 0, 2)))


def _values(changes: Mapping[str, Change]) -> Iterator[tuple[str, Text]]:
    for name, change in changes.items():
        before, after = (
            ", ".join(map(_value, side)) if side else "none"
            for side in (change.before, change.after)
        )
        grown = change.difference
        difference = "" if grown is None else f"  ({'+' if grown >= 0 else ''}{value_text(grown)})"
        yield (
            visible(name),
            Text.assemble((before, "red"), " → ", (after, "green"), (difference, "dim")),
        )


def _value(value: object) -> str:
    is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return ", ".join(map(visible, value)) if is_list else value_text(value)  # type: ignore[call-overload]


def _steps(steps: Sequence[StepComparison]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("step", "before", "after"):
        table.add_column(title, no_wrap=True)
    table.add_column("differs", overflow="fold")
    for step in steps:
        name = Text(visible(step.name), "cyan" if step.differs else "")
        table.add_row(name, _end(step.before), _end(step.after), Text(_differing(step)))
    return table


def _end(step: StepRecord | None) -> Text:
    if step is None:
        return Text("not there", "dim")
    sign, style = STYLES[step.state]
    took = f" {duration(step.seconds)}" if step.seconds is not None and step.seconds > 0 else ""
    return Text(f"{sign} {step.state.value}{took}", style)


def _differing(step: StepComparison) -> str:
    told = []
    if step.cells:
        numbers = [(cell.after or cell.before) for cell in step.cells]
        listing = ", ".join(str(cell.number) for cell in numbers if cell is not None)
        told.append(f"cell {listing}")
    for title, change in (("after", step.parents), ("tags", step.options)):
        if change is not None:
            sides = (" ".join(side[0]) or "nothing" for side in (change.before, change.after))
            told.append(f"{title} {' → '.join(map(visible, sides))}")
    if step.variables:
        told.append(f"another {', '.join(step.variables)}")
    errors = [record.error if record else None for record in (step.before, step.after)]
    for title, error in zip(("was ", ""), errors, strict=True):
        if error is not None and errors[0] != errors[1]:
            said = " ".join(f"{error.ename}: {error.evalue}".split())
            told.append(title + cut(visible(said), 100))
    return "; ".join(told)


def _code(title: str, cells: Sequence[CellChange], whole: bool) -> Iterator[RenderableType]:
    for cell in cells:
        yield Text()
        yield Text.assemble((visible(title), "bold"), f"  {_place(cell)}")
        lines = cell.diff() if whole else [s for s in cell.diff(1) if not s.startswith("@@")]
        shown = lines if whole else lines[:_BRIEF]
        for line in shown:
            yield Text(f"  {visible(line)}", _COLOURS.get(line[:1], ""))
        if len(shown) < len(lines):
            yield Text(f"  … {len(lines) - len(shown)} more lines: -v", "dim")


def _place(cell: CellChange) -> str:
    if cell.before is None and cell.after is not None:
        return f"cell {cell.after.number}, new"
    if cell.after is None and cell.before is not None:
        return f"cell {cell.before.number}, gone"
    assert cell.before is not None
    assert cell.after is not None
    was = cell.before.number
    return f"cell {cell.after.number}" + (f", was {was}" if was != cell.after.number else "")
