"""Ways that take turns: each measured again and again, in a folder of its own every time."""

from __future__ import annotations

import os
import platform
import resource
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rounds import Figure, Series
from tools import ToolError
from ways import Taken, Way


@dataclass(frozen=True)
class Turns:
    """How often, where, and which of the ways may fail: ``note`` is told what is left out."""

    rounds: int
    folder: Path
    note: Callable[[str], None]
    may_fail: Collection[str] = ()

    def take(self, part: str, title: str, ways: Mapping[str, Way], base: str) -> Figure:
        """Measure a part with all its ways.  Raises ToolError where one breaks that may not."""
        names = list(ways)
        turns: dict[str, list[Taken | None]] = {name: [] for name in names}
        failed = set()
        for number in range(self.rounds):
            # Who begins changes, so that none always finds the busier machine.
            for name in names if number % 2 == 0 else reversed(names):
                taken = None
                if name not in failed:
                    try:
                        taken = self._turn(ways[name])
                    except ToolError as error:
                        if name not in self.may_fail:
                            raise
                        failed.add(name)
                        self.note(f"{title}: without {name}: {error}")
                turns[name].append(taken)
        series = {name: Series(tuple(taken)) for name, taken in turns.items() if any(taken)}
        return Figure(part, title, series, base)

    def _turn(self, way: Way) -> Taken:
        # Kernels that end a moment later may still write what nobody will read.
        with tempfile.TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as own:
            load, before = os.getloadavg()[0], _processor()
            taken = way(Path(own))
            return {**taken, "load": load, "processor": _processor() - before}


def conditions(figures: Iterable[Figure], rounds: int) -> str:
    """The machine, and how busy it was, in a line."""
    loads = [
        turn["load"]
        for figure in figures
        for series in figure.series.values()
        for turn in series.turns
        if turn
    ]
    load = f"load {min(loads):.1f} to {max(loads):.1f}" if loads else ""
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {load}"
        f" | medians of {rounds} rounds"
    )


def _processor() -> float:
    """Seconds of the processor that child processes have used, and theirs, if waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
