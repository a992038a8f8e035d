"""What varies, as text: ``0.1,0.01``, ``0:10:2``, ``1e-4..1e-1 log 7``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from kale_pm.model import PYTHON, Parameter
from kale_pm.notebook.values import bind
from kale_pm.sweep.faults import LARGEST, empty, misfit, named, too_many
from kale_pm.sweep.ranges import Range, fitted, not_for
from kale_pm.sweep.space import Choices

_SPACED = re.compile(r"(\S+?)\s*\.\.\s*(\S+)(\s+log)?(?:\s+(\S+))?")
_NUMBER = r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*"
_LIKE_A_RANGE = re.compile(
    rf"{_NUMBER}:{_NUMBER}(?::{_NUMBER})?|{_NUMBER}\.\.{_NUMBER}(?:log\b)?\s*\d*\s*"
)
_CLOSING = {"[": "]", "{": "}", "(": ")"}
_QUOTES = "\"'"
_LARGEST_EXPONENT = 300  # beyond it a fraction takes long, and a float may have no room


def read_choices(parameter: Parameter, text: str) -> Choices | Range:
    """The values of one parameter: parts between commas, each of which may be a range.

    Commas within brackets and quotes separate nothing.  Every part is read as the value of
    ``-p name=value`` is; of a text, one pair of quotes round the whole of it is taken off.
    For int and float, ``start:stop:step`` is Python's range, ``a..b N`` are N evenly spaced
    numbers with both ends, ``a..b log N`` evenly spaced in the logarithm, and ``a..b`` is
    left for random draws.

    Raises ParameterError where a part does not fit, where brackets or quotes are left open,
    and where there is no value at all.
    """
    try:
        parts = _parts(text, is_text=parameter.type == "str")
    except ValueError as error:
        raise misfit(parameter, str(error)) from None
    if len(parts) == 1:
        found = _part(parameter, parts[0])
        return found if isinstance(found, Range) else Choices(tuple(found))
    values: list[Any] = []
    for part in parts:
        found = _part(parameter, part.strip())
        if isinstance(found, Range) and found.count is None:
            reason = f"{found} among other values needs a count: write {found} 5 for 5 of them"
            raise misfit(parameter, reason)
        values += found.spaced() if isinstance(found, Range) else found
        if len(values) > LARGEST:
            raise too_many(parameter, "the list")
    return Choices(tuple(values))


def read_assignments(
    parameters: Sequence[Parameter], given: Mapping[str, str], language: str = PYTHON
) -> dict[str, Choices | Range]:
    """:func:`read_choices` of every assignment of a command line, by the parameter's name.

    Raises ParameterError for an unknown name too.  ``language`` is that of the notebook.
    """
    return {
        name: read_choices(named(parameters, name, language), text) for name, text in given.items()
    }


def _parts(text: str, *, is_text: bool) -> list[str]:
    ends = [*_commas(text, is_text=is_text), len(text)] if "," in text else [len(text)]
    starts = [0, *(end + 1 for end in ends)]
    return [text[start:end] for start, end in zip(starts, ends, strict=False)]


def _commas(text: str, *, is_text: bool) -> list[int]:
    """Where the commas stand that separate values.  Raises ValueError for what is left open."""
    found: list[int] = []
    brackets: list[int] = []
    quoted_since: int | None = None
    at_start = True
    skip = False
    for place, sign in enumerate(text):
        if skip:
            skip = False
        elif quoted_since is not None:
            # JSON escapes the quotes inside of a text; a bare text, a Windows path say, does not.
            skip = sign == "\\" and (bool(brackets) or not is_text)
            if sign == text[quoted_since]:
                quoted_since = None
        elif (at_start and sign in _QUOTES) or (brackets and sign == '"'):
            quoted_since = place
        elif sign in _CLOSING:
            brackets.append(place)
        elif sign in _CLOSING.values():
            if not brackets or _CLOSING[text[brackets.pop()]] != sign:
                raise ValueError(_open(text, place, "closes nothing"))
        elif sign == "," and not brackets:
            found.append(place)
        if sign == "," and not brackets:
            at_start = True
        elif not sign.isspace():
            at_start = False
    if quoted_since is not None:
        raise ValueError(_open(text, quoted_since, "is not closed"))
    if brackets:
        raise ValueError(_open(text, brackets[-1], "is not closed"))
    return found


def _open(text: str, place: int, what: str) -> str:
    advice = "put a text that has brackets, quotes or commas of its own in quotes"
    return f"the {text[place]} in column {place + 1} of {text} {what}; {advice}"


def _part(parameter: Parameter, part: str) -> Sequence[Any] | Range:
    match parameter.type:
        case "int" | "float" if ".." in part:
            return _spaced(parameter, part.strip())
        case "int" | "float" if ":" in part:
            return _stepped(parameter, part.strip())
        case "any" if _LIKE_A_RANGE.fullmatch(part):
            reason = f"{not_for(parameter, part.strip())}; put it in quotes if it is a text"
            raise misfit(parameter, reason)
        case "str" | "any" if _is_quoted(part, parameter):
            return [part.strip()[1:-1]]
    return [bind([parameter], {parameter.name: part})[parameter.name]]


def _is_quoted(part: str, parameter: Parameter) -> bool:
    """Whether one pair of quotes stands round all of it; double ones JSON itself understands."""
    quotes = _QUOTES if parameter.type == "str" else "'"
    inner = part.strip()
    return len(inner) > 1 and inner[0] in quotes and inner.find(inner[0], 1) == len(inner) - 1


def _stepped(parameter: Parameter, text: str) -> list[float]:
    """The numbers of Python's ``range``, of floats too."""
    bounds = text.split(":")
    if len(bounds) > 3:
        raise misfit(parameter, f"{text} is no range: write start:stop or start:stop:step")
    start, stop, step = ([_number(parameter, bound, text) for bound in bounds] + [Fraction(1)])[:3]
    if not step:
        raise misfit(parameter, f"the step of {text} is 0: write {bounds[0]}:{bounds[1]}:1")
    if (stop - start) * step < 0:
        turned = int(-step) if step.denominator == 1 else float(-step)
        right = f"{bounds[0]}:{bounds[1]}:{turned}"
        raise misfit(parameter, f"the step of {text} leads away from its end: write {right}")
    count = math.ceil((stop - start) / step)
    if not count:
        raise empty(parameter, text)
    if count > LARGEST:
        raise too_many(parameter, text)
    # Fractions, so that 0:1:0.1 has no 0.30000000000000004.
    numbers = (start + place * step for place in range(count))
    return [int(n) if parameter.type == "int" else float(n) for n in numbers]


def _spaced(parameter: Parameter, text: str) -> Range:
    found = _SPACED.fullmatch(text)
    if found is None:
        reason = f"{text} is no range: write start..stop, and then how many: 1..2 5 or 1..100 log 5"
        raise misfit(parameter, reason)
    first, last, log, number = found.groups()
    start, stop = (_number(parameter, end, text) for end in (first, last))
    if number is not None and not re.fullmatch(r"[-+]?\d{1,20}", number):
        reason = f"{number} in {text} is no count: write {first}..{last}{log or ''} 5 for 5 values"
        raise misfit(parameter, reason)
    count = None if number is None else int(number)
    whole = parameter.type == "int"
    low, high = (int(end) if whole else float(end) for end in (start, stop))
    return fitted(parameter, Range(low, high, count, log=log is not None))


def _number(parameter: Parameter, text: str, whole: str) -> Fraction:
    """The exact number that ``text``, a part of ``whole``, spells."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        raise misfit(parameter, f"'{text}' in {whole} is no number") from None
    if not number.is_finite() or abs(number.adjusted()) > _LARGEST_EXPONENT:
        reason = f"'{text}' in {whole} is no number that a range can begin, end or go on with"
        raise misfit(parameter, reason)
    exact = Fraction(number)
    if parameter.type == "int" and exact.denominator != 1:
        raise misfit(parameter, f"'{text}' in {whole} is no int")
    return exact
