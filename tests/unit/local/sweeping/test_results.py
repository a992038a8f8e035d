"""What a sweep gave: tables for programs, a page for people."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from kale_pm.local.sweeping import best_of, goal_of, rows_of, worth_a_report, write_page
from kale_pm.trials.goal import Goal

if TYPE_CHECKING:
    from conftest import Sweeper

RATES, DEPTHS = [0.1, 0.2], [3, 5, 8]


def test_the_tables_lie_beside_the_record(sweep: Sweeper) -> None:
    sweep.fails = lambda step, p: "no" if step == "test" and p["depth"] == 5 else None
    swept = sweep(rate=RATES, depth=DEPTHS, best="score:max")
    with (swept.folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert [row["score"] for row in rows] == [
        repr(0.1 * 3),
        "",
        repr(0.8),
        repr(0.2 * 3),
        "",
        "1.6",
    ]
    assert rows[1]["state"] == "failed"
    assert rows[0]["run"] == f"{swept.record.id}.0001"

    content = json.loads((swept.folder / "results.json").read_text())
    assert content["sweep"] == swept.record.id
    assert content["state"] == "failed"
    assert content["goal"] == {"metric": "score", "direction": "max"}
    assert content["best"] == 6
    assert content["varied"] == ["rate", "depth"]
    assert content["fixed"] == {"name": "a", "seed": 1}
    assert content["trials"][1]["error"] == "test: ValueError: no"


def test_the_best_trial_by_the_goal_and_by_another(sweep: Sweeper) -> None:
    record = sweep(rate=RATES, depth=DEPTHS, best="score:max").record
    assert goal_of(record) == Goal("score", "max")
    assert best_of(record) == record.trials[5]
    assert best_of(record, Goal("score", "min")) == record.trials[0]
    assert best_of(record, Goal("loss", "min")) is None
    assert best_of(replace(record, goal="")) is None


def test_reports_are_for_the_best_and_for_those_that_failed(sweep: Sweeper) -> None:
    sweep.fails = lambda step, p: "no" if step == "test" and p["depth"] == 5 else None
    record = sweep(rate=RATES, depth=DEPTHS, best="score:max").record
    assert [trial.number for trial in worth_a_report(record, 2)] == [6, 3, 2, 5]
    assert [trial.number for trial in worth_a_report(record, 1)] == [6, 2]
    assert worth_a_report(record, 0) == ()
    assert len(worth_a_report(record, 100)) == 6


def test_without_a_goal_reports_are_for_the_first(sweep: Sweeper) -> None:
    record = sweep(rate=RATES, depth=DEPTHS).record
    assert [trial.number for trial in worth_a_report(record, 2)] == [1, 2]


def test_trials_that_never_began_have_no_report(sweep: Sweeper) -> None:
    record = sweep(rate=RATES, depth=DEPTHS, stop_when="score>0").record
    assert [trial.number for trial in worth_a_report(record, 10)] == [1]


def test_the_page_leads_to_reports_and_to_what_each_trial_has_alone(sweep: Sweeper) -> None:
    swept = sweep(rate=RATES, depth=DEPTHS, best="score:max")
    (swept.run_folder(6) / "report.html").write_text("a report")
    page = write_page(swept.record, swept.folder)
    assert page == swept.folder / "report.html"
    links = re.findall(r'href="(\.\./[^"]+)"', page.read_text())
    assert all((page.parent / link).exists() for link in links)
    place = f"../../runs/{swept.record.id}"
    assert f"{place}.0006/report.html" in links
    assert f"{place}.0001/notebooks/load.ipynb" in links
    assert f"{place}.0002/notebooks/load.ipynb" not in links
    assert f"{place}.0002/notebooks/test.ipynb" in links


def test_a_page_can_be_written_when_runs_are_gone(sweep: Sweeper) -> None:
    swept = sweep(rate=RATES)
    shutil.rmtree(swept.run_folder(2))
    text = write_page(swept.record, swept.folder).read_text()
    assert f"{swept.record.id}.0001/" in text
    assert f"{swept.record.id}.0002/" not in text


def test_what_a_name_or_a_value_holds_is_text_on_the_page(sweep: Sweeper) -> None:
    swept = sweep(name=["<script>alert(1)</script>", "b"])
    assert "<script>alert" not in write_page(swept.record, swept.folder).read_text()


def test_rows_are_the_trials_by_number(sweep: Sweeper) -> None:
    swept = sweep(depth=DEPTHS, stop_when="score>0")
    assert [(row.number, row.state, row.run) for row in rows_of(swept.record)] == [
        (1, "done", f"{swept.record.id}.0001"),
        (2, "skipped", ""),
        (3, "skipped", ""),
    ]
