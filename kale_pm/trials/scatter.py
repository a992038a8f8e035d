"""A metric against a parameter: every trial as a dot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kale_pm.trials.drawing import CROWD, LETTER, LINE, Axis, apart, density, linked, svg, text
from kale_pm.trials.selection import Selection
from kale_pm.trials.table import TrialRow

_WIDTH, _HEIGHT = 330.0, 236.0  # pixels, as all numbers here
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, _WIDTH - 14, 12.0, _HEIGHT - 46
_INSET = 14.0  # so that no dot lies on the frame
_LONGEST_TICK = 77.0


def scatter(across: Axis, metric: Axis, selection: Selection, rows: Sequence[TrialRow]) -> str:
    """A dot for each of the ``rows`` that has both values: ``metric`` against ``across``."""
    dots = []
    for row in rows:
        place, level = across.place(row), metric.place(row)
        if place is None or level is None:
            continue
        kind = selection.kinds[row.number]
        radius = 5 if kind.endswith("best") else 3.5 if len(rows) <= CROWD else 2.5
        x = _x(across, place) + (_aside(across, row.number) if len(rows) > CROWD else 0)
        dot = f'<circle class="{kind}" cx="{x:.1f}" cy="{_y(level):.1f}" r="{radius}"/>'
        dots.append(linked(row, dot, (across, metric)))
    return svg(
        f"{metric.label} against {across.label}: {len(dots)} trials",
        (_WIDTH, _HEIGHT),
        *_levels(metric),
        *_floor(across),
        f'<g class="dots{density(len(rows))}">{"".join(dots)}</g>',
    )


def _x(across: Axis, place: float) -> float:
    inset = _INSET + 46 * across.scale.gap  # two values look better off the ends
    return _LEFT + inset + place * (_RIGHT - _LEFT - 2 * inset)


def _y(level: float) -> float:
    return _BOTTOM - _INSET - level * (_BOTTOM - _TOP - 2 * _INSET)


def _aside(across: Axis, number: int) -> float:
    """How far beside its place the dot of a trial stands in a crowd.

    Dots of one value would lie on each other, and hide how many they are.  It is the same each
    time, and evenly spread.
    """
    width = min(26.0, 0.6 * across.scale.gap * (_x(across, 1) - _x(across, 0)))
    return width * (number * 0.6180339887 % 1 - 0.5)


def _levels(metric: Axis) -> Iterator[str]:
    ticks = metric.scale.ticks
    for tick in apart(ticks, _y(0) - _y(1), [LINE] * len(ticks)):
        y = _y(tick.place)
        yield f'<path class="grid" d="M{_LEFT:.1f},{y:.1f}H{_RIGHT:.1f}"/>'
        yield text(tick.text, (_LEFT - 8, y + 4), "tick end", room=_LEFT - 10)


def _floor(across: Axis) -> Iterator[str]:
    yield f'<path class="axis" d="M{_LEFT:.1f},{_BOTTOM:.1f}H{_RIGHT:.1f}"/>'
    ticks = across.scale.ticks
    sizes = [min(_LONGEST_TICK, LETTER * len(tick.text)) + 10 for tick in ticks]
    for tick in apart(ticks, _x(across, 1) - _x(across, 0), sizes):
        x = _x(across, tick.place)
        yield f'<path class="axis" d="M{x:.1f},{_BOTTOM:.1f}v4"/>'
        yield text(tick.text, (x, _BOTTOM + 17), "tick middle", room=_LONGEST_TICK)
    middle = (_LEFT + _RIGHT) / 2
    yield text(across.label, (middle, _HEIGHT - 8), "name", room=_RIGHT - _LEFT)
