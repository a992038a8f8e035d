"""Values of parameters and metrics: as numbers, and as people read them."""

from __future__ import annotations

import math
import re
from html import escape
from typing import Any

from kale_pm import strict_json

# Neither XML nor a reader can take them: control characters, halves of characters, and what
# turns the direction of the text around.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
    r"\ufffe\uffff]"
)
_LONGEST = 200  # characters of one value; the CSV and the JSON hold all of them


def exact_number(value: object) -> float | None:
    """``value`` itself, or None if it is no finite number; a bool is none.

    An int stays one, for no float tells 2**60 from 2**60 + 1.

    >>> [exact_number(value) for value in (3, 0.5, True, "7", float("nan"), None)]
    [3, 0.5, None, None, None, None]
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if isinstance(value, int) or math.isfinite(value) else None


def finite_number(value: object) -> float | None:
    """``value`` as a float, for drawing; None if it is no finite number that a float can be.

    >>> [finite_number(value) for value in (3, 0.5, True, 2**1100)]
    [3.0, 0.5, None, None]
    """
    number = exact_number(value)
    try:
        return None if number is None else float(number)
    except OverflowError:
        return None


def number_text(number: float, digits: int = 6) -> str:
    """A number with so many significant digits, and no zeros for nothing.

    An int that no float can be has all its digits, or both ends of them.

    >>> [number_text(number) for number in (0.1, 1 / 3, 1e-05, 25_000_000, 40.0)]
    ['0.1', '0.333333', '1e-5', '2.5e7', '40']
    """
    try:
        text = f"{number:.{digits}g}"
    except OverflowError:
        return shortened(str(number), _LONGEST)
    mantissa, exponent, power = text.partition("e")
    return f"{mantissa}e{int(power)}" if exponent else text


def value_text(value: Any) -> str:
    """A value as a cell of a table shows it; of a very long one both ends.

    >>> [value_text(value) for value in (0.25, 40, True, "adam", [32, 32], None)]
    ['0.25', '40', 'True', 'adam', '[32, 32]', 'None']
    """
    if isinstance(value, float) and math.isfinite(value):
        return number_text(value)
    return shortened(visible(value if isinstance(value, str) else repr(value)), _LONGEST)


def json_text(value: object) -> str:
    """``value`` in one line of strict JSON; what JSON cannot hold stands there as its text."""
    return strict_json.dumps(value, ensure_ascii=False, default=str)


def shortened(text: str, length: int) -> str:
    """``text`` in at most ``length`` characters: both ends of a longer one, for they tell most.

    >>> shortened("data/2024/january.csv", 13)
    'data/2…ry.csv'
    """
    if len(text) <= length:
        return text
    end = (length - 1) // 2
    return f"{text[: length - 1 - end]}…{text[len(text) - end :]}"


def visible(text: str) -> str:
    r"""``text`` with characters that nobody can see or encode as escapes, such as ``\x1b``."""
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def html_text(text: str) -> str:
    """``text`` as HTML and SVG take it, between tags and in quotes alike."""
    return escape(visible(text))
