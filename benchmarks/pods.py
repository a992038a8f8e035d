"""What a step costs in its pod beside its kernel and its own cells, under kfp.local.

    python benchmarks/pods.py

See README.md in this folder for what is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import kale_pm

LIMIT = 1.0  # seconds beyond the kernel's own start

OWN = "image has kale-pm"
TRAVELS = "runtime travels"
WAYS = (OWN, TRAVELS)

NOW = "import time; print('CELL', time.time())"
CELLS = (
    ("imports", "import json"),
    ("block:first", NOW),
    ("", f"value = 1\n{NOW}"),
    ("block:second prev:first", NOW),
    ("", f"value += 1\n{NOW}"),
)
STEPS = ("first", "second")

RUN = """
import sys
from kfp import local
from kfp.components import load_component_from_file

local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[2])
load_component_from_file(sys.argv[1])()
"""

# KFP's executor says when it calls the step's function, and when it has done all after it.
EXECUTOR = re.compile(
    r"\[KFP Executor (\S+ \S+) INFO\]: (Got executor_input|Wrote executor output)"
)
CELL = re.compile(r"CELL ([0-9.]+)")


class PodError(Exception):
    """A run broke; the text is for people."""


@dataclass(frozen=True)
class Taken:
    """Seconds of one step: from the call of its function to its first cell, and after its last.

    ``kernel`` is what a kernel alone took to start in the same round.
    """

    way: str
    step: str
    before: float
    after: float
    kernel: float

    @property
    def overhead(self) -> float:
        return self.before + self.after - self.kernel


# -- what is measured -------------------------------------------------------------------------


def kernel_start(folder: Path) -> float:
    """Seconds until a kernel of this interpreter, without kale-pm, has run a cell."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import KernelManager

    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]

    class Manager(KernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(argv=argv, display_name="Python", language="python")

    manager = Manager()
    began = time.perf_counter()
    manager.start_kernel(cwd=str(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        client.execute_interactive("pass", timeout=60)
        return time.perf_counter() - began
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def take(way: str, package: Path, folder: Path) -> Iterator[Taken]:
    """Run the pipeline once, and see what its steps took."""
    kernel = kernel_start(folder)
    done = subprocess.run(
        [sys.executable, "-c", RUN, package, folder / "root"],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(way, folder),
    )
    executor = [datetime.fromisoformat(at).timestamp() for at, _ in EXECUTOR.findall(done.stdout)]
    cells = [float(at) for at in CELL.findall(done.stdout)]
    if done.returncode or not len(executor) == len(cells) == 2 * len(STEPS):
        said = (done.stdout + done.stderr).splitlines()
        raise PodError("\n".join(["the pipeline did not run:", *said[-20:]]))
    for number, step in enumerate(STEPS):
        of_step = slice(2 * number, 2 * number + 2)
        (began, ended), (first, last) = executor[of_step], cells[of_step]
        yield Taken(way, step, first - began, ended - last, kernel)


def environment(way: str, folder: Path) -> dict[str, str]:
    """That of an image with this kale-pm, or with another one, beside which ours is unpacked."""
    path = Path(kale_pm.__file__).parents[1]
    if way == TRAVELS:
        path = folder / "other"
        (path / "kale_pm").mkdir(parents=True)
        (path / "kale_pm" / "__init__.py").write_text("__version__ = 'another'\n", encoding="utf-8")
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": programs, "PYTHONPATH": str(path)}


def notebook() -> str:
    """Two steps, the second of which takes a variable of the first."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell-{number}",
            "metadata": {"tags": tags.split()},
            "outputs": [],
            "source": source,
        }
        for number, (tags, source) in enumerate(CELLS)
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


def run(rounds: int) -> list[Taken]:
    """All ways in turns."""
    found: list[Taken] = []
    with tempfile.TemporaryDirectory(prefix="kale-pm-pods-", ignore_cleanup_errors=True) as name:
        path = Path(name) / "pods.ipynb"
        path.write_text(notebook(), encoding="utf-8")
        package = kale_pm.compile(path, path.with_suffix(".yaml"), install=False).path
        for number in range(rounds):
            # Who begins changes, so that neither always finds the busier machine.
            for way in WAYS if number % 2 == 0 else reversed(WAYS):
                folder = Path(tempfile.mkdtemp(dir=name))
                found += take(way, package, folder)
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return found


# -- what is printed --------------------------------------------------------------------------


def median(found: Sequence[Taken], what: str, **of: str) -> float:
    """Of ``what`` over all rounds, in seconds."""
    figures: list[float] = [
        getattr(taken, what)
        for taken in found
        if all(getattr(taken, name) == value for name, value in of.items())
    ]
    return statistics.median(figures)


def show(found: Sequence[Taken], rounds: int) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = ("before", "after", "kernel", "overhead")
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for heading in ("", "step"):
        table.add_column(heading)
    for heading in (*(f"{column} s" for column in columns), "limit"):
        table.add_column(heading, justify="right")
    for way in WAYS:
        for step in STEPS:
            of = {"way": way, "step": step}
            figures = [f"{median(found, column, **of):.2f}" for column in columns]
            is_kept = median(found, "overhead", **of) <= LIMIT
            table.add_row(
                way if step == STEPS[0] else "",
                step,
                *figures,
                f"≤ {LIMIT} s {'kept' if is_kept else 'MISSED'}",
            )
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f} | median of {rounds}"
    )
    console.print(table)


def to_dict(found: Sequence[Taken]) -> Mapping[str, Any]:
    return {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": list(os.getloadavg()),
        "limit": LIMIT,
        "rounds": [{**asdict(taken), "overhead": taken.overhead} for taken in found],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Time what kale-pm adds to a step in its pod.")
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be above zero")
    try:
        found = run(options.rounds)
    except PodError as error:
        print(error, file=sys.stderr)
        return 1
    if options.as_json:
        print(json.dumps(to_dict(found), indent=2))
    else:
        show(found, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
