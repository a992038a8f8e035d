"""The nouns of a pipeline: what the notebook says, before anything runs.

A :class:`Pipeline` is made in two strides.  ``kale_pm.notebook`` reads cells and tags into
it; ``kale_pm.analysis`` then fills in what flows between the steps.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from kale_pm.settings import Configuration, StepOptions

CellKind = Literal["code", "markdown", "raw"]
ParameterType = Literal["bool", "int", "float", "str", "list", "dict", "any"]
Severity = Literal["error", "warning", "note"]

PYTHON = "python"


@dataclass(frozen=True)
class Cell:
    """One cell of the source notebook.

    ``number`` counts all cells of the notebook from 1, as editors show it; ``language`` is in
    lower case.
    """

    number: int
    id: str
    kind: CellKind
    source: str
    tags: tuple[str, ...] = ()
    language: str = PYTHON

    @property
    def is_code(self) -> bool:
        return self.kind == "code"

    @property
    def is_python(self) -> bool:
        return self.language == PYTHON


@dataclass(frozen=True)
class Parameter:
    """A pipeline parameter: a literal assignment in a ``parameters`` cell.

    ``optional`` allows None; ``cell`` and ``line`` (both from 1) say where it stands.
    """

    name: str
    type: ParameterType
    default: Any
    optional: bool = False
    cell: int = 0
    line: int = 0


@dataclass(frozen=True)
class Source:
    """The version of a variable that one step leaves behind."""

    step: str
    name: str


@dataclass(frozen=True)
class Need:
    """A variable that a step receives.

    ``source`` is the right version; where that step may leave the variable alone, the
    ``fallbacks`` follow in the order in which they are to be asked.
    """

    name: str
    source: Source
    fallbacks: tuple[Source, ...] = ()

    @property
    def sources(self) -> tuple[Source, ...]:
        return (self.source, *self.fallbacks)


@dataclass(frozen=True)
class Step:
    """The cells of one step, and what flows in and out of them.

    ``gives`` are what later steps take from here; ``stores`` are those of them that are stored
    even when the run shows no change, because a later step asks nobody else.
    ``gives_if_changed`` may change in code that nobody can look into.  ``watch`` names
    variables of the prelude that the step may change.  ``metrics`` are the names that the
    step records when it is done.
    """

    name: str
    cells: tuple[Cell, ...]
    prev: tuple[str, ...] = ()
    options: StepOptions = field(default_factory=StepOptions)
    needs: tuple[Need, ...] = ()
    gives: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    gives_if_changed: tuple[str, ...] = ()
    watch: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    @property
    def code(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.is_code)

    @property
    def input_steps(self) -> tuple[str, ...]:
        """The steps that may be the source of one of the needs."""
        names = (source.step for need in self.needs for source in need.sources)
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class Problem:
    """Something that ``check`` found; the codes are documented in docs/problems.md."""

    code: str
    severity: Severity
    message: str
    hint: str = ""
    step: str | None = None
    cell: int | None = None
    line: int | None = None

    @property
    def is_error(self) -> bool:
        return self.severity == "error"


@dataclass(frozen=True)
class Pipeline:
    """A notebook understood: its prelude, its steps in notebook order, and what flows.

    ``edges`` are those of the ``prev:`` tags as (parent, child); ``implied_edges`` were added
    by the analysis.  ``kernelspec`` is the notebook's own metadata, possibly empty for one of
    Python, and else with name and language.
    """

    path: Path
    configuration: Configuration
    prelude: tuple[Cell, ...]
    steps: tuple[Step, ...]
    parameters: tuple[Parameter, ...] = ()
    metrics: tuple[str, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    implied_edges: tuple[tuple[str, str], ...] = ()
    aliases: tuple[tuple[str, ...], ...] = ()
    problems: tuple[Problem, ...] = ()
    kernelspec: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.configuration.name

    @property
    def folder(self) -> Path:
        """The folder of the notebook: every step's working directory."""
        return self.path.parent

    @property
    def language(self) -> str:
        """The language of the cells, in its own spelling."""
        return PYTHON if self.is_analysed else self.kernelspec["language"]

    @cached_property
    def is_analysed(self) -> bool:
        """Whether the code can be read, so that variables flow between the steps: Python alone."""
        return all(cell.is_python for step in self.steps for cell in step.cells)

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.is_error)

    @cached_property
    def _by_name(self) -> dict[str, Step]:
        return {step.name: step for step in self.steps}

    def step(self, name: str) -> Step:
        """The step of this name; KeyError if there is none."""
        return self._by_name[name]

    @cached_property
    def parents(self) -> Mapping[str, tuple[str, ...]]:
        """Step name -> the steps that must be done before it, in notebook order."""
        known: dict[str, set[str]] = {step.name: set() for step in self.steps}
        for parent, child in (*self.edges, *self.implied_edges):
            known[child].add(parent)
        return {
            child: tuple(step.name for step in self.steps if step.name in parents)
            if parents
            else ()
            for child, parents in known.items()
        }

    @cached_property
    def ancestors(self) -> Mapping[str, frozenset[str]]:
        """Step name -> all steps that must be done before it: its parents, theirs, and so on."""
        return {name: frozenset(self._above(name)) for name in self.parents}

    def users(self, name: str) -> dict[str, tuple[str, ...]]:
        """Variable -> the steps that may need it from the step ``name``."""
        return dict(self._users.get(name, {}))

    @cached_property
    def _users(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        found: dict[str, dict[str, tuple[str, ...]]] = {}
        for step in self.steps:
            for need in step.needs:
                for name in {source.step for source in need.sources}:
                    users = found.setdefault(name, {})
                    users[need.name] = (*users.get(need.name, ()), step.name)
        return found

    def _above(self, name: str) -> set[str]:
        found: set[str] = set()
        waiting = [name]
        while waiting:
            new = set(self.parents[waiting.pop()]) - found
            found |= new
            waiting += new
        return found

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All step names, parents first; where edges leave it open, in notebook order."""
        return topological_order([step.name for step in self.steps], self.parents)


def topological_order(names: list[str], parents: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Sort ``names`` so that parents come first, staying as near to the given order as possible.

    Steps on a cycle are left out: callers compare lengths to find one.

    >>> topological_order(["c", "a", "b"], {"c": ("b",), "a": (), "b": ("a",)})
    ('a', 'b', 'c')
    """
    position = {name: index for index, name in enumerate(names)}
    waiting = {name: len(parents[name]) for name in names}
    children: dict[str, list[str]] = {name: [] for name in names}
    for child in names:
        for parent in parents[child]:
            children[parent].append(child)
    ready = [position[name] for name in names if not waiting[name]]
    heapq.heapify(ready)
    order = []
    while ready:
        name = names[heapq.heappop(ready)]
        order.append(name)
        for child in children[name]:
            waiting[child] -= 1
            if not waiting[child]:
                heapq.heappush(ready, position[child])
    return tuple(order)
