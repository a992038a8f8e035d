"""JSON that every parser reads.

Python writes ``NaN`` and ``Infinity`` bare, which is no JSON: browsers, jq and most languages
refuse the whole file.  Here such numbers are written as texts, and read back where the
place is known to hold a number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

_NUMBERS = {text: float(text) for text in ("NaN", "Infinity", "-Infinity")}


def dumps(value: object, **options: Any) -> str:
    """``value`` as strict JSON: ``json.dumps``, but that non-finite floats become texts.

    At any depth and as keys, NaN becomes "NaN", infinities "Infinity" and "-Infinity".
    ``options`` go to ``json.dumps`` (indent, sort_keys, default, ...).  Raises TypeError for
    what JSON cannot hold.
    """
    return json.dumps(finite(value), allow_nan=False, **options)


def finite(value: object) -> Any:
    """A copy of ``value`` in which texts stand for the non-finite floats, at any depth."""
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return "NaN"
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {finite(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def number(value: Any) -> Any:
    """The float that ``dumps`` wrote as a text; any other value as it is.

    For places that hold numbers, such as metrics: in others the text may be a text.
    """
    return _NUMBERS.get(value, value) if isinstance(value, str) else value
