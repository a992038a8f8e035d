"""Make room in a store: old runs go, and what nothing that stays needs.

A sweep is one run here, with all its trials.

Safe while runs go on.  A run itself is never removed before it has ended.  While one goes on,
nobody knows which stored results it is about to take up, so all that runs share stays.  A run
that begins right now makes its folder before it looks at anything, and so does every trial of
a sweep: the time of the folder of runs tells of it.
"""

from __future__ import annotations

import shutil
import time
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kale_pm.errors import StoreError
from kale_pm.local.results.disk import size_of
from kale_pm.local.results.history import links_of
from kale_pm.local.results.inventory import (
    Inventory,
    is_key,
    is_past,
    pasts_folder,
    take_inventory,
)
from kale_pm.local.results.stored import DAY, Stored
from kale_pm.local.store import Store


@dataclass(frozen=True)
class Rules:
    """Which runs go: those that any of the rules names.

    ``keep`` is how many runs of each pipeline stay, the newest ones, ``older_than`` an age in
    seconds, ``size`` the bytes that the whole store may have: the oldest runs go first.
    The latest run of a pipeline stays, and its latest sweep, unless ``latest_too``, which alone
    names all runs.
    With ``pipeline`` the rules are about the runs of that one.
    """

    keep: int | None = None
    older_than: float | None = None
    size: int | None = None
    latest_too: bool = False
    pipeline: str | None = None


@dataclass(frozen=True)
class Cleaning:
    """What goes, or has gone, and what stays.

    ``files`` are shared ones and leftovers by their kind, which is the name of their folder
    or ``leftovers``; ``freed`` and ``left`` are bytes.  ``going_on`` are the runs because of
    which shared files stay that nothing else needs; ``is_cut_short`` says that a run began
    meanwhile, so that not all has gone that could.
    """

    runs: tuple[str, ...]
    kept: tuple[str, ...]
    files: Mapping[str, tuple[Path, ...]]
    freed: int
    left: int
    going_on: tuple[str, ...] = ()
    is_cut_short: bool = False

    def to_dict(self) -> dict[str, Any]:
        """For a program: what ``clean --json`` prints."""
        files = {kind: [str(path) for path in paths] for kind, paths in self.files.items()}
        return {**vars(self), "files": files}


def plan_cleaning(store: Store, rules: Rules = Rules()) -> Cleaning:
    """What :func:`clean` would do now."""
    inventory = take_inventory(store)
    runs = choose_runs(inventory, rules, time.time())
    kept = [run for run in inventory.runs if run not in runs]
    garbage = _garbage(inventory, kept, time.time())
    return _cleaning(inventory, runs, kept, garbage, sum(run.size for run in runs))


def clean(store: Store, rules: Rules = Rules()) -> Cleaning:
    """Remove what the rules name, and then what nothing that stays needs.

    Raises StoreError where something cannot be removed; what is left is whole.
    """
    began = time.time()
    before = take_inventory(store)
    runs = choose_runs(before, rules, began)
    freed = sum(run.size for run in runs)  # while they are there
    for folder in (folder for run in runs for folder in run.folders):
        _remove_folder(store, folder)
    if runs:
        _lead_links(store, [run for run in before.runs if run not in runs])
    # From here on a new run shows in the time of the folder, and stops us.
    moment = _changed_at(store.runs)
    inventory = take_inventory(store)
    garbage = _garbage(inventory, inventory.runs, began)
    gone: dict[Path, int] = {}
    for path, size in garbage.items():
        if _changed_at(store.runs) != moment:
            break
        _remove(path)
        gone[path] = size
    _remove_empty(pasts_folder(store))
    done = _cleaning(before, runs, inventory.runs, gone, freed)
    return replace(done, is_cut_short=len(gone) < len(garbage))


def choose_runs(inventory: Inventory, rules: Rules, now: float) -> list[Stored]:
    """The runs that go, the oldest first; ``now`` is in seconds since the epoch."""
    mine = [run for run in inventory.runs if rules.pipeline in (None, run.pipeline)]
    stay = _protected(inventory, rules.latest_too)
    free = [run for run in mine if run not in stay]
    if (rules.keep, rules.older_than, rules.size) == (None, None, None):
        return free if rules.latest_too else []
    named = {*_surplus(mine, rules.keep)}
    if rules.older_than is not None:
        named |= {run.id for run in mine if run.started < now - rules.older_than}
    chosen = [run for run in free if run.id in named]
    if rules.size is not None:
        others = [run for run in free if run.id not in named]
        chosen += others[: _how_many(inventory, chosen, others, rules.size)]
    return sorted(chosen, key=lambda run: (run.started, run.id))


def _protected(inventory: Inventory, latest_too: bool) -> set[Stored]:
    going_on = {run for run in inventory.runs if _goes_on_here(run)}
    if latest_too:
        return going_on
    # The trials of a sweep whose folder is gone are nobody's latest.
    whole = [run for run in inventory.runs if run.folder.exists()]
    newest = {(type(run), run.pipeline): run for run in whole}
    links = links_of(inventory.store)
    return going_on | {*newest.values()} | {run for run in whole if run.id in links}


def _goes_on_here(run: Stored) -> bool:
    """Whether it may still write, or take up results, here.

    A run that was fetched while it went on elsewhere has no process of this machine.
    """
    is_fetched = run.record is not None and run.record.process is None
    return run.is_going_on and not is_fetched


def _surplus(runs: Sequence[Stored], keep: int | None) -> Iterator[str]:
    """The runs that are not among the newest ``keep`` of their pipeline."""
    if keep is None:
        return
    newer: dict[str, int] = {}
    for run in reversed(runs):
        newer[run.pipeline] = newer.get(run.pipeline, 0) + 1
        if newer[run.pipeline] > keep:
            yield run.id


def _how_many(
    inventory: Inventory, chosen: Sequence[Stored], others: Sequence[Stored], size: int
) -> int:
    """How many of the others, which begin with the oldest, must go, too, for this size."""

    def fits(number: int) -> bool:
        gone = {*chosen, *others[:number]}
        kept = [run for run in inventory.runs if run not in gone]
        freed = sum(run.size for run in gone)
        return inventory.size - freed - sum(_unneeded(inventory, kept).values()) <= size

    return bisect_left(range(len(others)), True, key=fits)


def _garbage(inventory: Inventory, kept: Collection[Stored], began: float) -> dict[Path, int]:
    """The files that go, with their sizes: the cache's entries before what they name."""
    found = _leftovers(inventory.store, began)
    if not any(map(_goes_on_here, inventory.runs)):
        found |= {p: n for p, n in _unneeded(inventory, kept).items() if _time(p) < began}
    return found


def _unneeded(inventory: Inventory, kept: Collection[Stored]) -> dict[Path, int]:
    needed = inventory.needed(kept)
    return {
        path: size
        for path, size in inventory.shared.items()
        if path not in needed and _is_ours(inventory.store, path)
    }


def _is_ours(store: Store, path: Path) -> bool:
    """Whether this is a file of a kind that we know when it is needed."""
    if path.parent == store.cache:
        return path.suffix == ".json" and is_key(path.stem)
    if is_past(store, path):
        return not path.name.startswith(".")
    suffixes = {
        store.packs: ".pack",
        store.notebooks: ".ipynb",
        store.artifacts: "",
        store.fragments: ".html",
    }
    return suffixes.get(path.parent) == path.suffix and not path.name.startswith(".")


def _leftovers(store: Store, began: float) -> dict[Path, int]:
    """What somebody who was killed has left half-written, or half-removed, a day ago."""
    found = (path for path in store.folder.rglob("*.partial") if _time(path) < began - DAY)
    return {path: size_of(path) for path in found}


def _cleaning(
    before: Inventory,
    runs: Collection[Stored],
    kept: Collection[Stored],
    files: Mapping[Path, int],
    freed: int,
) -> Cleaning:
    kinds: dict[str, list[Path]] = {}
    for path in files:
        kinds.setdefault(_kind(before.store, path), []).append(path)
    freed += sum(files.values())
    return Cleaning(
        runs=tuple(run.id for run in runs),
        kept=tuple(run.id for run in kept),
        files={kind: tuple(paths) for kind, paths in kinds.items()},
        freed=freed,
        left=before.size - freed,
        going_on=tuple(run.id for run in kept if _goes_on_here(run)),
    )


def _kind(store: Store, path: Path) -> str:
    if path.suffix == ".partial":
        return "leftovers"
    return path.relative_to(store.folder).parts[0]


def _lead_links(store: Store, kept: Sequence[Stored]) -> None:
    """No link may lead to a run that is gone."""
    for place in (store.runs, store.sweeps):
        for link in place.glob("latest*"):
            if link.is_symlink() and not link.exists():
                _remove(link)
        here = [run for run in kept if run.folder.parent == place and run.folder.exists()]
        if here and not (place / "latest").exists():
            store.make_latest(here[-1].folder, here[-1].pipeline)


def _remove_folder(store: Store, folder: Path) -> None:
    """Remove a run at once for whoever looks, however long it takes."""
    aside = store.folder / f".{folder.name}.partial"
    try:
        folder.rename(aside)
        shutil.rmtree(aside)
    except FileNotFoundError:
        return  # somebody else cleans, too
    except OSError as error:
        raise _cannot_remove(folder, error) from error


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_remove(path, error) from error


def _remove_empty(folder: Path) -> None:
    """Remove the folders in ``folder`` that hold nothing any more."""
    for inner in folder.glob("*/"):
        with suppress(OSError):  # it holds something
            inner.rmdir()


def _cannot_remove(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cannot remove {path}: {error.strerror or error}",
        hint="allow yourself to write there, then clean again",
    )


def _changed_at(folder: Path) -> int:
    return folder.stat().st_mtime_ns if folder.exists() else 0


def _time(path: Path) -> float:
    """When a file was last changed, in seconds since the epoch; it may have gone just now."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return time.time()
