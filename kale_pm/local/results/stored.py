"""Runs and sweeps as they lie in a store: what is their own, and what they need of the rest."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kale_pm.errors import StoreError
from kale_pm.local.results.disk import distinct, files_below, size_of, text_of
from kale_pm.local.results.history import pipeline_of, run_folders, sweep_folders
from kale_pm.local.run_file import read_run
from kale_pm.local.store import Store, is_trial
from kale_pm.local.sweep_files import read_sweep
from kale_pm.record import RunRecord, State, SweepRecord

DAY = 24 * 3600  # seconds

_PACK = re.compile(r'[^"/\\]+\.pack\b')  # in whatever format and version a file names it


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A run's folder; ``record`` is None where it cannot be read, or is not written yet.

    ``started`` is in seconds since the epoch.
    """

    folder: Path
    record: RunRecord | None
    started: float

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def pipeline(self) -> str:
        return pipeline_of(self.id)

    @property
    def folders(self) -> tuple[Path, ...]:
        """All that is its own."""
        return (self.folder,)

    @property
    def is_going_on(self) -> bool:
        """Whether its process lives, or it is about to begin."""
        if self.record is not None:
            return self.record.state is State.RUNNING
        return not (self.folder / "run.json").exists() and time.time() - self.started < DAY

    @property
    def is_read(self) -> bool:
        """Whether its steps are known."""
        return self.record is not None

    @property
    def steps(self) -> frozenset[str]:
        """The steps it is known to have."""
        return frozenset(self.record.steps if self.record else ())

    @cached_property
    def size(self) -> int:
        """Bytes of its own files."""
        return size_of(self.folder)

    @cached_property
    def packs(self) -> frozenset[str]:
        """The names of all packs that its manifests speak of, its own and inherited ones."""
        return _packs_in(self.folders)

    @cached_property
    def executed(self) -> frozenset[tuple[str, str]]:
        """Run and step of every execution whose result it has."""
        steps = self.record.steps.values() if self.record else ()
        return frozenset((step.cached_from or self.id, step.name) for step in steps)

    @cached_property
    def fragments(self) -> frozenset[str]:
        """The names of its rendered notebooks."""
        return _fragments_in(self.folders)


@dataclass(frozen=True, eq=False)
class StoredSweep:
    """A sweep with the runs of its trials: one thing, which stays or goes as a whole.

    ``record`` is None where it cannot be read, is not written yet, or is gone with the folder.
    ``started`` is in seconds since the epoch.
    """

    folder: Path
    record: SweepRecord | None
    trials: tuple[StoredRun, ...]
    started: float

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def pipeline(self) -> str:
        return pipeline_of(self.id)

    @property
    def folders(self) -> tuple[Path, ...]:
        """All that is its own."""
        return (self.folder, *(trial.folder for trial in self.trials))

    @property
    def is_going_on(self) -> bool:
        """Whether its process lives, or it is about to begin."""
        if self.record is not None:
            return self.record.state is State.RUNNING
        is_new = self.folder.exists() and not (self.folder / "sweep.json").exists()
        is_beginning = is_new and time.time() - self.started < DAY
        return is_beginning or any(trial.is_going_on for trial in self.trials)

    @property
    def is_read(self) -> bool:
        """Whether the steps of all trials are known."""
        return all(trial.is_read for trial in self.trials)

    @cached_property
    def steps(self) -> frozenset[str]:
        """The steps it is known to have."""
        return frozenset(step for trial in self.trials for step in trial.steps)

    @cached_property
    def size(self) -> int:
        """Bytes of its own files; those that its trials share are counted once."""
        return sum(size for _, size in files_below(*self.folders))

    @cached_property
    def packs(self) -> frozenset[str]:
        """The names of all packs that the manifests of its trials speak of."""
        return _packs_in(self.folders)

    @cached_property
    def executed(self) -> frozenset[tuple[str, str]]:
        """Run and step of every execution whose result a trial has."""
        return frozenset(pair for trial in self.trials for pair in trial.executed)

    @cached_property
    def fragments(self) -> frozenset[str]:
        """The names of its trials' rendered notebooks."""
        return _fragments_in(self.folders)


Stored = StoredRun | StoredSweep


def stored_in(store: Store) -> Iterator[Stored]:
    """All runs and sweeps of the store, in no order."""
    trials: dict[str, list[StoredRun]] = {folder.name: [] for folder in sweep_folders(store)}
    for folder in run_folders(store):
        run = _stored_run(folder)
        if is_trial(run.id):
            trials.setdefault(run.id.rpartition(".")[0], []).append(run)
        else:
            yield run
    for sweep, runs in trials.items():
        yield _stored_sweep(store.sweeps / sweep, tuple(runs))


def _stored_run(folder: Path) -> StoredRun:
    try:
        record = read_run(folder)
    except StoreError:
        return StoredRun(folder, None, folder.stat().st_mtime)
    return StoredRun(folder, record, record.started)


def _stored_sweep(folder: Path, trials: tuple[StoredRun, ...]) -> StoredSweep:
    try:
        record = read_sweep(folder)
    except StoreError:
        times = [trial.started for trial in trials]
        times += [folder.stat().st_mtime] if folder.exists() else []
        return StoredSweep(folder, None, trials, min(times, default=time.time()))
    return StoredSweep(folder, record, trials, record.started)


def packs_named(text: str) -> frozenset[str]:
    """The names of the packs that the text of a file speaks of."""
    return frozenset(_PACK.findall(text))


def _packs_in(runs: Collection[Path]) -> frozenset[str]:
    found = distinct(path for run in runs for path in run.glob("manifests/*.json"))
    return frozenset(name for path in found for name in packs_named(text_of(path)))


def _fragments_in(runs: Collection[Path]) -> frozenset[str]:
    # Not before it is asked for: who never wrote a report has no renderer, perhaps.
    from kale_pm.runtime.render import renderer_version

    version = renderer_version().encode()
    found = distinct(path for run in runs for path in run.glob("notebooks/*.ipynb"))
    return frozenset(f"{hashlib.sha256(p.read_bytes() + version).hexdigest()}.html" for p in found)
