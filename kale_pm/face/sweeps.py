"""A sweep as an object: its trials, the best of them, a table, and a page."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from kale_pm import strict_json
from kale_pm.errors import KalePmError, StoreError, UsageError
from kale_pm.events import SweepListener, ignore
from kale_pm.face.counts import count_or_none, reports_of
from kale_pm.face.runs import Run
from kale_pm.notebook.spelling import nearest
from kale_pm.record import State, SweepRecord, TrialRecord
from kale_pm.trials.goal import Goal, best, read_goal
from kale_pm.trials.table import TrialRow, metric_names
from kale_pm.trials.values import value_text

if TYPE_CHECKING:
    import pandas as pd

REPORTS = 32
"""Trials that get a report of their own, where nobody says how many."""


@dataclass(frozen=True, repr=False)
class SweepTrial:
    """One trial of a sweep; ``runs`` is the folder in which its run lies, ``loads`` is Run's."""

    record: TrialRecord
    runs: Path
    loads: Callable[..., Any] = field(default=pickle.loads, compare=False)

    def __repr__(self) -> str:
        return f"SweepTrial({self.number}, {dict(self.parameters)}, {self.state.value})"

    @property
    def number(self) -> int:
        return self.record.number

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The values of the parameters that vary; ``run.parameters`` are all of them."""
        return self.record.parameters

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.record.metrics

    @property
    def state(self) -> State:
        return self.record.state

    @property
    def error(self) -> str:
        """What failed; empty if nothing did."""
        return self.record.error

    @cached_property
    def run(self) -> Run:
        """The trial as a run.  Raises StoreError if it never began, or cannot be read any more."""
        if self.record.run is None:
            why = f": {self.record.why}" if self.record.why else ""
            raise StoreError(
                f"trial {self.number} has no run{why}", hint="it never began: retry the sweep"
            )
        return replace(Run.read(self.runs / self.record.run), loads=self.loads)


@dataclass(frozen=True, repr=False)
class Sweep:
    """Many runs of one pipeline on this machine, which differ in the values of parameters.

    ``loads`` is that of their runs.
    """

    record: SweepRecord
    folder: Path
    loads: Callable[..., Any] = field(default=pickle.loads, compare=False)

    def __repr__(self) -> str:
        return f"Sweep({self.id!r}, {self.state.value}, {len(self.record.trials)} trials)"

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The sweep that lies in ``folder``.  Raises StoreError if none does, or it is damaged."""
        from kale_pm.local.sweeping import read_sweep

        return cls(read_sweep(folder), folder)

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def state(self) -> State:
        return self.record.state

    @property
    def goal(self) -> Goal | None:
        """What makes a trial the best one; None where nobody said it."""
        return read_goal(self.record.goal) if self.record.goal else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was warned of before it, such as files that the trials write over, and during it."""
        return self.record.warnings

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def results(self) -> Path:
        """All trials as a table, as CSV; ``results.json`` lies beside it."""
        return self.folder / "results.csv"

    @cached_property
    def trials(self) -> tuple[SweepTrial, ...]:
        runs = self.folder.parent.parent / "runs"
        return tuple(SweepTrial(trial, runs, self.loads) for trial in self.record.trials)

    @cached_property
    def rows(self) -> tuple[TrialRow, ...]:
        """The trials as rows of a table, by number."""
        from kale_pm.local.sweeping import rows_of

        return rows_of(self.record)

    @property
    def failures(self) -> tuple[SweepTrial, ...]:
        """The trials that failed."""
        return tuple(trial for trial in self.trials if trial.state is State.FAILED)

    @property
    def best(self) -> SweepTrial:
        """The trial that comes nearest to the goal.

        Raises UsageError where there is no goal, KalePmError where no trial that is done has
        the goal's metric as a finite number.
        """
        goal = self.goal
        if goal is None:
            raise UsageError(
                f"sweep {self.id} has no goal",
                hint="say what is the best: sweep.best_by('accuracy:max'), or on the command line "
                f"kale-pm report {self.id} --best accuracy:max",
            )
        found = best(self.rows, goal)
        if found is None:
            raise _lost(goal, self.rows)
        return self.trial(found.number)

    def best_by(self, goal: str) -> SweepTrial:
        """The best trial by another goal, such as ``loss:min``; raises as :attr:`best` does."""
        return self.by(goal).best

    def by(self, goal: str) -> Sweep:
        """The same sweep with another goal, such as ``loss:min``.  Raises UsageError."""
        return replace(self, record=replace(self.record, goal=str(read_goal(goal))))

    def trial(self, number: int) -> SweepTrial:
        """The trial of this number, from 1; UsageError if there is none."""
        for trial in self.trials:
            if trial.number == number:
                return trial
        raise UsageError(
            f"sweep {self.id} has no trial {number}", hint=f"trials: 1 to {len(self.trials)}"
        )

    def frame(self) -> pd.DataFrame:
        """The trials as a pandas DataFrame, indexed by their numbers.

        Its columns are the state, the parameters that vary, the metrics, the seconds and the id
        of the run; a metric that is called like a parameter is ``metrics.NAME``.
        """
        import pandas as pd

        from kale_pm.trials.table import flat

        return pd.DataFrame(flat(self.rows, self.record.varied)).set_index("trial")

    def as_csv(self) -> str:
        """All trials as CSV, a line for each."""
        from kale_pm.trials.table import as_csv

        return as_csv(self.rows, self.record.varied)

    def to_dict(self) -> dict[str, Any]:
        """The record, and the best trial's number, for a program: what ``sweep --json`` prints."""
        found = best(self.rows, self.goal) if self.goal else None
        content: dict[str, Any] = json.loads(strict_json.dumps(self.record, default=str))
        number = found.number if found else None
        return {**content, "best": number, "folder": str(self.folder)}

    def retry(
        self,
        *,
        jobs: int | None = None,
        kernel: str | None = None,
        fail_fast: bool = False,
        verify: bool = False,
        listener: SweepListener = ignore,
    ) -> Sweep:
        """Try again what is not done, with the same values, in the same place.

        The options are those of :meth:`Pipeline.sweep`.  Raises UsageError where all trials
        are done or the sweep still goes on, and what else that method raises.
        """
        from kale_pm.face.pipeline import load
        from kale_pm.local import RunOptions
        from kale_pm.local.sweeping import SweepOptions

        run = RunOptions(
            jobs=count_or_none("jobs", jobs), kernel=kernel, fail_fast=fail_fast, verify=verify
        )
        pipeline = load(self.record.notebook)
        return pipeline.retry_sweep(self, SweepOptions(run), listener)

    def write_report(
        self,
        reports: int | None = REPORTS,
        tell: Callable[[int, int], None] = lambda _count, _all: None,
    ) -> Path:
        """Write reports of trials, the tables of results, and the page ``report.html``; its path.

        The reports are those of the ``reports`` best trials, or without a goal of the first
        ones, and of as many failed ones; with None of all.  ``tell`` hears how many of how many
        are written.  Raises StoreError if something cannot be written.
        """
        from kale_pm.local.sweeping import worth_a_report, write_page, write_results

        chosen = worth_a_report(self.record, reports_of(reports))
        try:
            for count, record in enumerate(chosen):
                tell(count, len(chosen))
                try:
                    run = self.trial(record.number).run
                except StoreError:
                    continue  # it was removed, and the others are there all the same
                run.write_report()
        finally:
            # However that ends, also by Ctrl-C, the page is there.
            write_results(self.record, self.folder)
            path = write_page(self.record, self.folder)
        return path

    def _repr_html_(self) -> str:
        from kale_pm.face.sweep_html import html_of

        return html_of(self)


def _lost(goal: Goal, rows: tuple[TrialRow, ...]) -> KalePmError:
    """The error of a metric that no trial gave, or none as a finite number."""
    done = [row for row in rows if row.is_success]
    known = metric_names(done)
    given = [row.metrics[goal.metric] for row in done if goal.metric in row.metrics]
    reason = f"no trial that is done has a finite number as '{goal.metric}'"
    hint = f"metrics: {', '.join(known)}" if known else "no trial that is done has a metric"
    if given:
        trials = "1 trial has" if len(given) == 1 else f"{len(given):,} trials have"
        are_numbers = all(isinstance(value, float) for value in given)
        what = "nan or inf" if are_numbers else "another value, such as " + value_text(given[0])
        reason = f"{reason}: {trials} {what}"
    elif near := nearest(goal.metric, known):
        hint = f"did you mean '{near}'? {hint}"
    return KalePmError(reason, hint=hint)
