"""A sweep as an object: what it says where there is no best trial."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from kale_pm.errors import KalePmError, UsageError
from kale_pm.face import Sweep
from kale_pm.record import State, SweepRecord, TrialRecord


def sweep(*losses: object) -> Sweep:
    """A sweep whose trials have these metrics."""
    trials = (
        TrialRecord(number, {"n": number}, State.DONE, metrics={"loss": loss, "size": "big"})
        for number, loss in enumerate(losses, 1)
    )
    record = SweepRecord(
        id="wine-1",
        pipeline="wine",
        notebook="wine.ipynb",
        state=State.DONE,
        varied=("n",),
        fixed={},
        trials=tuple(trials),
        executions=1,
        started=0.0,
    )
    return Sweep(record, Path("wine-1"))


@pytest.mark.parametrize(
    ("losses", "goal", "words"),
    [
        ((math.nan, math.inf, -math.inf), "loss:min", "'loss': 3 trials have nan or inf"),
        ((math.nan,), "loss:min", "'loss': 1 trial has nan or inf"),
        ((1, 2), "size:max", "'size': 2 trials have another value, such as big"),
    ],
)
def test_that_no_value_of_the_goal_is_finite_is_said(
    losses: tuple[object, ...], goal: str, words: str
) -> None:
    with pytest.raises(KalePmError, match=words) as caught:
        _ = sweep(*losses).best_by(goal)
    assert "did you mean" not in caught.value.hint


def test_a_metric_that_no_trial_has_is_told_with_a_near_one() -> None:
    with pytest.raises(KalePmError, match="a finite number as 'los'") as caught:
        sweep(1, 2).best_by("los:min")
    assert "did you mean 'loss'?" in caught.value.hint


def test_the_best_of_large_whole_numbers_is_the_best() -> None:
    assert sweep(*(2**60 + n for n in (1, 8, 3))).best_by("loss:max").number == 2


@pytest.mark.parametrize("reports", [1.5, "all", -1])
def test_a_number_of_reports_that_is_none_is_refused(reports: object) -> None:
    with pytest.raises(UsageError, match="reports="):
        sweep(1).write_report(reports)  # type: ignore[arg-type]


def test_a_number_of_steps_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="jobs='x' is no whole number"):
        sweep(1).retry(jobs="x")  # type: ignore[arg-type]
