"""The ways to run a pipeline of notebooks on this machine, each in a process and folder of its own.

A way takes the empty folder that it may write into, and says what it took.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipelines import Step, write_elyra, write_notebooks, write_ploomber, write_tagged
from tools import HERE, ToolError

COMMAND = "kale-pm run"
API = "kale-pm API"
ENGINE = "papermill API, our engine"
PAPERMILL_API = "papermill API"
PAPERMILL_COMMAND = "papermill command"
PLOOMBER = "Ploomber, parallel"
ELYRA = "Elyra, local"
HELP = "kale-pm --help"
PAPERMILL_HELP = "papermill --help"

PATIENCE = 900.0  # seconds until a process counts as hanging
WORKER = "local_worker.py"

Taken = dict[str, float]
Way = Callable[[Path], Taken]

_QUIET = {"PLOOMBER_STATS_ENABLED": "false", "PLOOMBER_VERSION_CHECK_DISABLED": "true"}
_ELYRA = "from elyra.cli.pipeline_app import pipeline; pipeline()"
_PLOOMBER = "from ploomber_cli.cli import cmd_router; cmd_router()"


def kale_pm(steps: Sequence[Step]) -> Way:
    """The whole command `kale-pm run`, in a folder without earlier runs."""

    def take(folder: Path) -> Taken:
        notebook = write_tagged(steps, folder)
        seconds = command([sys.executable, "-m", "kale_pm", "run", str(notebook)], folder)
        return {"seconds": seconds, "written": _written(folder, ".kale-pm/runs/latest/notebooks/*")}

    return take


def kale_pm_twice(steps: Sequence[Step]) -> Way:
    """The whole command, and ``again`` when nothing has changed."""

    def take(folder: Path) -> Taken:
        taken = kale_pm(steps)(folder)
        argv = [sys.executable, "-m", "kale_pm", "run", str(folder / "pipeline.ipynb")]
        return {**taken, "again": command(argv, folder)}

    return take


def kale_pm_api(steps: Sequence[Step]) -> Way:
    return lambda folder: ask(WORKER, folder, "run", write_tagged(steps, folder))


def kale_pm_memory(steps: Sequence[Step]) -> Way:
    """The whole command; ``memory`` is the most that its own process had resident, in bytes."""
    return lambda folder: ask(WORKER, folder, "memory", write_tagged(steps, folder))


def papermill_api(steps: Sequence[Step], *, engine: bool = False) -> Way:
    """One step after another in one process; ``engine`` says whether with kale-pm's."""

    def take(folder: Path) -> Taken:
        what = "engine" if engine else "papermill"
        taken = ask(WORKER, folder, what, *write_notebooks(steps, folder))
        return {**taken, "written": _written(folder, "executed_*.ipynb")}

    return take


def papermill_command(steps: Sequence[Step]) -> Way:
    """One whole command after another, one for each step."""

    def take(folder: Path) -> Taken:
        seconds = 0.0
        for path in write_notebooks(steps, folder):
            output = path.with_name(f"executed_{path.name}")
            argv = [sys.executable, "-m", "papermill", "--no-progress-bar", str(path), str(output)]
            seconds += command(argv, folder)
        return {"seconds": seconds, "written": _written(folder, "executed_*.ipynb")}

    return take


def ploomber(steps: Sequence[Step], python: str) -> Way:
    """The whole command `ploomber build`, with the Parallel executor."""

    def take(folder: Path) -> Taken:
        write_ploomber(steps, folder)
        seconds = command([python, "-c", _PLOOMBER, "build", "--force"], folder, _QUIET)
        return {"seconds": seconds, "written": _written(folder, "executed/*.ipynb")}

    return take


def elyra(steps: Sequence[Step], python: str) -> Way:
    """The whole command `elyra-pipeline run`."""

    def take(folder: Path) -> Taken:
        path = write_elyra(steps, folder)
        return {"seconds": command([python, "-c", _ELYRA, "run", path.name], folder)}

    return take


def help_of(module: str) -> Way:
    return lambda folder: {"seconds": command([sys.executable, "-m", module, "--help"], folder)}


# -- processes --------------------------------------------------------------------------------


def command(argv: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> float:
    """Seconds of a whole process; ToolError, with its last line, if it fails or hangs."""
    start = time.perf_counter()
    _done(argv, folder, env)
    return time.perf_counter() - start


def ask(worker: str, folder: Path, *arguments: object) -> Taken:
    """What a worker answers in its last line; ToolError, with that of its errors, if it fails."""
    text = _done([sys.executable, str(HERE / worker), *map(str, arguments)], folder)
    taken: Taken = json.loads(text.splitlines()[-1])
    return taken


def _done(argv: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> str:
    name = " ".join(Path(part).name for part in argv[:5])
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise ToolError(f"{name} hangs: it has not ended in {PATIENCE:.0f} s") from None
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        last = lines[-1] if lines else ""
        raise ToolError(f"{name} ended with exit code {done.returncode}: {last}")
    return done.stdout


def _written(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern))


def versions(python: str, distributions: Sequence[str]) -> dict[str, str]:
    """Those of the distributions that the interpreter has; ToolError if it cannot be run."""
    code = (
        "import json, sys\n"
        "from importlib.metadata import distributions\n"
        "found = {each.name.lower().replace('_', '-'): each.version for each in distributions()}\n"
        "print(json.dumps({name: found[name] for name in sys.argv[1:] if name in found}))"
    )
    try:
        found: dict[str, str] = json.loads(_done([python, "-c", code, *distributions], HERE))
    except OSError as error:
        raise ToolError(f"cannot run {python}: {error.strerror}") from None
    return found
