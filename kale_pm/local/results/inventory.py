"""What lies in a store, and what of it which run needs."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kale_pm.errors import StoreError
from kale_pm.local.cache import entries
from kale_pm.local.results.history import pipeline_of, run_folders, sweep_folders
from kale_pm.local.store import Store, is_trial, read_run
from kale_pm.local.sweep_files import read_sweep
from kale_pm.record import RunRecord, State, SweepRecord

DAY = 24 * 3600  # seconds

_PACK = re.compile(r'[^"/\\]+\.pack\b')  # in whatever format and version a file names it
_KEY = re.compile(r"[0-9a-f]{32}")


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


@dataclass(frozen=True, eq=False)
class StoredResult:
    """An entry of the cache: what the execution of a step in ``run`` gave."""

    path: Path
    run: str
    notebook: Path

    @cached_property
    def packs(self) -> frozenset[str]:
        return frozenset(_PACK.findall(_text(self.path)))

    @cached_property
    def step(self) -> str:
        """The step, as the kept notebook tells it; empty if that is gone or damaged."""
        try:
            content = json.loads(self.notebook.read_text(encoding="utf-8"))
            return str(content["metadata"]["kale_pm"]["step"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""


@dataclass(frozen=True)
class Inventory:
    """The runs and sweeps of a store, the oldest first, its cache, and the files they share.

    ``shared`` maps each file in ``cache``, ``packs``, ``notebooks``, ``reports`` and ``steps``
    to its size in bytes; ``size`` is that of the whole store.
    """

    store: Store
    runs: tuple[Stored, ...]
    results: tuple[StoredResult, ...]
    shared: Mapping[Path, int]
    size: int

    def needed(self, kept: Collection[Stored]) -> set[Path]:
        """The shared files that these runs need, or their stored results."""
        results = list(self._results_of(kept))
        packs = [*(run.packs for run in kept), *(result.packs for result in results)]
        found = {self.store.packs / name for names in packs for name in names}
        found |= {path for result in results for path in (result.path, result.notebook)}
        found |= set(self._pasts_of(kept, results))
        if any(path.parent == self.store.fragments for path in self.shared):
            names = {name for run in kept for name in run.fragments}
            found |= {self.store.fragments / name for name in names}
        return found

    def _results_of(self, kept: Collection[Stored]) -> Iterator[StoredResult]:
        executed = {pair for run in kept for pair in run.executed}
        origins = {run for run, _ in executed}
        oldest: dict[str, str] = {}
        for run in kept:
            oldest[run.pipeline] = min(run.id, oldest.get(run.pipeline, run.id))
        for result in self.results:
            # A later run may have put its own result in the place of a kept one's, and be
            # gone: so all that is not older than the kept runs stays.  Ids sort by age.
            first = oldest.get(pipeline_of(result.run))
            is_recent = first is not None and result.run >= first
            if is_recent or (result.run in origins and (result.run, result.step) in executed):
                yield result

    def _pasts_of(
        self, kept: Collection[Stored], results: Collection[StoredResult]
    ) -> Iterator[Path]:
        """What is known of the steps of these runs and results: it explains the next run."""
        steps = {(run.pipeline, name) for run in kept for name in run.steps}
        # Of what cannot be read nobody knows the steps.
        unread = {run.pipeline for run in kept if not run.is_read}
        for path in self.shared:
            if not is_past(self.store, path):
                continue
            pipeline, step = path.parent.name, path.stem
            if (
                pipeline in unread
                or (pipeline, step) in steps
                or any(
                    pipeline_of(result.run) == pipeline and result.step in (step, "")
                    for result in results
                )
            ):
                yield path


def is_past(store: Store, path: Path) -> bool:
    """Whether the file is what is known of a step from earlier runs."""
    return path.parent.parent == pasts_folder(store) and path.suffix == ".json"


def pasts_folder(store: Store) -> Path:
    return store.folder / "steps"


def take_inventory(store: Store) -> Inventory:
    """What lies in the store now."""
    runs = sorted(_stored(store), key=lambda run: (run.started, run.id))
    folders = (store.cache, store.packs, store.notebooks, store.fragments, pasts_folder(store))
    shared = {path: size for folder in folders for path, size in files_below(folder)}
    keys = [path.stem for path in shared if path.parent == store.cache]
    size = sum(size for _, size in files_below(store.folder))
    return Inventory(store, tuple(runs), tuple(_results(store, keys)), shared, size)


def _stored(store: Store) -> Iterator[Stored]:
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


def _results(store: Store, keys: Collection[str]) -> Iterator[StoredResult]:
    for key in keys:
        entry = entries.recall(store, key) if is_key(key) else None
        if entry is not None:
            path = store.cache / f"{key}.json"
            yield StoredResult(path, entry.run, store.notebooks / f"{entry.notebook}.ipynb")


def is_key(name: str) -> bool:
    """Whether this is the name of an entry of the cache, and so nothing else is."""
    return bool(_KEY.fullmatch(name))


def files_below(*folders: Path) -> Iterator[tuple[Path, int]]:
    """Every file below the folders with its size in bytes; links are left out.

    A file of several names counts at its first one; at the others its size is 0.
    """
    counted: set[tuple[int, int]] = set()
    for path in (path for folder in folders for path in folder.rglob("*")):
        try:
            status = path.lstat()
        except OSError:
            continue  # it went just now
        if stat.S_ISREG(status.st_mode):
            yield path, 0 if _is_among(counted, status) else status.st_size


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(size for _, size in files_below(path))
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _packs_in(runs: Collection[Path]) -> frozenset[str]:
    found = _distinct(path for run in runs for path in run.glob("manifests/*.json"))
    return frozenset(name for path in found for name in _PACK.findall(_text(path)))


def _fragments_in(runs: Collection[Path]) -> frozenset[str]:
    # Not before it is asked for: who never wrote a report has no renderer, perhaps.
    from kale_pm.runtime.render import renderer_version

    version = renderer_version().encode()
    found = _distinct(path for run in runs for path in run.glob("notebooks/*.ipynb"))
    return frozenset(f"{hashlib.sha256(p.read_bytes() + version).hexdigest()}.html" for p in found)


def _distinct(paths: Iterable[Path]) -> Iterator[Path]:
    """Of a file of several names, which the trials of a sweep share, the first one."""
    seen: set[tuple[int, int]] = set()
    return (path for path in paths if not _is_among(seen, path.lstat()))


def _is_among(seen: set[tuple[int, int]], status: os.stat_result) -> bool:
    """Whether the file was seen under another name; from now on it was."""
    file = status.st_dev, status.st_ino
    if status.st_nlink == 1 or file not in seen:
        seen.add(file)
        return False
    return True


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
