"""The two tools that the benchmarks compare, each run by an interpreter of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).resolve().parent

Command = Literal["check", "compile"]


class ToolError(Exception):
    """A tool cannot be used; the text is one line for people."""


@dataclass(frozen=True)
class Timing:
    """One command: its seconds, the bytes that it wrote, why it refused if it did."""

    seconds: float
    written: int = 0
    refusal: str = ""


@dataclass(frozen=True)
class Tool:
    """An analysis with a worker script, and commands as arguments of its interpreter."""

    name: str
    python: str
    version: str
    worker: str
    commands: dict[Command, Sequence[str]]
    package: str  # glob of what ``compile`` writes into the working directory

    def analysis(self, notebook: Path, warm_up: Path) -> Timing:
        """One analysis in a fresh process; its start and a first small analysis not counted."""
        return Timing(float(self._ask("time", notebook, warm_up)))

    def flows(self, notebooks: Sequence[Path]) -> list[dict[str, Any]]:
        """What flows between the steps, for each notebook: see ``kale-pm check --json``."""
        answers: list[dict[str, Any]] = self._ask("flow", *notebooks)
        return answers

    def command(self, command: Command, notebook: Path) -> Timing:
        """A whole command in an empty folder, from the start of its process to the end."""
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            done = subprocess.run(
                [self.python, *self.commands[command], str(notebook)],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            seconds = time.perf_counter() - start
            written = sum(path.stat().st_size for path in Path(folder).glob(self.package))
        if not done.returncode:
            return Timing(seconds, written)
        if "Traceback" in done.stderr:
            last = done.stderr.strip().splitlines()[-1]
            raise ToolError(f"{self.name} {command} broke on {notebook.name}: {last}")
        return Timing(seconds, refusal=" ".join(done.stderr.split("\n\n")[0].split()))

    def _ask(self, *arguments: str | Path) -> Any:
        return _ask(self.python, self.worker, *arguments)


def ours() -> Tool:
    """kale-pm, as the running interpreter has it."""
    return Tool(
        name="kale-pm",
        python=sys.executable,
        version=version("kale-pm"),
        worker="kale_pm_worker.py",
        commands={
            "check": ("-m", "kale_pm", "check"),
            "compile": ("-m", "kale_pm", "compile", "-o", "package.yaml"),
        },
        package="package.yaml",
    )


def peer(python: str) -> Tool:
    """Kale, as the interpreter ``python`` has it; ToolError if it has none."""
    try:
        found = _ask(python, "kale_worker.py", "version")
    except OSError as error:
        raise ToolError(f"cannot run {python}: {error.strerror}") from None
    except ToolError as error:
        raise ToolError(
            f"{python} cannot use Kale ({error}); "
            f"install it with: {python} -m pip install kubeflow-kale==2.3.0"
        ) from None
    return Tool(
        name="Kale",
        python=python,
        version=found,
        worker="kale_worker.py",
        commands={"compile": ("-m", "kale.cli", "--nb")},
        package=".kale/*.yaml",
    )


def _ask(python: str, worker: str, *arguments: str | Path) -> Any:
    """The JSON that a worker answers, run in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [python, str(HERE / worker), *map(str, arguments)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise ToolError(f"{worker}: {last}")
    return json.loads(done.stdout)
