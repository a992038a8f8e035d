"""Tiny notebooks for the tests of the analysis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tiny_notebooks import write_notebook

from kale_pm.analysis import understand
from kale_pm.model import Pipeline, Problem
from kale_pm.notebook import read


@dataclass(frozen=True)
class Understood:
    """A pipeline, and the questions that tests ask about it."""

    pipeline: Pipeline

    def needs(self, step: str) -> dict[str, str]:
        """Variable -> its sources, the first one first, as in "b a"."""
        needs = self.pipeline.step(step).needs
        return {need.name: " ".join(source.step for source in need.sources) for need in needs}

    def gives(self, step: str) -> set[str]:
        """What the step gives in any case, or if the run shows a change."""
        return {*self.pipeline.step(step).gives, *self.pipeline.step(step).gives_if_changed}

    def watches(self, step: str) -> set[str]:
        return set(self.pipeline.step(step).watch)

    @property
    def codes(self) -> list[str]:
        """The codes of all problems."""
        return [problem.code for problem in self.pipeline.problems]

    @property
    def errors(self) -> list[str]:
        return [problem.code for problem in self.pipeline.errors]

    def problem(self, code: str) -> Problem:
        """The only problem of this code."""
        (problem,) = [p for p in self.pipeline.problems if p.code == code]
        return problem


@pytest.fixture(scope="session")
def understood(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Pipeline]:
    """Understand cells given as ("tags separated by spaces", source)."""
    folder = tmp_path_factory.mktemp("notebooks")
    (folder / "pyproject.toml").write_text("")
    path = folder / "wine.ipynb"

    def make(*cells: tuple[str, str], **options: Any) -> Pipeline:
        return understand(read(write_notebook(path, cells)), **options)

    return make


@pytest.fixture(scope="session")
def notebook(understood: Callable[..., Pipeline]) -> Callable[..., Understood]:
    """The same, ready for questions."""
    return lambda *cells, **options: Understood(understood(*cells, **options))


@pytest.fixture(scope="session")
def chain(notebook: Callable[..., Understood]) -> Callable[..., Understood]:
    """Steps a, b, c... from their sources, each after the one before it."""

    def make(*sources: str, functions: str = "", parameters: str = "") -> Understood:
        cells = [("parameters", parameters), ("functions", functions)]
        for before, step, source in zip(" abcdefg", "abcdefg", sources, strict=False):
            cells.append((f"block:{step} prev:{before}".removesuffix(" prev: "), source))
        return notebook(*(cell for cell in cells if cell[1]))

    return make
