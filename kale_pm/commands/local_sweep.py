"""A sweep on this machine, as ``kale-pm sweep`` shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kale_pm.commands.shared import INTERRUPTED, described, load_pipeline, refuse_errors
from kale_pm.console import (
    mention_warnings,
    say,
    show_error,
    show_json,
    show_view,
    show_warning,
    sweep_progress,
)
from kale_pm.errors import KalePmError

if TYPE_CHECKING:
    from kale_pm.events import SweepEvent, SweepListener
    from kale_pm.face import Pipeline, Sweep
    from kale_pm.local.sweeping import SweepOptions
    from kale_pm.sweep import Plan
    from kale_pm.trials.goal import Goal

_ASKED_OF_STORE = 20_000  # executions: to look up more of them takes longer than it is worth


@dataclass(frozen=True)
class Output:
    """What of a sweep is printed."""

    verbose: bool
    as_json: bool
    as_csv: bool

    @property
    def is_quiet(self) -> bool:
        """Whether a program reads it, not people."""
        return self.as_json or self.as_csv


def show_plan(pipeline: Pipeline, plan: Plan, options: SweepOptions, output: Output) -> None:
    """Say what the sweep would do; nothing is executed."""
    from kale_pm.local.sweeping import stored
    from kale_pm.terminal import plan_view

    done = stored(pipeline, plan, options.run) if plan.count <= _ASKED_OF_STORE else None
    if output.as_json:
        show_json(
            {
                **described(plan),
                "reach": plan.reach,
                "by_step": plan.by_step,
                "executions": plan.count,
                "unshared": plan.unshared,
                "stored": done,
                "warnings": plan.warnings,
            }
        )
        return
    show_view(plan_view(plan, plan.varied, stored=done or 0))
    for warning in plan.warnings:
        show_warning(warning)


def sweep_here(pipeline: Pipeline, plan: Plan, options: SweepOptions, output: Output) -> None:
    """Carry out the plan.  Ends with exit code 1 if a trial failed, or none can be the best."""
    from kale_pm.terminal import plan_head

    if not output.is_quiet:
        mention_warnings(pipeline)
        show_view(plan_head(plan), error=True)
    # A program that reads the results does not read what is told beside them.
    for warning in plan.warnings:
        show_warning(warning)
    carry_out = partial(pipeline.attempt_sweep, plan, options)
    _follow(carry_out, pipeline, options.goal, options.run.folder or pipeline.folder, output)


def try_again(
    name: str, options: SweepOptions, output: Output, strict: bool, infer_edges: bool
) -> None:
    """Try again what of a sweep is not done, with its notebook as it is now; ends likewise."""
    from kale_pm.face import find_sweep

    before = find_sweep(name, near=options.run.folder)
    pipeline = load_pipeline(Path(before.record.notebook), strict, infer_edges)
    refuse_errors(pipeline)
    for warning in before.warnings:
        show_warning(warning)
    carry_out = partial(pipeline.retry_sweep, before, options)
    _follow(carry_out, pipeline, options.goal or before.goal, before.folder, output)


def _follow(
    carry_out: Callable[[SweepListener, Callable[[int, int], None]], Sweep],
    pipeline: Pipeline,
    goal: Goal | None,
    near: Path,
    output: Output,
) -> None:
    """Carry out a sweep, show how it goes and what it gave, and end with its exit code."""
    from kale_pm.events import SweepStarted
    from kale_pm.face import find_sweep
    from kale_pm.local.interruption import interruptible

    begun: list[str] = []
    try:
        with (
            interruptible(),
            sweep_progress(pipeline.order, goal, output.verbose, output.is_quiet) as progress,
        ):

            def hear(event: SweepEvent) -> None:
                if isinstance(event, SweepStarted):
                    begun.append(event.sweep)
                progress.hear(event)

            finished = carry_out(hear, progress.tell)
    except KeyboardInterrupt:
        for sweep in begun:
            _show(find_sweep(sweep, near=near), output)
        say("interrupted; the same command takes up what is done", error=True)
        raise typer.Exit(INTERRUPTED) from None
    _show(finished, output)
    _check(finished)


def _show(sweep: Sweep, output: Output) -> None:
    from kale_pm.terminal import places_view, sweep_view

    if output.as_json:
        show_json(sweep.to_dict())
    elif output.as_csv:
        say(sweep.as_csv().removesuffix("\n"))
    else:
        show_view(sweep_view(sweep))
        show_view("")
        show_view(places_view(sweep), soft_wrap=True)


def _check(sweep: Sweep) -> None:
    """End with exit code 1 if a trial failed, or none has the metric of the goal."""
    if sweep.goal is not None:
        try:
            _ = sweep.best
        except KalePmError as error:
            show_error(error)
            raise typer.Exit(1) from None
    if sweep.failures:
        raise typer.Exit(1)
