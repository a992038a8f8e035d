"""The space that values of Python and rows make."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kale_pm.errors import ParameterError, UsageError
from kale_pm.model import Parameter
from kale_pm.sweep import Choices, Range, Space, space_of

PARAMETERS = [
    Parameter("lr", "float", 0.1),
    Parameter("depth", "int", 3),
    Parameter("name", "str", "x"),
    Parameter("fast", "bool", False),
    Parameter("layers", "list", [32]),
    Parameter("options", "dict", {}),
    Parameter("limit", "any", None, optional=True),
]


def space(**given: object) -> Space:
    return space_of(PARAMETERS, given)


def varied(**given: object) -> list[Any]:
    (found,) = space(**given).varied.values()
    return list(found.values if isinstance(found, Choices) else found.spaced())


class TestWhatVaries:
    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("lr", [0.1, 1], [0.1, 1.0]),
            ("lr", (0.1, "1e-3"), [0.1, 0.001]),
            ("depth", range(3, 9, 2), [3, 5, 7]),
            ("depth", {5, 3, 4}, [3, 4, 5]),
            ("depth", (n * n for n in range(3)), [0, 1, 4]),
            ("depth", {"a": 1, "b": 2}.values(), [1, 2]),
            ("fast", [True, "false"], [True, False]),
            ("name", ["a,b", "c"], ["a,b", "c"]),
            ("layers", [[32, 32], (64,)], [[32, 32], [64]]),
            ("options", [{"a": 1}, {"b": 2}], [{"a": 1}, {"b": 2}]),
            ("limit", [None, 1, 0.5, [1]], [None, 1, 0.5, [1]]),
            ("lr", np.array([0.1, 0.2]), [0.1, 0.2]),
            ("lr", np.linspace(0, 1, 3), [0.0, 0.5, 1.0]),
            ("depth", np.arange(3), [0, 1, 2]),
            ("fast", np.array([True, False]), [True, False]),
            ("name", np.array(["a", "b"]), ["a", "b"]),
            ("depth", [np.int64(1), np.int64(2)], [1, 2]),
            ("layers", np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
            ("layers", [np.array([1, 2]), np.array([3])], [[1, 2], [3]]),
            ("depth", pd.Series([3, 5], index=["a", "b"]), [3, 5]),
            ("lr", pd.DataFrame({"lr": [0.5, 0.25]})["lr"], [0.5, 0.25]),
            ("name", pd.Index(["a", "b"]), ["a", "b"]),
        ],
    )
    def test_any_iterable_but_a_text_or_a_mapping(
        self, name: str, value: object, expected: list[Any]
    ) -> None:
        assert repr(varied(**{name: value})) == repr(expected)

    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("lr", 1, 1.0),
            ("lr", "0.5", 0.5),
            ("lr", np.float64(0.5), 0.5),
            ("lr", np.array(0.5), 0.5),
            ("fast", np.True_, True),
            ("name", "a,b", "a,b"),
            ("options", {"a": 1}, {"a": 1}),
            ("limit", None, None),
            ("limit", {"a": [1]}, {"a": [1]}),
            ("layers", "[1, 2]", [1, 2]),
            ("depth", [5], 5),
            ("layers", [[1, 2]], [1, 2]),
            ("limit", [[1, 2]], [1, 2]),
            ("depth", Range(4, 4, 3), 4),
        ],
    )
    def test_anything_else_is_fixed_and_so_is_a_single_value(
        self, name: str, value: object, expected: object
    ) -> None:
        found = space(**{name: value})
        assert (repr(found.fixed), found.varied) == (repr({name: expected}), {})

    def test_sets_vary_in_one_order_whatever_their_hashes(self) -> None:
        assert varied(name={"b", "a", "d", "c"}) == ["a", "b", "c", "d"]
        assert varied(limit={1, "a", None}) == ["a", 1, None]

    def test_a_text_is_no_spelling_where_the_parameter_may_hold_it(self) -> None:
        values = ["5", 5, "null", None, "true", True]
        assert repr(varied(limit=values)) == repr(values)
        assert space(limit="null").fixed == {"limit": "null"}

    def test_any_value_may_hold_numbers_of_numpy(self) -> None:
        found = space(options={"a": np.int64(3), "b": [np.float32(0.5), np.arange(2)]}).fixed
        assert repr(found) == "{'options': {'a': 3, 'b': [0.5, [0, 1]]}}"

    def test_what_contains_itself_is_refused(self) -> None:
        endless: list[object] = []
        endless.append(endless)
        with pytest.raises(ParameterError, match="contains itself"):
            space(layers=[endless])

    def test_choices_are_taken_as_they_are(self) -> None:
        assert varied(limit=Choices(("1", 1))) == ["1", 1]

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"lr": []}, "there is no trial: lr has no value"),
            ({"depth": range(0)}, "there is no trial: depth has no value"),
            ({"depth": np.array([])}, "there is no trial"),
            ({"depth": [1, 2.5]}, "2.5 is not of type int"),
            ({"depth": [1, True]}, "True is not of type int"),
            ({"depth": [1, "a"]}, "'a' is no int"),
            ({"depth": [1, float("nan")]}, "nan is not of type int"),
            ({"depth": [[1], [2]]}, r"\[1\] is not of type int"),
            ({"lr": [0.1, None]}, "None is not of type float"),
            ({"lr": pd.Series([1, pd.NA])}, "<NA> is not of type float"),
            ({"lr": b"12"}, "is not of type float"),
            ({"depth": itertools.count()}, "has more than 1,000,000 values"),
            ({"dept": [1]}, "did you mean 'depth'"),
        ],
    )
    def test_what_does_not_fit_is_said(self, given: dict[str, Any], words: str) -> None:
        with pytest.raises(ParameterError, match=words):
            space(**given)

    @pytest.mark.parametrize("value", [[32, 64], (1, 2), range(3), [[1], 2], np.array([1, 2])])
    def test_for_a_list_only_lists_vary(self, value: object) -> None:
        with pytest.raises(UsageError, match="one value, or several") as caught:
            space(layers=value)
        assert "layers=[[" in caught.value.hint


class TestRanges:
    def test_a_range_takes_the_type_of_its_parameter(self) -> None:
        assert repr(varied(lr=Range(0, 1, 3))) == "[0.0, 0.5, 1.0]"
        assert repr(varied(depth=Range(1.0, 9.0, 3))) == "[1, 5, 9]"
        assert space(depth=Range(1, 9)).varied == {"depth": Range(1, 9, whole=True)}

    def test_it_reads_as_it_is_spelled(self) -> None:
        assert str(Range(1e-4, 0.1, 7, log=True)) == "0.0001..0.1 log 7"
        assert str(Range(1.0, 10)) == "1..10"

    @pytest.mark.parametrize(
        ("name", "wanted", "words"),
        [
            ("name", Range(1, 2), "1..2 is a range, which a str cannot have: list the values"),
            ("limit", Range(1, 2), "its type is not known"),
            ("lr", Range(0, 1, log=True), "has no logarithm"),
            ("lr", Range(1, 2, 0), "there is no trial"),
            ("lr", Range(1, 2, 10**9), "more than 1,000,000"),
            ("lr", Range(1, 2, 2.5), "2.5 is no count"),  # type: ignore[arg-type]
            ("lr", Range(1, float("inf")), "finite"),
            ("lr", Range(1, 10**400), "finite"),
            ("lr", Range("a", 2), "'a' is no number"),  # type: ignore[arg-type]
            ("lr", Range(True, 2), "True is no number"),
            ("depth", Range(0.5, 2), "0.5 is no int"),
        ],
    )
    def test_what_is_no_range_is_said(self, name: str, wanted: Range, words: str) -> None:
        with pytest.raises(ParameterError, match=words):
            space(**{name: wanted})


class TestRows:
    def test_values_of_rows_are_converted_and_never_spread(self) -> None:
        rows: list[dict[str, Any]] = [{"lr": "0.5", "layers": [1, 2]}, {"depth": np.int64(7)}]
        found = space_of(PARAMETERS, {}, rows)
        assert found.rows == ({"lr": 0.5, "layers": [1, 2]}, {"depth": 7})
        assert found.names == ("lr", "layers", "depth")

    def test_texts_of_rows_stay_texts_where_the_parameter_may_hold_them(self) -> None:
        rows = [{"name": "null", "limit": "5"}, {"limit": 5}, {"limit": "true"}, {"limit": True}]
        assert repr(space_of(PARAMETERS, {}, rows).rows) == repr(tuple(rows))

    def test_a_wrong_value_is_told_with_its_row(self) -> None:
        with pytest.raises(UsageError, match=r"(?m)^trial 2: parameter 'depth': 'abc' is no int$"):
            space_of(PARAMETERS, {}, [{"depth": 1}, {"depth": "abc"}])

    def test_types_may_not_be_mixed_from_row_to_row(self) -> None:
        with pytest.raises(UsageError, match=r"^trial 2: parameter 'depth': \[3\] is not of type"):
            space_of(PARAMETERS, {}, [{"depth": 1}, {"depth": [3]}])

    def test_an_unknown_name_is_told_with_its_row_and_a_near_one(self) -> None:
        with pytest.raises(UsageError, match=r"^trial 1: parameter 'dept': .*'depth'") as caught:
            space_of(PARAMETERS, {}, [{"dept": 1}])
        assert "depth: int = 3" in caught.value.hint

    def test_names_that_are_no_texts_are_unknown_too(self) -> None:
        with pytest.raises(UsageError, match=r"^trial 1: parameter '0': there is no such"):
            space_of(PARAMETERS, {}, [{0: 1}])  # type: ignore[dict-item]

    @pytest.mark.parametrize("value", [1, [1, 2]])
    def test_a_name_stands_in_one_place_only(self, value: object) -> None:
        with pytest.raises(UsageError, match="trial 1: the parameter 'depth' is given beside"):
            space_of(PARAMETERS, {"depth": value}, [{"depth": 1}])

    def test_a_row_that_is_no_mapping_is_refused(self) -> None:
        with pytest.raises(UsageError, match="trial 1: 3 names no parameters"):
            space_of(PARAMETERS, {}, [3])  # type: ignore[list-item]
