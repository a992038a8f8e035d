"""The space of a sweep: what is fixed, what varies, and the trials that it has."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from kale_pm.errors import UsageError
from kale_pm.model import Parameter
from kale_pm.notebook.values import bind
from kale_pm.sweep.faults import LARGEST
from kale_pm.sweep.ranges import Range

# After so many draws in a row that were there before, nothing new is expected any more.
_MISSES = 100_000

# What one dimension of a space adds to a trial, each of its values in turn.
_Axis = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Choices:
    """The values of one parameter, in their order and of the parameter's type."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Space:
    """What the trials of a sweep are made of; all values are of their parameters' types.

    The ``rows`` of a file are crossed with the choices of ``varied``; no name stands in both,
    nor in ``fixed``.
    """

    fixed: Mapping[str, Any] = field(default_factory=dict)
    varied: Mapping[str, Choices | Range] = field(default_factory=dict)
    rows: tuple[Mapping[str, Any], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that vary, those of the rows first."""
        return tuple(dict.fromkeys([*itertools.chain.from_iterable(self.rows), *self.varied]))

    @property
    def size(self) -> int | None:
        """How many combinations there are, equal ones included; None where numbers are drawn."""
        lengths = [_length(found) for found in self.varied.values()]
        if None in lengths:
            return None
        return math.prod([len(self.rows) or 1, *(length or 0 for length in lengths)])


@dataclass(frozen=True)
class Trial:
    """One run of a sweep: its number, from 1, and the values of all parameters."""

    number: int
    parameters: Mapping[str, Any]


def grid(space: Space) -> Iterator[dict[str, Any]]:
    """Every combination, without the defaults; what was given last changes fastest.

    Raises UsageError where a range has no count.
    """
    for name, found in space.varied.items():
        if isinstance(found, Range) and found.count is None:
            raise UsageError(
                f"parameter '{name}': {found} does not say how many values",
                hint=f"write {name}={found} 5 for 5 of them, or draw trials with --random 20",
            )
    axes = [_rows(space), *(_axis(name, found) for name, found in space.varied.items())]
    for parts in itertools.product(*axes):
        yield _joined(space, parts)


def draws(space: Space, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """At most ``count`` different combinations, drawn at random: equal for equal seeds.

    In which order the parameters were given makes no difference.  There are fewer only where
    no more were found.
    """
    generator = Random(seed)
    axes = [_rows(space)]
    ranges: dict[str, Range] = {}
    for name, found in sorted(space.varied.items()):
        if isinstance(found, Range) and found.count is None:
            ranges[name] = found
        else:
            axes.append(_axis(name, found))
    size = math.prod(map(len, axes))
    if not ranges and size <= sys.maxsize:
        for place in generator.sample(range(size), min(count, size)):
            yield _joined(space, _at(axes, place))
        return
    seen: set[str] = set()
    misses = 0
    while len(seen) < count and misses < _MISSES:
        parts = [generator.choice(axis) for axis in axes]
        parts += ({name: found.drawn(generator)} for name, found in ranges.items())
        if repr(parts) in seen:
            misses += 1
            continue
        seen.add(repr(parts))
        misses = 0
        yield _joined(space, parts)


def trials(
    parameters: Sequence[Parameter],
    space: Space,
    *,
    random: int | None = None,
    seed: int = 0,
) -> tuple[tuple[Trial, ...], tuple[str, ...]]:
    """The trials of a sweep, and warnings: the whole grid, or ``random`` draws from the space.

    Of equal trials the first alone is left.  Raises UsageError for a range without a count
    where nothing is drawn, for less than one draw, for a ``seed`` below 0, and for more trials
    than a million.
    """
    if seed < 0:  # Python's generator takes it for the number without the sign
        raise UsageError(f"the seed {seed} is below 0", hint=f"take another one: --seed {-seed}")
    warnings = []
    size = space.size
    wanted = size if random is None else random
    if random is not None and random < 1:
        raise UsageError(f"{random} draws give no trial", hint="draw at least 1: --random 20")
    if random is not None and size is not None and size <= random:
        if size < random:
            warnings.append(f"{_counted(random)} were to be drawn, but the whole grid has {size:,}")
        random, wanted = None, size
    if wanted is not None and wanted > LARGEST:
        hint = "draw some of them: --random 100"
        raise UsageError(f"{wanted:,} trials are more than {LARGEST:,}", hint=hint)
    found = list(grid(space) if random is None else draws(space, random, seed))
    if random is not None and len(found) < random:
        warnings.append(
            f"{_counted(random)} were to be drawn, but no more than {len(found):,} differ"
        )
    defaults = bind(parameters, {})
    names = space.names
    unique: dict[tuple[str, ...], dict[str, Any]] = {}
    for values in found:
        whole = {**defaults, **values}
        unique.setdefault(tuple(repr(whole[name]) for name in names), whole)
    equal = len(found) - len(unique)
    if equal:
        are = "trial is" if equal == 1 else "trials are"
        warnings.append(f"{equal:,} {are} left out, being equal to another")
    numbered = enumerate(unique.values(), 1)
    return tuple(Trial(number, values) for number, values in numbered), tuple(warnings)


def _length(found: Choices | Range) -> int | None:
    if isinstance(found, Choices):
        return len(found.values)
    return None if found.count is None else len(found.spaced())


def _counted(count: int) -> str:
    return f"{count:,} trial" if count == 1 else f"{count:,} trials"


def _rows(space: Space) -> _Axis:
    return space.rows or [{}]


def _axis(name: str, found: Choices | Range) -> _Axis:
    values = found.values if isinstance(found, Choices) else found.spaced()
    return [{name: value} for value in values]


def _at(axes: Sequence[_Axis], place: int) -> list[Mapping[str, Any]]:
    """The combination at ``place`` of the grid, without making those before it."""
    parts: list[Mapping[str, Any]] = []
    for axis in reversed(axes):
        place, index = divmod(place, len(axis))
        parts.append(axis[index])
    return parts


def _joined(space: Space, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {**space.fixed, **{name: value for part in parts for name, value in part.items()}}
