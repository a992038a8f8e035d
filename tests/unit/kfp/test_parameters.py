"""How parameters travel through KFP, and back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from kale_pm.errors import ParameterError
from kale_pm.kfp.parameters import encode, kfp_parameters, kfp_type
from kale_pm.model import Parameter, Pipeline
from kale_pm.runtime.pod.parameters import changed, decode
from kale_pm.settings import Configuration

NATIVE = [
    Parameter("flag", "bool", True),
    Parameter("count", "int", -3),
    Parameter("largest", "int", 2**53),
    Parameter("rate", "float", 0.1),
    Parameter("tiny", "float", 1e-300),
    Parameter("name", "str", "a 'quoted' {word}\nand a line"),
    Parameter("empty", "str", ""),
]
AS_JSON = [
    Parameter("layers", "list", [1, 2.0, "three", None, True]),
    Parameter("table", "dict", {"a": {"b": []}}),
    Parameter("nothing", "any", None),
    Parameter("maybe", "int", None, optional=True),
    Parameter("maybe_set", "int", 3, optional=True),
    Parameter("maybe_text", "str", "x", optional=True),
    Parameter("beyond", "int", 2**53 + 1),
    Parameter("infinite", "float", math.inf),
    Parameter("template", "str", "{{$.inputs}} and {{channel:task=a}}"),
    Parameter("disguised", "str", "json:[1]"),
    Parameter("nested", "list", ["{{$}}", {"{{": "}}"}]),
    Parameter("half", "str", "\ud800"),
]


def by_name(parameters: list[Parameter]) -> list[object]:
    return [pytest.param(parameter, id=parameter.name) for parameter in parameters]


def pipeline(*parameters: Parameter) -> Pipeline:
    return Pipeline(Path("nb.ipynb"), Configuration("nb"), (), (), parameters)


def arrived(given: Any, parameter: Parameter) -> dict[str, Any]:
    """What the pod makes of the value that KFP delivers."""
    default = encode(parameter.default, parameter)
    declared = {"name": parameter.name, "type": parameter.type, "default": default}
    return changed({"p_x": given}, {"p_x": declared})


@pytest.mark.parametrize("parameter", by_name(NATIVE))
def test_plain_values_travel_as_they_are(parameter: Parameter) -> None:
    assert kfp_type(parameter) == parameter.type
    encoded = encode(parameter.default, parameter)
    assert encoded == parameter.default
    assert type(encoded) is type(parameter.default)


@pytest.mark.parametrize("parameter", by_name(AS_JSON))
def test_other_values_travel_as_text(parameter: Parameter) -> None:
    assert kfp_type(parameter) == "str"
    encoded = encode(parameter.default, parameter)
    assert isinstance(encoded, str)
    assert encoded.startswith("json:")


@pytest.mark.parametrize("parameter", by_name(NATIVE + AS_JSON))
def test_every_value_comes_back(parameter: Parameter) -> None:
    decoded = decode(encode(parameter.default, parameter), parameter.type)
    assert decoded == parameter.default
    assert type(decoded) is type(parameter.default)


@pytest.mark.parametrize("parameter", by_name(NATIVE + AS_JSON))
def test_nothing_that_kfp_would_expand_ever_travels(parameter: Parameter) -> None:
    assert "{{" not in str(encode(parameter.default, parameter))


def test_nan_travels() -> None:
    parameter = Parameter("x", "float", math.nan)
    assert math.isnan(decode(encode(math.nan, parameter), "float"))
    assert arrived(encode(math.nan, parameter), parameter) == {}


def test_an_integer_default_makes_a_float_parameter_a_float() -> None:
    parameter = Parameter("rate", "float", 1)
    encoded = encode(parameter.default, parameter)
    assert (encoded, type(encoded)) == (1.0, float)


@pytest.mark.parametrize("value", [math.inf, math.nan, 10**400])
def test_a_number_that_a_number_parameter_cannot_hold_is_refused(value: float) -> None:
    with pytest.raises(ParameterError, match="rate"):
        encode(value, Parameter("rate", "float", 0.5))


def test_what_json_has_no_form_for_still_compiles() -> None:
    for value in (b"raw", {3, 1, 2}, {(1, 2): 3}, 1j):
        parameter = Parameter("odd", "any", value)
        encoded = encode(value, parameter)
        json.loads(str(encoded).removeprefix("json:"))
        assert arrived(encoded, parameter) == {}


class TestInThePod:
    def test_the_default_is_not_injected(self) -> None:
        for parameter in NATIVE + AS_JSON:
            assert arrived(encode(parameter.default, parameter), parameter) == {}

    def test_an_integer_literal_of_a_float_parameter_stays_the_notebooks(self) -> None:
        # KFP may deliver 1.0 as 1: neither is injected.
        parameter = Parameter("rate", "float", 1)
        assert arrived(1, parameter) == {}
        assert arrived(1.0, parameter) == {}

    def test_a_literal_that_json_cannot_say_stays_the_notebooks(self) -> None:
        parameter = Parameter("by_year", "dict", {2020: "a"})
        assert arrived(encode(parameter.default, parameter), parameter) == {}

    def test_another_value_is_injected_in_its_type(self) -> None:
        rate = arrived(2, Parameter("rate", "float", 1))["rate"]
        assert (rate, type(rate)) == (2.0, float)
        count = arrived(4.0, Parameter("count", "int", 3))["count"]
        assert (count, type(count)) == (4, int)

    def test_true_is_not_one(self) -> None:
        assert arrived("json:true", Parameter("x", "any", 1)) == {"x": True}

    def test_a_list_may_be_typed_by_hand(self) -> None:
        parameter = Parameter("layers", "list", [1])
        assert arrived("[1, 2]", parameter) == {"layers": [1, 2]}

    def test_a_text_is_taken_raw(self) -> None:
        parameter = Parameter("name", "str", "x")
        assert arrived("[1, 2]", parameter) == {"name": "[1, 2]"}

    def test_a_text_that_is_no_json_is_refused_by_name(self) -> None:
        with pytest.raises(ParameterError, match="layers"):
            arrived("1, 2", Parameter("layers", "list", [1]))


class TestNames:
    def test_are_the_users_own(self) -> None:
        found, warnings = kfp_parameters(
            pipeline(Parameter("lr", "float", 0.1), Parameter("N_Trees", "int", 3))
        )
        assert [p.kfp_name for p in found.values()] == ["lr", "N_Trees"]
        assert warnings == ()

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (["_x"], ["x"]),
            (["_x", "x"], ["parameter_x", "x"]),
            (["λ"], ["parameter"]),
            (["λ", "μ"], ["parameter", "parameter_2"]),
            (["_1"], ["parameter_1"]),
            (["Output"], ["parameter_Output"]),
        ],
    )
    def test_that_kfp_cannot_take_get_a_legal_one(
        self, names: list[str], expected: list[str]
    ) -> None:
        found, warnings = kfp_parameters(pipeline(*(Parameter(n, "int", 1) for n in names)))
        assert [found[name].kfp_name for name in names] == expected
        changed_names = [n for n, e in zip(names, expected, strict=True) if n != e]
        assert len(warnings) == len(changed_names)
        assert all(name in text for name, text in zip(changed_names, warnings, strict=True))

    def test_that_the_file_needs_itself_are_given_way(self) -> None:
        found, _ = kfp_parameters(pipeline(Parameter("kubernetes", "int", 1)), ["kubernetes"])
        assert found["kubernetes"].kfp_name == "parameter_kubernetes"

    @pytest.mark.parametrize(
        ("name", "why"),
        [("kubernetes", "uses that name"), ("Output", "uses that name"), ("_x", "ASCII letters")],
    )
    def test_the_reason_is_the_true_one(self, name: str, why: str) -> None:
        _, (warning,) = kfp_parameters(pipeline(Parameter(name, "int", 1)), ["kubernetes"])
        assert why in warning


def test_defaults_that_no_server_takes_are_announced() -> None:
    _, warnings = kfp_parameters(pipeline(Parameter("rows", "list", list(range(5000)))))
    assert "10000" in warnings[0]
