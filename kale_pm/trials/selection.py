"""Which trials a picture shows, in which order, and in which shade."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kale_pm.trials.goal import Goal, deciding_value, ranking
from kale_pm.trials.table import TrialRow
from kale_pm.trials.values import finite_number

MOST = 1000
"""Lines of one picture: more are a blot, and slow."""

SHADES = 8
"""Shades from the worst trial, 0, to the best; the style sheet has a colour for each."""


@dataclass(frozen=True)
class Selection:
    """The trials to draw, the best last, so that it lies on top.

    ``kinds`` are the classes of a trial's line by its number: ``failed``, ``plain``, or
    ``shade-0`` to ``shade-7``, with ``best`` for the best one.  ``notes`` say what is left out.
    """

    rows: tuple[TrialRow, ...]
    kinds: Mapping[int, str]
    notes: tuple[str, ...] = ()

    def fewer(self, most: int) -> tuple[TrialRow, ...]:
        """At most so many of the rows."""
        return tuple(reversed(_thinned(self.rows[::-1], most)))


def select(rows: Sequence[TrialRow], goal: Goal | None, metrics: Sequence[str]) -> Selection:
    """What a picture of the ``metrics`` shows: the trials that have them, and those that failed.

    With a goal a trial needs the metric of that, or else any of the ``metrics``; a picture has
    at most :data:`MOST` trials.
    """
    wanted = (goal.metric,) if goal else tuple(metrics)
    done = [row for row in ranking(rows, goal) if row.is_success]
    shown = [row for row in done if _has_any(row, wanted)]
    failed = [row for row in rows if row.is_failure]
    kinds = {row.number: "failed" for row in failed}
    kinds |= _shades(shown, goal) if goal else {row.number: "plain" for row in shown}
    if goal and shown and shown[0] is done[0]:  # else the best one is beyond all floats
        kinds[shown[0].number] += " best"
    candidates = [*shown, *failed]
    chosen = _thinned(candidates, MOST)
    notes = []
    if len(chosen) < len(candidates):
        which = "the best ones" if goal else "the first ones"
        notes.append(
            f"{len(chosen):,} of {len(candidates):,} trials are drawn:"
            f" {which}, and an even choice of the others."
        )
    if count := len(done) - len(shown):
        what = f"no finite {goal.metric}" if goal else "no finite number as a metric"
        notes.append(f"Not drawn: {count:,} {'trial' if count == 1 else 'trials'} with {what}.")
    return Selection(tuple(reversed(chosen)), kinds, tuple(notes))


def _has_any(row: TrialRow, metrics: Sequence[str]) -> bool:
    return any(finite_number(row.metrics.get(name)) is not None for name in metrics)


def _thinned(rows: Sequence[TrialRow], most: int) -> tuple[TrialRow, ...]:
    """The first few as they are, and of the others one in so many."""
    if len(rows) <= most:
        return tuple(rows)
    first = most // 10
    return (*rows[:first], *rows[first :: math.ceil((len(rows) - first) / (most - first))])


def _shades(ranked: Sequence[TrialRow], goal: Goal) -> dict[int, str]:
    """By rank, for one trial that is far off would leave a single shade to all others."""
    kinds: dict[int, str] = {}
    rank, before = 0, None
    for index, row in enumerate(ranked):
        value = deciding_value(row, goal)
        if value != before:  # equal trials have one shade
            rank, before = index, value
        share = 1 - rank / max(1, len(ranked) - 1)
        # Squared, so that the strongest shades are left to the few that matter.
        kinds[row.number] = f"shade-{min(SHADES - 1, int(share**2 * SHADES))}"
    return kinds
