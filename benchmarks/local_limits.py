"""What kale-pm promises of runs on this machine, and whether a measurement kept it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

Unit = Literal["x", "s", "MB"]


@dataclass(frozen=True)
class Limit:
    """With a ``peer``: how many times as fast as it ``way`` must be.  Else the most that is taken.

    ``what`` is the key of the measurement.
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
        return "MB" if self.what == "memory" else "s"


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
    """A limit, and what was found: times as fast as the peer, seconds, or megabytes."""

    title: str
    limit: Limit
    found: float

    @property
    def is_kept(self) -> bool:
        if self.limit.peer is not None:
            return self.found >= self.limit.number
        return self.found <= self.limit.number


def verdicts(figures: Sequence[Figure]) -> Iterator[Verdict]:
    """One for each limit whose ways were measured."""
    for figure in figures:
        for limit in LIMITS:
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
    return median / 1e6 if median is not None and limit.unit == "MB" else median
