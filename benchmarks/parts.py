"""A benchmark of several parts, whose ways take turns: from the first part to the report."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tables
from local_limits import Limit, verdicts
from rounds import Figure
from tables import Column
from tools import ToolError
from turns import Turns, conditions


@dataclass(frozen=True)
class Benchmark:
    """What is measured, and how it is told.

    ``take`` measures a part.  ``sizes`` is a dataclass that says how much of everything there
    is; the ``limits`` are meant for them where ``is_full``.  ``versions`` are those of what takes
    part, ``peers`` the ways that may fail.  ``heading`` stands over the ratios to the base.
    """

    name: str
    take: Callable[[str, Turns], Figure]
    sizes: Any
    is_full: bool
    columns: Sequence[Column]
    heading: str
    limits: Sequence[Limit]
    versions: Mapping[str, str]
    peers: Collection[str] = ()


@dataclass
class Report:
    """Everything that a run has found so far."""

    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def carry_out(benchmark: Benchmark, given: argparse.Namespace, rounds: int) -> int:
    """Take the parts that were asked for, and print what was found; the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the folder is removed
    try:
        with tempfile.TemporaryDirectory(
            prefix=f"kale-pm-{benchmark.name}-", dir=given.folder, ignore_cleanup_errors=True
        ) as folder:
            report = _measured(benchmark, given.only, rounds, Path(folder))
    except (OSError, ToolError) as error:
        print(error, file=sys.stderr)
        return 1
    if given.as_json:
        print(json.dumps(_to_dict(benchmark, report, rounds), indent=2))
    else:
        _show(benchmark, report, rounds)
    return 0


def _measured(benchmark: Benchmark, parts: Sequence[str], rounds: int, folder: Path) -> Report:
    report = Report()

    def note(line: str) -> None:
        report.notes.append(line)
        print(line, file=sys.stderr)

    turns = Turns(rounds, folder, note, benchmark.peers)
    for part in parts:
        figure = benchmark.take(part, turns)
        report.figures.append(figure)
        medians = (f"{name} {s.median('seconds'):.2f} s" for name, s in figure.series.items())
        print(f"{figure.title}: {', '.join(medians)}", file=sys.stderr)
    return report


def _show(benchmark: Benchmark, report: Report, rounds: int) -> None:
    versions = ", ".join(f"{name} {number}" for name, number in benchmark.versions.items())
    judged = verdicts(report.figures, benchmark.limits)
    tables.show(
        (versions, conditions(report.figures, rounds)),
        (
            tables.of_figures(report.figures, benchmark.columns, benchmark.heading),
            tables.of_limits(judged, is_full=benchmark.is_full),
        ),
        report.notes,
    )


def _to_dict(benchmark: Benchmark, report: Report, rounds: int) -> dict[str, Any]:
    """The same for a program: every round, and the verdicts."""
    return {
        "versions": benchmark.versions,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "sizes": asdict(benchmark.sizes),
        "rounds": rounds,
        "figures": tables.figures_to_dicts(report.figures),
        "limits": tables.limits_to_dicts(verdicts(report.figures, benchmark.limits)),
        "notes": report.notes,
    }
