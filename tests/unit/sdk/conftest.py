"""Pipelines in files: ``script(text)`` writes and imports one, ``cells(pipeline)`` is its notebook.

``outcome(pipeline)`` is what that notebook does, and ``same(text)`` what plain calls do as well.
"""

from __future__ import annotations

import inspect
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest

HEAD = "from kale_pm.sdk import artifact, metric, pipeline, step\n\n\n"
COLLECT = """
@step
def collect(*everything):
    collected = list(everything)
    return collected


"""
_numbers = itertools.count(1)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Path]]:
    """Write a module into the folder of the scripts, where imports find it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def put(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    yield put
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def script(write: Callable[[str, str], Path]) -> Callable[[str], ModuleType]:
    """The module of a script; it has the names of the SDK already."""

    def make(text: str) -> ModuleType:
        name = f"script_{next(_numbers)}"
        write(f"{name}.py", HEAD + dedent(text))
        return import_module(name)

    return make


@pytest.fixture
def cells(tmp_path: Path) -> Callable[..., list[tuple[str, str]]]:
    """The code cells of the notebook that a pipeline is made from: tags and source."""

    def read(function: Any, *kinds: str) -> list[tuple[str, str]]:
        path = function.write_notebook(tmp_path / "written.ipynb")
        content = json.loads(path.read_text(encoding="utf-8"))
        return [
            (" ".join(cell["metadata"]["tags"]), cell["source"])
            for cell in content["cells"]
            if cell["cell_type"] in (kinds or ("code",))
        ]

    return read


@pytest.fixture
def outcome(cells: Callable[..., list[tuple[str, str]]]) -> Callable[[Any], dict[str, object]]:
    """The variables after the notebook of a pipeline was run from top to bottom."""

    def run(function: Any) -> dict[str, object]:
        names: dict[str, object] = {"__name__": "__main__"}
        for _, source in cells(function):
            exec(source, names)
        return names

    return run


@pytest.fixture
def same(
    script: Callable[[str], ModuleType], outcome: Callable[[Any], dict[str, object]]
) -> Callable[[str], object]:
    """What the step ``collect`` gets in a script; asserts that the plain functions give it, too."""

    def checked(text: str) -> object:
        small = script(COLLECT + dedent(text)).small
        found = outcome(small)["collect_collected"]
        # Outside of a trace the steps are functions, and so is what calls them.
        parameters = inspect.signature(small.function).parameters.values()
        assert found == small.function(**{each.name: each.default for each in parameters})
        return found

    return checked
