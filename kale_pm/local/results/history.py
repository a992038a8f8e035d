"""The runs and the sweeps that a store holds, the newest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kale_pm import strict_json
from kale_pm.errors import NotebookError, StoreError, UsageError
from kale_pm.local.results.trial_rows import best_of
from kale_pm.local.run_file import read_run
from kale_pm.local.store import Store, find_store, is_trial
from kale_pm.local.sweep_files import read_sweep
from kale_pm.notebook import read
from kale_pm.record import RunRecord, State, SweepRecord, TrialRecord


@dataclass(frozen=True)
class PastRun:
    """A run as a list of runs tells it.

    ``links`` are the names that lead to it besides its id, such as ``latest``.  ``changed``
    are the parameters whose value is not the default that the notebook has now; all of them
    where the notebook cannot be read any more.
    """

    record: RunRecord
    folder: Path
    links: tuple[str, ...] = ()
    changed: Mapping[str, Any] | None = None

    @property
    def states(self) -> dict[State, int]:
        """How many steps stand where; of a run that is gone nothing runs or waits any more."""
        found: Counter[State] = Counter()
        for step in self.record.steps.values():
            is_over = self.record.state is not State.RUNNING
            found[step.state if step.state.is_final or not is_over else State.INTERRUPTED] += 1
        return dict(found)

    def to_dict(self) -> dict[str, Any]:
        """For a program: what ``runs --json`` prints of each run."""
        record = self.record
        return {
            "id": record.id,
            "pipeline": record.pipeline,
            "notebook": record.notebook,
            "folder": str(self.folder),
            "links": list(self.links),
            "state": record.state.value,
            "started": record.started,
            "seconds": record.seconds,
            "steps": {state.value: count for state, count in self.states.items()},
            "parameters": dict(record.parameters),
            "changed": dict(self.changed or {}),
            "metrics": dict(record.metrics),
        }


@dataclass(frozen=True)
class PastSweep:
    """A sweep as a list of runs tells it: in one line, however many trials it has.

    ``links`` are the names that lead to it besides its id.
    """

    record: SweepRecord
    folder: Path
    links: tuple[str, ...] = ()

    @property
    def states(self) -> dict[State, int]:
        """How many trials stand where."""
        return dict(Counter(trial.state for trial in self.record.trials))

    @property
    def best(self) -> TrialRecord | None:
        """The best trial; None where the sweep has no goal, or no trial has its metric."""
        return best_of(self.record)

    def to_dict(self) -> dict[str, Any]:
        """For a program: what ``runs --json`` prints of each sweep."""
        record, best = self.record, self.best
        return {
            "id": record.id,
            "pipeline": record.pipeline,
            "notebook": record.notebook,
            "folder": str(self.folder),
            "links": list(self.links),
            "state": record.state.value,
            "started": record.started,
            "seconds": record.seconds,
            "trials": {state.value: count for state, count in self.states.items()},
            "varied": list(record.varied),
            "goal": record.goal or None,
            "best": {**vars(best), "state": best.state.value} if best else None,
        }


@dataclass(frozen=True)
class History:
    """All runs of a store, or of one pipeline in it; ``damaged`` are those that cannot be read.

    The trials of sweeps are no runs by themselves: ``sweeps`` tells of them.
    """

    store: Store
    runs: tuple[PastRun, ...]
    damaged: Mapping[Path, StoreError]
    sweeps: tuple[PastSweep, ...] = ()


def locate(where: Path | None, near: Path | None = None) -> tuple[Store, str | None]:
    """The store that is meant, and the pipeline if ``where`` is a notebook.

    ``where`` may also be a folder; without it the search begins in the working directory.
    ``near`` is where the search for ``.kale-pm`` begins instead.  Raises StoreError if there
    is none, NotebookError where the notebook cannot be read, UsageError for neither.
    """
    if where is None or where.is_dir():
        return find_store(near or where or Path()), None
    if where.suffix or where.is_file():
        return find_store(near or where.parent), read(where).name
    raise UsageError(
        f"{where}: there is no such notebook or folder",
        hint="name a notebook, or a folder with runs",
    )


def read_history(store: Store, pipeline: str | None = None, *, trials: bool = False) -> History:
    """The runs of the store, the newest first; with ``pipeline`` only those of this name.

    With ``trials`` the trials of sweeps are among the runs.
    """
    runs: list[PastRun] = []
    damaged: dict[Path, StoreError] = {}
    links = links_of(store)
    for folder in run_folders(store):
        if is_trial(folder.name) and not trials:
            continue
        if not (folder / "run.json").exists():
            continue  # a run that begins just now, or never came to begin
        try:
            record = read_run(folder)
        except StoreError as error:
            if pipeline in (None, pipeline_of(folder.name)):
                damaged[folder] = error
            continue
        if pipeline in (None, record.pipeline):
            runs.append(PastRun(record, folder, links.get(folder.name, ()), _changed(record)))
    runs.sort(key=lambda run: (run.record.started, run.record.id), reverse=True)
    _defaults.cache_clear()
    return History(store, tuple(runs), damaged, tuple(_sweeps(store, pipeline, damaged)))


def run_folders(store: Store) -> list[Path]:
    """The folders of all runs, in no order."""
    return _folders(store.runs)


def sweep_folders(store: Store) -> list[Path]:
    """The folders of all sweeps, in no order."""
    return _folders(store.sweeps)


def links_of(store: Store) -> dict[str, tuple[str, ...]]:
    """Id of a run or of a sweep -> the links that lead to it, ``latest`` first."""
    found: dict[str, tuple[str, ...]] = {}
    for place in (store.runs, store.sweeps):
        for link in sorted(place.glob("latest*")):
            if link.is_symlink():
                target = link.resolve().name
                found[target] = (*found.get(target, ()), link.name)
    return found


def pipeline_of(run: str) -> str:
    """The pipeline that the id of a run or of a sweep names.

    >>> pipeline_of("my-wine-20261121-045219-7ffa")
    'my-wine'
    """
    return run.rsplit("-", 3)[0]


def _folders(place: Path) -> list[Path]:
    if not place.is_dir():
        return []
    inner = (path for path in place.iterdir() if not path.name.startswith("."))
    return [path for path in inner if path.is_dir() and not path.is_symlink()]


def _sweeps(store: Store, pipeline: str | None, damaged: dict[Path, StoreError]) -> list[PastSweep]:
    """The sweeps, the newest first; those that cannot be read go to the ``damaged``."""
    found: list[PastSweep] = []
    links = links_of(store)
    for folder in sweep_folders(store):
        if pipeline not in (None, pipeline_of(folder.name)):
            continue
        if not (folder / "sweep.json").exists():
            continue  # one that begins just now, or never came to begin
        try:
            found.append(PastSweep(read_sweep(folder), folder, links.get(folder.name, ())))
        except StoreError as error:
            damaged[folder] = error
    return sorted(found, key=lambda sweep: (sweep.record.started, sweep.record.id), reverse=True)


def _changed(record: RunRecord) -> dict[str, Any]:
    defaults = _defaults(record.notebook)
    # By their text, because 1 == 1.0 == True, inside of lists as well; which tuples become.
    return {
        name: value
        for name, value in record.parameters.items()
        if name not in defaults
        or repr(strict_json.exact(defaults[name])) != repr(strict_json.exact(value))
    }


@cache
def _defaults(notebook: str) -> Mapping[str, Any]:
    try:
        return {parameter.name: parameter.default for parameter in read(notebook).parameters}
    except NotebookError:
        return {}
