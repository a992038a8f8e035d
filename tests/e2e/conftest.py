"""The command line as a user meets it: a process of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import kale_pm

ROOT = Path(kale_pm.__file__).parents[1]
EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def started(self) -> list[str]:
        """The steps that were executed, not taken from an earlier run."""
        return sorted(re.findall(r"^▸ (\w+)", self.err, re.MULTILINE))


def _environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    telling = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "_KALE_PM_COMPLETE")
    plain = {name: value for name, value in os.environ.items() if name not in telling}
    return {**plain, "PYTHONPATH": str(ROOT), **(extra or {})}


@pytest.fixture
def kale(tmp_path: Path) -> Callable[..., Answer]:
    """``kale("run", "a.ipynb")`` runs the command in ``tmp_path``."""

    def call(*arguments: object, cwd: Path = tmp_path, env: dict[str, str] | None = None) -> Answer:
        done = subprocess.run(
            [sys.executable, "-m", "kale_pm", *map(str, arguments)],
            cwd=cwd,
            env=_environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def start_python(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``start_python(script)`` gives the process that runs it; the test leaves none behind."""
    started: list[subprocess.Popen[str]] = []

    def begin(script: str, *arguments: object) -> subprocess.Popen[str]:
        # A shell starts its background jobs with SIGINT ignored, which children inherit.
        heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        process = subprocess.Popen(
            [sys.executable, "-c", heard + script, *map(str, arguments)],
            cwd=tmp_path,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def start(start_python: Callable[..., subprocess.Popen[str]]) -> Callable[..., Any]:
    """Like ``kale``, but gives the running process."""
    return partial(start_python, "from kale_pm.cli import main; main()")


@pytest.fixture
def python(tmp_path: Path) -> Callable[[str], Answer]:
    """Run a script that uses the Python face, in a process of its own in ``tmp_path``."""

    def call(script: str) -> Answer:
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=_environment(),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def example(tmp_path: Path) -> Callable[[str], Path]:
    """A clean copy of an example."""

    def copy(name: str) -> Path:
        target = tmp_path / f"{name}.ipynb"
        target.write_bytes((EXAMPLES / target.name).read_bytes())
        return target

    return copy


@pytest.fixture
def notebook(tmp_path: Path) -> Callable[..., Path]:
    """``notebook("a.ipynb", ("block:a", "x = 1"), ...)`` writes a notebook of code cells."""

    def write(name: str, *cells: tuple[str, str], **metadata: Any) -> Path:
        spec = {"name": "python3", "language": "python", "display_name": "Python 3"}
        content = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": spec, **metadata},
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"cell-{number}",
                    "metadata": {"tags": tags.split()},
                    "source": source,
                    "outputs": [],
                    "execution_count": None,
                }
                for number, (tags, source) in enumerate(cells, 1)
            ],
        }
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


@pytest.fixture
def chain(notebook: Callable[..., Path]) -> Path:
    """Two steps, the second of which reads what the first made, and a parameter."""
    return notebook(
        "chain.ipynb",
        ("parameters", "n: int = 2\nflag: bool = False"),
        ("block:make", "numbers = list(range(n))"),
        ("block:add prev:make", "total = sum(numbers)\nprint(total)"),
        ("metrics", "print(total)"),
    )


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait until something holds, for so long that only what hangs is a failure."""

    def wait(holds: Callable[[], bool]) -> None:
        for _ in range(3000):
            if holds():
                return
            time.sleep(0.02)
        pytest.fail("it did not happen within a minute")

    return wait
