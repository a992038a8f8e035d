"""Strict JSON: what every parser reads, also where numbers are not finite."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest

from kale_pm.strict_json import dumps, exact, finite, number, restored


@dataclass(frozen=True)
class Step:
    name: str
    metrics: Mapping[str, float]
    parents: tuple[Step, ...] = ()


NAN, INFINITE = float("nan"), float("inf")


def strictly(text: str) -> Any:
    """What a parser gives that knows nothing but JSON."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_non_finite_numbers_become_texts_at_any_depth() -> None:
    value = {"a": NAN, "b": [INFINITE, (-INFINITE, 1.5)], 3: {"c": {"d": NAN}}, INFINITE: 0}
    assert strictly(dumps(value)) == {
        "a": "NaN",
        "b": ["Infinity", ["-Infinity", 1.5]],
        "3": {"c": {"d": "NaN"}},
        "Infinity": 0,
    }


def test_everything_else_is_written_as_json_does() -> None:
    value = {"b": [1, 2.5, True, None, "NaN", "ü"], "a": {}}
    for options in ({}, {"indent": 1, "sort_keys": True, "ensure_ascii": False}):
        assert dumps(value, **options) == json.dumps(value, **options)


def test_of_dataclasses_the_fields_are_written() -> None:
    step = Step("train", {"score": NAN}, (Step("load", {}),))
    assert strictly(dumps({"step": step})) == {
        "step": {
            "name": "train",
            "metrics": {"score": "NaN"},
            "parents": [{"name": "load", "metrics": {}, "parents": []}],
        }
    }
    assert strictly(dumps(Step("load", {}), sort_keys=True))["name"] == "load"


def test_a_mapping_need_not_be_a_dict() -> None:
    read_only = MappingProxyType({"score": 0.5, "loss": INFINITE})
    assert strictly(dumps([read_only], default=str)) == [{"score": 0.5, "loss": "Infinity"}]


def test_the_value_itself_is_left_alone() -> None:
    value = {"a": [NAN]}
    finite(value)
    assert math.isnan(value["a"][0])


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        dumps({"a": object()})


@pytest.mark.parametrize("value", [INFINITE, -INFINITE, 0.5, 3, True, None, "forest", [1]])
def test_numbers_come_back(value: object) -> None:
    back = number(strictly(dumps(value)))
    assert back == value
    assert type(back) is type(value)


def test_nan_comes_back() -> None:
    assert math.isnan(number(strictly(dumps(NAN))))


@pytest.mark.parametrize(
    "value",
    [
        *(NAN, INFINITE, -INFINITE, "NaN", "Infinity", 0.5, 3, True, None, "forest"),
        [1.0, INFINITE, "Infinity", [NAN, "NaN"]],
        {"a": NAN, "b": {"c": [-INFINITE]}},
        *({"$float": "NaN"}, {"$float": NAN}, {"$$float": [INFINITE]}, {"$$$float": {"$float": 1}}),
        {"$float": "NaN", "other": NAN},
    ],
)
def test_no_value_is_taken_for_another_one(value: object) -> None:
    assert repr(restored(strictly(dumps(exact(value))))) == repr(value)


@pytest.mark.parametrize("value", ["NaN", [1.5, "a", None, True], {"a": {"b": 1}, "$int": "1"}])
def test_ordinary_values_stay_as_they_are(value: object) -> None:
    assert exact(value) == value
