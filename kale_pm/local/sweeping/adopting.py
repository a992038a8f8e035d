"""What trials share: executed for one of them, it is brought into the runs of the others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kale_pm.local.files import link_file
from kale_pm.local.live import LiveRun
from kale_pm.record import State, StepRecord


@dataclass
class Shared:
    """How a step ended in the run in ``folder``, that of trial ``owner``.

    ``takers`` is how many trials are still to take it.
    """

    record: StepRecord
    owner: int
    folder: Path
    takers: int


def adopt(live: LiveRun, shared: Shared) -> None:
    """Let the step have ended in the run ``live`` as it did in the owner's.  Raises StoreError.

    Its files are links, since a thousand copies of a notebook with pictures are gigabytes.
    What the owner's run does not have any more is missing here, too.
    """
    record = shared.record
    for path in (*_files(record.name), *record.artifacts.values()):
        if (shared.folder / path).exists():
            link_file(shared.folder / path, live.folder / path)
    taken = _taken(shared)
    if taken.notebook and not (live.folder / taken.notebook).exists():
        taken = replace(taken, notebook=None)
    live.update(taken)


def _taken(shared: Shared) -> StepRecord:
    record = shared.record
    if record.state is State.SKIPPED:
        return record  # why that is so holds here, too
    record = replace(
        record, started=time.time(), seconds=0.0, why=f"shared with trial {shared.owner}"
    )
    if not record.state.is_success:
        return record
    origin = record.cached_from or shared.folder.name
    return replace(record, state=State.CACHED, cached_from=origin)


def _files(step: str) -> Iterator[str]:
    yield f"notebooks/{step}.ipynb"
    yield f"manifests/{step}.json"
    yield f"logs/{step}.log"
