"""The executed notebook on disk, with true statuses, while it runs and afterwards."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from papermill.engines import NotebookExecutionManager

from kale_pm import strict_json
from kale_pm.errors import StoreError
from kale_pm.runtime.atomic import replacing
from kale_pm.runtime.execution.monitor import Monitor
from kale_pm.runtime.execution.notebook_json import notebook_text
from kale_pm.runtime.masking import Mask

if TYPE_CHECKING:
    from nbformat import NotebookNode

SAVE_EVERY = 5.0  # seconds between two saves of a notebook that is running
_SHARE = 0.05  # of the time, at most, that goes into saving


class Keeper(NotebookExecutionManager):  # type: ignore[misc]
    """Keeps the executed notebook on disk, with true statuses."""

    def __init__(
        self, nb: NotebookNode, monitor: Monitor, output_path: str | None, **options: Any
    ) -> None:
        super().__init__(nb, output_path=output_path, **options)
        self.monitor = monitor
        self._next_save = 0.0

    def save(self, force: bool = False, **_: Any) -> None:
        """Write the notebook, if it was not written a short while ago.

        What is a short while depends on how long the writing took.
        """
        began = time.monotonic()
        if self.output_path and (force or began >= self._next_save):
            write_notebook(self.nb, Path(self.output_path), self.monitor.mask)
            ended = time.monotonic()
            self._next_save = ended + max(SAVE_EVERY, (ended - began) / _SHARE)

    def autosave_cell(self, **_: Any) -> None:
        self.save()

    def cell_exception(self, cell: NotebookNode, cell_index: int | None = None, **_: Any) -> None:
        super().cell_exception(cell, cell_index)
        self.monitor.failed_index = cell_index

    def notebook_complete(self, **_: Any) -> None:
        # papermill's own turns every pending cell into a completed one.
        self.end_time = self.now()
        self.nb.metadata.papermill["end_time"] = self.end_time.isoformat()
        self.nb.metadata.papermill["duration"] = (self.end_time - self.start_time).total_seconds()
        self.complete_pbar()
        self.cleanup_pbar()


def write_notebook(notebook: NotebookNode, path: Path, mask: Mask | None = None) -> None:
    """Write a notebook at once or not at all, as strict JSON, and without secrets.

    Raises StoreError where it cannot be written.
    """
    if mask:
        notebook = _masked(notebook, mask)
    try:
        pieces = notebook_text(notebook)
    except ValueError:  # a parameter may well be NaN, and papermill notes all of them
        pieces = notebook_text(nbformat.from_dict(strict_json.finite(notebook)))
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            # Half of a surrogate pair, which a cell may print, is no character of a file.
            file.writelines(piece.encode("utf-8", "replace") for piece in pieces)
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}",
            hint="make room there, or let it be written to another folder",
        ) from error


def _masked(notebook: NotebookNode, mask: Mask) -> NotebookNode:
    """The notebook with dots for the secrets in what its cells have said; their code is kept."""
    cells = [
        nbformat.from_dict({**cell, "outputs": [_masked_output(o, mask) for o in cell.outputs]})
        if cell.get("outputs")
        else cell
        for cell in notebook.cells
    ]
    metadata = {**notebook.metadata}
    if "widgets" in metadata:
        metadata["widgets"] = mask.noun(metadata["widgets"])
    return nbformat.from_dict({**notebook, "cells": cells, "metadata": metadata})


def _masked_output(output: NotebookNode, mask: Mask) -> dict[str, Any]:
    if output["output_type"] == "stream":
        return {**output, "text": mask.text("".join(output["text"]))}
    error = ("ename", "evalue", "traceback")
    parts = {key: mask.noun(output[key]) for key in error if key in output}
    data = {
        kind: value if kind.startswith("image/") and kind != "image/svg+xml" else mask.noun(value)
        for kind, value in output.get("data", {}).items()
    }
    return {**output, **parts, **({"data": data} if "data" in output else {})}
