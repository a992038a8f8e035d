"""Where a value stands on an axis: by number, by magnitude, or one category beside the other."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kale_pm.trials.values import finite_number, number_text, value_text

_INTERVALS = 5  # about so many between the ticks of a long axis
_CHOICES = 8  # where a parameter has no more values than that, its ticks stand at them
_APART = 0.06  # of the axis: ticks that are nearer to each other would touch
_LARGEST = 1e300  # the numbers beyond it leave no room for round ones

# By how many times the largest value of a logarithmic axis is more than the smallest, at least.
_CHOSEN_BY_MAGNITUDE = 10
_MEASURED_BY_MAGNITUDE = 100


@dataclass(frozen=True)
class Tick:
    """A mark on an axis, which runs from place 0 to place 1."""

    place: float
    text: str


@dataclass(frozen=True)
class NumberScale:
    """An axis of numbers from ``low`` to ``high``.

    ``gap`` is the distance of the two nearest places where there are a few only, else 0.
    """

    low: float
    high: float
    ticks: tuple[Tick, ...] = ()
    is_logarithmic: bool = False
    gap: float = 0.0

    def place(self, value: object) -> float | None:
        """Where the value stands, from 0 to 1; None for what is no finite number."""
        number = finite_number(value)
        return None if number is None else _place(number, self.low, self.high, self.is_logarithmic)


@dataclass(frozen=True)
class CategoryScale:
    """An axis of any values, at equal distances of ``gap``."""

    places: Mapping[str, float]
    ticks: tuple[Tick, ...]
    gap: float

    def place(self, value: object) -> float | None:
        """Where the value stands, from 0 to 1; None for one that the axis does not have."""
        return self.places.get(repr(value))


Scale = NumberScale | CategoryScale


def choice_scale(values: Sequence[object], *, logarithmic: bool = False) -> Scale:
    """The axis of a parameter that has these ``values``, of which there is at least one.

    Numbers stand by number, or by magnitude: where that is wanted and all are positive, or where
    they show that they were chosen so.  Where there are a few of them, the ticks are they.
    Everything else stands in the order in which it first appears, False before True.
    """
    numbers = [number for number in map(finite_number, values) if number is not None]
    if len(numbers) < len(values):
        return _categories(values)
    distinct = sorted(set(numbers))
    by_magnitude = distinct[0] > 0 and (
        logarithmic or _differ_in_magnitude(numbers, _CHOSEN_BY_MAGNITUDE)
    )
    low, high = distinct[0], distinct[-1]
    ticks = tuple(Tick(_place(n, low, high, by_magnitude), number_text(n)) for n in distinct)
    gap = min((b.place - a.place for a, b in pairwise(ticks)), default=1.0)
    if len(ticks) <= _CHOICES and gap >= _APART:
        return NumberScale(low, high, ticks, by_magnitude, gap)
    return _spacious(low, high, by_magnitude)


def measure_scale(numbers: Sequence[float]) -> NumberScale:
    """The axis of a metric that has these finite ``numbers``, of which there is at least one."""
    low, high = min(numbers), max(numbers)
    if low == high:
        return NumberScale(low, high, (Tick(0.5, number_text(low)),))
    return _spacious(low, high, _differ_in_magnitude(numbers, _MEASURED_BY_MAGNITUDE))


def _differ_in_magnitude(numbers: Sequence[float], times: float) -> bool:
    """Whether numbers fill an axis better by their magnitudes than by themselves.

    The largest must be so many ``times`` the smallest.
    """
    low, high = min(numbers), max(numbers)
    if low <= 0 or high < times * low:
        return False
    middle = statistics.median_low(numbers)
    by_number, by_magnitude = (_place(middle, low, high, way) for way in (False, True))
    return abs(by_magnitude - 0.5) <= abs(by_number - 0.5)


def _place(number: float, low: float, high: float, by_magnitude: bool) -> float:
    if by_magnitude:
        number, low, high = (math.log10(each) for each in (number, low, high))
    if low == high:
        return 0.5
    if math.isinf(high - low):  # their distance is more than a float holds
        number, low, high = number / 2, low / 2, high / 2
    return (number - low) / (high - low)


def _spacious(low: float, high: float, by_magnitude: bool) -> NumberScale:
    """From a round number below ``low`` to one above ``high``, with ticks at round numbers."""
    rounds = list(_magnitudes(low, high) if by_magnitude else _steps(low, high))
    if len(rounds) < 2:  # the ends are as good as equal, or at the limits of floats
        rounds = [(low, repr(low)), (high, repr(high))]
    low, high = rounds[0][0], rounds[-1][0]
    shown = _decades(rounds) if by_magnitude else rounds
    ticks = tuple(Tick(_place(n, low, high, by_magnitude), text) for n, text in shown)
    return NumberScale(low, high, ticks, by_magnitude)


def _steps(low: float, high: float) -> Iterator[tuple[float, str]]:
    """Multiples of 1, 2 or 5 times a power of ten that enclose both numbers, and their texts."""
    span = high - low
    largest = max(abs(low), abs(high))
    if largest > _LARGEST or span < max(1e-9 * largest, 1 / _LARGEST):
        return
    rough = span / _INTERVALS
    power = math.floor(math.log10(rough))
    step = next(m * 10.0**power for m in (1, 2, 5, 10) if m * 10.0**power >= rough * (1 - 1e-9))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    is_plain = 1e-4 <= largest < 1e6 and decimals <= 6
    digits = 2 + math.ceil(math.log10(largest / step))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    for multiple in range(first, last + 1):
        number = multiple * step
        yield number, f"{number:.{decimals}f}" if is_plain else number_text(number, digits)


def _magnitudes(low: float, high: float) -> Iterator[tuple[float, str]]:
    """Of the 1, 2 and 5 of each power of ten those from one below ``low`` to one above ``high``."""
    if low < 1 / _LARGEST or high > _LARGEST:
        return
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    rounds = [float(f"{m}e{power}") for power in range(first, last + 1) for m in (1, 2, 5)]
    start = max(index for index, number in enumerate(rounds) if number <= low * (1 + 1e-9))
    end = min(index for index, number in enumerate(rounds) if number >= high * (1 - 1e-9))
    for number in rounds[start : end + 1]:
        yield number, number_text(number)


def _decades(rounds: Sequence[tuple[float, str]]) -> Sequence[tuple[float, str]]:
    """Those of the round numbers that get a tick: powers of ten, if there are enough of them."""
    powers = [(n, text) for n, text in rounds if math.log10(n) == round(math.log10(n))]
    if len(powers) < 3:
        return rounds if len(rounds) <= 7 else rounds[:: math.ceil(len(rounds) / 7)]
    return powers[:: math.ceil(len(powers) / 7)]


def _categories(values: Sequence[object]) -> CategoryScale:
    distinct = list({repr(value): value for value in values}.values())
    if all(isinstance(value, bool) for value in distinct):
        distinct.sort(key=bool)
    steps = len(distinct) - 1
    places = [index / steps if steps else 0.5 for index in range(len(distinct))]
    return CategoryScale(
        {repr(value): place for value, place in zip(distinct, places, strict=True)},
        tuple(Tick(p, value_text(value)) for value, p in zip(distinct, places, strict=True)),
        gap=1 / steps if steps else 1.0,
    )
