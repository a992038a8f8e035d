"""Steps for the tests of this folder: load, cells and save, each step a fresh process."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from step_processes import Report, StepServer, Task, cells_of_slice


class Steps:
    """The steps of one pipeline, in their order; every one of them runs the prelude first."""

    def __init__(self, server: StepServer, folder: Path, prelude: str) -> None:
        self.folder = folder
        self._server = server
        self._prelude = dedent(prelude)
        self._manifests: list[str] = []

    def run(self, code: str, needs: str = "", gives: str = "") -> str:
        """Run a step that has to succeed; gives what it wrote to standard error."""
        report = self._ask(code, needs, gives)
        assert not report.error, report.traceback
        return report.warned

    def hand_over(self, make: str, use: str) -> None:
        """Make ``v`` in a step, and use it in the step after next."""
        self.run(make, gives="v")
        self.run("", needs="v")
        assert self.given() == []  # having it does not change it
        self.run(use, needs="v")

    def refuse(self, code: str, gives: str = "v") -> str:
        """Run a step whose last cell has to fail; gives the text of the error."""
        report = self._ask(code, "", gives)
        assert report.error == "SaveError", report.traceback or "it was not refused"
        return report.message

    def fail(self, code: str, needs: str = "v") -> str:
        """Run a step that has to fail; gives the kind and the text of the error."""
        report = self._ask(code, needs, "")
        assert report.error, "it did not fail"
        return f"{report.error}: {report.message}"

    def state(self) -> list[str]:
        """The global state that the last step knows to be changed."""
        content = json.loads(Path(self._manifests[-1]).read_text())
        return sorted(content["context"])

    def given(self) -> list[str]:
        """The variables that the last step stored."""
        content = json.loads(Path(self._manifests[-1]).read_text())
        return sorted(content["variables"])

    def _ask(self, code: str, needs: str, gives: str) -> Report:
        number = len(self._manifests)
        manifest = str(self.folder / f"step{number}.json")
        environment = {
            "KALE_PM_INPUTS": json.dumps(self._manifests),
            "KALE_PM_ORDER": str(number),
            "KALE_PM_OUTPUT": manifest,
        }
        cells = cells_of_slice(
            f"step{number}", self._prelude, dedent(code), needs.split(), gives.split()
        )
        (report,) = self._server.run(Task(environment, str(self.folder), cells))
        assert not report.killed, "its process crashed, or hung"
        if not report.error:
            self._manifests.append(manifest)
        return report


@pytest.fixture(scope="session")
def server() -> Iterator[Callable[[str], StepServer]]:
    """The server that has imported the given libraries; tests share it."""
    servers: dict[str, StepServer] = {}

    def find(libraries: str) -> StepServer:
        if libraries not in servers:
            servers[libraries] = StepServer(*libraries.split())
        return servers[libraries]

    yield find
    for each in servers.values():
        each.stop()


@pytest.fixture
def steps(server: Callable[[str], StepServer], tmp_path: Path) -> Callable[..., Steps]:
    """``steps(prelude, libraries)`` begins a pipeline; skips where a library is missing.

    The processes of its steps have imported the libraries, unless ``are_imported`` is false.
    """

    def begin(prelude: str = "", libraries: str = "", *, are_imported: bool = True) -> Steps:
        for library in libraries.split():
            if importlib.util.find_spec(library.partition(".")[0]) is None:
                pytest.skip(f"{library} is not installed")
        return Steps(server(libraries if are_imported else ""), tmp_path, prelude)

    return begin
