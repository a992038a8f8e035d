"""How long runs on this machine take: kale-pm beside papermill, Ploomber and Elyra.

    python benchmarks/local.py
    python benchmarks/local.py --peer-ploomber PLOOMBER/bin/python --peer-elyra ELYRA/bin/python

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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tables
import ways
from local_limits import verdicts
from pipelines import chatty, layered, single
from rounds import Figure
from tables import Column
from tools import ToolError
from turns import Turns, conditions
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
QUICK_ROUNDS = 2


@dataclass
class Report:
    """Everything that a run has found so far."""

    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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


# -- what is printed --------------------------------------------------------------------------


def show(report: Report, options: Options) -> None:
    versions = ", ".join(f"{name} {number}" for name, number in _versions(options).items())
    tables.show(
        (versions, conditions(report.figures, options.rounds)),
        (
            tables.of_figures(report.figures, COLUMNS, f"times {COMMAND}"),
            tables.of_limits(verdicts(report.figures), is_full=options.is_full),
        ),
        report.notes,
    )


def _versions(options: Options) -> dict[str, str]:
    found = ways.versions(sys.executable, DISTRIBUTIONS)
    for name, python in options.peers.items():
        found |= ways.versions(python, [PACKAGES[name]])
    return found


def to_dict(report: Report, options: Options) -> dict[str, Any]:
    """The same for a program: every round, and the verdicts."""
    return {
        "versions": _versions(options),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "sizes": asdict(options.sizes),
        "rounds": options.rounds,
        "figures": tables.figures_to_dicts(report.figures),
        "limits": tables.limits_to_dicts(verdicts(report.figures)),
        "notes": report.notes,
    }


# -- the command ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    peers: Mapping[str, str]
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
    parser = argparse.ArgumentParser(description="Time runs of notebooks on this machine.")
    parser.add_argument("--peer-ploomber", metavar="PYTHON", help="an interpreter with ploomber")
    parser.add_argument("--peer-elyra", metavar="PYTHON", help="an interpreter with elyra")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--steps", type=int, help=f"of the DAG (default: {Sizes.steps})")
    parser.add_argument("--quick", action="store_true", help="small sizes and two rounds")
    parser.add_argument("--rounds", type=int, help="(default: 5)")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), dest="folder")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")
    given = parser.parse_args(arguments)
    sizes = QUICK if given.quick else Sizes()
    if given.steps is not None:
        sizes = Sizes(**{**asdict(sizes), "steps": given.steps})
    rounds = given.rounds if given.rounds is not None else QUICK_ROUNDS if given.quick else 5
    if rounds < 1 or sizes.steps < 1:
        parser.error("--rounds and --steps must be above zero")
    asked = {PLOOMBER: given.peer_ploomber, ELYRA: given.peer_elyra}
    return Options(
        peers={name: python for name, python in asked.items() if python},
        only=tuple(given.only),
        sizes=sizes,
        rounds=rounds,
        folder=given.folder,
        as_json=given.as_json,
    )


def check_peers(peers: Mapping[str, str]) -> None:
    """Raise ToolError where an interpreter lacks the tool that it was named for."""
    for name, python in peers.items():
        package = PACKAGES[name]
        if package not in ways.versions(python, [package]):
            raise ToolError(
                f"{python} has no {package}; install it with: {python} -m pip install {package}"
            )


def run(options: Options, folder: Path) -> Report:
    """Take everything that was asked for, one part at a time."""
    report = Report()

    def note(line: str) -> None:
        report.notes.append(line)
        print(line, file=sys.stderr)

    for part in options.only:
        rounds = 1 if part in ONCE else options.rounds
        title, found = plan(part, options.sizes, options.peers)
        figure = Turns(rounds, folder, note, PEERS).take(part, title, found, COMMAND)
        report.figures.append(figure)
        medians = (f"{name} {s.median('seconds'):.2f} s" for name, s in figure.series.items())
        print(f"{figure.title}: {', '.join(medians)}", file=sys.stderr)
    return report


def main() -> int:
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the folder is removed
    try:
        check_peers(options.peers)
    except ToolError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(
            prefix="kale-pm-local-", dir=options.folder, ignore_cleanup_errors=True
        ) as folder:
            report = run(options, Path(folder))
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
