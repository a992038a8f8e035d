"""Ages and sizes as people write them: ``30d``, ``12h``, ``5GB``."""

from __future__ import annotations

import re

from kale_pm.errors import UsageError

_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_BYTES = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_age(text: str) -> float:
    """Seconds of an age such as ``30d``; UsageError for what is none.

    >>> [parse_age(text) for text in ("90m", "12h", "1.5 d", "2w")]
    [5400.0, 43200.0, 129600.0, 1209600.0]
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhdw])", text.strip().lower())
    if match is None:
        raise UsageError(f"'{text}' is no age", hint="write minutes, hours, days or weeks: 30d")
    return float(match[1]) * _SECONDS[match[2]]


def parse_size(text: str) -> int:
    """Bytes of a size such as ``5GB``; UsageError for what is none.

    >>> [parse_size(text) for text in ("0", "300 kB", "5GB", "1.5g", "2GiB")]
    [0, 300000, 5000000000, 1500000000, 2147483648]
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", text.strip().lower())
    factor = {**_BYTES, **_BINARY}.get(match[2]) if match else None
    if match is None or factor is None:
        raise UsageError(f"'{text}' is no size", hint="write it like 500MB, 5GB or 2GiB")
    return int(float(match[1]) * factor)
