"""How the cells of a slice are run one after another, and the executed notebook is kept."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient.exceptions import CellExecutionError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NotebookExecutionManager

from kale_pm import strict_json
from kale_pm.runtime.atomic import replacing
from kale_pm.runtime.execution.monitor import Monitor

if TYPE_CHECKING:
    from nbformat import NotebookNode

SAVE_EVERY = 5.0  # seconds between two saves of a notebook that is running


class Keeper(NotebookExecutionManager):  # type: ignore[misc]
    """Keeps the executed notebook on disk, with true statuses."""

    def __init__(self, nb: NotebookNode, monitor: Monitor, output_path: str | None) -> None:
        super().__init__(nb, output_path=output_path, progress_bar=False)
        self.monitor = monitor
        self._saved = 0.0

    def save(self, force: bool = False, **_: Any) -> None:
        if self.output_path and (force or time.monotonic() - self._saved > SAVE_EVERY):
            write_notebook(self.nb, Path(self.output_path))
            self._saved = time.monotonic()

    def autosave_cell(self) -> None:
        self.save()

    def cell_exception(self, cell: NotebookNode, cell_index: int | None = None, **_: Any) -> None:
        super().cell_exception(cell, cell_index)
        self.monitor.failed_index = cell_index

    def notebook_complete(self, **_: Any) -> None:
        # papermill's own turns every pending cell into a completed one.
        self.end_time = self.now()
        self.nb.metadata.papermill["end_time"] = self.end_time.isoformat()
        self.nb.metadata.papermill["duration"] = (self.end_time - self.start_time).total_seconds()
        self.save(force=True)


class Client(PapermillNotebookClient):  # type: ignore[misc]
    """Runs the cells one after another and stops at the first failure."""

    def __init__(
        self, keeper: Keeper, deadline: float | None, first_words: str, **options: Any
    ) -> None:
        super().__init__(keeper, **options)
        self.first_words = first_words
        if deadline is not None:
            self.timeout_func = lambda _cell: max(1, int(deadline - time.monotonic() + 0.5))

    def papermill_execute_cells(self) -> None:
        keeper, monitor = self.nb_man, self.nb_man.monitor
        monitor.kernel_started()
        if self.first_words:
            self.wait_for_reply(self.kc.execute(self.first_words, silent=True))
        for index, cell in enumerate(self.nb.cells):
            keeper.cell_start(cell, index)
            if cell.cell_type != "code":
                keeper.cell_complete(cell, cell_index=index)
                continue
            monitor.cell_started(cell)
            began = time.monotonic()
            try:
                self.execute_cell(cell, index)
            except CellExecutionError:
                keeper.cell_exception(cell, cell_index=index)
                break
            except BaseException as error:
                keeper.cell_exception(cell, cell_index=index)
                monitor.died = error
                raise
            finally:
                monitor.cell_finished(cell, time.monotonic() - began)
                keeper.cell_complete(cell, cell_index=index)

    def process_message(self, *arguments: Any, **options: Any) -> Any:
        output = super().process_message(*arguments, **options)
        if output is not None and output.get("output_type") == "stream":
            self.nb_man.monitor.output(output["name"], output["text"])
        return output


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook at once or not at all, as strict JSON."""
    try:
        text = nbformat.writes(notebook, allow_nan=False)
    except ValueError:  # a parameter may well be NaN, and papermill notes all of them
        text = nbformat.writes(nbformat.from_dict(strict_json.finite(notebook)))
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
