"""From what somebody gave, in Python or by a file, to a space."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from kale_pm.errors import ParameterError, UsageError
from kale_pm.model import PYTHON, Parameter
from kale_pm.notebook.values import bind
from kale_pm.sweep.faults import LARGEST, empty, misfit, named, too_many
from kale_pm.sweep.ranges import Range, fitted
from kale_pm.sweep.space import Choices, Space


def space_of(
    parameters: Sequence[Parameter],
    given: Mapping[str, object],
    rows: Sequence[Mapping[str, Any]] = (),
    language: str = PYTHON,
) -> Space:
    """The space of the given values, crossed with the ``rows`` of a file or of a list.

    Of ``given``, every iterable varies but texts and mappings: lists, ranges, sets, generators,
    numpy arrays, pandas columns, and :class:`Range` and :class:`Choices`.  Anything else is
    fixed, and so is a single value.  For a parameter that is a list only a list of lists
    varies.  Every value is converted and checked as that of a run, but for those of Choices,
    and a text is no spelling of another value: it stays one where the parameter may hold it.
    The values of a row are never spread; its attribute ``place``, if it has one, says where it
    stands, and ``is_spelled`` that its texts are spellings.  ``language`` is that of the
    notebook.

    Raises ParameterError for an unknown name, a value that does not fit, and where there is
    none; UsageError for a name that stands in ``given`` and in a row, and for a row that is
    wrong, which it names.
    """
    fixed: dict[str, Any] = {}
    varied: dict[str, Choices | Range] = {}
    for name, value in given.items():
        found = _choices(named(parameters, name, language), value)
        values = _values(found)
        if values is not None and len(values) == 1:
            fixed[name] = values[0]
        else:
            varied[name] = found
    bound = [
        _row(parameters, given, row, getattr(row, "place", f"trial {number}"), language)
        for number, row in enumerate(rows, 1)
    ]
    return Space(fixed, varied, tuple(bound))


def _choices(parameter: Parameter, value: object) -> Choices | Range:
    if isinstance(value, Range):
        return fitted(parameter, value)
    if isinstance(value, Choices):
        values: Sequence[Any] = value.values
    else:
        several = _several(_plain(value))
        if several is None:
            return Choices((_bound(parameter, value),))
        if len(several) > LARGEST:
            raise too_many(parameter, parameter.name)
        if parameter.type == "list":
            _check_lists(parameter, several)
        values = [_bound(parameter, entry) for entry in several]
    if not values:
        raise empty(parameter, parameter.name)
    return Choices(tuple(values))


def _values(found: Choices | Range) -> Sequence[Any] | None:
    if isinstance(found, Choices):
        return found.values
    return None if found.count is None else found.spaced()


def _several(value: object) -> list[Any] | None:
    """The values that vary; None for a single one."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        return None
    # One more than allowed shows that there are too many, also of what never ends.
    entries = list(itertools.islice(value, LARGEST + 1))
    if not isinstance(value, Set):
        return entries
    try:
        return sorted(entries)
    except TypeError:
        return sorted(entries, key=repr)  # else the trials would come in a new order each time


def _check_lists(parameter: Parameter, several: Sequence[object]) -> None:
    for entry in several:
        is_list = isinstance(_plain(entry), (list, tuple))
        if not is_list and not (entry is None and parameter.optional):
            raise UsageError(
                f"parameter '{parameter.name}' is a list: is {several!r} one value, or several?",
                hint=f"write {parameter.name}=[{several!r}] for the one list, "
                f"{parameter.name}=[[...], [...]] for several",
            )


def _row(
    parameters: Sequence[Parameter],
    given: Mapping[str, object],
    row: object,
    place: str,
    language: str,
) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        hint = "give the trials as mappings: [{'depth': 3}, {'depth': 5}]"
        raise UsageError(f"{place}: {row!r} names no parameters", hint=hint)
    spelled = getattr(row, "is_spelled", False)
    values = {}
    for column, value in row.items():
        name = str(column)  # those of a data frame may be numbers
        if name in given:
            raise UsageError(
                f"{place}: the parameter '{name}' is given beside the trials, too",
                hint="give each parameter in one place",
            )
        try:
            values[name] = _bound(named(parameters, name, language), value, spelled=spelled)
        except ParameterError as error:
            raise UsageError(f"{place}: {error.message}", hint=error.hint) from None
    return values


def _bound(parameter: Parameter, value: object, *, spelled: bool = False) -> Any:
    try:
        plain = _plain_inside(value)
    except RecursionError:
        raise misfit(parameter, "it contains itself, or too much in each other") from None
    return bind([parameter], {parameter.name: plain}, spelled=spelled)[parameter.name]


def _plain_inside(value: object) -> object:
    """A value with all that it holds as Python's own ones."""
    value = _plain(value)
    if isinstance(value, dict):
        return {key: _plain_inside(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain_inside(entry) for entry in value]
    if isinstance(value, tuple):
        return tuple(_plain_inside(entry) for entry in value)
    return value


def _plain(value: object) -> object:
    """What numpy, pandas and their like hold, as Python's own values."""
    to_list = getattr(value, "tolist", None) or getattr(value, "to_list", None)
    return to_list() if callable(to_list) else value
