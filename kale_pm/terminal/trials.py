"""How the trials of a sweep look: before it starts, and when it has ended."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from kale_pm.face.sweeps import Sweep, SweepTrial
from kale_pm.record import State
from kale_pm.report.page import duration
from kale_pm.sweep import Plan
from kale_pm.terminal.history import pairs, value_text
from kale_pm.terminal.run import counts
from kale_pm.terminal.sweep import first_line
from kale_pm.terminal.text import STYLES, cut, visible
from kale_pm.trials.goal import best, ranking
from kale_pm.trials.table import TrialRow, columns
from kale_pm.trials.values import finite_number

_PLANNED = 20  # trials that a plan lists
_LISTED, _FEWER = 30, 20  # trials that are listed all, and so many of more
_FAILURES = 5  # different ones
_NUMBERS = 10  # of trials that failed alike
# Numbers that are written without an exponent.
_SMALLEST, _LARGEST, _MOST_DECIMALS = 1e-4, 1e6, 6


def plan_view(plan: Plan, varied: Sequence[str], *, stored: int) -> RenderableType:
    """The trials, and how often each step is executed for them.

    ``stored`` of the executions have a result that an earlier run left.
    """
    shown = plan.trials[:_PLANNED]
    table = _Trials(["trial", *varied])
    for trial in shown:
        values = (_value(trial.parameters[name]) for name in varied)
        table.add([_number(trial.number), *values])
    parts: list[RenderableType] = [table]
    if len(plan.trials) > len(shown):
        parts.append(Text(f"… and {len(plan.trials) - len(shown):,} more", "dim"))
    steps = ", ".join(f"{visible(step)} {count:,}" for step, count in plan.by_step.items())
    line = plan_line(plan)
    if stored:
        line.append(f"; {stored:,} of them {'is' if stored == 1 else 'are'} stored")
    return Group(*parts, Text(), line, Text(f"  {steps}", "dim"))


def plan_line(plan: Plan) -> Text:
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
        facts["retry"] = f"kale-pm sweep {sweep.id} --retry"
    return Group(*(Text(f"  {name:<9}  {visible(fact)}") for name, fact in facts.items()))


def best_view(sweep: Sweep) -> Text:
    """The best trial in a line; see :attr:`Sweep.best` for what is raised."""
    trial = sweep.best
    values = "  ".join(filter(None, [pairs(trial.parameters), "→", pairs(trial.metrics)]))
    return Text.assemble((f"★ trial {trial.number}", STYLES[State.DONE][1]), f"  {values}")


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
    decimals = {name: _decimals(row.metrics.get(name) for row in shown) for name in metrics}
    titles = ["trial", *names.parameters.values(), *(names.metrics[name] for name in metrics)]
    table = _Trials([*titles, "took"], kept=1 + len(varied) + (1 if goal else 0))
    for row in shown:
        cells = [_number(row.number), *(_cell(row.parameters, name) for name in varied)]
        cells += [_cell(row.metrics, name, decimals[name]) for name in metrics]
        cells.append(_right("" if row.seconds is None else duration(row.seconds)))
        table.add(cells, is_best=row is chosen)
    yield table
    if len(rows) > len(shown):
        yield Text(f"… and {_rest(rows[len(shown) :], sweep)}", "dim")


def _rest(rows: Sequence[TrialRow], sweep: Sweep) -> str:
    """How many trials are not listed, and how far from the best they are."""
    goal = sweep.goal
    told = f"{len(rows):,} more"
    ranked = [
        row for row in rows if goal and finite_number(row.metrics.get(goal.metric)) is not None
    ]
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


def _right(text: str) -> Text:
    return Text(text, justify="right")


def _number(number: int) -> Text:
    return _right(str(number))


def _cell(values: Mapping[str, Any], name: str, decimals: int | None = None) -> Text:
    return _value(values[name], decimals) if name in values else Text()


def _value(value: Any, decimals: int | None = None) -> Text:
    number = finite_number(value)
    if number is None:
        return Text(value_text(value))
    return _right(value_text(value) if decimals is None else f"{number:.{decimals}f}")


def _decimals(values: Iterable[Any]) -> int | None:
    """So many that the points of the numbers stand below each other; None if that is no use."""
    numbers = [number for number in map(finite_number, values) if number is not None]
    if not all(number == 0 or _SMALLEST <= abs(number) < _LARGEST for number in numbers):
        return None
    fractions = [value_text(number).partition(".")[2] for number in numbers]
    return min(max(map(len, fractions), default=0), _MOST_DECIMALS)


@dataclass
class _Trials:
    """A table that leaves out what there is no room for, but for the first ``kept`` columns.

    What is left out is named below it.
    """

    titles: Sequence[str]
    kept: int = sys.maxsize
    rows: list[Sequence[Text]] = field(default_factory=list)
    best: Sequence[Text] | None = None

    def add(self, cells: Sequence[Text], *, is_best: bool = False) -> None:
        self.rows.append(cells)
        if is_best:
            self.best = cells

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        unlimited = options.update(max_width=sys.maxsize)
        for count in range(len(self.titles), 0, -1):
            table = self._table(count)
            width = Measurement.get(console, unlimited, table).maximum
            if width <= options.max_width or count <= self.kept:
                break
        yield table
        if count < len(self.titles):
            yield Text(f"  no room for {', '.join(map(visible, self.titles[count:]))}", "dim")

    def _table(self, count: int) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        if self.best:
            table.add_column()
        for place, title in enumerate(self.titles[:count]):
            is_right = all(row[place].justify == "right" for row in self.rows if row[place])
            side: Literal["left", "right"] = "right" if is_right else "left"
            table.add_column(Text(visible(cut(title, 30))), justify=side, no_wrap=True)
        for row in self.rows:
            mark = ["★" if row is self.best else ""] if self.best else []
            style = f"bold {STYLES[State.DONE][1]}" if row is self.best else ""
            table.add_row(*mark, *row[:count], style=style)
        return table
