"""The command line as a user meets it: a process of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import processes
import pytest
from tiny_notebooks import write_notebook

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


def _answer_of(arguments: list[str], folder: Path, env: dict[str, str] | None = None) -> Answer:
    """What Python says with these arguments, in the folder."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=_environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


class Commands:
    """Processes of commands, forked from one that has imported much; see command_server.py."""

    def __init__(self, folder: Path) -> None:
        self._out, self._err = folder / "out", folder / "err"
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("command_server.py"))],
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer_of(self, arguments: list[str], folder: Path) -> Answer:
        request = {"arguments": arguments, "folder": str(folder), "environment": _environment()}
        for path in (self._out, self._err):
            path.write_bytes(b"")
        request |= {"out": str(self._out), "err": str(self._err)}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        out, err = (path.read_text(encoding="utf-8") for path in (self._out, self._err))
        return Answer(code, out, err)

    def stop(self) -> None:
        self._server.communicate()


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    found = Commands(tmp_path_factory.mktemp("commands"))
    yield found
    found.stop()


@pytest.fixture
def kale(tmp_path: Path, commands: Commands) -> Callable[..., Answer]:
    """``kale("run", "a.ipynb")`` runs the command in ``tmp_path``.

    With ``env``, be it empty, a fresh interpreter does.
    """

    def call(*arguments: object, cwd: Path = tmp_path, env: dict[str, str] | None = None) -> Answer:
        words = [str(argument) for argument in arguments]
        if env is None:
            return commands.answer_of(words, cwd)
        return _answer_of(["-m", "kale_pm", *words], cwd, env)

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
        return _answer_of(["-c", script], tmp_path)

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
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_notebook(path, cells, {"kernelspec": spec, **metadata})

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
    """``until(holds)`` waits until something holds."""
    return processes.until
