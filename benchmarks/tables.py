"""How the benchmarks print what they found: figures and limits as tables, and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local_limits import Verdict
    from rounds import Figure


@dataclass(frozen=True)
class Column:
    """The measurement ``key`` as people read it: in so many of its ``unit``, with ``digits``."""

    key: str
    heading: str
    unit: float = 1.0
    digits: int = 2


def table(title: str, *columns: str) -> Any:
    """An empty table with texts in its first column, and numbers in the others."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(title)
    for column in columns:
        made.add_column(column, justify="right")
    return made


def show(lines: Iterable[str], tables: Iterable[Any], notes: Iterable[str]) -> None:
    """Print the lines, those of the tables that are not empty, and the notes."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    for line in lines:
        console.print(line)
    for each in tables:
        if each.row_count:
            console.print()
            console.print(each)
    for note in notes:
        console.print(f"* {note}", soft_wrap=True)


def of_figures(figures: Sequence[Figure], columns: Sequence[Column], heading: str) -> Any:
    """The medians of all that took part, and last their times as a multiple of the base's."""
    made = table("", "", *(column.heading for column in columns), heading)
    made.columns[1].justify = "left"
    for figure in figures:
        title = figure.title
        for name, series in figure.series.items():
            row = [title, name]
            for column in columns:
                median = series.median(column.key)
                row.append("" if median is None else f"{median / column.unit:.{column.digits}f}")
            ratio = figure.ratio(name, "seconds") if name != figure.base else None
            made.add_row(*row, "" if ratio is None else f"{ratio:.2f}")
            title = ""
        made.add_row()
    return made


def of_limits(verdicts: Iterable[Verdict], *, is_full: bool) -> Any:
    """The limits and what was found; whether they are kept shows at full size alone."""
    made = table("limits" if is_full else "limits, meant for full size", "", "found", "limit", "")
    made.columns[1].justify = "left"
    last = ""
    for verdict in verdicts:
        limit = verdict.limit
        sign, digits = ("≥", 1) if limit.peer is not None else ("≤", limit.digits)
        row = (
            "" if verdict.title == last else verdict.title,
            limit.subject,
            f"{verdict.found:.{digits}f} {limit.unit}",
            f"{sign} {limit.number:g} {limit.unit}",
        )
        judgement = "kept" if verdict.is_kept else "MISSED"
        made.add_row(*row, judgement if is_full else "")
        last = verdict.title
    return made


def figures_to_dicts(figures: Iterable[Figure]) -> list[dict[str, Any]]:
    """Every round of every figure, for a program."""
    return [
        {
            "name": figure.name,
            "title": figure.title,
            "rounds": {name: series.turns for name, series in figure.series.items()},
        }
        for figure in figures
    ]


def limits_to_dicts(verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    """The limits, for a program."""
    return [
        {
            "title": verdict.title,
            **asdict(verdict.limit),
            "unit": verdict.limit.unit,
            "found": verdict.found,
            "kept": verdict.is_kept,
        }
        for verdict in verdicts
    ]
