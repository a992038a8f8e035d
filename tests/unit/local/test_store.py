"""The folder of runs: ids, links, and results kept for later."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_pm.errors import StoreError
from kale_pm.local.store import Store, find_store, is_trial


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / ".kale-pm")
    store.prepare()
    return store


# -- runs ---------------------------------------------------------------------------------


def test_ids_carry_the_pipeline_and_sort_by_age(store: Store) -> None:
    names = [store.new_run("wine").name for _ in range(20)]
    assert len(set(names)) == 20
    assert names == sorted(names)
    assert all(name.startswith("wine-2") for name in names)


def test_a_run_is_found_by_its_id_its_beginning_or_as_the_latest(store: Store) -> None:
    first, second = store.new_run("wine"), store.new_run("beer")
    for folder in (first, second):
        (folder / "run.json").write_text("{}")
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


# -- sweeps -------------------------------------------------------------------------------


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
        (folder / "run.json").write_text("{}")
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


# -- kept notebooks -----------------------------------------------------------------------


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
