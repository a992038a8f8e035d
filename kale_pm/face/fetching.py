"""A run on a KFP server, brought here: from then on it is as those of this machine are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kale_pm import model
from kale_pm.errors import StoreError
from kale_pm.face.paths import path_of
from kale_pm.face.runs import FetchedRun
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
    artifacts: bool = True,
) -> FetchedRun:
    """Bring a run here from a KFP server, however far it is, or only one step of it.

    ``name`` is the run's id or the address of its page.  It becomes a run as those of this
    machine are, of the same id; what an earlier fetch has brought stays.  The server is said as
    for :meth:`Pipeline.submit`.  What is left out the ``notebook`` says, if it is given, and
    ``.kale-pm`` lies beside it; else that is looked for as for :func:`find_run`.  ``folder``
    is where it shall lie instead.  With ``variables`` their values come too; without
    ``artifacts`` the files stay there that the steps have kept.

    Raises ServerError, UsageError, StoreError, or NotebookError where the notebook cannot be
    read.
    """
    from kale_pm.kfp.server.access import Access
    from kale_pm.kfp.server.bringing import Places
    from kale_pm.kfp.server.fetch import fetch_run, named_run
    from kale_pm.local import read_run
    from kale_pm.local.run_file import write_run

    run_id, named_host = named_run(name)
    source = read(Path(notebook)) if notebook is not None else None
    access = Access(
        host=host or named_host,
        namespace=namespace,
        authentication=authentication,
        token_file=path_of(token_file),
        ca=path_of(ca),
        verify=verify,
    )
    server = access.settled(
        source.configuration if source else None, source.folder if source else None
    )
    store = _store_for(path_of(folder), source)
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
            artifacts=artifacts,
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
