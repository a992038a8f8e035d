"""What is kept of a sweep, and what can be read of one that was killed."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kale_pm.errors import StoreError
from kale_pm.local.store import Store
from kale_pm.local.sweep_files import TrialLog, read_sweep, trial_runs, write_sweep
from kale_pm.record import State, SweepRecord, TrialRecord


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / ".kale-pm")
    store.prepare()
    return store


@pytest.fixture
def gone() -> int:
    """The id of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def sweep(store: Store, process: int | None = None, count: int = 3) -> tuple[SweepRecord, Path]:
    """A sweep that has just begun."""
    folder = store.new_sweep("wine")
    record = SweepRecord(
        id=folder.name,
        pipeline="wine",
        notebook="wine.ipynb",
        state=State.RUNNING,
        varied=("depth",),
        fixed={"words": ["a"]},
        trials=tuple(TrialRecord(number, {"depth": number}) for number in range(1, count + 1)),
        executions=4,
        started=1000.0,
        goal="score:max",
        process=process or os.getpid(),
    )
    write_sweep(record, folder)
    return record, folder


def done(number: int, run: Path) -> TrialRecord:
    metrics = {"score": 0.5, "loss": math.inf}
    return TrialRecord(number, {"depth": number}, State.DONE, run.name, metrics, 1.5, executed=2)


def test_a_record_comes_back_as_it_was(store: Store) -> None:
    record, folder = sweep(store)
    ended = replace(
        record, state=State.DONE, seconds=1.0, trials=(done(1, store.trial_run(folder.name, 1)),)
    )
    write_sweep(ended, folder)
    assert read_sweep(folder) == ended


def test_a_record_of_before_there_were_warnings_has_none(store: Store) -> None:
    record, folder = sweep(store)
    record = replace(record, warnings=("take care",))
    write_sweep(record, folder)
    assert read_sweep(folder) == record
    content = json.loads((folder / "sweep.json").read_text())
    del content["warnings"]
    (folder / "sweep.json").write_text(json.dumps(content))
    assert read_sweep(folder) == replace(record, warnings=())


def test_values_come_back_as_they_were(store: Store) -> None:
    record, folder = sweep(store)
    values: list[object] = [math.nan, "NaN", [0.0, math.inf]]
    trials = tuple(TrialRecord(n, {"any": value}) for n, value in enumerate(values, 1))
    fixed = {"bounds": [-math.inf, "Infinity"]}
    write_sweep(replace(record, fixed=fixed, trials=trials), folder)
    found = read_sweep(folder)
    assert repr(found.fixed) == repr(fixed)
    assert repr(found.trials) == repr(trials)
    with TrialLog(folder) as log:
        log.write(replace(trials[0], state=State.DONE))
    assert repr(read_sweep(folder).trials[0].parameters) == repr({"any": math.nan})


def test_while_a_sweep_goes_on_its_lines_tell_more_than_its_record(store: Store) -> None:
    record, folder = sweep(store)
    first, second = (store.trial_run(folder.name, number) for number in (1, 2))
    with TrialLog(folder) as log:
        log.write(done(1, first))
    found = read_sweep(folder)
    assert found.state is State.RUNNING
    assert found.trials == (
        done(1, first),
        TrialRecord(2, {"depth": 2}, State.RUNNING, second.name),
        record.trials[2],
    )


def test_one_whose_process_is_gone_is_interrupted(store: Store, gone: int) -> None:
    _, folder = sweep(store, gone)
    first, second = (store.trial_run(folder.name, number) for number in (1, 2))
    with TrialLog(folder) as log:
        log.write(done(1, first))
    found = read_sweep(folder)
    assert found.state is State.INTERRUPTED
    assert [(trial.state.value, trial.run) for trial in found.trials] == [
        ("done", first.name),
        ("interrupted", second.name),
        ("interrupted", None),
    ]


def test_the_last_line_of_a_trial_holds(store: Store) -> None:
    _, folder = sweep(store)
    first, again = (store.trial_run(folder.name, 1, attempt) for attempt in (1, 2))
    with TrialLog(folder) as log:
        log.write(replace(done(1, first), state=State.FAILED))
        log.write(done(1, again))
    assert read_sweep(folder).trials[0] == done(1, again)


def test_a_trial_that_was_tried_again_when_all_was_killed_says_so(store: Store, gone: int) -> None:
    _, folder = sweep(store, gone)
    first = store.trial_run(folder.name, 1)
    with TrialLog(folder) as log:
        log.write(replace(done(1, first), state=State.FAILED))
    again = store.trial_run(folder.name, 1, 2)
    trial = read_sweep(folder).trials[0]
    assert (trial.state, trial.run) == (State.INTERRUPTED, again.name)


def test_half_a_line_is_left_out_and_swallows_no_other(store: Store) -> None:
    _, folder = sweep(store)
    runs = [store.trial_run(folder.name, number) for number in (1, 2, 3)]
    with TrialLog(folder) as log:
        log.write(done(1, runs[0]))
        log.write(done(2, runs[1]))
    lines = folder / "trials.jsonl"
    lines.write_bytes(lines.read_bytes()[:-20])
    with TrialLog(folder) as log:
        log.write(done(3, runs[2]))
    assert [trial.state.value for trial in read_sweep(folder).trials] == ["done", "running", "done"]


def test_when_all_has_ended_the_record_alone_holds(store: Store) -> None:
    record, folder = sweep(store)
    with TrialLog(folder) as log:
        log.write(done(1, store.trial_run(folder.name, 1)))
    ended = replace(record, state=State.INTERRUPTED)
    write_sweep(ended, folder)
    assert read_sweep(folder) == ended


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"state": "done"}', '{"state": "odd", "varied": [], "trials": []}']
)
def test_a_damaged_record_is_named(store: Store, text: str) -> None:
    _, folder = sweep(store)
    (folder / "sweep.json").write_text(text)
    with pytest.raises(StoreError, match=r"sweep\.json is damaged"):
        read_sweep(folder)


def test_a_record_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match="cannot read"):
        read_sweep(store.sweeps / "nothing")


def test_the_files_are_strict_json(store: Store) -> None:
    record, folder = sweep(store)
    trial = done(1, store.trial_run(folder.name, 1))
    write_sweep(replace(record, trials=(trial,)), folder)
    with TrialLog(folder) as log:
        log.write(trial)

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    for text in ((folder / "sweep.json").read_text(), (folder / "trials.jsonl").read_text()):
        json.loads(text, parse_constant=refuse)


def test_the_newest_run_of_a_trial_is_found(store: Store) -> None:
    _, folder = sweep(store)
    for number, attempt in ((1, 1), (2, 1), (1, 10), (1, 2), (12345, 1)):
        store.trial_run(folder.name, number, attempt)
    _, other = sweep(store)
    store.trial_run(other.name, 1, 20)
    store.new_run("wine")
    name = folder.name
    assert trial_runs(store.runs, name) == {
        1: (10, f"{name}.0001r10"),
        2: (1, f"{name}.0002"),
        12345: (1, f"{name}.12345"),
    }


def test_a_folder_that_cannot_be_written_is_named(store: Store) -> None:
    _, folder = sweep(store)
    (folder / "trials.jsonl").mkdir()
    with pytest.raises(StoreError, match="cannot write"):
        TrialLog(folder)
