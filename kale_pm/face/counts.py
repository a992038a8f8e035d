"""Counts as users give them."""

from __future__ import annotations

import sys
from numbers import Integral

from kale_pm.errors import UsageError


def count_of(name: str, given: object) -> int:
    """What was given as the option ``name``, an int of Python or of numpy.

    Raises UsageError for anything else, also for a bool.
    """
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise UsageError(f"{name}={given!r} is no whole number", hint=f"such as {name}=10")
    return int(given)


def count_or_none(name: str, given: object) -> int | None:
    """The same where None stands for no count."""
    return None if given is None else count_of(name, given)


def reports_of(given: object) -> int:
    """How many of the best trials get a report; None are all.

    Raises UsageError for what is no whole number from 0.
    """
    if given is None:
        return sys.maxsize
    count = count_of("reports", given)
    if count < 0:
        raise UsageError(f"reports={count} is below 0", hint="reports=None is a report for each")
    return count
