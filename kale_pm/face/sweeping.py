"""What a pipeline does with many values of its parameters: plan a sweep, and carry it out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kale_pm import model
from kale_pm.events import (
    KernelStarting,
    OfTrial,
    StepFinished,
    SweepEvent,
    SweepListener,
    SweepStarted,
    TrialFinished,
    TrialStarted,
    ignore,
)
from kale_pm.face.counts import count_of, count_or_none, reports_of
from kale_pm.face.paths import path_of

if TYPE_CHECKING:
    from kale_pm.face.sweeps import Sweep
    from kale_pm.local import Store
    from kale_pm.local.sweeping import SweepOptions
    from kale_pm.sweep import Plan

# A file, a list of mappings, or what becomes one, such as a DataFrame.
Trials = str | Path | Sequence[Mapping[str, Any]] | Any


class SweepVerbs(model.Pipeline):
    """A pipeline, with what makes many runs of it."""

    def sweep(
        self,
        *,
        best: str = "",
        stop_when: str = "",
        random: int | None = None,
        seed: int = 0,
        trials: Trials | None = None,
        folder: str | Path | None = None,
        jobs: int | None = None,
        kernel: str | None = None,
        fresh: bool = False,
        fail_fast: bool = False,
        verify: bool = False,
        reports: int | None = 32,
        listener: SweepListener = ignore,
        parameters: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> Sweep:
        """Run the pipeline once for each trial; keyword arguments are values of parameters.

        A list or any other iterable varies, and so does a :class:`kale_pm.Range`; anything else
        is the same in all trials.  These are all combinations, or ``random`` of them, drawn with
        the ``seed``.  ``trials`` is a file of trials (CSV, JSON, JSON lines), a list of mappings
        or a DataFrame, with which the values are crossed.  ``best`` says which trial is the
        best, as in ``"accuracy:max"``; once one is as ``stop_when`` says, ``"accuracy>=0.95"``,
        no other begins.  The ``reports`` best trials get a report each, and so many that
        failed; with None all do.  The other options are those of :meth:`Pipeline.run`.

        What the same values reach is executed once for all trials.  A failing trial is no
        exception: see ``failures`` of the sweep.  What is to be known of it, before it begins and
        when it has ended, is told as Python's warnings and kept as its ``warnings``.  Raises
        UsageError and ParameterError for wrong values, and what
        kale_pm.local.sweeping.run_sweep raises.

        >>> sweep = load("wine.ipynb").sweep(trees=[50, 200], best="accuracy:max")
        >>> sweep.best.run["models"]
        """
        from kale_pm.face.planning import doubts
        from kale_pm.local import RunOptions
        from kale_pm.local.sweeping import SweepOptions
        from kale_pm.trials.goal import read_condition, read_goal

        goal = read_goal(best) if best else None
        condition = read_condition(stop_when) if stop_when else None
        most = reports_of(reports)
        given = {**(parameters or {}), **values}
        plan = self.plan_sweep(trials=trials, random=random, seed=seed, parameters=given)
        metrics = [each.metric for each in (goal, condition) if each is not None]
        plan = replace(plan, warnings=(*plan.warnings, *doubts(self, metrics)))
        for text in plan.warnings:
            warnings.warn(text, stacklevel=2)
        run = RunOptions(
            folder=path_of(folder),
            jobs=count_or_none("jobs", jobs),
            kernel=kernel,
            fresh=fresh,
            fail_fast=fail_fast,
            verify=verify,
        )
        options = SweepOptions(run, goal=goal, stop_when=condition, reports=most)
        sweep = self.attempt_sweep(plan, options, listener)
        for text in sweep.warnings[len(plan.warnings) :]:
            warnings.warn(text, stacklevel=2)
        return sweep

    def plan_sweep(
        self,
        *,
        random: int | None = None,
        seed: int = 0,
        trials: Trials | None = None,
        parameters: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> Plan:
        """The trials that :meth:`sweep` runs, the executions that they share, and warnings.

        >>> load("wine.ipynb").plan_sweep(trees=[50, 100, 200]).by_step["train_forest"]
        3
        """
        from kale_pm.face.planning import plan_of

        given = {**(parameters or {}), **values}
        return plan_of(
            self,
            given,
            trials,
            random=count_or_none("random", random),
            seed=count_of("seed", seed),
        )

    def attempt_sweep(
        self,
        plan: Plan,
        options: SweepOptions,
        listener: SweepListener = ignore,
        tell: Callable[[int, int], None] = lambda _count, _all: None,
    ) -> Sweep:
        """Carry out a plan, and write the page of the sweep, and reports of trials.

        ``tell`` hears how many of how many reports are written.  Raises what
        kale_pm.local.sweeping.run_sweep does; after Ctrl-C the page is there all the same.
        """
        from kale_pm.face.sweeps import Sweep
        from kale_pm.local import store_in
        from kale_pm.local.sweeping import run_sweep

        store = store_in(options.run.folder or self.folder)
        begun: list[Path] = []

        def hear(event: SweepEvent) -> None:
            if isinstance(event, SweepStarted):
                begun.append(store.sweeps / event.sweep)
            listener(event)

        # Of many trials only the best ones get a report, and nobody knows them yet.
        are_all_reported = len(plan.trials) <= options.reports
        try:
            with _rendering_ahead(store, are_all_reported, hear) as listening:
                sweep = Sweep(*run_sweep(self, plan, options, listening))
        except KeyboardInterrupt:
            for folder in begun:
                Sweep.read(folder).write_report(0)
            raise
        sweep.write_report(options.reports, tell)
        return sweep

    def retry_sweep(
        self,
        sweep: Sweep,
        options: SweepOptions,
        listener: SweepListener = ignore,
        tell: Callable[[int, int], None] = lambda _count, _all: None,
    ) -> Sweep:
        """Try again what of ``sweep`` is not done, in its place and with the values of then.

        Raises as :meth:`attempt_sweep`, and UsageError where there is nothing to do.
        """
        from kale_pm.local.sweeping import unfinished
        from kale_pm.sweep import plan_sweep

        record = sweep.record
        plan = plan_sweep(self, unfinished(self, record), record.varied)
        place = sweep.folder.parent.parent.parent
        options = replace(options, run=replace(options.run, folder=place), retry=record)
        return self.attempt_sweep(plan, options, listener, tell)


@contextmanager
def _rendering_ahead(
    store: Store, notebooks: bool, listener: SweepListener
) -> Iterator[SweepListener]:
    """A listener that gets ready to write reports, and with ``notebooks`` renders them already."""
    from kale_pm.report import rendering_ahead

    runs: dict[int, str] = {}
    with rendering_ahead(store.runs, store.fragments, ignore) as render:

        def listen(event: SweepEvent) -> None:
            match event:
                case TrialStarted(number=number, run=run):
                    runs[number] = run
                case OfTrial(event=KernelStarting() as starting):
                    render(starting)
                case OfTrial(number=number, event=StepFinished(notebook=str(path)) as finished):
                    if notebooks:
                        render(replace(finished, notebook=f"{runs[number]}/{path}"))
                case TrialFinished(record=record):
                    runs.pop(record.number, None)
            listener(event)

        yield listen
