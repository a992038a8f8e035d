"""Trials as rows of a table, for programs: CSV and strict JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kale_pm import strict_json
from kale_pm.trials.goal import Goal, best
from kale_pm.trials.values import json_text

_SUCCESSES = ("done", "cached")
_FIRST, _LAST = ("trial", "state"), ("seconds", "run")


@dataclass(frozen=True)
class TrialRow:
    """One trial of a sweep.

    ``number`` counts from 1, ``parameters`` holds those that vary, ``state`` is a word of
    ``record.State``, ``seconds`` how long it took, ``run`` the id of its run or empty, ``error``
    the message of a failure.  ``links`` lead from words to addresses, which a page shows.
    """

    number: int
    parameters: Mapping[str, Any]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    state: str = "done"
    seconds: float | None = None
    run: str = ""
    error: str = ""
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        return self.state in _SUCCESSES

    @property
    def is_failure(self) -> bool:
        return self.state == "failed"


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are called: those of ``parameters`` and of ``metrics``."""

    parameters: Mapping[str, str]
    metrics: Mapping[str, str]


def columns(rows: Iterable[TrialRow], varied: Sequence[str]) -> Columns:
    """A column for each of the ``varied`` parameters and for each metric that any row has.

    No two columns have one name: a metric called like a parameter is ``metrics.NAME``.
    """
    taken = {*_FIRST, *_LAST}
    parameters = {name: _free(name, "parameters.", taken) for name in varied}
    metrics = {name: _free(name, "metrics.", taken) for name in metric_names(rows)}
    return Columns(parameters, metrics)


def _free(name: str, prefix: str, taken: set[str]) -> str:
    while name in taken:
        name = prefix + name
    taken.add(name)
    return name


def metric_names(rows: Iterable[TrialRow]) -> tuple[str, ...]:
    """The metrics that any of the rows has, in the order in which they first appear."""
    return tuple(dict.fromkeys(name for row in rows for name in row.metrics))


def flat(rows: Sequence[TrialRow], varied: Sequence[str]) -> list[dict[str, Any]]:
    """The rows as mappings of column to value, all with the same columns.

    They are ``trial``, ``state``, the ``varied`` parameters, the metrics, ``seconds`` and
    ``run``; None stands for what a row does not have.
    """
    names = columns(rows, varied)
    return [
        {
            "trial": row.number,
            "state": str(row.state),
            **{column: row.parameters.get(name) for name, column in names.parameters.items()},
            **{column: row.metrics.get(name) for name, column in names.metrics.items()},
            "seconds": row.seconds,
            "run": row.run,
        }
        for row in rows
    ]


def as_csv(rows: Sequence[TrialRow], varied: Sequence[str]) -> str:
    """The table as CSV, with a header and a line for each row.

    Numbers have all their digits; what is not finite is ``NaN``, ``inf`` and ``-inf``; lists and
    tables are JSON; a cell is empty where a row has no value.
    """
    names = columns(rows, varied)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*_FIRST, *names.parameters.values(), *names.metrics.values(), *_LAST])
    writer.writerows([_cell(value) for value in row.values()] for row in flat(rows, varied))
    return _encodable(file.getvalue())


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else repr(value)
    return str(value) if isinstance(value, (bool, int)) else json_text(value)


def _encodable(text: str) -> str:
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def as_json(
    rows: Sequence[TrialRow],
    varied: Sequence[str],
    *,
    goal: Goal | None = None,
    facts: Mapping[str, Any] = {},
) -> str:
    """The trials as strict JSON, with the goal and the number of the best trial, or null.

    Parameters and metrics are tables of their own, so no name of theirs changes; numbers that
    are not finite are texts.  ``facts`` about the sweep stand before everything else.
    """
    chosen = best(rows, goal) if goal else None
    content = {
        **facts,
        "goal": {"metric": goal.metric, "direction": goal.direction} if goal else None,
        "best": chosen.number if chosen else None,
        "varied": list(varied),
        "trials": [_entry(row) for row in rows],
    }
    return strict_json.dumps(content, indent=2, default=str) + "\n"


def _entry(row: TrialRow) -> dict[str, Any]:
    return {
        "trial": row.number,
        "state": str(row.state),
        "parameters": row.parameters,
        "metrics": row.metrics,
        "seconds": row.seconds,
        "run": row.run or None,
        "error": row.error or None,
    }
