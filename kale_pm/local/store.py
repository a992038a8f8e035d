"""The folder ``.kale-pm``: runs, and what they share.

    runs/<id>/run.json  journal.jsonl  report.html  notebooks/  manifests/  logs/
    runs/latest, runs/latest-<pipeline>     links to the newest runs
    cache/<key>.json    what a step's execution gave
    packs/  notebooks/  reports/            shared, named by their content
    steps/<pipeline>/<step>.json            of what the step's newest result was made

Everything is written under a temporary name and renamed, so that a reader, or the next run
after a crash, never meets half a file.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kale_pm import strict_json
from kale_pm.errors import StoreError
from kale_pm.record import CellError, Place, RunRecord, State, StepRecord
from kale_pm.runtime.atomic import replacing

NAME = ".kale-pm"


class Store:
    """One ``.kale-pm`` folder.  Raises StoreError where it cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.cache = folder / "cache"
        self.packs = folder / "packs"
        self.notebooks = folder / "notebooks"
        self.fragments = folder / "reports"

    def prepare(self) -> None:
        """Make the folders; git is told to ignore them."""
        try:
            for part in (self.runs, self.cache, self.packs, self.notebooks, self.fragments):
                part.mkdir(parents=True, exist_ok=True)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                write_text(ignore, "*\n")
        except OSError as error:
            raise _cannot_write(self.folder, error) from error

    # -- runs -----------------------------------------------------------------------------

    def new_run(self, pipeline: str) -> Path:
        """A new, empty run folder; its name is the run's id."""
        while True:
            now = time.time()
            moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
            # The last digits are the fraction of the second, so that ids sort by age.
            folder = self.runs / f"{pipeline}-{moment}-{int(now % 1 * 0x10000):04x}"
            try:
                folder.mkdir()
                for part in ("notebooks", "manifests", "logs"):
                    (folder / part).mkdir()
            except FileExistsError:
                continue  # another run started in this very moment
            except OSError as error:
                raise _cannot_write(self.folder, error) from error
            return folder

    def make_latest(self, folder: Path, pipeline: str) -> None:
        """Let the links ``latest`` and ``latest-<pipeline>`` lead to this run."""
        for name in ("latest", f"latest-{pipeline}"):
            temporary = self.runs / f".{name}-{secrets.token_hex(4)}"
            with suppress(OSError):  # a file system without links is no reason to fail
                temporary.symlink_to(folder.name)
                temporary.replace(self.runs / name)

    def find_run(self, name: str = "latest") -> Path:
        """The folder of a run by its id, the start of its id, or ``latest[-PIPELINE]``."""
        exact = self.runs / name
        if (exact / "run.json").exists():
            return exact.resolve()
        matching = [folder for folder in self._folders() if folder.name.startswith(name)]
        if len(matching) == 1:
            return matching[0]
        if matching:
            raise StoreError(
                f"'{name}' may be any of {len(matching)} runs",
                hint="write more of it: " + ", ".join(f.name for f in matching[:5]),
            )
        known = ", ".join(folder.name for folder in self._folders()[:5])
        raise StoreError(
            f"no run '{name}' in {self.runs}",
            hint=f"the newest runs: {known}" if known else "run a notebook first: kale-pm run",
        )

    def _folders(self) -> list[Path]:
        """All runs, the newest first."""
        if not self.runs.is_dir():
            return []
        folders = [f for f in self.runs.iterdir() if f.is_dir() and not f.is_symlink()]
        return sorted(folders, key=lambda f: f.stat().st_mtime, reverse=True)

    # -- executed notebooks ---------------------------------------------------------------

    def keep_notebook(self, path: Path) -> str:
        """Store a copy of an executed notebook; gives the name to get it back by."""
        name = _name(path)
        kept = self.notebooks / f"{name}.ipynb"
        if not kept.exists():
            copy_file(path, kept)
        return name

    def has_notebook(self, name: str) -> bool:
        """Whether the executed notebook of this name is stored, and is what it was."""
        try:
            return _name(self.notebooks / f"{name}.ipynb") == name
        except OSError:
            return False

    def bring_notebook(self, name: str, path: Path) -> bool:
        """Copy a stored notebook to ``path``; False if the store has lost or damaged it."""
        kept = self.notebooks / f"{name}.ipynb"
        try:
            if _name(kept) != name:
                kept.unlink()
                return False
        except OSError:
            return False
        copy_file(kept, path)
        return True


def store_in(folder: Path) -> Store:
    """The store that lies in ``folder``, or will."""
    return Store(folder.resolve() / NAME)


def find_store(start: Path) -> Store:
    """The nearest ``.kale-pm`` at or above ``start``; StoreError if there is none."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / NAME).is_dir():
            return Store(folder / NAME)
    raise StoreError(
        f"no {NAME} folder in {start} or above", hint="run a notebook first: kale-pm run NOTEBOOK"
    )


def write_run(record: RunRecord, folder: Path) -> None:
    """Write ``run.json``."""
    text = strict_json.dumps(asdict(record), indent=1, default=str)
    write_text(folder / "run.json", text + "\n")


def read_run(folder: Path) -> RunRecord:
    """Read ``run.json``; a run of this machine whose process is gone reads ``interrupted``."""
    path = folder / "run.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        read = {
            "state": State(content["state"]),
            "steps": {name: _step(values) for name, values in content["steps"].items()},
            "metrics": numbers(content["metrics"]),
            "implied_edges": tuple((parent, child) for parent, child in content["implied_edges"]),
        }
        record = RunRecord(**{**content, **read})
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{path} is damaged: {error}", hint="the run's notebooks are still beside it"
        ) from error
    if record.state is State.RUNNING and not _is_alive(record.process):
        return RunRecord(**{**vars(record), "state": State.INTERRUPTED})
    return record


def _step(values: dict[str, Any]) -> StepRecord:
    error = values.pop("error")
    return StepRecord(
        **{
            **values,
            "state": State(values["state"]),
            "parents": tuple(values["parents"]),
            "inputs": tuple(values["inputs"]),
            "needs": tuple(values.get("needs", ())),
            "metrics": numbers(values["metrics"]),
            "error": _cell_error(**error) if error else None,
        }
    )


def _cell_error(
    needed_by: Iterable[str] = (), places: Iterable[Mapping[str, Any]] = (), **values: Any
) -> CellError:
    read = tuple(Place(**{**place, "lines": tuple(place["lines"])}) for place in places)
    return CellError(**values, needed_by=tuple(needed_by), places=read)


def numbers(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics as they were before they were written: not a number, infinite ones too."""
    return {name: strict_json.number(value) for name, value in metrics.items()}


def _is_alive(process: int | None) -> bool:
    if process is None:
        return True  # it runs elsewhere, and was running when it was looked at
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _name(notebook: Path) -> str:
    return hashlib.blake2b(notebook.read_bytes(), digest_size=16).hexdigest()


def _cannot_write(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cannot write to {folder}: {error.strerror or error}",
        hint="make room there, or choose another place with --dir",
    )


def write_text(path: Path, text: str) -> None:
    """Write a file at once or not at all; StoreError if it cannot be written."""
    with _replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def copy_file(source: Path, target: Path) -> None:
    """Copy a file; the target appears at once or not at all.  StoreError as above."""
    with _replacing(target) as temporary:
        shutil.copyfile(source, temporary)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise _cannot_write(path.parent, error) from error
