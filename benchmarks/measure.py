"""Timings of the tools on synthetic notebooks, taken in turns."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synthetic import Shape, notebook
from tools import Timing, Tool

Measure = Literal["analysis", "check", "compile"]

WARM_UP = Shape(steps=3)


@dataclass(frozen=True)
class Series:
    """What one tool took, round by round."""

    timings: tuple[Timing, ...]

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(timing.seconds for timing in self.timings)

    @property
    def refusal(self) -> str:
        return self.timings[0].refusal

    @property
    def written(self) -> int:
        """Bytes of the package, 0 if there is none."""
        return self.timings[0].written


@dataclass(frozen=True)
class Figure:
    """One thing measured, with every tool that took part."""

    measure: Measure
    shape: Shape
    series: dict[str, Series]

    def ratio(self, tool: str, base: str) -> float | None:
        """How many times as long ``tool`` takes: the median of the rounds' own ratios."""
        if tool not in self.series:
            return None
        pairs = zip(self.series[tool].timings, self.series[base].timings, strict=True)
        return statistics.median(one.seconds / other.seconds for one, other in pairs)


def take(measure: Measure, shape: Shape, tools: Sequence[Tool], *, rounds: int) -> Figure:
    """Measure with all tools that can; raises ToolError if one of them breaks."""
    part = [tool for tool in tools if measure == "analysis" or measure in tool.commands]
    timings: dict[str, list[Timing]] = {tool.name: [] for tool in part}
    with tempfile.TemporaryDirectory() as folder:
        path, warm_up = Path(folder) / f"steps_{shape.steps}.ipynb", Path(folder) / "warm_up.ipynb"
        path.write_text(notebook(shape), encoding="utf-8")
        warm_up.write_text(notebook(WARM_UP), encoding="utf-8")
        for number in range(rounds):
            # Who begins changes, so that neither always finds the busier machine.
            for tool in part if number % 2 == 0 else reversed(part):
                timings[tool.name].append(_time(tool, measure, path, warm_up))
    return Figure(measure, shape, {name: Series(tuple(taken)) for name, taken in timings.items()})


def _time(tool: Tool, measure: Measure, path: Path, warm_up: Path) -> Timing:
    if measure == "analysis":
        return tool.analysis(path, warm_up)
    return tool.command(measure, path)


def doubling(figure: Figure, figures: Iterable[Figure], tool: str) -> float | None:
    """How many times as long as with half the steps; None if that was not measured."""
    for half in figures:
        if (half.measure, half.shape.steps * 2) != (figure.measure, figure.shape.steps):
            continue
        if tool in half.series and tool in figure.series:
            return figure.series[tool].median / half.series[tool].median
    return None
