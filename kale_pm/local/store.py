"""The folder ``.kale-pm``: runs, and what they share.

    runs/<id>/run.json  journal.jsonl  report.html  notebooks/  manifests/  logs/
    runs/latest, runs/latest-<pipeline>     links to the newest runs
    sweeps/<id>/                            what a sweep gave
    sweeps/latest, sweeps/latest-<pipeline>
    runs/<id of the sweep>.0007/            its trial 7, a run as any other
    cache/<key>.json    what a step's execution gave
    packs/  notebooks/  artifacts/  reports/    shared, named by their content
    steps/<pipeline>/<step>.json            of what the step's newest result was made

Everything is written under a temporary name and renamed, so that a reader, or the next run
after a crash, never meets half a file.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from kale_pm.errors import StoreError
from kale_pm.local.files import cannot_write, copy_file, link_file, write_text

NAME = ".kale-pm"

_TRIAL = re.compile(r"-[0-9a-f]{4}\.\d{4,}(r\d+)?$")  # the end of its id


class Store:
    """One ``.kale-pm`` folder.  Raises StoreError where it cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.sweeps = folder / "sweeps"
        self.cache = folder / "cache"
        self.packs = folder / "packs"
        self.notebooks = folder / "notebooks"
        self.artifacts = folder / "artifacts"
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
            raise cannot_write(self.folder, error) from error

    # -- runs -----------------------------------------------------------------------------

    def new_run(self, pipeline: str) -> Path:
        """A new, empty run folder; its name is the run's id."""
        return self._parts(self._new(self.runs, pipeline))

    def new_sweep(self, pipeline: str) -> Path:
        """A new, empty folder for a sweep; its name is the sweep's id."""
        return self._new(self.sweeps, pipeline)

    def trial_run(self, sweep: str, number: int, attempt: int = 1) -> Path:
        """A new, empty run folder for a trial; ``number`` and ``attempt`` count from 1.

        Such a run is no newest one: what leads to ``latest`` never leads to a trial.
        """
        again = f"r{attempt}" if attempt > 1 else ""
        folder = self.runs / f"{sweep}.{number:04d}{again}"
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        return self._parts(folder)

    def make_latest(self, folder: Path, pipeline: str) -> None:
        """Let the links ``latest`` and ``latest-<pipeline>`` lead to this run, or sweep."""
        for name in ("latest", f"latest-{pipeline}"):
            temporary = folder.parent / f".{name}-{secrets.token_hex(4)}"
            with suppress(OSError):  # a file system without links is no reason to fail
                temporary.symlink_to(folder.name)
                temporary.replace(folder.parent / name)

    def find_run(self, name: str = "latest") -> Path:
        """The folder of a run by its id, the start of its id, or ``latest[-PIPELINE]``.

        A trial of a sweep is found by its whole id alone.
        """
        return _find(self.runs, name, "run", "run a notebook first: kale-pm run")

    def find_sweep(self, name: str = "latest") -> Path:
        """The folder of a sweep by its id, the start of its id, or ``latest[-PIPELINE]``."""
        return _find(self.sweeps, name, "sweep", "sweep a notebook first: kale-pm sweep")

    def _new(self, place: Path, pipeline: str) -> Path:
        while True:
            now = time.time()
            moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
            # The last digits are the fraction of the second, so that ids sort by age.
            folder = place / f"{pipeline}-{moment}-{int(now % 1 * 0x10000):04x}"
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue  # another one started in this very moment
            except OSError as error:
                raise cannot_write(self.folder, error) from error
            return folder

    def _parts(self, run: Path) -> Path:
        try:
            for part in ("notebooks", "manifests", "logs"):
                (run / part).mkdir()
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        return run

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

    # -- artifacts ------------------------------------------------------------------------

    def keep_artifact(self, path: Path) -> str:
        """Store a file that a step keeps, by a link; gives the name to get it back by."""
        name = _digest(path)
        if not self.has_artifact(name):
            (self.artifacts / name).unlink(missing_ok=True)
            link_file(path, self.artifacts / name)
        return name

    def has_artifact(self, name: str) -> bool:
        """Whether the artifact of this name is stored, and is what it was."""
        try:
            return _digest(self.artifacts / name) == name
        except OSError:
            return False

    def bring_artifact(self, name: str, path: Path) -> None:
        """Let ``path`` be the stored artifact.  StoreError if it cannot be written."""
        link_file(self.artifacts / name, path)


def is_trial(run: str) -> bool:
    """Whether the run of this id is a trial of a sweep.

    >>> is_trial("wine-20261121-045219-7ffa"), is_trial("wine-20261121-045219-7ffa.0007r2")
    (False, True)
    """
    return _TRIAL.search(run) is not None


def _find(place: Path, name: str, kind: str, hint: str) -> Path:
    exact = place / name
    if (exact / f"{kind}.json").exists():
        return exact.resolve()
    folders = _folders(place)
    matching = [folder for folder in folders if folder.name.startswith(name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise StoreError(
            f"'{name}' may be any of {len(matching)} {kind}s",
            hint="write more of it: " + ", ".join(f.name for f in matching[:5]),
        )
    known = ", ".join(folder.name for folder in folders[:5])
    raise StoreError(
        f"no {kind} '{name}' in {place}", hint=f"the newest {kind}s: {known}" if known else hint
    )


def _folders(place: Path) -> list[Path]:
    """All runs, or sweeps, the newest first; without the trials of sweeps."""
    if not place.is_dir():
        return []
    folders = [f for f in place.iterdir() if not is_trial(f.name)]
    folders = [f for f in folders if f.is_dir() and not f.is_symlink()]
    return sorted(folders, key=lambda f: f.stat().st_mtime, reverse=True)


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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=16)).hexdigest()


def _name(notebook: Path) -> str:
    return hashlib.blake2b(notebook.read_bytes(), digest_size=16).hexdigest()
