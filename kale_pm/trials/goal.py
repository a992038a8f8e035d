"""Which trial is the best, and when a sweep has found enough."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kale_pm.errors import UsageError
from kale_pm.trials.values import exact_number, number_text

if TYPE_CHECKING:
    from kale_pm.trials.table import TrialRow

Direction = Literal["max", "min"]
Comparison = Literal[">=", "<=", ">", "<"]

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION = re.compile(r"(?P<metric>[^<>=]+)(?P<comparison>>=|<=|>|<)(?P<value>[^<>=]+)")


@dataclass(frozen=True)
class Goal:
    """The metric that decides, and whether the highest or the lowest value is the best."""

    metric: str
    direction: Direction

    def __str__(self) -> str:
        return f"{self.metric}:{self.direction}"


@dataclass(frozen=True)
class Condition:
    """What the metric of one trial must be for the sweep to end."""

    metric: str
    comparison: Comparison
    value: float

    def __str__(self) -> str:
        is_whole = isinstance(self.value, int)
        value = str(self.value) if is_whole else number_text(self.value, digits=12)
        return f"{self.metric}{self.comparison}{value}"

    def holds(self, metrics: Mapping[str, Any]) -> bool:
        """Whether ``metrics`` have the number, and it is as the condition wants it."""
        value = exact_number(metrics.get(self.metric))
        return value is not None and _COMPARE[self.comparison](value, self.value)


def read_goal(text: str) -> Goal:
    """The goal that is spelled ``metric:max`` or ``metric:min``.

    Raises UsageError for anything else: no name tells whether more of it is better.
    """
    if not isinstance(text, str):
        raise UsageError(f"{text!r} names no metric", hint="write it as 'accuracy:max'")
    metric, _, word = (part.strip() for part in text.rpartition(":"))
    if metric and word in ("max", "min"):
        return Goal(metric, "max" if word == "max" else "min")
    if not metric and word in ("", "max", "min"):
        raise UsageError(f"'{text}' names no metric", hint="write it as accuracy:max or loss:min")
    name = metric or word
    raise UsageError(
        f"'{text}' does not say whether the highest or the lowest value is the best",
        hint=f"write it as {name}:max or {name}:min",
    )


def read_condition(text: str) -> Condition:
    """The condition that is spelled ``metric>=number``, also with ``<=``, ``>`` or ``<``.

    Raises UsageError for anything else.
    """
    if not isinstance(text, str):
        raise UsageError(f"{text!r} is no condition", hint="write it as 'accuracy>=0.95'")
    match = _CONDITION.fullmatch(text)
    if match is None or not match["metric"].strip():
        raise UsageError(
            f"'{text}' is no condition",
            hint="write it as accuracy>=0.95, with >=, <=, > or <, and in quotes for the shell",
        )
    value = _number(match["value"])
    if value is None:
        raise UsageError(
            f"'{text}': '{match['value'].strip()}' is no number", hint="such as accuracy>=0.95"
        )
    comparison: Comparison = match["comparison"]  # type: ignore[assignment]
    return Condition(match["metric"].strip(), comparison, value)


def _number(text: str) -> float | None:
    """The finite number that ``text`` spells; an int is exact."""
    for read in (int, float):
        try:
            return exact_number(read(text))
        except ValueError:
            continue
    return None


def deciding_value(row: TrialRow, goal: Goal) -> float | None:
    """The finite number by which a trial is ranked; None if it has none, or was not done."""
    return exact_number(row.metrics.get(goal.metric)) if row.is_success else None


def best(rows: Sequence[TrialRow], goal: Goal) -> TrialRow | None:
    """The trial that comes nearest to the goal; of equal ones that of the lower number.

    None if no trial that was done has the metric as a finite number.
    """
    first = next(iter(ranking(rows, goal)), None)
    return first if first and deciding_value(first, goal) is not None else None


def ranking(rows: Sequence[TrialRow], goal: Goal | None) -> tuple[TrialRow, ...]:
    """All trials: the ranked ones with the best first, then the others by number.

    Without a goal, all by number.
    """
    return tuple(sorted(rows, key=lambda row: _place(row, goal)))


def _place(row: TrialRow, goal: Goal | None) -> tuple[bool, float, int]:
    value = deciding_value(row, goal) if goal else None
    if goal is None or value is None:
        return True, 0, row.number
    return False, -value if goal.direction == "max" else value, row.number
