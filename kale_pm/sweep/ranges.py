"""Numbers between two ends: evenly spaced, or drawn at random."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

from kale_pm.model import Parameter
from kale_pm.sweep.faults import LARGEST, misfit, too_many


@dataclass(frozen=True)
class Range:
    """Numbers between two ends, which both belong to it.

    ``count`` of them are evenly spaced, in the logarithm with ``log``.  Without a count they
    are drawn at random, as many as are wanted.  ``whole`` leaves integers alone; the type of
    the parameter decides on it, whatever is given here.

    >>> print(Range(0.0001, 0.1, 7, log=True))
    0.0001..0.1 log 7
    """

    start: float
    stop: float
    count: int | None = None
    log: bool = False
    whole: bool = False

    def __str__(self) -> str:
        log = " log" if self.log else ""
        count = "" if self.count is None else f" {self.count}"
        return f"{_short(self.start)}..{_short(self.stop)}{log}{count}"

    def spaced(self) -> tuple[float, ...]:
        """The ``count`` numbers; integers that rounding made equal stand there once."""
        if self.count is None:
            raise ValueError(f"{self} has no count")
        return tuple(dict.fromkeys(self._spaced(self.count)))

    def drawn(self, generator: Random) -> float:
        """A number between the ends, all equally likely; with ``log`` its logarithm is."""
        low, high = sorted((self.start, self.stop))
        if self.whole:
            # So that the ends, to which half as many numbers are rounded, are no rarer.
            low, high = low - 0.5, high + 0.5
        return self._tidy(_between(low, high, generator.random(), self.log))

    def _spaced(self, count: int) -> Iterator[float]:
        yield self.start
        for place in range(1, count - 1):
            share = Fraction(place, count - 1)
            if self.log:
                yield self._tidy(_between(self.start, self.stop, float(share), log=True))
            else:
                # As fractions, since the floats of -0.1..0.2 4 would miss the 0.
                low, high = Fraction(str(self.start)), Fraction(str(self.stop))
                yield self._tidy(low + (high - low) * share)
        if count > 1:
            yield self.stop

    def _tidy(self, number: float | Fraction) -> float:
        """As it reads best: 0.001 where the arithmetic gave 0.0010000000000000002."""
        near = round(number) if self.whole else float(f"{float(number):.12g}")
        return min(max(near, min(self.start, self.stop)), max(self.start, self.stop))


def fitted(parameter: Parameter, wanted: Range) -> Range:
    """``wanted`` with ends of the parameter's type, int or float.

    Raises ParameterError where they do not fit, where a logarithm has none, where ``count``
    is below 1 or beyond ``LARGEST``, and for a parameter of another type.
    """
    if parameter.type not in ("int", "float"):
        raise misfit(parameter, not_for(parameter, str(wanted)))
    whole = parameter.type == "int"
    start, stop = (_end(parameter, wanted, end) for end in (wanted.start, wanted.stop))
    if wanted.log and min(start, stop) <= 0:
        reason = f"{wanted} has no logarithm: let both ends be above 0, as in 0.001..1 log 4"
        raise misfit(parameter, reason)
    count = _count(parameter, wanted, wanted.count)
    return replace(wanted, start=start, stop=stop, count=count, whole=whole)


def not_for(parameter: Parameter, text: str) -> str:
    """Why the range ``text`` cannot be meant for the parameter, and what to write."""
    if parameter.type == "any":
        name = parameter.name
        return (
            f"{text} is a range, and its type is not known: annotate it in the notebook, as in "
            f"{name}: int | None = {parameter.default!r}, or list the values"
        )
    return f"{text} is a range, which a {parameter.type} cannot have: list the values"


def _end(parameter: Parameter, wanted: Range, end: object) -> float:
    if isinstance(end, bool) or not isinstance(end, numbers.Real):
        raise misfit(parameter, f"{end!r} is no number, as an end of a range has to be")
    try:
        number = float(end)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise misfit(parameter, f"the ends of {wanted} have to be finite numbers")
    if parameter.type == "float":
        return number
    if isinstance(end, numbers.Integral):
        return int(end)  # exact, however large
    if not number.is_integer():
        raise misfit(parameter, f"{end!r} is no int, as an end of this range has to be")
    return int(number)


def _count(parameter: Parameter, wanted: Range, count: object) -> int | None:
    if count is None:
        return None
    right = f"write {replace(wanted, count=5)} for 5 of them"
    if isinstance(count, bool) or not isinstance(count, numbers.Integral):
        raise misfit(parameter, f"{count!r} is no count of values: {right}")
    number = int(count)
    if number < 1:
        raise misfit(parameter, f"there is no trial: {wanted} has no value; {right}")
    if number > LARGEST:
        raise too_many(parameter, str(wanted))
    return number


def _short(number: object) -> str:
    return f"{number:.12g}" if isinstance(number, float) else str(number)


def _between(low: float, high: float, share: float, log: bool) -> float:
    if log:
        return math.exp(math.log(low) * (1 - share) + math.log(high) * share)
    return low * (1 - share) + high * share
