"""Axes: every value has its place, and the ticks are numbers that people would choose."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kale_pm.trials.scales import CategoryScale, choice_scale, measure_scale


def texts(scale):
    return [tick.text for tick in scale.ticks]


class TestChosenNumbers:
    def test_a_few_are_the_ticks_themselves(self):
        scale = choice_scale([8, 3, 5, 3])
        assert texts(scale) == ["3", "5", "8"]
        assert [scale.place(n) for n in (3, 5, 8)] == [0, pytest.approx(0.4), 1]

    def test_those_that_differ_in_magnitude_stand_by_magnitude(self):
        scale = choice_scale([0.1, 0.01, 0.001])
        assert texts(scale) == ["0.001", "0.01", "0.1"]
        assert scale.place(0.01) == pytest.approx(0.5)

    def test_those_that_go_up_evenly_do_not(self):
        assert choice_scale(list(range(1, 1001))).place(500) == pytest.approx(0.5, abs=0.01)

    def test_magnitude_may_be_asked_for(self):
        assert choice_scale([1, 2, 4], logarithmic=True).place(2) == pytest.approx(0.5)
        assert choice_scale([0, 2, 4], logarithmic=True).place(2) == pytest.approx(0.5)

    def test_many_have_round_ticks_beyond_both_ends(self):
        chosen = random.Random(1)
        scale = choice_scale([chosen.uniform(0.31, 0.99) for _ in range(100)])
        assert texts(scale) == ["0.2", "0.4", "0.6", "0.8", "1.0"]

    def test_many_by_magnitude_have_powers_of_ten(self):
        chosen = random.Random(1)
        scale = choice_scale([10 ** chosen.uniform(-4, -1) for _ in range(100)])
        assert texts(scale) == ["0.0001", "0.001", "0.01", "0.1"]

    def test_a_few_that_are_too_near_to_each_other_have_round_ticks_too(self):
        assert texts(choice_scale([100, 101, 200], logarithmic=False)) != ["100", "101", "200"]

    def test_one_stands_in_the_middle(self):
        scale = choice_scale([7, 7])
        assert scale.place(7) == 0.5
        assert texts(scale) == ["7"]


class TestCategories:
    @pytest.mark.parametrize(
        ("values", "names"),
        [
            (["relu", "tanh", "relu"], ["relu", "tanh"]),
            ([[64], [32, 32]], ["[64]", "[32, 32]"]),
            ([True, False], ["False", "True"]),
            ([3, None], ["3", "None"]),
            ([1.0, math.inf], ["1", "inf"]),
            ([{"a": 1}], ["{'a': 1}"]),
        ],
    )
    def test_they_stand_in_the_order_in_which_they_come(self, values, names):
        scale = choice_scale(values)
        assert isinstance(scale, CategoryScale)
        assert texts(scale) == names

    def test_they_are_at_equal_distances(self):
        scale = choice_scale(["a", "b", "c"])
        assert [scale.place(name) for name in "abc"] == [0, 0.5, 1]

    def test_a_text_is_not_the_number_that_it_spells(self):
        scale = choice_scale(["1", 1, True])
        assert len({scale.place(value) for value in ("1", 1, True)}) == 3

    def test_one_stands_in_the_middle(self):
        assert choice_scale(["a"]).place("a") == 0.5

    def test_others_have_no_place(self):
        assert choice_scale(["a"]).place("b") is None


class TestMeasures:
    @pytest.mark.parametrize(
        ("low", "high", "ticks"),
        [
            (0.913, 0.972, ["0.90", "0.92", "0.94", "0.96", "0.98"]),
            (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            (-3, 12, ["-5", "0", "5", "10", "15"]),
            (100, 101, ["100.0", "100.2", "100.4", "100.6", "100.8", "101.0"]),
            (1.2e-7, 1.8e-7, ["1.2e-7", "1.4e-7", "1.6e-7", "1.8e-7"]),
            (2e9, 5e9, ["2e9", "3e9", "4e9", "5e9"]),
        ],
    )
    def test_their_ticks_are_round_and_of_one_kind(self, low, high, ticks):
        assert texts(measure_scale([low, high])) == ticks

    def test_a_long_tail_stands_by_magnitude(self):
        scale = measure_scale([0.01, 0.02, 0.05, 0.1, 30.0])
        assert scale.is_logarithmic
        assert texts(scale) == ["0.01", "0.1", "1", "10"]

    def test_what_is_zero_or_less_never_does(self):
        assert not measure_scale([0.0, 0.001, 0.01, 1000.0]).is_logarithmic

    def test_equal_numbers_have_one_tick(self):
        scale = measure_scale([0.5, 0.5])
        assert texts(scale) == ["0.5"]
        assert scale.place(0.5) == 0.5

    @pytest.mark.parametrize("value", [math.nan, math.inf, None, "0.5", True])
    def test_what_is_no_finite_number_has_no_place(self, value):
        assert measure_scale([0.0, 1.0]).place(value) is None

    @pytest.mark.parametrize(
        "numbers",
        [
            (-1.7e308, 1.7e308),
            (5e-324, 1e-323),
            (5e-324, 1.7e308, 1.0),
            (1.0, 1.0 + 2**-52),
            (0.0, 5e-324),
            (1e15, 1e15 + 1),
        ],
    )
    def test_the_limits_of_floats_do_no_harm(self, numbers):
        for scale in (measure_scale(numbers), choice_scale(numbers, logarithmic=True)):
            assert all(0 <= scale.place(number) <= 1 for number in numbers)
            assert len(scale.ticks) >= 2


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(FINITE, min_size=1, max_size=30), st.booleans(), st.booleans())
def test_every_number_stands_on_its_axis_in_order_and_so_does_every_tick(numbers, chosen, by_log):
    scale = choice_scale(numbers, logarithmic=by_log) if chosen else measure_scale(numbers)
    places = [scale.place(number) for number in sorted(numbers)]
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)
    assert all(one <= other + 1e-9 for one, other in pairwise(places))
    assert 1 <= len(scale.ticks) <= 9
    assert all(-1e-9 <= tick.place <= 1 + 1e-9 for tick in scale.ticks)
    assert all(one.place < other.place for one, other in pairwise(scale.ticks))
