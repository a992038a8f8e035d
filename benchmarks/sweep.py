"""How long a sweep takes on this machine: kale-pm beside papermill, and beside its own steps.

    python benchmarks/sweep.py

See README.md in this folder for what is printed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sweep_ways
import ways
from command_line import at_least, command_line, rounds_of
from local_limits import Limit
from parts import Benchmark, carry_out
from rounds import Figure, Series
from sweep_pipelines import chain, trivial
from sweep_ways import ALONE, COMMAND
from tables import Column
from turns import Turns
from ways import API, PAPERMILL_API, Way

PARTS = ("grid", "line", "crowd")
ROUNDS = 3
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


# -- the command ------------------------------------------------------------------------------


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_line("Time sweeps of notebooks on this machine.", PARTS, ROUNDS)
    parser.add_argument("--crowd", type=at_least(2), help=f"trials (default: {Sizes.crowd})")
    return parser.parse_args(arguments)


def sizes_of(given: argparse.Namespace) -> Sizes:
    sizes = QUICK if given.quick else Sizes()
    return sizes if given.crowd is None else replace(sizes, crowd=given.crowd)


def main() -> int:
    given = parse()
    sizes = sizes_of(given)
    benchmark = Benchmark(
        "sweep",
        lambda part, turns: take(part, sizes, turns),
        sizes,
        is_full=sizes == Sizes(),
        columns=COLUMNS,
        heading="times the first",
        limits=LIMITS,
        versions=ways.versions(sys.executable, DISTRIBUTIONS),
    )
    return carry_out(benchmark, given, rounds_of(given, ROUNDS))


if __name__ == "__main__":
    sys.exit(main())
