"""How long kale-pm takes to understand and compile synthetic notebooks, beside Kale.

    python benchmarks/check.py
    python benchmarks/check.py --peer KALE/bin/python

See README.md in this folder for what is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from command_line import at_least
from measure import Figure, Measure, doubling, take
from synthetic import Flow, Shape
from tools import Tool, ToolError, ours, peer

TITLES: dict[Measure, str] = {
    "analysis": "analysis in process",
    "check": "whole command check",
    "compile": "whole command compile",
}
STEPS: dict[Measure, tuple[int, ...]] = {
    "analysis": (50, 100, 200, 400),
    "check": (50, 100, 200, 400),
    "compile": (25, 50, 100),
}
PEER_STEPS = 100  # beyond, Kale takes minutes


# -- what is printed --------------------------------------------------------------------------


def show(found: Sequence[Figure], tools: Sequence[Tool], options: Options) -> None:
    """Print a table, and below it what a tool refused."""
    from rich.console import Console
    from rich.table import Table

    base, *peers = (tool.name for tool in tools)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("")
    for title in ("steps", "cells", *_titles(base), *(t for p in peers for t in _titles(p, base))):
        table.add_column(title, justify="right")
    measure = None
    for figure in found:
        if measure not in (None, figure.measure):
            table.add_row()
        row = ["" if measure == figure.measure else TITLES[figure.measure]]
        row += [str(figure.shape.steps), str(figure.shape.steps * options.cells)]
        for name in (base, *peers):
            row += _cells(figure, found, name)
            if name != base:
                ratio = figure.ratio(name, base)
                row.append("" if ratio is None else f"{ratio:.1f}x")
        table.add_row(*row)
        measure = figure.measure
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    console.print(", ".join(f"{tool.name} {tool.version}" for tool in tools), _conditions(options))
    console.print(table)
    for figure in found:
        for name, series in figure.series.items():
            if series.refusal:
                said = f"* {name} {figure.measure}, {figure.shape.steps} steps: {series.refusal}"
                console.print(said, soft_wrap=True)


def progress(figure: Figure) -> str:
    """One line on a figure, for whoever waits for the next."""
    seconds = (f"{name} {series.median:.2f} s" for name, series in figure.series.items())
    return f"{TITLES[figure.measure]}, {figure.shape.steps} steps: {', '.join(seconds)}"


def _titles(tool: str, base: str | None = None) -> list[str]:
    titles = [f"{tool} s", "doubling", "kB"]
    return [*titles, f"{tool} / {base}"] if base else titles


def _cells(figure: Figure, found: Sequence[Figure], tool: str) -> list[str]:
    if tool not in figure.series:
        return ["", "", ""]
    series, factor = figure.series[tool], doubling(figure, found, tool)
    return [
        f"{series.median:.2f}" + ("*" if series.refusal else ""),
        "" if factor is None else f"{factor:.2f}x",
        f"{series.written / 1000:.0f}" if series.written else "",
    ]


def _conditions(options: Options) -> str:
    load = os.getloadavg()[0]
    return (
        f"| Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f} | "
        f"{options.flow} flow, median of {options.rounds}"
    )


def to_dict(found: Sequence[Figure], tools: Sequence[Tool], options: Options) -> dict[str, Any]:
    """The same for a program: seconds of every round, medians, ratios."""
    base, *peers = (tool.name for tool in tools)
    return {
        "versions": {tool.name: tool.version for tool in tools},
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": list(os.getloadavg()),
        "cells": options.cells,
        "flow": options.flow,
        "rounds": options.rounds,
        "figures": [
            {
                "measure": figure.measure,
                "steps": figure.shape.steps,
                "tools": {
                    name: {
                        "median": series.median,
                        "doubling": doubling(figure, found, name),
                        "timings": [asdict(timing) for timing in series.timings],
                    }
                    for name, series in figure.series.items()
                },
                "ratios": {name: figure.ratio(name, base) for name in peers},
            }
            for figure in found
        ],
    }


# -- the command ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    peer: str | None
    steps: tuple[int, ...] | None
    only: tuple[Measure, ...]
    cells: int
    flow: Flow
    rounds: int
    as_json: bool

    def plan(self) -> list[tuple[Measure, Shape, bool]]:
        """What to measure, on which notebook, and whether with the peer."""
        return [
            (
                measure,
                Shape(steps, self.cells, self.flow),
                self.steps is not None or steps <= PEER_STEPS,
            )
            for measure in self.only
            for steps in self.steps or STEPS[measure]
        ]


def parse(arguments: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(description="Time kale-pm, beside Kale if --peer is given.")
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter that has kubeflow-kale")
    parser.add_argument(
        "--steps",
        type=at_least(1),
        nargs="+",
        help=f"sizes to measure; by default Kale takes part up to {PEER_STEPS} steps only",
    )
    parser.add_argument("--only", nargs="+", choices=get_args(Measure), default=get_args(Measure))
    parser.add_argument("--cells", type=at_least(1), default=5, help="of each step (default: 5)")
    parser.add_argument("--flow", choices=get_args(Flow), default="shared")
    parser.add_argument("--rounds", type=at_least(1), default=5, help="(default: 5)")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")
    given = vars(parser.parse_args(arguments))
    given["steps"] = tuple(sorted(given["steps"])) if given["steps"] else None
    return Options(**{**given, "only": tuple(given["only"])})


def main() -> int:
    options = parse()
    try:
        tools = [ours(), peer(options.peer)] if options.peer else [ours()]
    except ToolError as error:
        print(error, file=sys.stderr)
        return 2
    found = []
    try:
        for measure, shape, with_peer in options.plan():
            part = tools if with_peer else tools[:1]
            found.append(take(measure, shape, part, rounds=options.rounds))
            print(progress(found[-1]), file=sys.stderr)
    except ToolError as error:
        print(error, file=sys.stderr)
        return 1
    if options.as_json:
        print(json.dumps(to_dict(found, tools, options), indent=2))
    else:
        show(found, tools, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
