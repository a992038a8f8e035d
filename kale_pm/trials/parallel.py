"""Parallel coordinates: every trial as a line through its parameters and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

from kale_pm.trials.drawing import (
    LINE,
    Axis,
    Point,
    apart,
    density,
    linked,
    pair,
    svg,
    text,
)
from kale_pm.trials.scales import Tick
from kale_pm.trials.selection import Selection
from kale_pm.trials.table import TrialRow

_WIDTH = 1040.0  # pixels, as all numbers here; more axes make it wider
_TOP, _HEIGHT, _BOTTOM, _SIDE = 58.0, 300.0, 16.0, 84.0
_NARROWEST = 118.0  # between two axes


def parallel_coordinates(axes: Sequence[Axis], selection: Selection) -> str:
    """A line for each trial, through its value on each of the ``axes``, of which there are two.

    A line ends, or has a gap, where a trial has no value.
    """
    last = len(axes) - 1
    distance = max(_NARROWEST, (_WIDTH - 2 * _SIDE) / last)
    places = [_SIDE + index * distance for index in range(len(axes))]
    lines = [_line(row, axes, places, selection) for row in selection.rows]
    names = ", ".join(axis.label for axis in axes)
    count = len(lines)
    return svg(
        f"Parallel coordinates of {count} trial{'' if count == 1 else 's'}: {names}",
        (places[-1] + _SIDE, _TOP + _HEIGHT + _BOTTOM),
        *(_rule(axis, x) for axis, x in zip(axes, places, strict=True)),
        f'<g class="lines{density(count)}">{"".join(lines)}</g>',
        _texts(axes[0], places[0], distance, side=_SIDE),
        *(_texts(axes[index], places[index], distance) for index in range(1, last)),
        _texts(axes[last], places[last], distance, side=_SIDE, is_last=True),
    )


def _line(row: TrialRow, axes: Sequence[Axis], xs: Sequence[float], selection: Selection) -> str:
    places = [axis.place(row) for axis in axes]
    points = [
        None if place is None else (x, _level(place)) for x, place in zip(xs, places, strict=True)
    ]
    kind = selection.kinds[row.number]
    parts = [f'<path class="{kind}" d="{_curves(points)}"/>']
    if kind.endswith("best"):
        known = (point for point in points if point)
        parts += [f'<circle class="best" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in known]
    return linked(row, "".join(parts), axes)


def _curves(points: Sequence[Point | None]) -> str:
    """A curve through each row of neighbours, level where it meets an axis."""
    commands = []
    for is_there, group in groupby(points, key=lambda point: point is not None):
        if not is_there:
            continue
        known = [point for point in group if point]
        commands.append(f"M{pair(known[0])}")
        if len(known) == 1:
            commands.append("h0.1")  # a line without length would not be drawn
        for start, end in pairwise(known):
            half = (start[0] + end[0]) / 2
            commands.append(f"C{pair((half, start[1]))} {pair((half, end[1]))} {pair(end)}")
    return "".join(commands)


def _level(place: float) -> float:
    return _TOP + _HEIGHT * (1 - place)


def _ticks(axis: Axis) -> list[Tick]:
    return apart(axis.scale.ticks, _HEIGHT, [LINE] * len(axis.scale.ticks))


def _rule(axis: Axis, x: float) -> str:
    marks = "".join(f"M{x - 4:.1f},{_level(tick.place):.1f}h8" for tick in _ticks(axis))
    return f'<path class="axis" d="M{x:.1f},{_TOP:.1f}v{_HEIGHT:.1f}{marks}"/>'


def _texts(
    axis: Axis, x: float, distance: float, *, side: float | None = None, is_last: bool = False
) -> str:
    """What is written at an axis, on top of all lines; ``side`` is the margin next to it."""
    offset, anchor = (9, "start") if is_last else (-9, "end")
    name_room = distance if side is None else min(distance, 2 * side)
    tick_room = distance - 24 if side is None else side - 10
    texts = [text(axis.label, (x, 18), "name", room=name_room - 8)]
    if axis.note:
        texts.append(text(axis.note, (x, 35), "note", room=2 * _SIDE))
    texts += [
        text(tick.text, (x + offset, _level(tick.place) + 4), f"tick {anchor}", room=tick_room)
        for tick in _ticks(axis)
    ]
    return "".join(texts)
