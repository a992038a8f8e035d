"""Pipeline parameters in KFP: their names, their types, and how values travel.

Measured: KFP turns ``[1, 2]`` into ``[1.0, 2.0]``, drops None and expands ``{{$}}``.  So only
what it keeps as it is goes natively; everything else is a string that starts with ``json:``.
"""

from __future__ import annotations

import json
import math
import pprint
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kale_pm.errors import ParameterError
from kale_pm.model import Parameter, Pipeline
from kale_pm.runtime.pod.parameters import PREFIX

# KFP keeps every number as a double: beyond this, two integers become one.
LARGEST_INTEGER = 2**53
# The API server refuses a run whose parameters take more than this many bytes as JSON.
LARGEST_RUN = 10_000
NATIVE = ("bool", "int", "float", "str")

# Values as KFP carries them, by their names in the compiled pipeline.
Encoded = Mapping[str, bool | int | float | str]


@dataclass(frozen=True)
class KfpParameter:
    """A pipeline parameter as the compiled pipeline shows it.

    ``name`` is the notebook's, ``kfp_name`` the pipeline's, ``type`` a Python type of the DSL
    (bool, int, float or str), ``default`` the encoded default.
    """

    name: str
    kfp_name: str
    type: str
    default: bool | int | float | str
    parameter: Parameter


def encode(value: Any, parameter: Parameter) -> bool | int | float | str:
    """``value`` in the form in which KFP carries it for this parameter.

    Raises ParameterError if the compiled pipeline has a number or a boolean there, and this
    value (infinity, an integer beyond 2**53) is none that KFP can keep.
    """
    if kfp_type(parameter) != "str":
        if not _is_plain(value, parameter.type):
            raise ParameterError(
                parameter.name,
                f"KFP cannot carry {value!r} as {parameter.type}",
                (parameter.name,),
                hint=f"write '{parameter.name}: {parameter.type} | None' in its cell, then it is a "
                "text for KFP, which carries any value",
            )
        return float(value) if parameter.type == "float" else value
    return encode_as_text(value, parameter)


def encode_as_text(value: Any, parameter: Parameter) -> str:
    """``value`` as a text, which carries any value of any parameter."""
    if parameter.type == "str" and not parameter.optional and _is_plain(value, "str"):
        return str(value)
    return PREFIX + json_text(value)


def json_text(value: Any) -> str:
    """``value`` as JSON that KFP leaves alone; of what JSON has no form for, its text."""
    try:
        text = json.dumps(value, default=_as_text)
    except (TypeError, ValueError):
        text = json.dumps(_as_text(value))
    # Braces of strings are escaped, so that no {{ is ever seen by KFP.
    return re.sub(
        r'"(?:[^"\\]|\\.)*"',
        lambda found: found[0].replace("{", r"\u007b").replace("}", r"\u007d"),
        text,
    )


def as_text(parameter: KfpParameter) -> KfpParameter:
    """The same parameter, but one that is a text for KFP whatever its type in the notebook."""
    default = encode_as_text(parameter.parameter.default, parameter.parameter)
    return replace(parameter, type="str", default=default)


def kfp_type(parameter: Parameter) -> str:
    """The type in the pipeline's signature: bool, int, float or str.

    It is fixed when the pipeline is compiled, so the default decides.
    """
    native = parameter.type in NATIVE and not parameter.optional
    return parameter.type if native and _is_plain(parameter.default, parameter.type) else "str"


def kfp_parameters(
    pipeline: Pipeline, reserved: Sequence[str] = ()
) -> tuple[dict[str, KfpParameter], tuple[str, ...]]:
    """All parameters by their name in the notebook, and warnings.

    A name that KFP cannot take, or one of the ``reserved``, gets a legal name.
    """
    reserved = (*reserved, "Output")
    taken = {p.name for p in pipeline.parameters if _is_legal(p.name, reserved)}
    found: dict[str, KfpParameter] = {}
    warnings = []
    for parameter in pipeline.parameters:
        name = parameter.name
        if name not in taken:
            name = _legal_name(name, taken, reserved)
            taken.add(name)
            why = (
                "KFP or the generated file uses that name itself"
                if _is_legal(parameter.name)
                else "KFP takes names of ASCII letters, digits and _ that start with a letter"
            )
            warnings.append(
                f"parameter '{parameter.name}' is called '{name}' in the compiled pipeline: {why}"
            )
        default = encode(parameter.default, parameter)
        found[parameter.name] = KfpParameter(
            parameter.name, name, kfp_type(parameter), default, parameter
        )
    size = len(json.dumps({p.kfp_name: p.default for p in found.values()}).encode())
    if size > LARGEST_RUN:
        warnings.append(
            f"the parameters' defaults take {size} bytes; a KFP server takes {LARGEST_RUN} "
            "unless its administrator raised the limit: read large values from a file"
        )
    return found, tuple(warnings)


def size_warnings(parameters: Encoded) -> Iterator[str]:
    """A warning if a server would refuse the values of a run's parameters."""
    size = len(json.dumps(parameters).encode())
    if size > LARGEST_RUN:
        largest = max(parameters, key=lambda name: len(json.dumps(parameters[name])))
        yield (
            f"the values of the parameters take {size} bytes, most of them '{largest}'; a KFP "
            f"server takes {LARGEST_RUN} unless its administrator raised the limit"
        )


def _is_plain(value: Any, type_name: str) -> bool:
    """Whether KFP gives ``value`` back as it is."""
    if type_name == "bool":
        return isinstance(value, bool)
    if type_name == "str":
        # {{ is the start of KFP's placeholders; lone surrogates have no UTF-8.
        return (
            isinstance(value, str)
            and "{{" not in value
            and not value.startswith(PREFIX)
            and not re.search("[\ud800-\udfff]", value)
        )
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return abs(value) <= LARGEST_INTEGER
    return type_name == "float" and isinstance(value, float) and math.isfinite(value)


def _as_text(value: object) -> str:
    """What JSON has no form for; the width makes pprint sort sets, whose order is random."""
    return pprint.pformat(value, width=1)


def _is_legal(name: str, reserved: Sequence[str] = ()) -> bool:
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) is not None and name not in reserved


def _legal_name(name: str, taken: set[str], reserved: Sequence[str]) -> str:
    stem = re.sub(r"[^A-Za-z0-9_]", "", name).strip("_")
    candidates = [stem, f"parameter_{stem}".rstrip("_")]
    candidates += [f"{candidates[1]}_{count}" for count in range(2, len(taken) + 4)]
    return next(c for c in candidates if _is_legal(c, reserved) and c not in taken)
