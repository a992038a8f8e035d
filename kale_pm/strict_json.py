"""JSON that every parser reads.

Python writes ``NaN`` and ``Infinity`` bare, which is no JSON: browsers, jq and most languages
refuse the whole file.  Here such numbers are written as texts, and read back where the
place is known to hold a number.  Where it may hold a text as well, ``exact`` tells them apart.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any

_NUMBERS = {text: float(text) for text in ("NaN", "Infinity", "-Infinity")}
_FLOAT = "$float"
_LIKE_A_FLOAT = re.compile(r"\$+float")


def dumps(value: object, *, default: Callable[[Any], object] | None = None, **options: Any) -> str:
    """``value`` as strict JSON: ``json.dumps``, but that non-finite floats become texts.

    At any depth and as keys, NaN becomes "NaN", infinities "Infinity" and "-Infinity".  Of
    dataclasses the fields are written.  ``default`` and ``options`` (indent, sort_keys, ...) are
    those of ``json.dumps``.  Raises TypeError for what JSON cannot hold.
    """

    def plain(item: object) -> object:
        if isinstance(item, Mapping):
            return dict(item)
        if is_dataclass(item) and not isinstance(item, type):
            return _fields(item)
        if default is None:
            raise TypeError(f"JSON cannot hold {type(item).__name__}")
        return default(item)

    try:
        return json.dumps(value, allow_nan=False, default=plain, **options)
    except ValueError:  # rarely: to look at every number first would take as long as writing
        return json.dumps(finite(value), allow_nan=False, default=plain, **options)


def finite(value: object) -> Any:
    """A copy of ``value`` in which texts stand for the non-finite floats, at any depth.

    Dataclasses become dicts of their fields.
    """
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return "NaN"
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {finite(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return finite(_fields(value))
    return value


def _fields(value: Any) -> dict[str, Any]:
    # Not asdict, which copies all that is in them.
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def number(value: Any) -> Any:
    """The float that ``dumps`` wrote as a text; any other value as it is.

    For places that hold numbers, such as metrics: in others the text may be a text.
    """
    return _NUMBERS.get(value, value) if isinstance(value, str) else value


def exact(value: object) -> Any:
    """A copy of ``value`` of whose JSON :func:`restored` makes ``value`` again.

    At any depth a non-finite float becomes ``{"$float": "NaN"}``, so that none is taken for a
    text; a table that looks like that has one more ``$``.  Everything else stays as it is.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT: finite(value)}
    if isinstance(value, Mapping):
        extra = "$" if _mark(value) else ""
        return {extra + key if extra else key: exact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [exact(item) for item in value]
    return value


def restored(value: Any) -> Any:
    """What :func:`exact` was given, from what a parser made of its JSON."""
    if isinstance(value, dict):
        mark = _mark(value)
        if mark == _FLOAT:
            return number(value[mark])
        return {key[1:] if mark else key: restored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [restored(item) for item in value]
    return value


def _mark(table: Mapping[Any, Any]) -> str:
    """The only key of a table that stands for a float, or could be taken for one; else empty."""
    key = next(iter(table)) if len(table) == 1 else None
    return key if isinstance(key, str) and _LIKE_A_FLOAT.fullmatch(key) else ""
