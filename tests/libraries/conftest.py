"""Steps for the tests of this folder: load, cells and save, each step a fresh process."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from textwrap import dedent

import pytest

_SERVER = Path(__file__).with_name("step_server.py")
_ROOT = Path(__file__).parents[2]
# One thread each: steps of many tests run at the same time.
_SETTINGS = {"KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}


class Server:
    """Answers requests to run a step; see step_server.py."""

    def __init__(self, libraries: Sequence[str]) -> None:
        paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(_SERVER), *libraries],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **_SETTINGS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, request: dict[str, object]) -> dict[str, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, str] = json.loads(self._process.stdout.readline())
        return answer

    def stop(self) -> None:
        self._process.communicate()


class Steps:
    """The steps of one pipeline, in their order; every one of them runs the prelude first."""

    def __init__(self, server: Server, folder: Path, prelude: str) -> None:
        self.folder = folder
        self._server = server
        self._prelude = dedent(prelude)
        self._manifests: list[str] = []

    def run(self, code: str, needs: str = "", gives: str = "") -> str:
        """Run a step that has to succeed; gives what it wrote to standard error."""
        answer = self._ask(code, needs, gives)
        assert not answer["kind"], answer["traceback"] or answer["text"]
        return answer["errors"]

    def hand_over(self, make: str, use: str) -> None:
        """Make ``v`` in a step, and use it in the step after next."""
        self.run(make, gives="v")
        self.run("", needs="v")
        assert self.given() == []  # having it does not change it
        self.run(use, needs="v")

    def refuse(self, code: str, gives: str = "v") -> str:
        """Run a step whose last cell has to fail; gives the text of the error."""
        answer = self._ask(code, "", gives)
        assert answer["kind"] == "SaveError", answer["traceback"] or "it was not refused"
        return answer["text"]

    def fail(self, code: str, needs: str = "v") -> str:
        """Run a step that has to fail; gives the kind and the text of the error."""
        answer = self._ask(code, needs, "")
        assert answer["kind"], "it did not fail"
        return f"{answer['kind']}: {answer['text']}"

    def state(self) -> list[str]:
        """The global state that the last step knows to be changed."""
        content = json.loads(Path(self._manifests[-1]).read_text())
        return sorted(content["context"])

    def given(self) -> list[str]:
        """The variables that the last step stored."""
        content = json.loads(Path(self._manifests[-1]).read_text())
        return sorted(content["variables"])

    def _ask(self, code: str, needs: str, gives: str) -> dict[str, str]:
        number = len(self._manifests)
        manifest = str(self.folder / f"step{number}.json")
        environment = {
            "KALE_PM_INPUTS": json.dumps(self._manifests),
            "KALE_PM_ORDER": str(number),
            "KALE_PM_OUTPUT": manifest,
        }
        loading = f"kale_pm.runtime.load(*{needs.split()}, step='step{number}')"
        cells = [
            self._prelude,
            f"import kale_pm.runtime\n{loading}",
            dedent(code),
            f"kale_pm.runtime.save(*{gives.split()})",
        ]
        answer = self._server.ask(
            {"environment": environment, "folder": str(self.folder), "cells": cells}
        )
        if not answer["kind"]:
            self._manifests.append(manifest)
        return answer


@pytest.fixture(scope="session")
def server() -> Iterator[Callable[[str], Server]]:
    """The server that has imported the given libraries; tests share it."""
    servers: dict[str, Server] = {}

    def find(libraries: str) -> Server:
        if libraries not in servers:
            servers[libraries] = Server(libraries.split())
        return servers[libraries]

    yield find
    for each in servers.values():
        each.stop()


@pytest.fixture
def steps(server: Callable[[str], Server], tmp_path: Path) -> Callable[..., Steps]:
    """``steps(prelude, libraries)`` begins a pipeline; skips where a library is missing.

    The processes of its steps have imported the libraries, unless ``are_imported`` is false.
    """

    def begin(prelude: str = "", libraries: str = "", *, are_imported: bool = True) -> Steps:
        for library in libraries.split():
            if importlib.util.find_spec(library.partition(".")[0]) is None:
                pytest.skip(f"{library} is not installed")
        return Steps(server(libraries if are_imported else ""), tmp_path, prelude)

    return begin
