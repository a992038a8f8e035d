"""What a notebook shows of a sweep: a table of its trials, and a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kale_pm.trials.gallery import lines
from kale_pm.trials.goal import best, ranking
from kale_pm.trials.table import flat
from kale_pm.trials.values import html_text, value_text

if TYPE_CHECKING:
    from kale_pm.face.sweeps import Sweep

_SHOWN = 20  # trials
_LEFT_OUT = ("seconds", "run")  # columns, which are no results


def html_of(sweep: Sweep) -> str:
    """The best trials, or without a goal the first ones, as a table; and all as lines."""
    goal, varied = sweep.goal, sweep.record.varied
    chosen = best(sweep.rows, goal) if goal else None
    table = flat(ranking(sweep.rows, goal), varied)
    states = Counter(row["state"] for row in table)
    told = f"{sweep.id}: {', '.join(f'{count:,} {state}' for state, count in states.items())}"
    names = [name for name in (table[0] if table else ()) if name not in _LEFT_OUT]
    head = "".join(f"<th>{html_text(name)}</th>" for name in names)
    body = "".join(
        _line((row[name] for name in names), chosen is not None and row["trial"] == chosen.number)
        for row in table[:_SHOWN]
    )
    more = f"<p>… and {len(table) - _SHOWN:,} more</p>" if len(table) > _SHOWN else ""
    return (
        f"<p>{html_text(told)}</p>\n<table><thead><tr>{head}</tr></thead>\n"
        f"<tbody>{body}</tbody></table>\n{more}{lines(sweep.rows, goal=goal, varied=varied)}"
    )


def _line(values: Iterable[Any], is_best: bool) -> str:
    texts = ["" if value is None else html_text(value_text(value)) for value in values]
    if is_best:
        texts = [f"<b>{text}</b>" for text in (f"★ {texts[0]}", *texts[1:])]
    return f"<tr>{''.join(f'<td>{text}</td>' for text in texts)}</tr>\n"
