"""What kale-pm promises of runs on this machine, and whether a measurement kept it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rounds import Figure
from ways import (
    API,
    COMMAND,
    ELYRA,
    ENGINE,
    HELP,
    PAPERMILL_API,
    PAPERMILL_COMMAND,
    PLOOMBER,
)

Unit = Literal["x", "s", "ms", "MB"]
_SIZES: dict[Unit, float] = {"x": 1, "s": 1, "ms": 1e-3, "MB": 1e6}  # in what is measured


@dataclass(frozen=True)
class Limit:
    """With a ``peer``: how many times as fast as it ``way`` must be.  Else the most that is taken.

    ``what`` is the key of the measurement: seconds, or bytes of memory.
    """

    part: str
    way: str
    number: float
    peer: str | None = None
    what: str = "seconds"

    @property
    def unit(self) -> Unit:
        if self.peer is not None:
            return "x"
        return {"memory": "MB", "overhead": "ms"}.get(self.what, "s")  # type: ignore[return-value]

    @property
    def size(self) -> float:
        """One of its units, in what is measured."""
        return _SIZES[self.unit]

    @property
    def digits(self) -> int:
        return {"MB": 0, "ms": 1}.get(self.unit, 2)

    @property
    def subject(self) -> str:
        """What is limited, in words."""
        if self.peer is not None:
            return f"{self.way}, times as fast as {self.peer}"
        return self.way if self.what == "seconds" else f"{self.way}, {self.what}"


LIMITS = (
    Limit("dag", COMMAND, 5, PAPERMILL_API),
    Limit("dag", API, 5, PAPERMILL_API),
    Limit("dag", COMMAND, 8, PAPERMILL_COMMAND),
    Limit("dag", API, 8, PAPERMILL_COMMAND),
    Limit("dag", COMMAND, 4, PLOOMBER),
    Limit("dag", COMMAND, 4, ELYRA),
    Limit("small", COMMAND, 2.5),
    Limit("small", COMMAND, 0.5, what="again"),
    Limit("cells", ENGINE, 3, PAPERMILL_API),
    Limit("cells", COMMAND, 3, PAPERMILL_COMMAND),
    Limit("output", ENGINE, 4, PAPERMILL_API),
    Limit("output", COMMAND, 4, PAPERMILL_COMMAND),
    Limit("memory", COMMAND, 150, what="memory"),
    Limit("help", HELP, 0.25),
)


@dataclass(frozen=True)
class Verdict:
    """A limit, and what was found, in the limit's unit."""

    title: str
    limit: Limit
    found: float

    @property
    def is_kept(self) -> bool:
        if self.limit.peer is not None:
            return self.found >= self.limit.number
        return self.found <= self.limit.number


def verdicts(figures: Iterable[Figure], limits: Sequence[Limit] = LIMITS) -> Iterator[Verdict]:
    """One for each of the limits whose ways were measured."""
    for figure in figures:
        for limit in limits:
            found = _found(figure, limit) if limit.part == figure.name else None
            if found is not None:
                yield Verdict(figure.title, limit, found)


def _found(figure: Figure, limit: Limit) -> float | None:
    ours = figure.series.get(limit.way)
    if ours is None:
        return None
    if limit.peer is not None:
        peer = figure.series.get(limit.peer)
        return peer.ratio(ours, limit.what) if peer is not None else None
    median = ours.median(limit.what)
    return None if median is None else median / limit.size
