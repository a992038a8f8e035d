"""The table of a page: a line for each trial, which a script can sort and people can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from types import NoneType
from typing import Any

from kale_pm.trials.goal import Goal
from kale_pm.trials.table import Columns, TrialRow, columns
from kale_pm.trials.values import (
    finite_number,
    html_text,
    number_text,
    shortened,
    value_text,
    visible,
)

SIGNS: Mapping[str, str] = {
    "waiting": "○",
    "running": "▸",
    "done": "✓",
    "cached": "↺",
    "failed": "✕",
    "skipped": "»",
    "interrupted": "■",
}

MOST_LINKED = 1000
"""Trials with links: those of more would be most of the page."""

_MOST_DECIMALS = 6


def listing(
    rows: Sequence[TrialRow], varied: Sequence[str], goal: Goal | None, best: TrialRow | None
) -> str:
    """The ``rows`` in their order as an HTML table; ``best`` is marked.

    Every line has the id ``trial-NUMBER``.  Cells whose text is not their whole value have it as
    ``data-value``, by which the script sorts.
    """
    names = columns(rows, varied)
    decimals = {name: _decimals(rows, name) for name in names.metrics}
    has_times = any(row.seconds is not None for row in rows)
    titles = ["trial", "state", *names.parameters.values(), *names.metrics.values()]
    titles += ["seconds"] if has_times else []
    has_links = any(row.links for row in islice(rows, MOST_LINKED))
    sorted_by = names.metrics.get(goal.metric, "") if goal else "trial"
    way = "descending" if goal and goal.direction == "max" else "ascending"
    marked = {sorted_by: f' aria-sort="{way}"'}
    heads = [f'<th scope="col"{marked.get(t, "")}>{_shown(t, 40)}</th>' for t in titles]
    if has_links:
        heads.append('<th scope="col" class="unsorted">links</th>')
    lines = []
    for index, row in enumerate(rows):
        cells = [_number(row, is_best=row is best), _state(row)]
        cells += [_cell(row.parameters, name) for name in names.parameters]
        cells += [_cell(row.metrics, name, decimals[name]) for name in names.metrics]
        if has_times:
            cells.append("<td>" if row.seconds is None else f"<td>{row.seconds:.2f}")
        if has_links:
            cells.append(f"<td>{_links(row.links) if index < MOST_LINKED else ''}")
        kind = ' class="best"' if row is best else ""
        lines.append(f'<tr id="trial-{row.number}"{kind}>{"".join(cells)}\n')
    return (
        f'<table class="trials"><thead><tr>{"".join(heads)}</tr></thead>\n'
        f"<tbody>\n{''.join(lines)}</tbody></table>\n{_alignment(rows, names, last=len(titles))}"
    )


def anchors(links: Mapping[str, str]) -> list[str]:
    """The links of a trial in HTML."""
    return [
        f'<a href="{html_text(address)}">{html_text(text)}</a>' for text, address in links.items()
    ]


def _links(links: Mapping[str, str]) -> str:
    """The first link, and the others folded, if there are more than two."""
    first, *others = anchors(links) or [""]
    if len(others) < 2:
        return " ".join([first, *others])
    return f"{first} <details><summary>{len(others)} more</summary>{' '.join(others)}</details>"


def _number(row: TrialRow, *, is_best: bool) -> str:
    title = f' title="{html_text(row.run)}"' if row.run else ""
    if not is_best:
        return f'<th scope="row"{title}>{row.number}</th>'
    star = '<span class="star" aria-label="the best">★</span>'
    return f'<th scope="row"{title} data-value="{row.number}">{star} {row.number}</th>'


def _state(row: TrialRow) -> str:
    error = f' title="{html_text(shortened(row.error, 300))}"' if row.error else ""
    if row.state in SIGNS:
        return f'<td class="state {row.state}"{error}>{SIGNS[row.state]} {row.state}'
    return f"<td{error}>{_shown(row.state, 40)}"


def _cell(values: Mapping[str, Any], name: str, decimals: int | None = None) -> str:
    if name not in values:
        return "<td>"
    value = values[name]
    number = finite_number(value)
    if number is None:
        return f"<td>{_shown(value_text(value), 60)}"
    is_plain = number == 0 or 1e-4 <= abs(number) < 1e9
    text = value_text(value) if decimals is None or not is_plain else f"{number:.{decimals}f}"
    whole = repr(value)
    return f"<td>{text}" if text == whole else f'<td data-value="{whole}">{text}'


def _decimals(rows: Sequence[TrialRow], metric: str) -> int:
    """So many that the points of the numbers below each other make a line."""
    numbers = (finite_number(row.metrics.get(metric)) for row in rows)
    texts = (number_text(number) for number in numbers if number is not None)
    return max(
        (min(len(t.partition(".")[2]), _MOST_DECIMALS) for t in texts if "e" not in t), default=0
    )


def _shown(text: str, length: int) -> str:
    whole = visible(text)
    short = shortened(whole, length)
    if short == whole:
        return html_text(whole)
    return f'<span title="{html_text(whole)}">{html_text(short)}</span>'


def _alignment(rows: Sequence[TrialRow], names: Columns, last: int) -> str:
    """A style sheet that sets columns of numbers to the right; a class a cell would be long."""
    right = []
    for place, name in enumerate(names.parameters, 3):
        values = (row.parameters.get(name) for row in rows)
        if all(isinstance(value, (int, float, NoneType)) for value in values):
            right.append(place)
    for place, name in enumerate(names.metrics, 3 + len(names.parameters)):
        if any(finite_number(row.metrics.get(name)) is not None for row in rows):
            right.append(place)
    right += range(3 + len(names.parameters) + len(names.metrics), last + 1)
    if not right:
        return ""
    places = ",".join(f".trials tr>:nth-child({place})" for place in right)
    return f"<style>{places}{{text-align:right}}</style>\n"
