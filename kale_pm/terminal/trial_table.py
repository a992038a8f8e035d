"""A table of trials that makes the best of little room."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from kale_pm.record import State
from kale_pm.terminal.history import value_text
from kale_pm.terminal.text import STYLES, cut, visible
from kale_pm.trials.values import finite_number

_GAP = 2  # columns of the screen between those of the table
_TITLE = 30  # at most
_SHORT, _SHORTEST = 16, 6  # to which texts are cut before a column is left out, and at last
# Numbers that are written without an exponent.
_SMALLEST, _LARGEST, _MOST_DECIMALS = 1e-4, 1e6, 6


@dataclass
class TrialTable:
    """A row for each trial.

    Where there is little room long texts are cut, and then the last columns are left out and
    named below; but the first ``kept`` columns always stay, and their numbers are whole.
    """

    titles: Sequence[str]
    kept: int = sys.maxsize
    rows: list[Sequence[Text]] = field(default_factory=list)
    best: Sequence[Text] | None = None

    def add(self, cells: Sequence[Text], *, is_best: bool = False) -> None:
        """Add the cells of a trial, one for each title; the best one is marked."""
        self.rows.append(cells)
        if is_best:
            self.best = cells

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        room = options.max_width - (1 + _GAP if self.best else 0)
        count = len(self.titles)
        while count > self.kept and not self._has_room(self._widths(count, room, _SHORT), room):
            count -= 1
        widths = self._widths(count, room, _SHORT)
        if not self._has_room(widths, room):
            widths = self._widths(count, room, _SHORTEST)
        yield self._table(widths)
        if count < len(self.titles):
            yield Text(f"  no room for {', '.join(map(visible, self.titles[count:]))}", "dim")

    def _widths(self, count: int, room: int, shortest: int) -> list[int]:
        """Of the first columns; texts are cut to no less than ``shortest``."""
        widths = []
        for place in range(count):
            cells = [self._title(place), *(row[place] for row in self.rows)]
            widths.append(max(cell.cell_len for cell in cells))
        texts = [place for place in range(count) if not self._is_right(place)]
        while not self._has_room(widths, room):
            widest = max(texts, key=widths.__getitem__, default=None)
            if widest is None or widths[widest] <= shortest:
                break
            widths[widest] -= 1
        return widths

    def _has_room(self, widths: Sequence[int], room: int) -> bool:
        return sum(widths) + _GAP * (len(widths) - 1) <= room

    def _title(self, place: int) -> Text:
        return text(cut(self.titles[place], _TITLE))

    def _is_right(self, place: int) -> bool:
        """Whether all that stands in the column are numbers."""
        return all(row[place].justify == "right" for row in self.rows if row[place])

    def _table(self, widths: Sequence[int]) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
        if self.best:
            table.add_column(width=1)
        for place, width in enumerate(widths):
            side: Literal["left", "right"] = "right" if self._is_right(place) else "left"
            table.add_column(self._title(place), justify=side, no_wrap=True, width=width)
        for row in self.rows:
            mark = [Text("★" if row is self.best else "")] if self.best else []
            style = f"bold {STYLES[State.DONE][1]}" if row is self.best else ""
            table.add_row(*mark, *row[: len(widths)], style=style)
        return table


def text(content: str) -> Text:
    """A cell that holds a text."""
    return Text(visible(content), no_wrap=True, overflow="ellipsis")


def number(content: str) -> Text:
    """A cell that holds a number."""
    return Text(content, justify="right")


def value(content: Any, decimals: int | None = None) -> Text:
    """A cell that holds the value of a parameter or of a metric."""
    found = finite_number(content)
    if found is None:
        return text(value_text(content))
    return number(value_text(content) if decimals is None else f"{found:.{decimals}f}")


def decimals_of(values: Iterable[Any]) -> int | None:
    """So many that the points of the numbers stand below each other; None if that is no use."""
    found = [each for each in map(finite_number, values) if each is not None]
    if not all(each == 0 or _SMALLEST <= abs(each) < _LARGEST for each in found):
        return None
    fractions = [value_text(each).partition(".")[2] for each in found]
    return min(max(map(len, fractions), default=0), _MOST_DECIMALS)
