"""Two runs side by side: what differs between them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kale_pm.errors import LoadError
from kale_pm.local.results.changed_cells import CellChange, CodeCell, compare_cells
from kale_pm.local.results.variables import RunVariable, RunVariables
from kale_pm.record import RunRecord, StepRecord

_CODE = ("prelude", "parameters", "step")  # the roles of cells that come from the notebook
_ORDER = ("block", "step", "prev")  # words of tags that say where a cell belongs


@dataclass(frozen=True)
class Change:
    """A value in the first run and in the second; nothing where a run lacks it."""

    before: tuple[Any, ...]
    after: tuple[Any, ...]

    @property
    def difference(self) -> float | None:
        """By how much a number grew; None where it is none, or not finite."""
        pair = [*self.before, *self.after]
        if len(pair) < 2 or not all(_is_number(value) for value in pair):
            return None
        difference = pair[1] - pair[0]
        return difference if math.isfinite(difference) else None

    def to_dict(self) -> dict[str, Any]:
        told = [(key, v) for key in ("before", "after") for v in getattr(self, key)]
        return dict(told)


@dataclass(frozen=True)
class StepComparison:
    """A step in both runs; its record is None in a run that does not have it.

    ``variables`` are those that the step gave and whose content differs, as the two runs
    describe them.
    """

    name: str
    before: StepRecord | None
    after: StepRecord | None
    cells: tuple[CellChange, ...] = ()
    options: Change | None = None
    parents: Change | None = None
    variables: Mapping[str, tuple[RunVariable | None, RunVariable | None]] | None = None

    @property
    def differs(self) -> bool:
        """Whether more than the time differs; a stored result is as good as an executed step."""
        before, after = self.before, self.after
        if before is None or after is None:
            return True
        same_end = before.state == after.state or (
            before.state.is_success and after.state.is_success
        )
        found = (self.cells, self.options, self.parents, self.variables)
        return not same_end or any(found)

    def to_dict(self) -> dict[str, Any]:
        def step(record: StepRecord | None) -> dict[str, Any] | None:
            if record is None:
                return None
            error = record.error and f"{record.error.ename}: {record.error.evalue}"
            state = record.state.value
            return {"state": state, "seconds": record.seconds, "error": error}

        def variable(found: RunVariable | None) -> dict[str, Any] | None:
            if found is None:
                return None
            return {"type": found.type, "kind": found.kind, "size": found.size}

        return {
            "before": step(self.before),
            "after": step(self.after),
            "differs": self.differs,
            "cells": [cell.to_dict() for cell in self.cells],
            "options": self.options.to_dict() if self.options else None,
            "parents": self.parents.to_dict() if self.parents else None,
            "variables": {
                name: {"before": variable(before), "after": variable(after)}
                for name, (before, after) in (self.variables or {}).items()
            },
        }


@dataclass(frozen=True)
class Comparison:
    """What differs from the first run, ``before``, to the second, ``after``.

    ``prelude`` are the changed cells that run in every step, ``kernels`` what the notebooks
    say of the interpreters that ran them.  ``notes`` say what could not be compared.
    """

    before: RunRecord
    after: RunRecord
    parameters: Mapping[str, Change]
    metrics: Mapping[str, Change]
    kernels: Change | None
    prelude: tuple[CellChange, ...]
    steps: tuple[StepComparison, ...]
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether more differs than the times."""
        found = (self.parameters, self.metrics, self.kernels, self.prelude)
        return any(found) or any(step.differs for step in self.steps)

    def to_dict(self) -> dict[str, Any]:
        """For a program: what ``diff --json`` prints."""

        def run(record: RunRecord) -> dict[str, Any]:
            return {
                "id": record.id,
                "pipeline": record.pipeline,
                "state": record.state.value,
                "started": record.started,
                "seconds": record.seconds,
            }

        return {
            "before": run(self.before),
            "after": run(self.after),
            "differs": self.differs,
            "parameters": {name: change.to_dict() for name, change in self.parameters.items()},
            "metrics": {
                name: {**change.to_dict(), "difference": change.difference}
                for name, change in self.metrics.items()
            },
            "kernels": self.kernels.to_dict() if self.kernels else None,
            "prelude": [cell.to_dict() for cell in self.prelude],
            "steps": {step.name: step.to_dict() for step in self.steps},
            "notes": list(self.notes),
        }


def compare_runs(
    before: RunRecord, before_folder: Path, after: RunRecord, after_folder: Path
) -> Comparison:
    """Compare two runs by their records, executed notebooks and manifests; loads no variable."""
    left, right = _Run(before, before_folder), _Run(after, after_folder)
    names = dict.fromkeys([*before.steps, *after.steps])
    steps = tuple(_compare_step(name, left, right) for name in names)
    kernels = _change(left.kernels, right.kernels) if left.kernels and right.kernels else None
    return Comparison(
        before,
        after,
        _changes(before.parameters, after.parameters),
        _changes(before.metrics, after.metrics),
        kernels,
        tuple(_prelude(names, left, right)),
        steps,
        (*left.notes, *right.notes),
    )


class _Run:
    """What is read of one run, and what could not be."""

    def __init__(self, record: RunRecord, folder: Path) -> None:
        self.record = record
        self.folder = folder
        self._notes: dict[str, None] = {}
        self._stored = RunVariables(folder, record)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

    @cached_property
    def notebooks(self) -> dict[str, dict[str, Any]]:
        """The executed notebooks by their steps."""
        found = {}
        for name, step in self.record.steps.items():
            if step.notebook is None:
                continue
            try:
                content = json.loads((self.folder / step.notebook).read_text(encoding="utf-8"))
                if not isinstance(content["cells"], list):
                    raise TypeError
                found[name] = content
            except (OSError, ValueError, KeyError, TypeError):
                text = f"the notebook of step {name} of {self.record.id} is gone or damaged"
                self._notes[f"{text}: its cells are not compared"] = None
        return found

    def cells(self, step: str, *roles: str) -> list[CodeCell] | None:
        """The notebook's own code cells as they ran; None where the step never started."""
        if step not in self.notebooks:
            return None
        found = []
        for cell in self.notebooks[step]["cells"]:
            own = cell["metadata"].get("kale_pm", {})
            if cell["cell_type"] == "code" and own.get("role") in roles:
                tags = tuple(cell["metadata"].get("tags", ()))
                source = "".join(cell["source"])
                found.append(CodeCell(own["cell"], str(cell.get("id")), source, tags))
        return found

    @cached_property
    def kernels(self) -> tuple[str, ...]:
        """The languages of the kernels with their versions, as in ``python 3.12.4``."""
        told = (book["metadata"].get("language_info", {}) for book in self.notebooks.values())
        named = {(each.get("name", ""), each.get("version", "")) for each in told}
        return tuple(sorted(f"{name} {version}" for name, version in named if name))

    def given(self, step: str) -> Mapping[str, RunVariable] | None:
        """The variables that the step gave; None where nobody can say."""
        try:
            return self._stored.given(step)
        except LoadError as error:
            self._notes[f"the variables of {self.record.id} are not compared: {error}"] = None
            return None


def _compare_step(name: str, left: _Run, right: _Run) -> StepComparison:
    before, after = left.record.steps.get(name), right.record.steps.get(name)
    if before is None or after is None:
        return StepComparison(name, before, after)
    cells = left.cells(name, "step"), right.cells(name, "step")
    own = [each for each in cells if each is not None]
    return StepComparison(
        name,
        before,
        after,
        cells=tuple(compare_cells(*own)) if len(own) == 2 else (),
        options=_change(*map(_options, own)) if len(own) == 2 else None,
        parents=_change(before.parents, after.parents),
        variables=_variables(name, left, right),
    )


def _prelude(names: Iterable[str], left: _Run, right: _Run) -> Iterator[CellChange]:
    for name in names:
        before = left.cells(name, "prelude", "parameters")
        after = right.cells(name, "prelude", "parameters")
        if before is not None and after is not None:
            yield from compare_cells(before, after)
            return  # it is the same in every step of a run


def _options(cells: Iterable[CodeCell]) -> tuple[str, ...]:
    """The tags of a step that say how it runs."""
    tags = {tag for cell in cells for tag in cell.tags}
    return tuple(sorted(t for t in tags if ":" in t and t.partition(":")[0] not in _ORDER))


def _variables(
    step: str, left: _Run, right: _Run
) -> dict[str, tuple[RunVariable | None, RunVariable | None]]:
    before, after = left.given(step), right.given(step)
    records = left.record.steps[step], right.record.steps[step]
    if before is None or after is None or not all(each.state.is_success for each in records):
        return {}
    names = sorted({*before, *after})
    pairs = {name: (before.get(name), after.get(name)) for name in names}
    return {
        n: (one, other) for n, (one, other) in pairs.items() if _content(one) != _content(other)
    }


def _content(variable: RunVariable | None) -> tuple[object, ...]:
    if variable is None:
        return ()
    return variable.kind, variable.component, variable.module, variable.reason


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Change]:
    found = {}
    for name in dict.fromkeys([*before, *after]):
        sides = [(run[name],) if name in run else () for run in (before, after)]
        if repr(sides[0]) != repr(sides[1]):  # 1 == 1.0 == True
            found[name] = Change(*sides)
    return found


def _change(before: tuple[str, ...], after: tuple[str, ...]) -> Change | None:
    return Change((list(before),), (list(after),)) if before != after else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
