"""Cleaning where there are sweeps: one thing each, which stays or goes with all its trials."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kale_pm.local.results.cleaning import Rules, clean, plan_cleaning
from kale_pm.local.results.disk import files_below
from kale_pm.local.results.inventory import take_inventory
from kale_pm.local.run_file import read_run, write_run
from kale_pm.local.store import Store
from kale_pm.local.sweep_files import read_sweep, write_sweep
from kale_pm.record import RunRecord, State

if TYPE_CHECKING:
    from conftest import Sweeper, Swept

DAY = 86_400
RATES = [0.1, 0.2]


@pytest.fixture
def store(sweep: Sweeper) -> Store:
    return Store(sweep.store)


def aged(swept: Swept, days: float) -> Swept:
    """The sweep as if it had begun so many days ago, in the record and in its runs."""
    moment = time.time() - days * DAY
    write_sweep(replace(swept.record, started=moment), swept.folder)
    for trial in swept.record.trials:
        folder = swept.run_folder(trial.number)
        write_run(replace(read_run(folder), started=moment), folder)
    return swept


def settle(store: Store) -> Store:
    """Let all files be older than any cleaning."""
    for path in store.folder.rglob("*"):
        status = path.stat(follow_symlinks=False)
        times = (status.st_atime_ns, status.st_mtime_ns - 10**9)
        os.utime(path, ns=times, follow_symlinks=False)
    return store


def plain_run(store: Store, days: float) -> Path:
    folder = store.new_run("notebook")
    moment = time.time() - days * DAY
    write_run(RunRecord(folder.name, "notebook", "n.ipynb", State.DONE, {}, {}, moment), folder)
    return folder


def names(place: Path) -> set[str]:
    return {path.name for path in place.iterdir() if not path.is_symlink()}


def size(store: Store) -> int:
    """Bytes on the disk: a file of several names once."""
    found = {
        path.lstat().st_ino: path.lstat().st_size
        for path in store.folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    return sum(found.values())


def test_an_old_sweep_goes_with_all_its_trials(sweep: Sweeper, store: Store) -> None:
    old = aged(sweep(rate=RATES), 40)
    new = sweep(rate=RATES)
    done = clean(settle(store), Rules(older_than=30 * DAY))
    assert done.runs == (old.record.id,)
    assert names(store.sweeps) == {new.record.id}
    assert names(store.runs) == {str(trial.run) for trial in new.record.trials}


def test_a_trial_is_no_run_by_itself(sweep: Sweeper, store: Store) -> None:
    swept = sweep(rate=RATES)
    assert clean(settle(store), Rules(keep=0, older_than=0.0, size=0)).runs == ()
    assert len(names(store.runs)) == len(swept.record.trials)


def test_a_sweep_counts_as_one_run(sweep: Sweeper, store: Store) -> None:
    oldest = plain_run(store, 9)
    swept = aged(sweep(rate=[0.1, 0.2, 0.3]), 8)
    newest = plain_run(store, 7)
    assert clean(settle(store), Rules(keep=2)).runs == (oldest.name,)
    assert names(store.sweeps) == {swept.record.id}
    assert newest.exists()


def test_the_latest_sweep_stays_beside_the_latest_run_unless_asked_for(
    sweep: Sweeper, store: Store
) -> None:
    old, swept = aged(sweep(rate=RATES), 9), aged(sweep(rate=RATES), 8)
    run = plain_run(store, 7)
    assert clean(settle(store), Rules(keep=0)).runs == (old.record.id,)
    assert clean(store, Rules(latest_too=True)).runs == (swept.record.id, run.name)
    assert names(store.runs) == names(store.sweeps) == set()
    assert not list(store.sweeps.iterdir())


def test_no_link_leads_to_a_sweep_that_is_gone(sweep: Sweeper, store: Store) -> None:
    kept, gone = aged(sweep(rate=RATES), 8), aged(sweep(rate=RATES), 9)
    assert (store.sweeps / "latest").resolve() == gone.folder
    clean(settle(store), Rules(older_than=8.5 * DAY, latest_too=True))
    assert {path.name: path.resolve().name for path in store.sweeps.glob("latest*")} == {
        "latest": kept.record.id,
        "latest-notebook": kept.record.id,
    }


def test_trials_whose_sweep_is_gone_go_by_the_rules(sweep: Sweeper, store: Store) -> None:
    swept = aged(sweep(rate=RATES), 9)
    shutil.rmtree(swept.folder)
    assert clean(settle(store)).runs == ()
    assert clean(store, Rules(older_than=DAY)).runs == (swept.record.id,)
    assert names(store.runs) == set()


def test_a_sweep_that_goes_on_keeps_its_trials_and_all_that_is_shared(
    sweep: Sweeper, store: Store
) -> None:
    swept = aged(sweep(rate=RATES), 9)
    running = replace(read_sweep(swept.folder), state=State.RUNNING, process=os.getpid())
    write_sweep(running, swept.folder)
    (store.notebooks / f"{'0' * 32}.ipynb").write_text("nobody needs it")
    done = clean(settle(store), Rules(latest_too=True))
    assert (done.runs, done.files, done.going_on) == ((), {}, (swept.record.id,))
    write_sweep(replace(running, process=None, state=State.DONE), swept.folder)
    assert clean(store, Rules(latest_too=True)).runs == (swept.record.id,)


def test_a_sweep_that_begins_just_now_keeps_what_is_shared(sweep: Sweeper, store: Store) -> None:
    aged(sweep(rate=RATES), 9)
    store.new_sweep("notebook")
    done = plan_cleaning(settle(store), Rules(keep=0))
    assert done.files == {}
    assert len(done.going_on) == 1


def test_what_a_kept_sweep_needs_stays(sweep: Sweeper, store: Store) -> None:
    aged(sweep(rate=[0.3, 0.4]), 9)
    aged(sweep(rate=RATES), 8)
    before = len(names(store.cache))
    done = clean(settle(store), Rules(keep=1))
    assert len(done.files["cache"]) == 4  # train and test of two rates
    assert len(names(store.cache)) == before - 4
    assert sweep(rate=RATES).executed == []


def test_what_trials_share_is_counted_once(sweep: Sweeper, store: Store) -> None:
    swept = sweep(rate=[0.1, 0.2, 0.3])
    (swept.run_folder(1) / "notebooks/load.ipynb").write_bytes(bytes(100_000))
    aged(swept, 9)
    inventory = take_inventory(store)
    assert inventory.size == size(store)
    (stored,) = inventory.runs
    assert 100_000 < stored.size < 200_000
    assert sum(n for _, n in files_below(store.runs)) < 200_000
    done = clean(settle(store), Rules(latest_too=True))
    assert done.left == size(store) < 1_000
    assert done.freed == inventory.size - done.left


def test_a_sweep_that_cannot_be_read_goes_by_the_rules(sweep: Sweeper, store: Store) -> None:
    swept = aged(sweep(rate=RATES), 9)
    (swept.folder / "sweep.json").write_text("{")
    sweep(rate=RATES)
    assert clean(settle(store), Rules(older_than=DAY)).runs == (swept.record.id,)
    assert not swept.folder.exists()
