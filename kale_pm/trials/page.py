"""The page of a sweep: one HTML file that shows all trials, and needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping, Sequence
from importlib import resources
from typing import Any

from kale_pm.trials.drawing import style
from kale_pm.trials.gallery import gallery
from kale_pm.trials.goal import Goal, best, deciding_value, ranking
from kale_pm.trials.listing import MOST_LINKED, SIGNS, anchors, listing
from kale_pm.trials.table import TrialRow, metric_names
from kale_pm.trials.values import html_text, value_text

MOST_LISTED = 10_000
"""Rows of the table: a browser takes seconds for more."""

_MOST_MESSAGES = 10  # different failures that are told


def render_page(
    rows: Sequence[TrialRow],
    *,
    title: str,
    goal: Goal | None,
    varied: Sequence[str],
    state: str = "done",
    facts: Sequence[str] = (),
    fixed: Mapping[str, Any] = {},
    logarithmic: Collection[str] = (),
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> str:
    """The page of the trials ``rows`` of a sweep, as a whole HTML document.

    ``varied`` are the parameters by which the trials differ, of which the ``logarithmic`` ones
    were spread by magnitude; ``fixed`` holds the others.  ``state`` is a word of
    ``record.State``; ``facts`` stand below the title, ``warnings`` above all results, ``notes``
    below the table.
    """
    script = _file("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Nothing is fetched and no other script runs, whatever a name or a value holds.
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline';"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )
    ordered = ranking(rows, goal)
    chosen = best(rows, goal) if goal else None
    parts = [
        _warnings(warnings),
        _best(chosen, rows, goal) if chosen and goal else _no_best(rows, goal),
        _failures(ordered),
        *gallery(rows, goal, varied, logarithmic),
        _table(ordered, varied, goal if chosen else None, chosen, notes),
        _fixed(fixed),
    ]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{SIGNS.get(state, "")} {html_text(title)}: {_count(rows)}</title>
<link rel="icon" href="data:,">
<style>{_common_style()}{_file("page.css")}{style()}</style>
</head>
<body>
{_header(rows, title, state, facts)}
<main>
{"".join(parts)}</main>
<script>{script}</script>
</body>
</html>
"""


def _count(rows: Collection[TrialRow]) -> str:
    return f"{len(rows):,} trial{'' if len(rows) == 1 else 's'}"


def _header(rows: Sequence[TrialRow], title: str, state: str, facts: Sequence[str]) -> str:
    states = [str(row.state) for row in rows]
    counts = [f"{states.count(word):,} {word}" for word in dict.fromkeys([*SIGNS, *states])]
    summary = ", ".join(count for count in counts if not count.startswith("0 "))
    shown = [f"{_count(rows)}: {summary}" if rows else _count(rows), *facts]
    kind = state if state in SIGNS else "other"
    sign = f'<span aria-hidden="true">{SIGNS[state]}</span> ' if state in SIGNS else ""
    return (
        f'<header>\n<div class="title"><h1>{html_text(title)}</h1>'
        f'<span class="state {kind}">{sign}{html_text(state)}</span></div>\n'
        f'<p class="facts">{" ".join(f"<span>{html_text(fact)}</span>" for fact in shown)}</p>\n'
        "</header>"
    )


def _warnings(texts: Sequence[str]) -> str:
    if not texts:
        return ""
    title = "Warning" if len(texts) == 1 else f"{len(texts):,} warnings"
    items = "".join(f"<li>{html_text(text)}</li>\n" for text in texts)
    return (
        '<section class="caution" aria-labelledby="warnings">'
        f'<h2 id="warnings">{title}</h2>\n<ul>{items}</ul></section>\n'
    )


def _best(row: TrialRow, rows: Sequence[TrialRow], goal: Goal) -> str:
    value = deciding_value(row, goal)
    same = [o.number for o in rows if o is not row and deciding_value(o, goal) == value]
    count = sum(deciding_value(other, goal) is not None for other in rows)
    others = f"the {'highest' if goal.direction == 'max' else 'lowest'} of {count:,}"
    if count == 1:
        others = "the only one that has it"
    elif same:
        others += f"; {len(same):,} other{'s are' if len(same) > 1 else ' is'} as good"
    metrics = {name: value for name, value in row.metrics.items() if name != goal.metric}
    links = f'<p class="links">{" ".join(anchors(row.links))}</p>' if row.links else ""
    return (
        '<section class="best" aria-labelledby="best">\n'
        f'<h2 id="best"><span class="star" aria-hidden="true">★</span> The best:'
        f' <a href="#trial-{row.number}">trial {row.number}</a></h2>\n'
        f'<p class="score"><b>{html_text(value_text(row.metrics[goal.metric]))}</b>'
        f' <code>{html_text(goal.metric)}</code> <span class="quiet">{others}</span></p>\n'
        f'<div class="tables">{_pairs("Parameters", row.parameters)}'
        f"{_pairs('Other metrics', metrics)}</div>{links}</section>\n"
    )


def _no_best(rows: Sequence[TrialRow], goal: Goal | None) -> str:
    if goal is None or not rows:
        return ""
    names = metric_names(row for row in rows if row.is_success)
    others = ", ".join(f"<code>{html_text(name)}</code>" for name in names if name != goal.metric)
    there = f" There are {others}." if others else ""
    return (
        '<section class="missing"><h2>There is no best trial</h2>'
        f"<p>No trial that is done has a finite number as <code>{html_text(goal.metric)}</code>."
        f"{there}</p></section>\n"
    )


def _failures(rows: Sequence[TrialRow]) -> str:
    """What went wrong, each message once; several trials often fail for one reason."""
    by_message: dict[str, list[TrialRow]] = {}
    for row in rows:
        if row.is_failure:
            message = next(iter(row.error.strip().splitlines()), "no message")
            by_message.setdefault(message, []).append(row)
    if not by_message:
        return ""
    told = sorted(by_message.items(), key=lambda entry: -len(entry[1]))
    articles = []
    for message, failed in told[:_MOST_MESSAGES]:
        numbers = [f'<a href="#trial-{row.number}">{row.number}</a>' for row in failed[:20]]
        more = f" and {len(failed) - 20:,} more" if len(failed) > 20 else ""
        word = "trial" if len(failed) == 1 else "trials"
        articles.append(
            f'<li><p class="exception">{html_text(message[:1000])}</p>'
            f'<p class="quiet">{word} {", ".join(numbers)}{more}</p></li>\n'
        )
    if len(told) > _MOST_MESSAGES:
        articles.append(f'<li class="quiet">… and {len(told) - _MOST_MESSAGES:,} others</li>\n')
    count = sum(map(len, by_message.values()))
    return (
        '<section class="failure" aria-labelledby="failures"><h2 id="failures">'
        f'<span aria-hidden="true">{SIGNS["failed"]}</span> {count:,}'
        f" trial{'' if count == 1 else 's'} failed</h2>\n<ul>{''.join(articles)}</ul></section>\n"
    )


def _table(
    rows: Sequence[TrialRow],
    varied: Sequence[str],
    goal: Goal | None,
    chosen: TrialRow | None,
    notes: Sequence[str],
) -> str:
    if not rows:
        return '<p class="quiet">There are no trials.</p>\n'
    told = list(notes)
    if len(rows) > MOST_LISTED:
        which = "best" if goal else "first"
        told.insert(0, f"The {which} {MOST_LISTED:,} of {len(rows):,} trials are listed.")
    if any(row.links for row in rows[MOST_LINKED:]):
        told.insert(0, f"Links stand at the first {MOST_LINKED:,} trials of the ranking.")
    paragraphs = "".join(f'<p class="quiet">{html_text(note)}</p>' for note in told)
    return (
        '<section aria-labelledby="trials"><h2 id="trials">Trials</h2>\n<div class="scroll">\n'
        f"{listing(rows[:MOST_LISTED], varied, goal, chosen)}</div>\n{paragraphs}</section>\n"
    )


def _fixed(parameters: Mapping[str, Any]) -> str:
    table = _pairs("The same in all trials", parameters)
    return f'<div class="tables">{table}</div>\n' if table else ""


def _pairs(title: str, values: Mapping[str, Any]) -> str:
    if not values:
        return ""
    lines = "".join(
        f'<tr><th scope="row">{html_text(name)}</th><td>{html_text(value_text(value))}</td></tr>\n'
        for name, value in values.items()
    )
    return f'<section><h3>{title}</h3>\n<table class="pairs">{lines}</table></section>'


def _common_style() -> str:
    return (resources.files("kale_pm") / "pages.css").read_text("utf-8")


def _file(name: str) -> str:
    return (resources.files(__package__) / name).read_text("utf-8")
