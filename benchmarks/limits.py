"""What kale-pm promises of saving and loading, and whether a run kept it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from marshallers import OURS, PLAIN, UNHASHED
from payloads import PAYLOADS
from rounds import Figure, Series

MAPPED = ("array", "frame", "table", "state")
NOISE = 1.05  # two tools that read the same pages the same way differ by this much


@dataclass(frozen=True)
class Verdict:
    """``unit`` is "x" for a ratio, else "ms" or "MB"."""

    what: str
    found: float
    limit: float
    unit: str

    @property
    def is_kept(self) -> bool:
        return self.found <= self.limit


def of_payload(figure: Figure) -> Iterator[Verdict]:
    """Limits of saving and loading one payload; none for what was not measured."""
    ours, title = figure.series.get(OURS), figure.title
    if ours is None:
        return
    if PAYLOADS[figure.name].limits == "buffers":
        yield from _ratio(f"{title}: save without hash", figure, UNHASHED, 1.1)
        yield from _ratio(f"{title}: save", figure, OURS, 1.45)
        peak = _median(ours, "save_peak") / 1e6
        yield Verdict(f"{title}: save, extra memory", peak, 20, "MB")
    else:
        yield from _ratio(f"{title}: save", figure, OURS, 1.3)
    if figure.name in MAPPED:
        load = _median(ours, "load_untouched") * 1000
        yield Verdict(f"{title}: load, untouched", load, 5, "ms")
        worst = _worst(ours, figure.series)
        if worst is not None:
            peer, ratio = worst
            yield Verdict(f"{title}: load and touch, to {peer}", ratio, NOISE, "x")


def of_variables(figure: Figure) -> Iterator[Verdict]:
    ratio = figure.ratio("analysis", "seconds")
    if ratio is not None:
        yield Verdict(f"{figure.title}: analysis", ratio, 1.5, "x")


def of_unchanged(figure: Figure) -> Iterator[Verdict]:
    for way, series in figure.series.items():
        where = "" if way == "alone" else ", libraries imported"
        milliseconds = _median(series, "seconds") * 1000
        yield Verdict(f"{figure.title}{where}", milliseconds, 10, "ms")


def of_scalar(figure: Figure) -> Iterator[Verdict]:
    yield Verdict(figure.title, _median(figure.series["load"], "seconds") * 1000, 2, "ms")


def _ratio(what: str, figure: Figure, tool: str, limit: float) -> Iterator[Verdict]:
    ratio = figure.ratio(tool, "save_seconds")
    if ratio is not None:
        yield Verdict(f"{what}, to {PLAIN}", ratio, limit, "x")


def _worst(ours: Series, series: Mapping[str, Series]) -> tuple[str, float] | None:
    """The peer beside which loading and touching looks worst, and how much longer it takes."""
    found = {
        tool: ratio
        for tool, other in series.items()
        if tool not in (OURS, UNHASHED) and (ratio := ours.ratio(other, "load_seconds")) is not None
    }
    return max(found.items(), key=lambda item: item[1]) if found else None


def _median(series: Series, what: str) -> float:
    found = series.median(what)
    assert found is not None
    return found
