"""Goals and conditions: how they are spelled, and which trial they choose."""

from __future__ import annotations

import math

import pytest

from kale_pm.errors import UsageError
from kale_pm.record import State
from kale_pm.trials.goal import Condition, Goal, best, ranking, read_condition, read_goal
from kale_pm.trials.table import TrialRow

HIGHEST = Goal("accuracy", "max")
LOWEST = Goal("accuracy", "min")


def trials(*values, state="done"):
    """A trial for each value of the metric; None for one that did not record it."""
    return [
        TrialRow(number, {}, {} if value is None else {"accuracy": value}, state)
        for number, value in enumerate(values, 1)
    ]


class TestReadingAGoal:
    @pytest.mark.parametrize(
        ("text", "goal"),
        [
            ("accuracy:max", HIGHEST),
            ("loss:min", Goal("loss", "min")),
            (" accuracy : max ", HIGHEST),
            ("test:f1:max", Goal("test:f1", "max")),
            ("val loss:min", Goal("val loss", "min")),
        ],
    )
    def test_it_is_a_metric_and_a_direction(self, text, goal):
        assert read_goal(text) == goal

    def test_its_text_reads_as_itself(self):
        assert read_goal(str(HIGHEST)) == HIGHEST

    @pytest.mark.parametrize("text", ["accuracy", "accuracy:", "accuracy:maximum", "max:accuracy"])
    def test_without_a_direction_it_is_refused(self, text):
        with pytest.raises(UsageError, match="highest or the lowest") as caught:
            read_goal(text)
        assert ":max or " in caught.value.hint

    def test_the_hint_spells_the_metric_that_was_meant(self):
        with pytest.raises(UsageError) as caught:
            read_goal("loss:minimum")
        assert caught.value.hint == "write it as loss:max or loss:min"

    @pytest.mark.parametrize("text", ["", ":", ":max", " :min", "max"])
    def test_without_a_metric_it_is_refused(self, text):
        with pytest.raises(UsageError, match="names no metric"):
            read_goal(text)

    @pytest.mark.parametrize("given", [5, True, ["accuracy:max"]])
    def test_what_is_no_text_is_refused(self, given):
        with pytest.raises(UsageError, match="names no metric") as caught:
            read_goal(given)
        assert "'accuracy:max'" in caught.value.hint


class TestReadingACondition:
    @pytest.mark.parametrize(
        ("text", "condition"),
        [
            ("accuracy>=0.95", Condition("accuracy", ">=", 0.95)),
            ("accuracy >= 95e-2", Condition("accuracy", ">=", 0.95)),
            ("loss<0.1", Condition("loss", "<", 0.1)),
            ("loss<=-1", Condition("loss", "<=", -1.0)),
            ("test:f1>1", Condition("test:f1", ">", 1.0)),
        ],
    )
    def test_it_is_a_metric_a_comparison_and_a_number(self, text, condition):
        assert read_condition(text) == condition
        assert read_condition(str(condition)) == condition

    @pytest.mark.parametrize(
        "text", ["accuracy", "accuracy=1", ">=1", "accuracy>=", "1<x<2", "", "a==1"]
    )
    def test_anything_else_is_refused(self, text):
        with pytest.raises(UsageError, match="no condition") as caught:
            read_condition(text)
        assert "accuracy>=0.95" in caught.value.hint

    @pytest.mark.parametrize("text", ["accuracy>=high", "accuracy<nan", "loss<inf"])
    def test_so_is_what_is_no_number(self, text):
        with pytest.raises(UsageError, match="is no number"):
            read_condition(text)

    def test_so_is_what_is_no_text(self):
        with pytest.raises(UsageError, match="5 is no condition") as caught:
            read_condition(5)
        assert "'accuracy>=0.95'" in caught.value.hint


class TestHolding:
    @pytest.mark.parametrize(
        ("text", "holds"),
        [
            ("accuracy>=0.5", True),
            ("accuracy>0.5", False),
            ("accuracy<=0.5", True),
            ("accuracy<0.5", False),
            ("loss<1", False),
        ],
    )
    def test_it_compares_the_metric(self, text, holds):
        assert read_condition(text).holds({"accuracy": 0.5}) is holds

    def test_whole_numbers_are_compared_as_they_are_however_large(self):
        condition = read_condition(f"steps>{2**60}")
        assert condition.holds({"steps": 2**60 + 1})
        assert not condition.holds({"steps": 2**60})
        assert condition.holds({"steps": 2**1100})
        assert str(condition) == f"steps>{2**60}"

    @pytest.mark.parametrize("value", [math.nan, math.inf, "0.9", True, None])
    def test_what_is_no_finite_number_never_ends_a_sweep(self, value):
        assert not read_condition("accuracy>0").holds({"accuracy": value})


class TestTheBest:
    def test_it_has_the_highest_or_the_lowest_value(self):
        rows = trials(0.3, 0.9, 0.1)
        assert best(rows, HIGHEST).number == 2
        assert best(rows, LOWEST).number == 3

    def test_of_equal_trials_it_is_the_first(self):
        rows = trials(0.3, 0.9, 0.9)
        assert best(rows[::-1], HIGHEST).number == 2
        assert best(trials(0.3, 0.9, 0.3)[::-1], LOWEST).number == 1

    def test_only_finite_numbers_count(self):
        rows = trials(math.nan, math.inf, "0.99", True, None, 0.2)
        assert best(rows, HIGHEST).number == 6

    def test_whole_numbers_are_compared_as_they_are_however_large(self):
        rows = trials(*(2**60 + n for n in (1, 3, 2)))
        assert best(rows, HIGHEST).number == 2
        assert best(rows, LOWEST).number == 1
        assert best(trials(0.5, 2**1100, 2**1100 - 1), HIGHEST).number == 2
        assert best(trials(0.5, -(2**1100), 1e300), LOWEST).number == 2

    def test_a_trial_that_failed_does_not_count(self):
        rows = [*trials(0.2), TrialRow(2, {}, {"accuracy": 0.9}, "failed")]
        assert best(rows, HIGHEST).number == 1

    @pytest.mark.parametrize("state", [State.DONE, State.CACHED])
    def test_states_may_be_those_of_a_record(self, state):
        assert best(trials(0.5, state=state), HIGHEST).number == 1

    @pytest.mark.parametrize(
        "rows", [[], trials(None), trials(math.nan), trials(1, state="failed")]
    )
    def test_there_may_be_none(self, rows):
        assert best(rows, HIGHEST) is None


class TestRanking:
    def test_the_best_comes_first_and_what_has_no_rank_last_by_number(self):
        rows = [*trials(None, 0.5, 0.9, math.nan), TrialRow(5, {}, {"accuracy": 1.0}, "failed")]
        assert [row.number for row in ranking(rows[::-1], HIGHEST)] == [3, 2, 1, 4, 5]

    def test_without_a_goal_it_goes_by_number(self):
        assert [row.number for row in ranking(trials(3, 1, 2)[::-1], None)] == [1, 2, 3]
