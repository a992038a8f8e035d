"""Pipelines and runs that know the script that they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from kale_pm.errors import StepFailed
from kale_pm.events import Listener, SweepListener, ignore
from kale_pm.face import Pipeline, Run
from kale_pm.sdk.script.program import program
from kale_pm.sdk.script.wording import hearing_of_a_script, in_words_of_a_script, step_of_a_script
from kale_pm.sdk.source.functions import shown
from kale_pm.sdk.source.modules import ModuleSource

if TYPE_CHECKING:
    from kale_pm.face import Sweep
    from kale_pm.local import RunOptions
    from kale_pm.local.sweeping import SweepOptions
    from kale_pm.record import CellError
    from kale_pm.sweep import Plan


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

    @classmethod
    def of(cls, run: Run, marks: Marks, loads: Callable[..., Any]) -> TracedRun:
        """The run of a pipeline whose cells were written where ``marks`` say; see Run."""
        steps = {name: step_of_a_script(step) for name, step in run.record.steps.items()}
        return cls(replace(run.record, steps=steps), run.folder, marks, loads=loads)

    @property
    def failures(self) -> list[StepFailed]:
        found = super().failures
        errors = {step.name: step.error for step in self.record.failures}
        for failure in found:
            error = errors.get(failure.step)
            place = self._place(error) if error is not None else ""
            if place:
                failure.hint = f"it is {place}" + (f"; {failure.hint}" if failure.hint else "")
            where, break_, rest = failure.message.partition("\n")
            failure.message = in_words_of_a_script(where) + break_ + rest
            failure.args = (failure.message,)
        return found

    def _place(self, error: CellError) -> str:
        """The line that failed; of a function that the step called as a whole, that inside."""
        places = [(error.cell, error.line), *((each.cell, each.line) for each in error.places)]
        return next(filter(None, (self.marks.place(*each) for each in places)), "")


@dataclass(frozen=True, repr=False)
class TracedPipeline(Pipeline):
    """A pipeline of a script; its cells are in memory only.

    ``owners`` are the modules whose code binds the names that every step has.
    """

    marks: Marks = field(default_factory=Marks)
    owners: Mapping[str, ModuleSource] = field(default_factory=dict, compare=False)
    runs: list[Run] = field(default_factory=list, compare=False)

    @property
    def check_command(self) -> str:
        return f"{program()} check"

    def attempt(self, options: RunOptions, listener: Listener = ignore) -> Run:
        """As that of any pipeline; ``runs`` remembers it."""
        run = super().attempt(options, hearing_of_a_script(listener))
        traced = TracedRun.of(run, self.marks, self._loads)
        self.runs.append(traced)
        return traced

    def plan_sweep(self, **options: Any) -> Plan:
        """As that of any pipeline; its warnings are about the script."""
        plan = super().plan_sweep(**options)
        return replace(plan, warnings=tuple(map(in_words_of_a_script, plan.warnings)))

    def attempt_sweep(
        self,
        plan: Plan,
        options: SweepOptions,
        listener: SweepListener = ignore,
        tell: Callable[[int, int], None] = lambda _count, _all: None,
    ) -> Sweep:
        """As that of any pipeline; what its listener hears is about the script."""
        plan = replace(plan, warnings=tuple(map(in_words_of_a_script, plan.warnings)))
        sweep = super().attempt_sweep(plan, options, hearing_of_a_script(listener), tell)
        return replace(sweep, loads=self._loads)

    @property
    def _loads(self) -> Callable[..., Any]:
        from kale_pm.sdk.alone.references import loading

        return loading({name: module.names for name, module in self.owners.items()})
