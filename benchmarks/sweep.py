"""How long a sweep takes on this machine: kale-pm beside papermill, and beside its own steps.

    python benchmarks/sweep.py

See README.md in this folder for what is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import sweep_ways
import tables
import ways
from local_limits import Limit, verdicts
from rounds import Figure, Series
from sweep_pipelines import chain, trivial
from sweep_ways import ALONE, COMMAND
from tables import Column
from tools import ToolError
from turns import Turns, conditions
from ways import API, PAPERMILL_API, Way

PARTS = ("grid", "line", "crowd")
DISTRIBUTIONS = ("kale-pm", "papermill", "nbclient", "ipykernel", "jupyter-client")

COLUMNS = (
    Column("seconds", "s"),
    Column("processor", "processor s"),
    Column("executions", "executions", digits=0),
    Column("overhead", "overhead ms", 1e-3, 1),
    Column("busy", "own ms", 1e-3, 1),
)

LIMITS = (
    Limit("grid", COMMAND, 8, PAPERMILL_API),
    Limit("grid", API, 8, PAPERMILL_API),
    Limit("crowd", API, 10, what="overhead"),
)


@dataclass(frozen=True)
class Sizes:
    """How much of everything; the defaults are what the limits are meant for."""

    prefix: float = 1.0  # seconds of each of the three steps that all trials share
    swept: float = 0.05  # seconds of each of the three others
    values: int = 4  # of each of two parameters; the one of "line" has as many as both together
    crowd: int = 1_000  # trials


QUICK = Sizes(prefix=0.2, values=2, crowd=20)
QUICK_ROUNDS = 2


@dataclass
class Report:
    """Everything that a run has found so far."""

    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


# -- what is measured -------------------------------------------------------------------------


def plan(part: str, sizes: Sizes) -> tuple[str, dict[str, Way]]:
    """What a part is called, and the ways that take part in it."""
    trials = sizes.values**2
    match part:
        case "grid":
            rates = [round(0.1 * number, 1) for number in range(1, sizes.values + 1)]
            values = {"rate": rates, "depth": range(2, sizes.values + 2)}
            title = f"{trials} trials of 6 steps, by two parameters"
        case "line":
            values = {"rate": [round(0.1 * number, 1) for number in range(1, trials + 1)]}
            title = f"{trials} trials of 6 steps, by one parameter"
        case "crowd":
            swept = trivial(sizes.crowd)
            found = {API: sweep_ways.kale_pm_api(swept), ALONE: sweep_ways.steps_alone(swept)}
            return f"{sizes.crowd:,} trials of one trivial step", found
        case _:
            raise KeyError(part)
    swept = chain(sizes.prefix, sizes.swept, values)
    return title, {
        COMMAND: sweep_ways.kale_pm(swept),
        API: sweep_ways.kale_pm_api(swept),
        PAPERMILL_API: sweep_ways.papermill_api(swept),
    }


def take(part: str, sizes: Sizes, turns: Turns) -> Figure:
    """Measure a part in rounds."""
    title, found = plan(part, sizes)
    if part == "crowd":
        return with_overhead(turns.take(part, title, found, API), sizes.crowd)
    return turns.take(part, title, found, COMMAND)


def with_overhead(figure: Figure, trials: int) -> Figure:
    """What a trial takes beside its step, by the clock and of the process's own processor time."""
    series = []
    for ours, alone in zip(figure.series[API].turns, figure.series[ALONE].turns, strict=True):
        assert ours is not None
        assert alone is not None
        overhead = (ours["seconds"] - alone["seconds"]) / trials
        busy = (ours["own"] - alone["own"]) / trials
        series.append({**ours, "overhead": overhead, "busy": busy})
    return replace(figure, series={**figure.series, API: Series(tuple(series))})


# -- what is printed --------------------------------------------------------------------------


def show(report: Report, options: Options) -> None:
    found = ", ".join(f"{name} {number}" for name, number in _versions().items())
    tables.show(
        (found, conditions(report.figures, options.rounds)),
        (
            tables.of_figures(report.figures, COLUMNS, "times the first"),
            tables.of_limits(verdicts(report.figures, LIMITS), is_full=options.is_full),
        ),
        report.notes,
    )


def to_dict(report: Report, options: Options) -> dict[str, Any]:
    """The same for a program: every round, and the verdicts."""
    return {
        "versions": _versions(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "sizes": asdict(options.sizes),
        "rounds": options.rounds,
        "figures": tables.figures_to_dicts(report.figures),
        "limits": tables.limits_to_dicts(verdicts(report.figures, LIMITS)),
        "notes": report.notes,
    }


def _versions() -> dict[str, str]:
    return ways.versions(sys.executable, DISTRIBUTIONS)


# -- the command ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    only: tuple[str, ...]
    sizes: Sizes
    rounds: int
    folder: Path
    as_json: bool

    @property
    def is_full(self) -> bool:
        """Whether the limits are meant for what is measured."""
        return self.sizes == Sizes()


def parse(arguments: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(description="Time sweeps of notebooks on this machine.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--crowd", type=int, help=f"trials (default: {Sizes.crowd})")
    parser.add_argument("--quick", action="store_true", help="small sizes and two rounds")
    parser.add_argument("--rounds", type=int, help="(default: 3)")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), dest="folder")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")
    given = parser.parse_args(arguments)
    sizes = QUICK if given.quick else Sizes()
    if given.crowd is not None:
        sizes = replace(sizes, crowd=given.crowd)
    rounds = given.rounds if given.rounds is not None else QUICK_ROUNDS if given.quick else 3
    if rounds < 1 or sizes.crowd < 2:
        parser.error("--rounds must be above zero, and --crowd above one")
    return Options(tuple(given.only), sizes, rounds, given.folder, given.as_json)


def run(options: Options, folder: Path, tell: Callable[[str], None]) -> Report:
    """Take everything that was asked for, one part at a time."""
    report = Report()
    turns = Turns(options.rounds, folder, report.notes.append)
    for part in options.only:
        figure = take(part, options.sizes, turns)
        report.figures.append(figure)
        medians = (f"{name} {s.median('seconds'):.2f} s" for name, s in figure.series.items())
        tell(f"{figure.title}: {', '.join(medians)}")
    return report


def main() -> int:
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the folder is removed
    try:
        with tempfile.TemporaryDirectory(
            prefix="kale-pm-sweep-", dir=options.folder, ignore_cleanup_errors=True
        ) as folder:
            report = run(options, Path(folder), lambda line: print(line, file=sys.stderr))
    except (OSError, ToolError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.as_json:
        print(json.dumps(to_dict(report, options), indent=2))
    else:
        show(report, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
