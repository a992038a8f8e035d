"""What lies in a store, and what of it which run needs."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kale_pm.errors import StoreError
from kale_pm.local.cache import entries
from kale_pm.local.results.history import pipeline_of, run_folders
from kale_pm.local.store import Store, read_run
from kale_pm.record import RunRecord, State

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
    def is_going_on(self) -> bool:
        """Whether its process lives, or it is about to begin."""
        if self.record is not None:
            return self.record.state is State.RUNNING
        return not (self.folder / "run.json").exists() and time.time() - self.started < DAY

    @cached_property
    def size(self) -> int:
        """Bytes of its own files."""
        return size_of(self.folder)

    @cached_property
    def packs(self) -> frozenset[str]:
        """The names of all packs that its manifests speak of, its own and inherited ones."""
        return _packs_in(self.folder / "manifests")

    @cached_property
    def executed(self) -> frozenset[tuple[str, str]]:
        """Run and step of every execution whose result it has."""
        steps = self.record.steps.values() if self.record else ()
        return frozenset((step.cached_from or self.id, step.name) for step in steps)

    @cached_property
    def fragments(self) -> frozenset[str]:
        """The names of its rendered notebooks."""
        # Not before it is asked for: who never wrote a report has no renderer, perhaps.
        from kale_pm.runtime.render import renderer_version

        version = renderer_version().encode()
        books = (path.read_bytes() for path in (self.folder / "notebooks").glob("*.ipynb"))
        return frozenset(f"{hashlib.sha256(book + version).hexdigest()}.html" for book in books)


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
    """The runs of a store, the oldest first, its cache, and the files that they share.

    ``shared`` maps each file in ``cache``, ``packs``, ``notebooks``, ``reports`` and ``steps``
    to its size in bytes; ``size`` is that of the whole store.
    """

    store: Store
    runs: tuple[StoredRun, ...]
    results: tuple[StoredResult, ...]
    shared: Mapping[Path, int]
    size: int

    def needed(self, kept: Collection[StoredRun]) -> set[Path]:
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

    def _results_of(self, kept: Collection[StoredRun]) -> Iterator[StoredResult]:
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
        self, kept: Collection[StoredRun], results: Collection[StoredResult]
    ) -> Iterator[Path]:
        """What is known of the steps of these runs and results: it explains the next run."""
        steps = {(run.pipeline, name) for run in kept if run.record for name in run.record.steps}
        # Of what cannot be read nobody knows the steps.
        unread = {run.pipeline for run in kept if run.record is None}
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
    runs = sorted(map(_stored_run, run_folders(store)), key=lambda run: (run.started, run.id))
    folders = (store.cache, store.packs, store.notebooks, store.fragments, pasts_folder(store))
    shared = {path: size for folder in folders for path, size in files_below(folder)}
    keys = [path.stem for path in shared if path.parent == store.cache]
    size = sum(size for _, size in files_below(store.folder))
    return Inventory(store, tuple(runs), tuple(_results(store, keys)), shared, size)


def _stored_run(folder: Path) -> StoredRun:
    try:
        record = read_run(folder)
    except StoreError:
        return StoredRun(folder, None, folder.stat().st_mtime)
    return StoredRun(folder, record, record.started)


def _results(store: Store, keys: Collection[str]) -> Iterator[StoredResult]:
    for key in keys:
        entry = entries.recall(store, key) if is_key(key) else None
        if entry is not None:
            path = store.cache / f"{key}.json"
            yield StoredResult(path, entry.run, store.notebooks / f"{entry.notebook}.ipynb")


def is_key(name: str) -> bool:
    """Whether this is the name of an entry of the cache, and so nothing else is."""
    return bool(_KEY.fullmatch(name))


def files_below(folder: Path) -> Iterator[tuple[Path, int]]:
    """Every file below the folder with its size in bytes; links are left out."""
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():
                yield path, path.stat().st_size
        except OSError:
            continue  # it went just now


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(size for _, size in files_below(path))
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _packs_in(folder: Path) -> frozenset[str]:
    return frozenset(n for path in folder.glob("*.json") for n in _PACK.findall(_text(path)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
