"""Runs and sweeps of before, by the names that people give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from kale_pm.errors import StoreError
from kale_pm.face.paths import path_of
from kale_pm.face.runs import Run
from kale_pm.face.sweeps import Sweep
from kale_pm.notebook import read

Found = TypeVar("Found", Run, Sweep)


def find_run(name: str = "latest", *, near: str | Path | None = None) -> Run:
    """A run by its id, ``latest``, its folder, or the notebook or script whose newest is meant.

    ``near`` is where the search for ``.kale-pm`` starts: by default the notebook's folder,
    or the working directory.  Raises StoreError if there is no such run, or it is damaged,
    NotebookError where the notebook cannot be read.
    """
    from kale_pm.local import find_store

    path = Path(name)
    if (path / "run.json").exists():
        return Run.read(path.resolve())
    if path.suffix == ".ipynb" or path.is_file():
        where = Path(near or path.parent)
        of_script = _newest_of_script(path, lambda: find_runs(where))
        if of_script is not None:
            return of_script
        pipeline = read(path).name
        try:
            folder = find_store(where).find_run(f"latest-{pipeline}")
        except StoreError as error:
            raise StoreError(
                f"{path} has no run", hint=f"run it first: kale-pm run {path}"
            ) from error
    else:
        folder = find_store(Path(near or ".")).find_run(name)
    return Run.read(folder)


def find_runs(where: str | Path | None = None, *, near: str | Path | None = None) -> list[Run]:
    """All runs of a notebook or of a folder (default: the working directory), newest first.

    ``near`` is where the search for ``.kale-pm`` starts: by default ``where``.  Runs that
    cannot be read are left out.  Raises StoreError if there is no ``.kale-pm``, NotebookError
    where the notebook cannot be read.
    """
    from kale_pm.local.results.history import locate, read_history

    store, pipeline = locate(path_of(where), path_of(near))
    return [Run(past.record, past.folder) for past in read_history(store, pipeline).runs]


def find_sweep(name: str = "latest", *, near: str | Path | None = None) -> Sweep:
    """A sweep by its id, ``latest``, its folder, or the notebook or script whose newest is meant.

    ``near`` is where the search for ``.kale-pm`` starts: by default the notebook's folder,
    or the working directory.  Raises StoreError if there is no such sweep, or it is damaged,
    NotebookError where the notebook cannot be read.
    """
    from kale_pm.local import sweeping

    path = Path(name)
    if (path.suffix == ".ipynb" or path.is_file()) and not path.is_dir():
        where = Path(near or path.parent)
        of_script = _newest_of_script(path, lambda: _sweeps(where))
        if of_script is not None:
            return of_script
        pipeline = read(path).name
        try:
            folder = sweeping.find_sweep(f"latest-{pipeline}", where)
        except StoreError as error:
            raise StoreError(
                f"{path} has no sweep", hint=f"sweep it first: kale-pm sweep {path} -p NAME=VALUES"
            ) from error
    else:
        folder = sweeping.find_sweep(name, Path(near or "."))
    return Sweep.read(folder)


def _sweeps(where: Path) -> list[Sweep]:
    """All sweeps of a folder, newest first.  Raises StoreError if there is no ``.kale-pm``."""
    from kale_pm.local import find_store
    from kale_pm.local.results.history import read_history

    history = read_history(find_store(where))
    return [Sweep(past.record, past.folder) for past in history.sweeps]


def _newest_of_script(path: Path, newest_first: Callable[[], Iterable[Found]]) -> Found | None:
    """What a script of the SDK gave last: it alone knows how its pipeline is called."""
    if path.suffix != ".py":
        return None
    try:
        found = newest_first()
    except StoreError:
        return None
    own = (each for each in found if _script_of(Path(each.record.notebook)) == path.resolve())
    return next(own, None)


def _script_of(named: Path) -> Path:
    """The file of a script, as a run names it: a module by its full name, above its package."""
    if named.is_file():
        return named.resolve()
    return named.parent.joinpath(*named.stem.split(".")).with_suffix(".py").resolve()
