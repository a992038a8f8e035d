"""The papermill engine of kale-pm.

It differs from papermill's own in three ways.  The statuses in the executed notebook are
true after every kind of failure (papermill 2.7 marks all cells "completed" when the kernel
dies or a cell times out).  The notebook is saved at most every few seconds, atomically, and
always at a failure and at the end.  And progress is told to a :class:`Monitor`.

It is registered as the entry point ``kale-pm``: ``papermill --engine kale-pm a.ipynb b.ipynb``
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import CellExecutionError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine as PapermillEngine
from papermill.engines import NotebookExecutionManager

from kale_pm.runtime.atomic import replacing
from kale_pm.runtime.execution.kernel import choose_spec, kernel_environment, kernel_manager
from kale_pm.runtime.execution.monitor import Monitor

SAVE_EVERY = 5.0  # seconds between two saves of a notebook that is running


class Keeper(NotebookExecutionManager):  # type: ignore[misc]
    """Keeps the executed notebook on disk, with true statuses."""

    def __init__(self, nb: Any, monitor: Monitor, output_path: str | None) -> None:
        super().__init__(nb, output_path=output_path, progress_bar=False)
        self.monitor = monitor
        self._saved = 0.0

    def save(self, force: bool = False, **_: Any) -> None:
        if self.output_path and (force or time.monotonic() - self._saved > SAVE_EVERY):
            write_notebook(self.nb, Path(self.output_path))
            self._saved = time.monotonic()

    def autosave_cell(self) -> None:
        self.save()

    def cell_exception(self, cell: Any, cell_index: int | None = None, **_: Any) -> None:
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


# Runs in the kernel before the first cell, so that what the prelude opens is listed as well.
_AUDIT = "__import__('importlib').import_module('kale_pm.runtime.opened_files').watch_as_asked()"


class Engine(PapermillEngine):  # type: ignore[misc]
    """What papermill calls; see papermill.engines.Engine for the protocol."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        *,
        keep: str | None = None,
        monitor: Monitor | None = None,
        **options: Any,
    ) -> Any:
        """Execute ``nb``.  ``keep`` is the path of the executed notebook when papermill is
        not to write it (papermill reads braces in a path as format fields).
        """
        keeper = Keeper(nb, monitor or Monitor(), keep or output_path)
        if keep is not None:
            # papermill was given the notebook itself and would note all of it here.
            nb.metadata.papermill["input_path"] = None
            nb.metadata.papermill["output_path"] = keep
        keeper.notebook_start()
        try:
            cls.execute_managed_notebook(keeper, kernel_name, **options)
        finally:
            keeper.notebook_complete()
        return keeper.nb

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Keeper,
        kernel_name: str,
        *,
        spec: Any = None,
        folder: str | None = None,
        env: Mapping[str, str] | None = None,
        log: Any = None,
        start_timeout: float = 60,
        execution_timeout: float | None = None,
        deadline: float | None = None,
        **_: Any,
    ) -> None:
        """Start the kernel and run the cells.

        ``spec`` is the kernelspec (default: the one called ``kernel_name``), ``folder`` the
        working directory, ``env`` more environment variables, ``log`` a file for what the
        kernel process itself prints, ``deadline`` a time.monotonic() by which to end.
        """
        if spec is None:
            from jupyter_client.kernelspec import NoSuchKernel

            spec, _warning = choose_spec(nb_man.nb.metadata.get("kernelspec", {}), kernel_name)
            if spec is None:
                raise NoSuchKernel(kernel_name)
        audited = spec.language == "python" and "KALE_PM_AUDIT" in (env or {})
        manager = kernel_manager(spec)
        nb_man.monitor.kernel_chosen(manager)
        client = Client(
            nb_man,
            deadline,
            _AUDIT if audited else "",
            km=manager,
            kernel_name=kernel_name,
            timeout=execution_timeout,
            startup_timeout=start_timeout,
        )
        client.owns_km = True  # a manager handed in would otherwise be left running
        pipes = {"stdout": log, "stderr": log} if log is not None else {}
        where = {"cwd": folder} if folder is not None else {}
        client.execute(env=kernel_environment(env or {}), **where, **pipes)


def write_notebook(notebook: Any, path: Path) -> None:
    """Write a notebook at once or not at all."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        nbformat.write(notebook, file)
