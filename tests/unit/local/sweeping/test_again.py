"""A sweep that goes on: only what is not done, in its place, under its numbers."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kale_pm.errors import ParameterError, UsageError
from kale_pm.local import find_store
from kale_pm.local.sweep_files import write_sweep
from kale_pm.local.sweeping import read_sweep, unfinished
from kale_pm.record import State
from kale_pm.trials.goal import read_condition

if TYPE_CHECKING:
    from conftest import Sweeper

RATES, DEPTHS = [0.1, 0.2], [3, 5, 8]


def test_only_trials_that_are_not_done_are_tried_again(sweep: Sweeper) -> None:
    sweep.fails = lambda step, p: "no" if step == "test" and p["depth"] == 5 else None
    first = sweep(rate=RATES, depth=DEPTHS, best="score:max")
    sweep.fails = lambda _step, _parameters: None
    again = sweep.retry(first.record)
    assert again.folder == first.folder
    assert again.executed == [(2, "test"), (5, "test")]
    assert again.record.state is State.DONE
    assert again.states == ["done"] * 6
    assert again.trial(1) == first.trial(1)
    assert again.trial(2).run == f"{first.record.id}.0002r2"
    assert again.trial(5).parameters == {"rate": 0.2, "depth": 5}
    assert again.record.goal == "score:max"
    assert again.record.started == first.record.started
    assert again.record.seconds is not None
    assert again.record.seconds > (first.record.seconds or 0)
    assert read_sweep(again.folder) == again.record


def test_what_fails_again_can_be_tried_again(sweep: Sweeper) -> None:
    sweep.fails = lambda step, p: "no" if step == "test" and p["depth"] == 5 else None
    swept = sweep(depth=DEPTHS)
    for attempt in (2, 3):
        swept = sweep.retry(swept.record)
        assert swept.trial(2).run == f"{swept.record.id}.0002r{attempt}"
        assert swept.states == ["done", "failed", "done"]


def test_where_all_is_done_there_is_nothing_to_try(sweep: Sweeper) -> None:
    record = sweep(depth=DEPTHS).record
    with pytest.raises(UsageError, match=f"all trials of {record.id} are done"):
        unfinished(sweep.pipeline(), record)


def test_a_sweep_that_goes_on_is_not_begun_a_second_time(sweep: Sweeper) -> None:
    sweep.fails = lambda step, _: "no" if step == "load" else None
    swept = sweep(depth=DEPTHS)
    running = replace(swept.record, state=State.RUNNING, process=os.getpid())
    write_sweep(running, swept.folder)
    with pytest.raises(UsageError, match="still goes on"):
        sweep.retry(read_sweep(swept.folder))


def test_what_was_not_needed_can_be_done_later(sweep: Sweeper) -> None:
    first = sweep(depth=DEPTHS, stop_when="score>0")
    assert first.states == ["done", "skipped", "skipped"]
    again = sweep.retry(first.record)
    assert again.states == ["done"] * 3
    assert again.trial(2).run == f"{first.record.id}.0002"
    assert again.record.stop_when == ""


def test_trials_that_are_not_reached_stay_as_they_were(sweep: Sweeper) -> None:
    sweep.fails = lambda step, p: "no" if step == "test" and p["depth"] > 3 else None
    first = sweep(depth=[3, 5, 8, 9])
    sweep.fails = lambda _step, _parameters: None
    again = sweep.retry(first.record, stop_when=read_condition("score>0"))
    assert again.states == ["done", "done", "failed", "failed"]
    assert again.trial(3) == first.trial(3)


def test_what_was_interrupted_may_turn_out_not_to_be_needed(sweep: Sweeper) -> None:
    sweep.fails = lambda _step, _parameters: "no"
    first = sweep(depth=DEPTHS)
    trials = [replace(trial, state=State.INTERRUPTED) for trial in first.record.trials]
    before = replace(first.record, state=State.INTERRUPTED, trials=tuple(trials))
    sweep.fails = lambda _step, _parameters: None
    again = sweep.retry(before, stop_when=read_condition("score>0"))
    assert again.states == ["done", "skipped", "skipped"]
    assert again.record.state is State.DONE


def test_a_notebook_that_has_changed_since_is_told_of(sweep: Sweeper) -> None:
    sweep.fails = lambda step, p: "no" if step == "test" and p["depth"] == 5 else None
    first = sweep(depth=DEPTHS)
    assert sweep.retry(first.record).warnings == []
    text = sweep.path.read_text().replace("m * depth", "m * depth + 1")
    sweep.path.write_text(text)
    again = sweep.retry(first.record)
    assert len(again.warnings) == 1
    assert "the notebook has changed since the other trials were done" in again.warnings[0]
    assert again.record.warnings == tuple(again.warnings)


def test_where_nothing_was_done_the_notebook_may_change(sweep: Sweeper) -> None:
    sweep.fails = lambda step, _: "no" if step == "load" else None
    first = sweep(depth=DEPTHS)
    sweep.path.write_text(sweep.path.read_text().replace("x = seed", "x = seed + 1"))
    again = sweep.retry(first.record)
    assert again.warnings == []
    assert again.record.code != first.record.code


def test_values_come_back_from_the_record_as_they_were(sweep: Sweeper) -> None:
    texts = "text = 'a'\nany_ = None"
    numbers = "number = 0.5\nflag = True\ncount = 1"
    tables = "words = ['a']\nbounds = {}"
    cells = [
        ("parameters", "\n".join((texts, numbers, tables))),
        ("block:a", "print(text, any_, number, words, flag, count, bounds)"),
    ]
    sweep.write_cells(cells)
    values = {
        "text": ["5", "null", "NaN"],
        "any_": ["5", 5, [1, None], "NaN", float("nan")],
        "number": [1.0, float("inf"), float("nan")],
        "words": [["x"], [1.0, float("inf"), "Infinity"]],
        "bounds": {"low": float("-inf"), "high": "Infinity"},
        "flag": [True, False],
        "count": [1],
    }
    sweep.fails = lambda _step, _parameters: "no"
    swept = sweep(**values)
    trials = unfinished(sweep.pipeline(), read_sweep(swept.folder))
    assert [trial.number for trial in trials] == [trial.number for trial in swept.plan.trials]
    then = [repr(sorted(trial.parameters.items())) for trial in swept.plan.trials]
    assert [repr(sorted(trial.parameters.items())) for trial in trials] == then


def test_what_an_earlier_version_wrote_for_a_float_is_one(sweep: Sweeper) -> None:
    sweep.fails = lambda _step, _parameters: "no"
    record = sweep(rate=[0.1, 0.2]).record
    before = [replace(record.trials[0], parameters={"rate": "-Infinity"})]
    (trial,) = unfinished(sweep.pipeline(), replace(record, trials=tuple(before)))
    assert trial.parameters["rate"] == float("-inf")


def test_a_parameter_that_the_notebook_lost_is_named(sweep: Sweeper) -> None:
    sweep.fails = lambda _step, _parameters: "no"
    record = sweep(depth=DEPTHS).record
    sweep.write_cells([("parameters", "rate = 1.0\nname = 'a'\nseed = 1"), ("block:a", "x = rate")])
    with pytest.raises(ParameterError, match="depth"):
        unfinished(sweep.pipeline(), record)


def test_a_run_that_a_killed_sweep_left_does_not_stand_in_the_way(sweep: Sweeper) -> None:
    sweep.fails = lambda step, p: "no" if step == "test" and p["depth"] == 5 else None
    swept = sweep(depth=DEPTHS)
    find_store(sweep.folder).trial_run(swept.record.id, 2, 2)
    assert sweep.retry(swept.record).trial(2).run == f"{swept.record.id}.0002r3"
