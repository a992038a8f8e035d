"""The values of parameters: how they are shown, given as text, converted and checked."""

from __future__ import annotations

import copy
import json
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

from kale_pm.errors import ParameterError, UsageError
from kale_pm.model import PYTHON, Parameter
from kale_pm.notebook.other_languages import takes_values


def describe(parameter: Parameter) -> str:
    """``name: type = default``, as a listing shows it."""
    null = " | None" if parameter.optional and parameter.type != "any" else ""
    return f"{parameter.name}: {parameter.type}{null} = {parameter.default!r}"


def parse_assignment(text: str) -> tuple[str, str]:
    """Split ``name=value`` at the first ``=``.  Raises UsageError where there is none."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"'{text}' is no name=value", hint="write it as -p name=value")
    return name.strip(), value


def bind(
    parameters: Sequence[Parameter],
    given: Mapping[str, str | object],
    language: str = PYTHON,
    *,
    spelled: bool = True,
) -> dict[str, object]:
    """The value of every parameter: the given ones converted and checked, else the default.

    Of a text, str takes it as it is; bool is true or false, in any case of letters; int and
    float are Python's spelling (``inf`` and ``nan`` too); list and dict are JSON; any is JSON
    where it parses, else the text.  ``null`` is None where None is allowed.  Any other value
    must be of the type; an int will do for a float.  ``language`` is that of the notebook.
    Without ``spelled`` a text is a value, not the spelling of one: where the parameter may hold
    a text, being str or any, it stays as it is.

    Raises ParameterError for an unknown name or a value that does not fit.
    """
    known = {parameter.name: parameter for parameter in parameters}
    for name in given:
        if name not in known:
            listing = [describe(parameter) for parameter in parameters]
            raise ParameterError(name, _unknown(language), listing)
    return {
        name: _fitted(parameter, given[name], parameters, spelled=spelled)
        if name in given
        else copy.deepcopy(parameter.default)
        for name, parameter in known.items()
    }


def _unknown(language: str) -> str:
    if takes_values(language):
        return "there is no such parameter"
    return f"no value can be set in a notebook of {language}"


def _fitted(
    parameter: Parameter, value: object, known: Sequence[Parameter], *, spelled: bool
) -> Any:
    try:
        if isinstance(value, str) and (spelled or parameter.type not in ("str", "any")):
            return _from_text(parameter, value)
        return _checked(parameter, value)
    except (ValueError, RecursionError) as error:
        listing = [describe(entry) for entry in known]
        none = "; None is written null" if parameter.optional and value == "None" else ""
        raise ParameterError(parameter.name, f"{error}{none}", listing) from None


def _from_text(parameter: Parameter, text: str) -> Any:
    if parameter.optional and text.strip() == "null":
        return None
    match parameter.type:
        case "str":
            return text
        case "bool":
            word = text.strip().lower()
            if word not in ("true", "false"):
                raise ValueError(f"'{text}' is neither true nor false")
            return word == "true"
        case "int" | "float":
            try:
                return int(text) if parameter.type == "int" else float(text)
            except ValueError:
                raise ValueError(f"'{text}' is no {parameter.type}") from None
        case "any":
            try:
                return json.loads(text)
            except ValueError:
                return text
        case "list" | "dict":
            try:
                value = json.loads(text)
            except ValueError:
                raise ValueError(f"'{text}' is no JSON, as a {parameter.type} has to be") from None
            return _checked(parameter, value)


def _checked(parameter: Parameter, value: object) -> object:
    if value is None and (parameter.optional or parameter.type == "any"):
        return None
    # The numeric towers take numpy's scalars in; a bool is an int only to Python.
    is_bool = isinstance(value, bool)
    match parameter.type:
        case "int" if isinstance(value, numbers.Integral) and not is_bool:
            return int(value)
        case "float" if isinstance(value, numbers.Real) and not is_bool:
            return float(value)
        case "bool" if is_bool:
            return value
        case "str" if isinstance(value, str):
            return value
        case "list" if isinstance(value, (list, tuple)) and is_json(list(value)):
            return list(value)
        case "dict" if isinstance(value, dict) and is_json(value):
            return value
        case "any" if is_json(value):
            return value
    wanted = "a JSON value" if parameter.type == "any" else f"of type {parameter.type}"
    raise ValueError(f"{value!r} is not {wanted}")


def is_json(value: object) -> bool:
    """Whether ``value`` is made of what JSON has: texts, numbers, booleans, null, lists, tables."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_json(entry) for key, entry in value.items())
    if isinstance(value, list):
        return all(is_json(entry) for entry in value)
    return value is None or isinstance(value, (bool, int, float, str))
