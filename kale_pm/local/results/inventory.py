"""What lies in a store, and what of it which run needs."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kale_pm.local.cache import entries
from kale_pm.local.results.disk import files_below, text_of
from kale_pm.local.results.history import pipeline_of
from kale_pm.local.results.stored import Stored, packs_named, stored_in
from kale_pm.local.store import Store

_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, eq=False)
class StoredResult:
    """An entry of the cache: what the execution of a step in ``run`` gave."""

    path: Path
    run: str
    notebook: Path
    artifacts: tuple[Path, ...] = ()

    @cached_property
    def packs(self) -> frozenset[str]:
        return packs_named(text_of(self.path))

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

    ``shared`` maps each file in ``cache``, ``packs``, ``notebooks``, ``artifacts``, ``reports``
    and ``steps`` to its size in bytes; ``size`` is that of the whole store.
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
        found |= {
            path for result in results for path in (result.path, result.notebook, *result.artifacts)
        }
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
    runs = sorted(stored_in(store), key=lambda run: (run.started, run.id))
    own = (store.cache, store.packs, store.notebooks, store.artifacts, store.fragments)
    folders = (*own, pasts_folder(store))
    shared = {path: size for folder in folders for path, size in files_below(folder)}
    keys = [path.stem for path in shared if path.parent == store.cache]
    size = sum(size for _, size in files_below(store.folder))
    return Inventory(store, tuple(runs), tuple(_results(store, keys)), shared, size)


def _results(store: Store, keys: Collection[str]) -> Iterator[StoredResult]:
    for key in keys:
        entry = entries.recall(store, key) if is_key(key) else None
        if entry is not None:
            path = store.cache / f"{key}.json"
            artifacts = tuple(store.artifacts / name for name in entry.artifacts.values())
            notebook = store.notebooks / f"{entry.notebook}.ipynb"
            yield StoredResult(path, entry.run, notebook, artifacts)


def is_key(name: str) -> bool:
    """Whether this is the name of an entry of the cache, and so nothing else is."""
    return bool(_KEY.fullmatch(name))
