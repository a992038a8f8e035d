"""Runs of before: those of this machine, and those that are brought here from a KFP server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kale_pm import model
from kale_pm.errors import StoreError
from kale_pm.face.runs import FetchedRun, Run
from kale_pm.notebook import read

if TYPE_CHECKING:
    from kale_pm.local import Store


def fetch(
    name: str,
    step: str | None = None,
    *,
    host: str | None = None,
    namespace: str | None = None,
    authentication: str | None = None,
    token_file: str | Path | None = None,
    ca: str | Path | None = None,
    verify: bool = True,
    notebook: str | Path | None = None,
    folder: str | Path | None = None,
    variables: bool = False,
) -> FetchedRun:
    """Bring a run here from a KFP server, however far it is, or only one step of it.

    ``name`` is the run's id or the address of its page.  It becomes a run as those of this
    machine are, of the same id; what an earlier fetch has brought stays.  The server is said as
    for :meth:`Pipeline.submit`.  What is left out the ``notebook`` says, if it is given, and
    ``.kale-pm`` lies beside it; else that is looked for as for :func:`find_run`.  ``folder``
    is where it shall lie instead.  With ``variables`` their values come too.

    Raises ServerError, UsageError, StoreError, or NotebookError where the notebook cannot be
    read.
    """
    from kale_pm.kfp.server.access import Access
    from kale_pm.kfp.server.bringing import Places
    from kale_pm.kfp.server.fetch import fetch_run, named_run
    from kale_pm.local import read_run
    from kale_pm.local.store import write_run

    run_id, named_host = named_run(name)
    source = read(Path(notebook)) if notebook is not None else None
    access = Access(
        host=host or named_host,
        namespace=namespace,
        authentication=authentication,
        token_file=_path(token_file),
        ca=_path(ca),
        verify=verify,
    )
    server = access.settled(
        source.configuration if source else None, source.folder if source else None
    )
    store = _store_for(_path(folder), source)
    store.prepare()
    target = store.runs / run_id
    try:
        before = read_run(target)
    except StoreError:
        before = None
    try:
        fetched = fetch_run(
            server.connect(),
            run_id,
            Places(target, store.packs),
            step=step,
            variables=variables,
            before=before,
        )
    except OSError as error:
        raise StoreError(
            f"cannot write to {target}: {error.strerror or error}", hint="make room there"
        ) from error
    path = source.path if source else store.folder.parent / f"{fetched.record.pipeline}.ipynb"
    record = replace(fetched.record, notebook=str(path.resolve()))
    write_run(record, target)
    run = FetchedRun(record, target, fetched.lacks)
    run.write_report()
    return run


def _store_for(folder: Path | None, source: model.Pipeline | None) -> Store:
    from kale_pm.local import find_store, store_in

    if folder is None and source is not None:
        folder = source.folder
    if folder is not None:
        return store_in(folder)
    try:
        return find_store(Path())
    except StoreError:
        return store_in(Path())


def find_run(name: str = "latest", *, near: str | Path | None = None) -> Run:
    """A run by its id, ``latest``, its folder, or the notebook or script whose newest is meant.

    ``near`` is where the search for ``.kale-pm`` starts: by default the notebook's folder,
    or the working directory.  Raises StoreError if there is no such run, or it is damaged,
    NotebookError where the notebook cannot be read.
    """
    from kale_pm.local import find_store, read_run

    path = Path(name)
    if (path / "run.json").exists():
        return Run(read_run(path.resolve()), path.resolve())
    if path.suffix == ".ipynb" or path.is_file():
        of_script = _run_of_script(path, near)
        if of_script is not None:
            return of_script
        pipeline = read(path).name
        try:
            folder = find_store(Path(near or path.parent)).find_run(f"latest-{pipeline}")
        except StoreError as error:
            raise StoreError(
                f"{path} has no run", hint=f"run it first: kale-pm run {path}"
            ) from error
    else:
        folder = find_store(Path(near or ".")).find_run(name)
    return Run(read_run(folder), folder)


def _run_of_script(path: Path, near: str | Path | None) -> Run | None:
    """The newest run of a script of the SDK, which alone knows how its pipeline is called."""
    if path.suffix != ".py":
        return None
    try:
        runs = find_runs(near or path.parent)
    except StoreError:
        return None
    own = (run for run in runs if Path(run.record.notebook).resolve() == path.resolve())
    return next(own, None)


def find_runs(where: str | Path | None = None, *, near: str | Path | None = None) -> list[Run]:
    """All runs of a notebook or of a folder (default: the working directory), newest first.

    ``near`` is where the search for ``.kale-pm`` starts: by default ``where``.  Runs that
    cannot be read are left out.  Raises StoreError if there is no ``.kale-pm``, NotebookError
    where the notebook cannot be read.
    """
    from kale_pm.local.results.history import locate, read_history

    store, pipeline = locate(_path(where), _path(near))
    return [Run(past.record, past.folder) for past in read_history(store, pipeline).runs]


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
