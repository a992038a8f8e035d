"""The trials of a space: the grid, draws, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kale_pm.errors import UsageError
from kale_pm.model import Parameter
from kale_pm.sweep import Choices, Range, Space, Trial, draws, grid, space_of, trials

PARAMETERS = [
    Parameter("lr", "float", 0.1),
    Parameter("depth", "int", 3),
    Parameter("name", "str", "x"),
]


def space(rows: Sequence[dict[str, Any]] = (), **given: object) -> Space:
    return space_of(PARAMETERS, given, rows)


def values(found: Sequence[Trial], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(trial.parameters[name] for name in names) for trial in found]


class TestGrid:
    def test_what_was_given_last_changes_fastest(self) -> None:
        found = list(grid(space(depth=[1, 2], lr=[0.5, 0.25])))
        assert found == [
            {"depth": 1, "lr": 0.5},
            {"depth": 1, "lr": 0.25},
            {"depth": 2, "lr": 0.5},
            {"depth": 2, "lr": 0.25},
        ]

    def test_rows_are_crossed_with_what_varies_and_joined_by_what_is_fixed(self) -> None:
        found = list(grid(space([{"depth": 1}, {}], lr=[0.5, 0.25], name="y")))
        assert found == [
            {"name": "y", "depth": 1, "lr": 0.5},
            {"name": "y", "depth": 1, "lr": 0.25},
            {"name": "y", "lr": 0.5},
            {"name": "y", "lr": 0.25},
        ]

    def test_a_range_without_a_count_has_none(self) -> None:
        with pytest.raises(UsageError, match=r"'lr': 1\.\.2 does not say how many") as caught:
            list(grid(space(lr=Range(1, 2))))
        assert "lr=1..2 5" in caught.value.hint
        assert "--random 20" in caught.value.hint

    def test_size_counts_the_combinations(self) -> None:
        assert space().size == 1
        assert space([{"name": "a"}, {}], lr=[1, 2], depth=Range(1, 9, 3)).size == 12
        assert space(lr=[1, 2], depth=Range(1, 9)).size is None

    def test_names_are_those_that_vary_of_the_rows_first(self) -> None:
        assert space([{"name": "a"}, {}], lr=[1, 2], depth=5).names == ("name", "lr")


class TestTrials:
    def test_a_trial_has_the_values_of_all_parameters(self) -> None:
        found, warnings = trials(PARAMETERS, space(depth=[5, 7]))
        assert found == (
            Trial(1, {"lr": 0.1, "depth": 5, "name": "x"}),
            Trial(2, {"lr": 0.1, "depth": 7, "name": "x"}),
        )
        assert list(found[0].parameters) == ["lr", "depth", "name"]
        assert warnings == ()

    def test_what_a_row_does_not_say_is_the_default(self) -> None:
        found, _ = trials(PARAMETERS, space([{"depth": 5}, {"name": "y"}]))
        assert values(found, "depth", "name") == [(5, "x"), (3, "y")]

    def test_without_anything_that_varies_there_is_one(self) -> None:
        found, _ = trials(PARAMETERS, space(depth=5))
        assert values(found, "lr", "depth") == [(0.1, 5)]

    def test_equal_trials_are_run_once(self) -> None:
        found, warnings = trials(PARAMETERS, space(lr=[1, "1.0", 2], depth=[3, 3]))
        assert values(found, "lr") == [(1.0,), (2.0,)]
        assert [trial.number for trial in found] == [1, 2]
        assert warnings == ("4 trials are left out, being equal to another",)

    def test_a_default_equals_the_same_value_given(self) -> None:
        found, warnings = trials(PARAMETERS, space([{"depth": 3}, {}]))
        assert len(found) == 1
        assert warnings == ("1 trial is left out, being equal to another",)

    def test_nan_equals_itself(self) -> None:
        nan = float("nan")
        found, _ = trials(PARAMETERS, space(lr=[nan, float("nan"), 1]))
        assert len(found) == 2

    def test_values_of_other_types_are_not_equal(self) -> None:
        parameters = [Parameter("limit", "any", None, optional=True)]
        found, _ = trials(parameters, space_of(parameters, {"limit": [1, 1.0, True, "1.", None]}))
        assert len(found) == 5

    def test_ten_thousand_are_possible(self) -> None:
        found, warnings = trials(PARAMETERS, space(depth=range(100), lr=Range(0, 1, 100)))
        assert (len(found), warnings) == (10_000, ())

    def test_millions_are_refused_before_they_fill_the_memory(self) -> None:
        many = range(1_000)
        with pytest.raises(UsageError, match="1,000,000,000 trials are more than") as caught:
            trials(PARAMETERS, space(lr=many, depth=many, name=map(str, many)))
        assert "--random" in caught.value.hint


class TestDraws:
    def test_a_seed_below_0_is_refused(self) -> None:
        with pytest.raises(UsageError, match="the seed -7 is below 0") as caught:
            trials(PARAMETERS, space(lr=Range(0, 1)), random=3, seed=-7)
        assert "--seed 7" in caught.value.hint

    def test_a_seed_gives_the_same_trials_again(self) -> None:
        wide = space(depth=range(1_000), lr=Range(0, 1))
        first, again = (trials(PARAMETERS, wide, random=20, seed=1) for _ in range(2))
        other = trials(PARAMETERS, wide, random=20, seed=2)
        assert len(first[0]) == 20
        assert first == again != other

    @pytest.mark.parametrize("lr", [Range(0, 1), Range(0, 1, 11)])
    def test_the_order_of_the_parameters_makes_no_difference(self, lr: Range) -> None:
        one = trials(PARAMETERS, space(depth=range(50), lr=lr), random=5)
        other = trials(PARAMETERS, space(lr=lr, depth=range(50)), random=5)
        assert one == other

    def test_of_a_grid_every_draw_is_another_combination(self) -> None:
        narrow = space([{"name": "a"}, {"name": "b"}], depth=range(5), lr=[1, 2])
        found, warnings = trials(PARAMETERS, narrow, random=19)
        assert (len(found), warnings) == (19, ())
        everything = [tuple(one[n] for n in ("name", "depth", "lr")) for one in grid(narrow)]
        assert set(values(found, "name", "depth", "lr")) < set(everything)

    def test_as_many_as_there_are_is_the_whole_grid(self) -> None:
        narrow = space(depth=range(3), lr=[1, 2])
        whole, _ = trials(PARAMETERS, narrow)
        assert trials(PARAMETERS, narrow, random=6) == (whole, ())
        found, warnings = trials(PARAMETERS, narrow, random=20)
        assert found == whole
        assert warnings == ("20 trials were to be drawn, but the whole grid has 6",)

    def test_rows_are_drawn_too(self) -> None:
        found, _ = trials(
            PARAMETERS, space([{"name": "a"}, {"name": "b"}], lr=Range(0, 1)), random=30
        )
        assert {name for (name,) in values(found, "name")} == {"a", "b"}

    def test_numbers_lie_between_the_ends(self) -> None:
        found = [one["lr"] for one in draws(space(lr=Range(5, -5)), 200, 0)]
        assert -5 <= min(found) < -4
        assert 4 < max(found) <= 5
        assert all(len(repr(number)) < 20 for number in found)

    def test_a_logarithm_draws_every_magnitude_alike(self) -> None:
        found = [one["lr"] for one in draws(space(lr=Range(1e-4, 1, log=True)), 400, 0)]
        assert min(found) >= 1e-4
        assert max(found) <= 1
        assert 60 < sum(number < 1e-3 for number in found) < 140

    @pytest.mark.parametrize("log", [False, True])
    def test_integers_are_drawn_with_both_ends(self, log: bool) -> None:
        found = [one["depth"] for one in draws(space(depth=Range(1, 4, log=log)), 4, 0)]
        assert sorted(found) == [1, 2, 3, 4]
        assert all(type(number) is int for number in found)

    def test_the_ends_of_integers_are_no_rarer_than_the_others(self) -> None:
        wide = space(depth=Range(1, 3), lr=Range(0, 1))
        found = [one["depth"] for one in draws(wide, 600, 0)]
        assert all(150 < found.count(number) < 250 for number in (1, 2, 3))

    def test_a_space_that_has_fewer_gives_them_all_with_a_warning(self) -> None:
        found, warnings = trials(PARAMETERS, space(depth=Range(1, 3)), random=5)
        assert sorted(values(found, "depth")) == [(1,), (2,), (3,)]
        assert warnings == ("5 trials were to be drawn, but no more than 3 differ",)

    def test_a_grid_larger_than_memory_can_be_drawn_from(self) -> None:
        parameters = [Parameter(f"n{place}", "int", 0) for place in range(12)]
        wide = space_of(parameters, {p.name: range(100) for p in parameters})
        found, warnings = trials(parameters, wide, random=30)
        assert (len(found), warnings) == (30, ())

    @pytest.mark.parametrize("count", [0, -3])
    def test_less_than_one_is_refused(self, count: int) -> None:
        with pytest.raises(UsageError, match="draws give no trial"):
            trials(PARAMETERS, space(lr=[1, 2]), random=count)

    def test_more_than_a_million_are_refused(self) -> None:
        with pytest.raises(UsageError, match="are more than 1,000,000"):
            trials(PARAMETERS, space(lr=Range(0, 1)), random=2_000_000)

    @settings(deadline=None, max_examples=50)
    @given(
        lengths=st.lists(st.integers(1, 4), max_size=3),
        rows=st.integers(0, 3),
        count=st.integers(1, 80),
        seed=st.integers(),
    )
    def test_draws_of_a_grid_are_distinct_members_of_it(
        self, lengths: list[int], rows: int, count: int, seed: int
    ) -> None:
        varied = {f"n{place}": Choices(tuple(range(n))) for place, n in enumerate(lengths)}
        made = Space({"fixed": 0}, varied, tuple({"row": number} for number in range(rows)))
        whole = [frozenset(one.items()) for one in grid(made)]
        drawn = [frozenset(one.items()) for one in draws(made, count, seed)]
        assert len(whole) == made.size == len(set(whole))
        assert len(drawn) == len(set(drawn)) == min(count, len(whole))
        assert set(drawn) <= set(whole)
