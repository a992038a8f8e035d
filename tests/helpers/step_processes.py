"""Steps as processes of their own: what their slices do, without a kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_HERE = Path(__file__).parent
# One thread each: steps of many tests run at the same time.
_SETTINGS = {"KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}


@dataclass(frozen=True)
class Task:
    """What a process is to do: run ``cells`` in ``folder``; ``killed_after`` so many seconds."""

    environment: Mapping[str, str]
    folder: str
    cells: Sequence[str]
    killed_after: float | None = None


@dataclass(frozen=True)
class Report:
    """How a step ended: what its cells printed, and kale-pm's warnings or error."""

    printed: str = ""
    warned: str = ""
    error: str = ""
    message: str = ""
    traceback: str = ""
    killed: bool = False


def cells_of_slice(
    name: str, prelude: str, code: str, needs: Sequence[str], gives: Sequence[str]
) -> list[str]:
    """The cells of a slice: the prelude, load, the step's own code, save."""
    return [
        prelude,
        f"import kale_pm.runtime\nkale_pm.runtime.load(*{needs!r}, step={name!r})",
        code,
        f"kale_pm.runtime.save(*{gives!r})",
    ]


class StepServer:
    """The process that steps are forked from; it has imported the libraries."""

    def __init__(self, *libraries: str) -> None:
        paths = [str(_HERE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(_HERE / "step_server.py"), *libraries],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **_SETTINGS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def run(self, *tasks: Task) -> list[Report]:
        """Do all of them at the same time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([asdict(task) for task in tasks]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return [Report(killed=True) if report is None else Report(**report) for report in answer]

    def stop(self) -> None:
        self._process.communicate(timeout=60)
