"""The runs of a store: which, in what order, and what is said of each."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tiny_notebooks import write_notebook

from kale_pm.errors import NotebookError, StoreError, UsageError
from kale_pm.local.results.history import History, locate, pipeline_of, read_history
from kale_pm.local.run_file import write_run
from kale_pm.local.store import Store
from kale_pm.local.sweep_files import write_sweep
from kale_pm.record import RunRecord, State, StepRecord, SweepRecord, TrialRecord
from kale_pm.terminal import history_view
from kale_pm.terminal.history import age, value_text

NOW = 1_800_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / ".kale-pm")
    store.prepare()
    return store


def notebook(folder: Path, name: str = "wine.ipynb") -> Path:
    cells = [("parameters", "n = 2\nrate = 0.5\nwide = True"), ("block:a", "print(n)")]
    return write_notebook(folder / name, cells)


def add(store: Store, pipeline: str = "wine", **fields: Any) -> Path:
    """A run of two steps that is done, unless ``fields`` say otherwise."""
    folder = store.new_run(pipeline)
    steps = {"a": StepRecord("a", State.DONE), "b": StepRecord("b", State.CACHED)}
    values = {
        "state": State.DONE,
        "steps": steps,
        "notebook": str(store.folder.parent / f"{pipeline}.ipynb"),
        "parameters": {},
        "started": NOW - 100,
        "seconds": 2.5,
    }
    write_run(RunRecord(id=folder.name, pipeline=pipeline, **{**values, **fields}), folder)
    store.make_latest(folder, pipeline)
    return folder


def ids(history: History) -> list[str]:
    return [run.record.id for run in history.runs]


def test_the_newest_run_comes_first_whatever_order_they_were_written_in(store: Store) -> None:
    middle = add(store, started=200.0)
    oldest = add(store, started=100.0)
    newest = add(store, started=300.0)
    assert ids(read_history(store)) == [newest.name, middle.name, oldest.name]


def test_of_one_pipeline_alone(store: Store) -> None:
    wine, _ = add(store, "wine"), add(store, "wine-red")
    assert ids(read_history(store, "wine")) == [wine.name]


def test_an_id_names_its_pipeline() -> None:
    assert pipeline_of("my-wine-20261121-045219-7ffa") == "my-wine"


def test_links_say_which_run_is_the_latest(store: Store) -> None:
    first, second, third = add(store, started=1.0), add(store, "beer"), add(store, started=3.0)
    links = {run.record.id: run.links for run in read_history(store).runs}
    assert links == {
        first.name: (),
        second.name: ("latest-beer",),
        third.name: ("latest", "latest-wine"),
    }


def test_parameters_that_are_not_the_defaults_of_the_notebook(store: Store, tmp_path: Path) -> None:
    notebook(tmp_path)
    add(store, parameters={"n": 2, "rate": 0.5, "wide": True})
    add(store, parameters={"n": 3, "rate": 0.5, "wide": 1})
    changed = [run.changed for run in read_history(store).runs]
    assert sorted(changed, key=len) == [{}, {"n": 3, "wide": 1}]


def test_a_default_that_is_not_finite_is_no_change(store: Store, tmp_path: Path) -> None:
    cells = [("parameters", "high = 1e999"), ("block:a", "print(high)")]
    write_notebook(tmp_path / "wine.ipynb", cells)
    add(store, parameters={"high": math.inf}, notebook=str(tmp_path / "wine.ipynb"))
    assert [run.changed for run in read_history(store).runs] == [{}]


def test_where_the_notebook_is_gone_all_parameters_are_told(store: Store) -> None:
    add(store, parameters={"n": 2})
    (run,) = read_history(store).runs
    assert run.changed == {"n": 2}


def test_a_run_whose_process_is_gone_is_interrupted_and_so_are_its_steps(store: Store) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    steps = {
        "a": StepRecord("a", State.DONE),
        "b": StepRecord("b", State.RUNNING),
        "c": StepRecord("c"),
    }
    add(store, state=State.RUNNING, steps=steps, seconds=None, process=gone.pid)
    (run,) = read_history(store).runs
    assert run.record.state is State.INTERRUPTED
    assert run.states == {State.DONE: 1, State.INTERRUPTED: 2}


def test_a_run_that_goes_on_says_what_its_steps_do(store: Store) -> None:
    steps = {"a": StepRecord("a", State.RUNNING), "b": StepRecord("b")}
    add(store, state=State.RUNNING, steps=steps, seconds=None, process=os.getpid())
    (run,) = read_history(store).runs
    assert run.states == {State.RUNNING: 1, State.WAITING: 1}


def test_a_damaged_run_does_not_hide_the_others(store: Store) -> None:
    good, bad = add(store), add(store)
    (bad / "run.json").write_text("{")
    store.new_run("wine")  # has no run.json yet
    history = read_history(store)
    assert ids(history) == [good.name]
    assert list(history.damaged) == [bad]
    assert read_history(store, "beer").damaged == {}


def test_json_has_every_field(store: Store) -> None:
    add(store, metrics={"score": 0.5})
    (run,) = read_history(store).runs
    assert run.to_dict() == {
        "id": run.record.id,
        "pipeline": "wine",
        "notebook": run.record.notebook,
        "folder": str(run.folder),
        "links": ["latest", "latest-wine"],
        "state": "done",
        "started": NOW - 100,
        "seconds": 2.5,
        "steps": {"done": 1, "cached": 1},
        "parameters": {},
        "changed": {},
        "metrics": {"score": 0.5},
    }


# -- what is meant ----------------------------------------------------------------------------


def test_a_notebook_means_its_own_runs_and_a_folder_all(store: Store, tmp_path: Path) -> None:
    path = notebook(tmp_path)
    assert locate(path)[1] == "wine"
    assert locate(tmp_path)[1] is None
    assert locate(path)[0].folder == locate(tmp_path)[0].folder == store.folder.resolve()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert locate(None, elsewhere)[0].folder == store.folder.resolve()


@pytest.mark.parametrize(
    ("where", "error"),
    [("missing.ipynb", NotebookError), ("nothing", UsageError)],
)
def test_what_is_not_there_is_told(where: str, error: type, store: Store, tmp_path: Path) -> None:
    with pytest.raises(error):
        locate(tmp_path / where)


def test_where_nothing_ran_there_is_no_history(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no \.kale-pm"):
        locate(tmp_path)


# -- how it looks -----------------------------------------------------------------------------


def drawn(history: History, width: int, older: int = 0) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(history_view(history.runs, older=older, now=NOW))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_a_run_is_a_line_where_there_is_room_and_a_few_where_there_is_not(store: Store) -> None:
    folder = add(store, parameters={"rate": 0.25}, metrics={"score": 1 / 3, "name": "a\nb\x1b[0m"})
    history = read_history(store)

    wide = drawn(history, 200)
    assert len(wide) == 2
    assert wide[1].startswith(f"✓ {folder.name}  latest")
    assert "1 min ago" in wide[1]
    assert "2.5 s  1 done, 1 cached  rate=0.25   score=0.333333  name='a\\nb\\x1b[0m'" in wide[1]
    narrow = drawn(history, 80)
    assert narrow[0] == f"✓ {folder.name}  latest"
    assert narrow[1].endswith("1 min ago  took 2.5 s  1 done, 1 cached")
    assert narrow[2:] == ["    rate=0.25", "    → score=0.333333  name='a\\nb\\x1b[0m'"]


def test_how_many_are_not_shown(store: Store) -> None:
    add(store)
    assert drawn(read_history(store), 100, older=30)[-1] == "… and 30 older: kale-pm runs -n 31"


def test_ages_and_values_are_as_people_say_them() -> None:
    told = [age(seconds) for seconds in (-5, 0.4, 59, 75, 7300, 86_400 * 3, 86_400 * 400)]
    assert told == [
        *("just now", "just now", "59 s ago", "1 min ago", "2 h ago", "3 days ago"),
        "13 months ago",
    ]
    values = (0.1 + 0.2, 12, True, None, "x", "", "a b", float("nan"), list(range(100)))
    assert [value_text(value) for value in values] == [
        *("0.3", "12", "True", "None", "x", "''", "a b", "nan"),
        "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …",
    ]


# -- sweeps -----------------------------------------------------------------------------------


def add_sweep(store: Store, pipeline: str = "wine", **fields: Any) -> Path:
    """A sweep of three trials, of which the last failed, unless ``fields`` say otherwise."""
    folder = store.new_sweep(pipeline)
    trials = []
    for number, score in enumerate((0.5, 0.7), 1):
        run = store.trial_run(folder.name, number)
        record = RunRecord(run.name, pipeline, "wine.ipynb", State.DONE, {}, {}, NOW)
        write_run(record, run)
        parameters = {"depth": number}
        trials.append(
            TrialRecord(number, parameters, State.DONE, run.name, {"score": score}, seconds=1.0)
        )
    values = {
        "state": State.FAILED,
        "varied": ("depth",),
        "fixed": {},
        "trials": (*trials, TrialRecord(3, {"depth": 3}, State.FAILED, error="no")),
        "executions": 3,
        "started": NOW - 50,
        "goal": "score:max",
        "seconds": 4.0,
    }
    record = SweepRecord(
        id=folder.name, pipeline=pipeline, notebook="wine.ipynb", **{**values, **fields}
    )
    write_sweep(record, folder)
    store.make_latest(folder, pipeline)
    return folder


def test_a_sweep_is_one_line_and_its_trials_are_none(store: Store) -> None:
    run, folder = add(store), add_sweep(store)
    history = read_history(store)
    assert ids(history) == [run.name]
    (sweep,) = history.sweeps
    assert sweep.record.id == folder.name
    assert sweep.folder == folder
    assert sweep.links == ("latest", "latest-wine")
    assert sweep.states == {State.DONE: 2, State.FAILED: 1}
    assert sweep.best is not None
    assert sweep.best.number == 2
    content = sweep.to_dict()
    assert content["trials"] == {"done": 2, "failed": 1}
    assert content["best"]["metrics"] == {"score": 0.7}
    json.dumps(content)


def test_the_trials_are_told_if_asked_for(store: Store) -> None:
    run, folder = add(store, started=NOW + 1), add_sweep(store)
    told = ids(read_history(store, trials=True))
    assert told[0] == run.name
    assert sorted(told[1:]) == [f"{folder.name}.0001", f"{folder.name}.0002"]


def test_sweeps_of_one_pipeline_alone_the_newest_first(store: Store) -> None:
    older = add_sweep(store, started=100.0)
    newer = add_sweep(store, started=200.0)
    other = add_sweep(store, "beer")
    assert [s.record.id for s in read_history(store, "wine").sweeps] == [newer.name, older.name]
    assert [s.record.id for s in read_history(store, "beer").sweeps] == [other.name]


def test_a_sweep_without_a_goal_has_no_best(store: Store) -> None:
    add_sweep(store, goal="")
    (sweep,) = read_history(store).sweeps
    assert sweep.best is None
    assert sweep.to_dict()["best"] is None


def test_a_damaged_sweep_is_named_and_hides_no_other(store: Store) -> None:
    bad, good = add_sweep(store), add_sweep(store)
    (bad / "sweep.json").write_text("{")
    store.new_sweep("wine")  # one that begins just now
    history = read_history(store)
    assert [sweep.record.id for sweep in history.sweeps] == [good.name]
    assert list(history.damaged) == [bad]
    assert read_history(store, "beer").damaged == {}
