"""Pipelines and runs that know the script that they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from kale_pm.errors import StepFailed
from kale_pm.events import Listener, ignore
from kale_pm.face import Pipeline, Run
from kale_pm.sdk.functions import shown
from kale_pm.sdk.program import program

if TYPE_CHECKING:
    from kale_pm.local import RunOptions


@dataclass(frozen=True)
class Marks:
    """Where the cells of a notebook were written: by number their file, and pairs of lines.

    The first of a pair is a line of the cell, the second that of the file.
    """

    cells: Mapping[int, tuple[str, tuple[tuple[int, int], ...]]] = field(default_factory=dict)

    def place(self, cell: int | None, line: int | None) -> str:
        """The line of the script as ``script.py:12``; empty where nobody wrote it."""
        file, marks = self.cells.get(cell or 0, ("", ()))
        above = [mark for mark in marks if mark[0] <= (line or 1)]
        if not above:
            return ""
        return f"{shown(file)}:{above[-1][1] + (line or 1) - above[-1][0]}"


@dataclass(frozen=True, repr=False)
class TracedRun(Run):
    """A run of a script: what fails in it is told with the line of the script."""

    marks: Marks = field(default_factory=Marks)

    @property
    def failures(self) -> list[StepFailed]:
        found = super().failures
        errors = {step.name: step.error for step in self.record.failures}
        for failure in found:
            error = errors.get(failure.step)
            place = self.marks.place(error.cell, error.line) if error is not None else ""
            if place:
                failure.hint = f"it is {place}" + (f"; {failure.hint}" if failure.hint else "")
        return found


@dataclass(frozen=True, repr=False)
class TracedPipeline(Pipeline):
    """A pipeline of a script; its cells are in memory only."""

    marks: Marks = field(default_factory=Marks)
    runs: list[Run] = field(default_factory=list, compare=False)

    @property
    def check_command(self) -> str:
        return f"{program()} check"

    def attempt(self, options: RunOptions, listener: Listener = ignore) -> Run:
        """As that of any pipeline; ``runs`` remembers it."""
        run = super().attempt(options, listener)
        known = {each.name: getattr(run, each.name) for each in fields(run)}
        traced = TracedRun(**known, marks=self.marks)
        self.runs.append(traced)
        return traced
