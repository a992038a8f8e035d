"""How long runs on this machine take: kale-pm beside papermill, Ploomber and Elyra.

    python benchmarks/local.py
    python benchmarks/local.py --peer-ploomber PLOOMBER/bin/python --peer-elyra ELYRA/bin/python

See README.md in this folder for what is printed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ways
from command_line import at_least, command_line, rounds_of
from local_limits import LIMITS
from parts import Benchmark, carry_out
from pipelines import chatty, layered, single
from rounds import Figure
from tables import Column
from tools import ToolError
from turns import Turns
from ways import (
    API,
    COMMAND,
    ELYRA,
    ENGINE,
    HELP,
    PAPERMILL_API,
    PAPERMILL_COMMAND,
    PAPERMILL_HELP,
    PLOOMBER,
    Way,
)

PARTS = ("dag", "small", "cells", "output", "memory", "help")
ROUNDS = 5
PEERS = (PLOOMBER, ELYRA)
PACKAGES = {PLOOMBER: "ploomber", ELYRA: "elyra"}
ONCE = ("memory",)  # the memory is the same in every round, and takes long to measure
DISTRIBUTIONS = ("kale-pm", "papermill", "nbclient", "ipykernel", "jupyter-client")

COLUMNS = (
    Column("seconds", "s"),
    Column("processor", "processor s"),
    Column("again", "again s"),
    Column("memory", "memory MB", 1e6, 0),
    Column("written", "notebooks MB", 1e6, 1),
)


@dataclass(frozen=True)
class Sizes:
    """How much of everything; the defaults are what the limits are meant for."""

    steps: int = 20
    small: int = 10
    cells: int = 100
    outputs: int = 10
    output: int = 5_000_000  # bytes
    crowd: int = 200
    crowd_output: int = 1_000_000  # bytes


QUICK = Sizes(steps=8, small=4, cells=20, outputs=3, output=1_000_000, crowd=20)


# -- what is measured -------------------------------------------------------------------------


def plan(part: str, sizes: Sizes, peers: Mapping[str, str]) -> tuple[str, dict[str, Way]]:
    """What a part is called, and the ways that take part in it; ``peers`` are interpreters."""
    match part:
        case "dag":
            steps = layered(sizes.steps)
            found = {
                COMMAND: ways.kale_pm(steps),
                API: ways.kale_pm_api(steps),
                PAPERMILL_API: ways.papermill_api(steps),
                PAPERMILL_COMMAND: ways.papermill_command(steps),
            }
            if PLOOMBER in peers:
                found[PLOOMBER] = ways.ploomber(steps, peers[PLOOMBER])
            if ELYRA in peers:
                found[ELYRA] = ways.elyra(steps, peers[ELYRA])
            return f"DAG of {sizes.steps} trivial steps", found
        case "small":
            title = f"{sizes.small} trivial steps, then the same again"
            return title, {COMMAND: ways.kale_pm_twice(layered(sizes.small))}
        case "cells":
            return f"one step of {sizes.cells} cells", _one_step(single(sizes.cells))
        case "output":
            title = f"one step, {sizes.outputs} cells of {sizes.output / 1e6:g} MB output each"
            return title, _one_step(single(sizes.outputs, sizes.output))
        case "memory":
            title = f"{sizes.crowd} steps of {sizes.crowd_output / 1e6:g} MB output each"
            return title, {COMMAND: ways.kale_pm_memory(chatty(sizes.crowd, sizes.crowd_output))}
        case "help":
            return "--help", {
                HELP: ways.help_of("kale_pm"),
                PAPERMILL_HELP: ways.help_of("papermill"),
            }
    raise KeyError(part)


def _one_step(steps: Sequence[Any]) -> dict[str, Way]:
    return {
        ENGINE: ways.papermill_api(steps, engine=True),
        COMMAND: ways.kale_pm(steps),
        PAPERMILL_API: ways.papermill_api(steps),
        PAPERMILL_COMMAND: ways.papermill_command(steps),
    }


def take(part: str, sizes: Sizes, peers: Mapping[str, str], turns: Turns) -> Figure:
    """Measure a part in rounds."""
    title, found = plan(part, sizes, peers)
    turns = replace(turns, rounds=1) if part in ONCE else turns
    return turns.take(part, title, found, COMMAND)


# -- the command ------------------------------------------------------------------------------


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_line("Time runs of notebooks on this machine.", PARTS, ROUNDS)
    parser.add_argument("--peer-ploomber", metavar="PYTHON", help="an interpreter with ploomber")
    parser.add_argument("--peer-elyra", metavar="PYTHON", help="an interpreter with elyra")
    parser.add_argument("--steps", type=at_least(1), help=f"of the DAG (default: {Sizes.steps})")
    return parser.parse_args(arguments)


def sizes_of(given: argparse.Namespace) -> Sizes:
    sizes = QUICK if given.quick else Sizes()
    return sizes if given.steps is None else replace(sizes, steps=given.steps)


def peers_of(given: argparse.Namespace) -> dict[str, str]:
    """The interpreters that were named, by the tool that each is to have."""
    asked = {PLOOMBER: given.peer_ploomber, ELYRA: given.peer_elyra}
    return {name: python for name, python in asked.items() if python}


def check_peers(peers: Mapping[str, str]) -> None:
    """Raise ToolError where an interpreter lacks the tool that it was named for."""
    for name, python in peers.items():
        package = PACKAGES[name]
        if package not in ways.versions(python, [package]):
            raise ToolError(
                f"{python} has no {package}; install it with: {python} -m pip install {package}"
            )


def versions(peers: Mapping[str, str]) -> dict[str, str]:
    found = ways.versions(sys.executable, DISTRIBUTIONS)
    for name, python in peers.items():
        found |= ways.versions(python, [PACKAGES[name]])
    return found


def main() -> int:
    given = parse()
    sizes, peers = sizes_of(given), peers_of(given)
    try:
        check_peers(peers)
    except ToolError as error:
        print(error, file=sys.stderr)
        return 2
    benchmark = Benchmark(
        "local",
        lambda part, turns: take(part, sizes, peers, turns),
        sizes,
        is_full=sizes == Sizes(),
        columns=COLUMNS,
        heading=f"times {COMMAND}",
        limits=LIMITS,
        versions=versions(peers),
        peers=PEERS,
    )
    return carry_out(benchmark, given, rounds_of(given, ROUNDS))


if __name__ == "__main__":
    sys.exit(main())
