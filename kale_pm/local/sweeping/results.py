"""What a sweep gave, for programs and for people: ``results.csv``, ``results.json``, a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kale_pm.errors import StoreError
from kale_pm.local.files import write_text
from kale_pm.local.results.trial_rows import goal_of, rows_of
from kale_pm.local.run_file import read_run
from kale_pm.record import SweepRecord, TrialRecord
from kale_pm.trials.goal import ranking
from kale_pm.trials.listing import MOST_LINKED
from kale_pm.trials.page import render_page
from kale_pm.trials.table import as_csv, as_json


def write_results(record: SweepRecord, folder: Path) -> None:
    """Write ``results.csv`` and ``results.json`` into the sweep's folder.  Raises StoreError."""
    rows = rows_of(record)
    facts = {
        "sweep": record.id,
        "pipeline": record.pipeline,
        "notebook": record.notebook,
        "state": record.state.value,
        "started": record.started,
        "seconds": record.seconds,
        "executions": record.executions,
        "fixed": dict(record.fixed),
        "warnings": list(record.warnings),
    }
    write_text(folder / "results.csv", as_csv(rows, record.varied))
    write_text(
        folder / "results.json", as_json(rows, record.varied, goal=goal_of(record), facts=facts)
    )


def worth_a_report(record: SweepRecord, most: int) -> tuple[TrialRecord, ...]:
    """The trials that deserve a report of their own: the best ``most``, and so many failed ones.

    Without a goal those of the lowest numbers.
    """
    ordered = [row.number for row in ranking(rows_of(record), goal_of(record))]
    by_number = {trial.number: trial for trial in record.trials if trial.run is not None}
    trials = [by_number[number] for number in ordered if number in by_number]
    good = [trial for trial in trials if trial.state.is_success]
    failed = [trial for trial in record.failures if trial.run is not None]
    return (*good[:most], *failed[:most])


def write_page(record: SweepRecord, folder: Path) -> Path:
    """Write ``report.html`` into the folder of the sweep; its path.

    It leads to the notebooks of its trials, and to those reports that there are.  Raises
    StoreError.
    """
    goal = goal_of(record)
    rows = rows_of(record)
    linked = {row.number for row in ranking(rows, goal)[:MOST_LINKED]}
    runs = folder.parent.parent / "runs"
    rows = tuple(
        replace(row, links=_links(runs / row.run, record.id))
        if row.run and row.number in linked
        else row
        for row in rows
    )
    page = render_page(
        rows,
        title=record.pipeline,
        goal=goal,
        varied=record.varied,
        state=record.state.value,
        facts=_facts(record),
        fixed=record.fixed,
        warnings=record.warnings,
    )
    path = folder / "report.html"
    write_text(path, page)
    return path


def _links(run: Path, sweep: str) -> Mapping[str, str]:
    """Where the report of a trial is, and the notebooks that no other trial has as well."""
    links = {}
    place = f"../../runs/{run.name}"
    if (run / "report.html").exists():
        links["report"] = f"{place}/report.html"
    try:
        steps = read_run(run).steps.values()
    except StoreError:
        return links  # it was removed, and its numbers are here all the same
    for step in steps:
        is_shared = (step.cached_from or "").startswith(f"{sweep}.")
        if step.notebook and not is_shared:
            links[step.name] = f"{place}/{step.notebook}"
    return links


def _facts(record: SweepRecord) -> list[str]:
    facts = [f"{record.executions:,} step executions"]
    if record.seconds is not None:
        facts.append(f"{record.seconds:.1f} s")
    if record.stop_when:
        facts.append(f"until {record.stop_when}")
    return [*facts, record.id]
