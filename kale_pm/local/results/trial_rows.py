"""The trials of a sweep as rows of a table, and the best of them."""

from __future__ import annotations

from kale_pm.record import SweepRecord, TrialRecord
from kale_pm.trials.goal import Goal, best, read_goal
from kale_pm.trials.table import TrialRow


def rows_of(record: SweepRecord) -> tuple[TrialRow, ...]:
    """The trials by number."""
    return tuple(
        TrialRow(
            trial.number,
            trial.parameters,
            trial.metrics,
            trial.state.value,
            trial.seconds,
            trial.run or "",
            trial.error,
        )
        for trial in record.trials
    )


def goal_of(record: SweepRecord) -> Goal | None:
    """The goal of the sweep; None if it has none."""
    return read_goal(record.goal) if record.goal else None


def best_of(record: SweepRecord, goal: Goal | None = None) -> TrialRecord | None:
    """The best trial for the ``goal``, by default that of the sweep.

    None without a goal, and where no trial that is done has its metric as a finite number.
    """
    goal = goal or goal_of(record)
    row = best(rows_of(record), goal) if goal else None
    return next((t for t in record.trials if row and t.number == row.number), None)
