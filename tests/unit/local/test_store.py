"""The folder of runs: ids, links, records, and results kept for later."""

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
from kale_pm.events import CellOutput, RunStarted, StepStarted, SweepStarted
from kale_pm.local.cache import entries
from kale_pm.local.cache.entries import CachedStep
from kale_pm.local.cache.watched import FileState
from kale_pm.local.files import write_text
from kale_pm.local.journal import Journal, read_journal
from kale_pm.local.store import Store, find_store, is_trial, read_run, write_run
from kale_pm.record import CellError, RunRecord, State, StepRecord
from kale_pm.runtime.manifest import Made, Variable, Version
from kale_pm.runtime.storage.pack.writer import write_pack


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / ".kale-pm")
    store.prepare()
    return store


def record(**changes: object) -> RunRecord:
    steps = {
        "a": StepRecord("a", State.DONE, metrics={"m": 0.5}, started=1.5, seconds=2.0),
        "b": StepRecord(
            "b",
            State.FAILED,
            parents=("a",),
            inputs=("a",),
            error=CellError("ValueError", "no", 3, 2, "x = f()", "…"),
        ),
    }
    made = RunRecord("r-1", "r", "r.ipynb", State.FAILED, {"n": [1, None]}, steps, 1.0)
    return replace(made, **changes)  # type: ignore[arg-type]


# -- runs -----------------------------------------------------------------------------------


def test_ids_carry_the_pipeline_and_sort_by_age(store: Store) -> None:
    names = [store.new_run("wine").name for _ in range(20)]
    assert len(set(names)) == 20
    assert names == sorted(names)
    assert all(name.startswith("wine-2") for name in names)


def test_a_run_is_found_by_its_id_its_beginning_or_as_the_latest(store: Store) -> None:
    first, second = store.new_run("wine"), store.new_run("beer")
    for folder in (first, second):
        write_run(record(), folder)
        store.make_latest(folder, folder.name.partition("-")[0])
    assert store.find_run() == second
    assert store.find_run("latest-wine") == first
    assert store.find_run("wine") == first
    assert store.find_run(second.name) == second
    with pytest.raises(StoreError, match="no run 'tea'") as caught:
        store.find_run("tea")
    assert second.name in caught.value.hint


def test_a_beginning_that_fits_several_runs_lists_them(store: Store) -> None:
    names = {store.new_run("wine").name for _ in range(2)}
    with pytest.raises(StoreError, match="any of 2 runs") as caught:
        store.find_run("wine")
    assert all(name in caught.value.hint for name in names)


# -- sweeps ---------------------------------------------------------------------------------


def test_a_trial_is_a_run_that_carries_its_sweep_and_its_number(store: Store) -> None:
    sweep = store.new_sweep("wine").name
    first, again = store.trial_run(sweep, 7), store.trial_run(sweep, 7, attempt=2)
    assert [first.name, again.name] == [f"{sweep}.0007", f"{sweep}.0007r2"]
    assert store.trial_run(sweep, 12345).name == f"{sweep}.12345"
    for folder in (first, again):
        assert folder.parent == store.runs
        assert (folder / "notebooks").is_dir()
        assert is_trial(folder.name)
    assert not is_trial(sweep)
    assert not is_trial(store.new_run("wine.2024").name)


def test_a_trial_that_is_there_already_is_not_begun_again(store: Store) -> None:
    sweep = store.new_sweep("wine").name
    store.trial_run(sweep, 1)
    with pytest.raises(StoreError, match="exists"):
        store.trial_run(sweep, 1)


def test_trials_are_found_by_their_whole_id_alone(store: Store) -> None:
    trial = store.trial_run(store.new_sweep("wine").name, 1)
    run = store.new_run("wine")
    for folder in (trial, run):
        write_run(record(), folder)
    assert store.find_run("wine") == run
    assert store.find_run(trial.name) == trial
    with pytest.raises(StoreError, match="no run"):
        store.find_run(trial.name[:-1])


def test_a_sweep_is_found_by_its_id_its_beginning_or_as_the_latest(store: Store) -> None:
    first, second = store.new_sweep("wine"), store.new_sweep("beer")
    for folder in (first, second):
        (folder / "sweep.json").write_text("{}")
        store.make_latest(folder, folder.name.partition("-")[0])
    assert store.find_sweep() == second
    assert store.find_sweep("latest-wine") == first
    assert store.find_sweep("wine") == first
    assert store.find_sweep(second.name) == second
    with pytest.raises(StoreError, match="no sweep 'tea'") as caught:
        store.find_sweep("tea")
    assert second.name in caught.value.hint
    with pytest.raises(StoreError, match="no run 'latest'"):
        store.find_run()


def test_a_store_without_sweeps_says_how_to_begin_one(store: Store) -> None:
    with pytest.raises(StoreError, match="no sweep") as caught:
        store.find_sweep()
    assert caught.value.hint == "sweep a notebook first: kale-pm sweep"
    assert not store.sweeps.exists()


def test_the_nearest_store_upwards_is_found(store: Store, tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find_store(inner).folder == store.folder


def test_where_there_is_no_store_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        find_store(tmp_path)
    assert "kale-pm run" in caught.value.hint


# -- run.json -------------------------------------------------------------------------------


def test_a_record_comes_back_as_it_was_written(store: Store) -> None:
    folder = store.new_run("r")
    write_run(record(), folder)
    assert read_run(folder) == record()


def test_run_json_is_json_whatever_the_metrics_are(store: Store) -> None:
    folder = store.new_run("r")
    steps = {"a": StepRecord("a", State.DONE, metrics={"loss": math.inf})}
    write_run(record(steps=steps, metrics={"loss": math.inf}, parameters={"x": math.nan}), folder)
    strictly((folder / "run.json").read_text())
    found = read_run(folder)
    assert found.metrics == found.steps["a"].metrics == {"loss": math.inf}


def test_parameters_come_back_as_they_were(store: Store) -> None:
    parameters = {"x": math.nan, "text": "NaN", "bounds": [0.0, math.inf], "limits": {"a": "inf"}}
    folder = store.new_run("r")
    write_run(record(parameters=parameters), folder)
    assert repr(read_run(folder).parameters) == repr(parameters)
    written = strictly((folder / "run.json").read_text())["parameters"]
    assert written["text"] == "NaN"
    assert written["bounds"] == [0.0, {"$float": "Infinity"}]


def test_a_run_of_an_earlier_version_can_be_read(store: Store) -> None:
    folder = store.new_run("r")
    write_run(record(parameters={"x": "NaN", "bounds": [0.0, "Infinity"]}), folder)
    assert read_run(folder).parameters == {"x": "NaN", "bounds": [0.0, "Infinity"]}


def test_all_that_an_error_knows_comes_back(store: Store) -> None:
    error = CellError("SaveError", "no", 3, variable="x", path="x[0]", needed_by=("b", "c"))
    folder = store.new_run("r")
    made = record(steps={"a": StepRecord("a", State.FAILED, error=error)})
    write_run(made, folder)
    assert read_run(folder) == made


def test_a_running_run_whose_process_is_gone_reads_interrupted(store: Store) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    folder = store.new_run("r")
    write_run(record(state=State.RUNNING, process=gone.pid), folder)
    assert read_run(folder).state is State.INTERRUPTED


def test_a_running_run_whose_process_lives_is_running(store: Store) -> None:
    folder = store.new_run("r")
    write_run(record(state=State.RUNNING, process=os.getpid()), folder)
    assert read_run(folder).state is State.RUNNING


@pytest.mark.parametrize("text", ["", "{", "[]", '{"steps": {}}', '{"steps": {"a": 1}}', "null"])
def test_a_damaged_record_is_one_clear_error(store: Store, text: str) -> None:
    folder = store.new_run("r")
    (folder / "run.json").write_text(text)
    with pytest.raises(StoreError, match=r"run\.json"):
        read_run(folder)


def test_a_missing_record_is_one_clear_error(store: Store) -> None:
    with pytest.raises(StoreError, match="cannot read"):
        read_run(store.new_run("r"))


# -- writing --------------------------------------------------------------------------------


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_a_store_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write") as caught:
        write_text(tmp_path / "file" / "below", "text")
    assert "--dir" in caught.value.hint


# -- kept notebooks -------------------------------------------------------------------------


def test_equal_notebooks_are_kept_once_and_come_back(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{}")
    (tmp_path / "b.ipynb").write_text("{}")
    names = {store.keep_notebook(tmp_path / f"{n}.ipynb") for n in "ab"}
    assert len(names) == len(list(store.notebooks.iterdir())) == 1
    assert store.bring_notebook(names.pop(), tmp_path / "c.ipynb")
    assert (tmp_path / "c.ipynb").read_text() == "{}"


def test_a_lost_or_changed_notebook_is_not_brought(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{}")
    name = store.keep_notebook(tmp_path / "a.ipynb")
    (store.notebooks / f"{name}.ipynb").write_text("{ }")
    assert not store.bring_notebook(name, tmp_path / "c.ipynb")
    assert not store.bring_notebook("unknown", tmp_path / "c.ipynb")
    assert not (tmp_path / "c.ipynb").exists()
    # The damaged copy is out of the way: the notebook can be kept anew.
    store.keep_notebook(tmp_path / "a.ipynb")
    assert store.bring_notebook(name, tmp_path / "c.ipynb")


# -- cached results -------------------------------------------------------------------------

ENTRY = CachedStep(
    run="r-1",
    notebook="abc",
    stores=("x",),
    gave=("x", "y"),
    metrics={"m": 1, "nothing": None},
    files={"data.csv": FileState("missing"), "rows.csv": FileState("c0ffee", (1, 2, 3, 4))},
    packs={"x.pack": (10, 20)},
    variables={"x": Variable("int", "../packs/x.pack", "c0ffee", size=3)},
    versions={"x": Version("a", 1, "c0ffee", Made.CHANGED), "y": Version("a", 1, None)},
    context={"random:state": "gA=="},
)


def test_a_cached_step_comes_back_as_it_was(store: Store) -> None:
    entries.remember(store, "key", ENTRY)
    assert entries.recall(store, "key") == ENTRY
    assert entries.recall(store, "other") is None


def test_a_metric_that_is_no_number_is_kept_as_json_that_every_parser_reads(store: Store) -> None:
    entries.remember(store, "key", replace(ENTRY, metrics={"loss": math.nan, "best": -math.inf}))
    strictly((store.cache / "key.json").read_text())
    entry = entries.recall(store, "key")
    assert entry is not None
    assert math.isnan(entry.metrics["loss"])
    assert entry.metrics["best"] == -math.inf


def strictly(text: str) -> object:
    """What strict JSON holds; an error for what only Python reads."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_an_entry_that_somebody_edited_is_none(store: Store) -> None:
    entries.remember(store, "key", ENTRY)
    path = store.cache / "key.json"
    content = json.loads(path.read_text())
    content["metrics"]["m"] = 2
    path.write_text(json.dumps(content))
    assert entries.recall(store, "key") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"seal": 1}'])
def test_an_entry_that_is_none_at_all_is_none(store: Store, text: str) -> None:
    (store.cache / "key.json").write_text(text)
    assert entries.recall(store, "key") is None


def test_packs_are_whole_as_long_as_their_content_is(store: Store) -> None:
    pack = write_pack(store.packs, [{"x": bytes(10_000)}], frozenset()).path
    expected = entries.pack_stamps(store.packs, [Variable("bytes", f"../../packs/{pack.name}")])
    assert entries.are_whole(store.packs, expected)
    # A copy of the same content has another time, and is read through once more.
    pack.write_bytes(pack.read_bytes())
    assert entries.are_whole(store.packs, expected)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.write_bytes(content)
    assert not entries.are_whole(store.packs, expected)
    assert not pack.exists()
    assert not entries.are_whole(store.packs, expected)


# -- the journal ----------------------------------------------------------------------------


def test_a_journal_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot write the journal"):
        Journal(tmp_path / "gone" / "journal.jsonl")


def test_the_journal_of_a_sweep_says_in_which_trial_it_was(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.write(SweepStarted("s-1", "s", 2, 3))
        journal.write(StepStarted("a", 1, ""), trial=2)
    first, second = read_journal(tmp_path / "journal.jsonl")
    assert (first["event"], first["executions"]) == ("SweepStarted", 3)
    assert (second["event"], second["trial"], second["step"]) == ("StepStarted", 2, "a")


def test_the_journal_tells_the_events_but_not_what_cells_print(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.write(RunStarted("r-1", "r", ("a", "b")))
        journal.write(CellOutput("a", "stdout", "text"))
    (event,) = read_journal(tmp_path / "journal.jsonl")
    assert event["event"] == "RunStarted"
    assert event["steps"] == ["a", "b"]


def test_a_last_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"event": "RunStarted"}\n{"event": "Ste')
    assert read_journal(path) == [{"event": "RunStarted"}]
