"""How ``runs`` shows the runs and the sweeps of a store."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from kale_pm.record import RunRecord, State, SweepRecord
from kale_pm.report.page import duration
from kale_pm.terminal.text import STYLES, cut, visible

if TYPE_CHECKING:
    from kale_pm.local.results.history import PastRun, PastSweep

_AGES = (
    (60, 1, "s"),
    (3600, 60, "min"),
    (2 * 86_400, 3600, "h"),
    (60 * 86_400, 86_400, "days"),
    (730 * 86_400, 30 * 86_400, "months"),
    (math.inf, 365 * 86_400, "years"),
)


def history_view(runs: Sequence[PastRun | PastSweep], *, older: int, now: float) -> RenderableType:
    """A line for each run and each sweep, or a few where the line would be too long.

    ``older`` is how many of them are not shown, ``now`` is in seconds since the epoch.
    """
    parts: list[RenderableType] = [_Runs(runs, now)]
    if older:
        more = f"… and {older} older: kale-pm runs -n {len(runs) + older}"
        parts.append(Text(more, "dim"))
    return Group(*parts)


@dataclass(frozen=True)
class _Runs:
    runs: Sequence[PastRun | PastSweep]
    now: float

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        table = self._table()
        unlimited = options.update(max_width=sys.maxsize)
        if Measurement.get(console, unlimited, table).maximum <= options.max_width:
            yield table
            return
        for run in self.runs:
            yield from self._block(run)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for title in ("  run", "started", "took", "steps", "parameters", "metrics"):
            table.add_column(title, justify="right" if title == "took" else "left", no_wrap=True)
        for run in self.runs:
            table.add_row(
                _name(run),
                Text(self._started(run)),
                Text(self._took(run)),
                _counts(run),
                Text(_parameters(run)),
                Text(_metrics(run), "cyan"),
            )
        return table

    def _block(self, run: PastRun | PastSweep) -> Iterator[RenderableType]:
        """The same one below the other."""
        took = self._took(run)
        yield _name(run)
        yield Text.assemble(
            f"    {self._started(run)}", f"  took {took}" if took else "", "  ", _counts(run)
        )
        for label, text in (("", _parameters(run)), ("→ ", _metrics(run))):
            if text:
                yield Text(f"    {label}{text}", "cyan" if label else "")

    def _started(self, run: PastRun | PastSweep) -> str:
        return f"{moment(run.record)}  {age(self.now - run.record.started)}"

    def _took(self, run: PastRun | PastSweep) -> str:
        if run.record.seconds is not None:
            return duration(run.record.seconds)
        is_running = run.record.state is State.RUNNING
        return duration(self.now - run.record.started) if is_running else ""


def _name(run: PastRun | PastSweep) -> Text:
    sign, style = STYLES[run.record.state]
    link = "latest" if "latest" in run.links else next(iter(run.links), "")
    # There is a latest run beside it.
    kind = " sweep" if isinstance(run.record, SweepRecord) else ""
    told = f"  {visible(link)}{kind}" if link else ""
    return Text.assemble((f"{sign} {visible(run.record.id)}", style), (told, "bold"))


def _counts(run: PastRun | PastSweep) -> Text:
    """How many steps, or trials, stand where; another state of the whole comes first."""
    states = [state for state in State if state in run.states]
    counts = [f"{run.states[state]:,} {state.value}" for state in states]
    state = run.record.state
    told = [state.value] if state not in (State.DONE, *run.states) else []
    style = STYLES[state][1] if state is not State.DONE else ""
    kind = "trials: " if isinstance(run.record, SweepRecord) else ""
    return Text(kind + ", ".join([*told, *counts]), style)


def _parameters(run: PastRun | PastSweep) -> str:
    """The values that are not the defaults; of a sweep what varies."""
    from kale_pm.local.results.history import PastSweep

    if isinstance(run, PastSweep):
        return ", ".join(map(visible, run.record.varied))
    return pairs(run.changed or {})


def _metrics(run: PastRun | PastSweep) -> str:
    """The metrics; of a sweep that by which its best trial is the best."""
    from kale_pm.local.results.history import PastSweep
    from kale_pm.trials.goal import read_goal

    if not isinstance(run, PastSweep):
        return pairs(run.record.metrics)
    best = run.best
    if best is None:
        return ""
    metric = read_goal(run.record.goal).metric
    return f"best {pairs({metric: best.metrics[metric]})} (trial {best.number})"


def moment(record: RunRecord | SweepRecord) -> str:
    """When a run or a sweep began, in local time."""
    return datetime.fromtimestamp(record.started).astimezone().strftime("%Y-%m-%d %H:%M")


def age(seconds: float) -> str:
    """How long ago something was.

    >>> [age(seconds) for seconds in (0.4, 75, 7300, 86_400 * 3, 86_400 * 400)]
    ['just now', '1 min ago', '2 h ago', '3 days ago', '13 months ago']
    """
    if seconds < 1:
        return "just now"
    _, unit, name = next(each for each in _AGES if seconds < each[0])
    return f"{int(seconds // unit)} {name} ago"


def pairs(values: Mapping[str, Any]) -> str:
    """Names and values in one line, as in ``limit=1.8 people=40``."""
    return "  ".join(f"{visible(name)}={value_text(value)}" for name, value in values.items())


def value_text(value: Any) -> str:
    """A value as people read it: a number with six digits, of a long text the beginning."""
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    text = value if isinstance(value, str) and value.isprintable() and value else repr(value)
    return cut(visible(" ".join(text.split())), 40)
