"""How the trials of a sweep look: before it starts, and when it has ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from kale_pm.face.sweeps import Sweep, SweepTrial
from kale_pm.record import State
from kale_pm.report.page import duration
from kale_pm.sweep import Plan
from kale_pm.terminal.commands import retry_command
from kale_pm.terminal.history import pairs, value_text
from kale_pm.terminal.run import counts
from kale_pm.terminal.sweep import first_line
from kale_pm.terminal.text import STYLES, visible
from kale_pm.terminal.trial_table import TrialTable, decimals_of, number, value
from kale_pm.trials.goal import best, deciding_value, ranking
from kale_pm.trials.table import TrialRow, columns

_PLANNED = 20  # trials that a plan lists
_LISTED, _FEWER = 30, 20  # trials that are listed all, and so many of more
_FAILURES = 5  # different ones
_NUMBERS = 10  # of trials that failed alike


def plan_view(plan: Plan, varied: Sequence[str], *, stored: int) -> RenderableType:
    """The trials, and how often each step is executed for them.

    ``stored`` of the executions have a result that an earlier run left.
    """
    shown = plan.trials[:_PLANNED]
    names = varied if len(plan.trials) > 1 else [*varied, *plan.fixed]
    table = TrialTable(["trial", *names])
    for trial in shown:
        values = (value(trial.parameters[name]) for name in names)
        table.add([number(str(trial.number)), *values])
    parts: list[RenderableType] = [table]
    if len(plan.trials) > len(shown):
        parts.append(Text(f"… and {len(plan.trials) - len(shown):,} more", "dim"))
    if len(plan.trials) > 1:
        parts += _in_all(plan)
    steps = ", ".join(f"{visible(step)} {count:,}" for step, count in plan.by_step.items())
    line = _plan_line(plan)
    if stored:
        line.append(f"; {stored:,} of them {'is' if stored == 1 else 'are'} stored")
    return Group(*parts, Text(), line, Text(f"  {steps}", "dim"))


def plan_head(plan: Plan) -> RenderableType:
    """What is said when the trials begin: how many there are, and what they have in common."""
    return Group(_plan_line(plan), *_in_all(plan))


def _plan_line(plan: Plan) -> Text:
    """How many trials there are, and what they take."""
    trials = f"{len(plan.trials):,} trial{'' if len(plan.trials) == 1 else 's'}"
    count = f"{plan.count:,} step execution{'' if plan.count == 1 else 's'}"
    less = f" ({plan.unshared:,} without sharing)" if plan.count < plan.unshared else ""
    return Text.assemble((f"{trials}: {count}", "bold"), less)


def sweep_view(sweep: Sweep) -> RenderableType:
    """How a sweep ended: its trials, the best of them marked, and what failed."""
    record = sweep.record
    sign, style = STYLES[record.state]
    took = f" in {duration(record.seconds)}" if record.seconds is not None else ""
    # What went well comes first.
    words = counts(sorted((trial.state for trial in record.trials), key=list(State).index))
    parts: list[RenderableType] = [
        Text.assemble((f"{sign} {visible(sweep.id)}", style), f"  {words}{took}")
    ]
    for section in (_results(sweep), [*_failures(sweep), *_unfinished(sweep)]):
        lines = list(section)
        parts += [Text(), *lines] if lines else []
    return Group(*parts)


def places_view(sweep: Sweep) -> RenderableType:
    """Where to look, and what to type: the id is enough where the sweep lies."""
    facts = {"report": str(sweep.report), "results": str(sweep.results)}
    facts["open"] = f"kale-pm report {sweep.id} --open"
    if sweep.goal is not None:
        if best(sweep.rows, sweep.goal) is not None:
            facts["variables"] = f"kale-pm vars {sweep.id}:best"
        elif any(row.is_success for row in sweep.rows):
            facts["choose"] = f"kale-pm report {sweep.id} --best METRIC:{sweep.goal.direction}"
    if any(not trial.state.is_success for trial in sweep.record.trials):
        facts["retry"] = retry_command(sweep.id)
    return Group(*(Text(f"  {name:<9}  {visible(fact)}") for name, fact in facts.items()))


def best_view(sweep: Sweep) -> Text:
    """The best trial in a line; see :attr:`Sweep.best` for what is raised."""
    trial = sweep.best
    values = "  ".join(filter(None, [pairs(trial.parameters), "→", pairs(trial.metrics)]))
    return Text.assemble((f"★ trial {trial.number}", STYLES[State.DONE][1]), f"  {values}")


def _in_all(plan: Plan) -> Iterator[RenderableType]:
    if plan.fixed:
        are = "the trial" if len(plan.trials) == 1 else "all trials"
        yield Text(f"in {are}: {pairs(plan.fixed)}", "dim")


def _results(sweep: Sweep) -> Iterator[RenderableType]:
    """The trials that are done, with the best first if there is a goal."""
    goal, varied = sweep.goal, sweep.record.varied
    rows = [row for row in ranking(sweep.rows, goal) if row.is_success]
    if not rows:
        return
    shown = rows if len(rows) <= _LISTED else rows[:_FEWER]
    chosen = best(rows, goal) if goal else None
    names = columns(rows, varied)
    metrics = sorted(names.metrics, key=lambda name: goal is None or name != goal.metric)
    decimals = {name: decimals_of(row.metrics.get(name) for row in shown) for name in metrics}
    titles = ["trial", *names.parameters.values(), *(names.metrics[name] for name in metrics)]
    table = TrialTable([*titles, "took"], kept=1 + len(varied) + (1 if goal else 0))
    for row in shown:
        cells = [number(str(row.number)), *(_cell(row.parameters, name) for name in varied)]
        cells += [_cell(row.metrics, name, decimals[name]) for name in metrics]
        cells.append(number("" if row.seconds is None else duration(row.seconds)))
        table.add(cells, is_best=row is chosen)
    yield table
    if len(rows) > len(shown):
        yield Text(f"… and {_rest(rows[len(shown) :], sweep)}", "dim")


def _rest(rows: Sequence[TrialRow], sweep: Sweep) -> str:
    """How many trials are not listed, and how far from the best they are."""
    goal = sweep.goal
    told = f"{len(rows):,} more"
    ranked = [row for row in rows if goal and deciding_value(row, goal) is not None]
    if goal and ranked:
        worst = value_text(ranked[-1].metrics[goal.metric])
        told += f", {'down' if goal.direction == 'max' else 'up'} to {visible(goal.metric)}={worst}"
    return told


def _failures(sweep: Sweep) -> Iterator[RenderableType]:
    """What went wrong, each reason once: many trials often fail for one."""
    by_reason: dict[str, list[SweepTrial]] = {}
    for trial in sweep.failures:
        by_reason.setdefault(first_line(trial.error), []).append(trial)
    told = sorted(by_reason.items(), key=lambda entry: -len(entry[1]))
    sign, style = STYLES[State.FAILED]
    for reason, trials in told[:_FAILURES]:
        if len(trials) == 1:
            who = f"trial {trials[0].number}  {pairs(trials[0].parameters)}".rstrip()
        else:
            numbers = ", ".join(str(trial.number) for trial in trials[:_NUMBERS])
            who = f"{len(trials):,} trials ({numbers}{', …' if len(trials) > _NUMBERS else ''})"
        yield Text.assemble((f"{sign} {who}", style), f"  {reason}")
    if len(told) > _FAILURES:
        others = sum(len(trials) for _, trials in told[_FAILURES:])
        yield Text(f"{sign} {others:,} more trials, for other reasons", style)


def _unfinished(sweep: Sweep) -> Iterator[RenderableType]:
    """What did not come to an end of its own."""
    for state in (State.SKIPPED, State.INTERRUPTED):
        trials = [trial for trial in sweep.record.trials if trial.state is state]
        if trials:
            why = next(filter(None, (trial.why for trial in trials)), "")
            sign, style = STYLES[state]
            said = f"{sign} {len(trials):,} {state.value}"
            yield Text(f"{said}: {first_line(why)}" if why else said, style)


def _cell(values: Mapping[str, Any], name: str, decimals: int | None = None) -> Text:
    return value(values[name], decimals) if name in values else Text()
