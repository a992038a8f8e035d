"""Parameters as they arrive in a pod: back from KFP's types to the notebook's values.

KFP knows numbers, booleans and strings.  Every other value travels as a string that starts
with ``json:``; ``kale_pm.kfp.parameters`` writes what is read here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kale_pm.errors import ParameterError

PREFIX = "json:"


def decode(value: Any, type: str = "any") -> Any:  # noqa: A002 - the model's own word
    """The notebook's value of what KFP delivered for a parameter of this type.

    Numbers are brought back to their type, since KFP keeps 1.0 as 1.  A text for a list, a
    dict or another value that a person typed as JSON, without the prefix, is understood.
    Raises ValueError if the text is no JSON.
    """
    if isinstance(value, str):
        if value.startswith(PREFIX):
            value = json.loads(value.removeprefix(PREFIX))
        elif type != "str":
            value = json.loads(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if type == "float":
            return float(value)
        if type == "int" and value == int(value):
            return int(value)
    return value


def changed(given: Mapping[str, Any], declared: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The decoded values that differ from the notebook's own.

    ``given`` go by the arguments of the step's function, and ``declared`` maps these to
    ``{"name", "type", "default"}``, the default encoded.  A value equal to the default is left
    out: the notebook's literal says it better than KFP's types can.
    Raises ParameterError when a value cannot be read.
    """
    values = {}
    for argument, value in given.items():
        name, kind = declared[argument]["name"], declared[argument]["type"]
        try:
            decoded = decode(value, kind)
        except ValueError as error:
            raise ParameterError(
                name,
                f"{value!r} is no JSON for a {kind} ({error})",
                tuple(each["name"] for each in declared.values()),
            ) from error
        # As text, because True == 1 and because NaN is not even equal to itself.
        if json.dumps(decoded) != json.dumps(decode(declared[argument]["default"], kind)):
            values[name] = decoded
    return values
