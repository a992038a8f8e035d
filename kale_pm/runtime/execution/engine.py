"""The papermill engine of kale-pm.

It differs from papermill's own in these ways.  The statuses in the executed notebook are true
after every kind of failure (papermill 2.7 marks all cells "completed" when the kernel dies or a
cell times out).  The notebook is written now and then, atomically, and always at a failure and
at the end, where papermill writes all of it twice for each cell.  A kernel counts as ready once
it has answered, and as gone once its process is.  And progress is told to a :class:`Monitor`.

It is registered as the entry point ``kale-pm``: ``papermill --engine kale-pm a.ipynb b.ipynb``.
Papermill loads that while it is itself being imported, so this module imports nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from kale_pm.runtime.execution.kernel import choose_spec
from kale_pm.runtime.execution.kernel_process import ask_to_end, cold_starter, end
from kale_pm.runtime.execution.monitor import Monitor

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from kale_pm.runtime.execution.keeper import Keeper
    from kale_pm.runtime.execution.kernel_process import Starter

# Runs in the kernel before the first cell, so that what the prelude opens is listed as well.
_PREPARE = "__import__('kale_pm.runtime.execution.handover', fromlist=['prepare']).prepare()"
_SHOWN = ("progress_bar", "log_output")


class Engine:
    """What papermill calls; see papermill.engines.Engine for the protocol."""

    @staticmethod
    def nb_kernel_name(nb: NotebookNode, name: str | None = None) -> str:
        from papermill.utils import nb_kernel_name

        return str(nb_kernel_name(nb, name))

    @staticmethod
    def nb_language(nb: NotebookNode, language: str | None = None) -> str:
        from papermill.utils import nb_language

        return str(nb_language(nb, language))

    @staticmethod
    def execute_notebook(
        nb: NotebookNode,
        kernel_name: str,
        output_path: str | None = None,
        *,
        keep: str | None = None,
        monitor: Monitor | None = None,
        **options: Any,
    ) -> NotebookNode:
        """Execute ``nb``.  ``keep`` is the path of the executed notebook when papermill is
        not to write it (papermill reads braces in a path as format fields); then what is
        returned has the cells only if one of them shows an error.  The options are those of
        :func:`run_cells`; others, which are papermill's, are ignored.
        """
        from kale_pm.runtime.execution.keeper import Keeper

        shown = {name: options[name] for name in _SHOWN if name in options}
        keeper = Keeper(nb, monitor or Monitor(), keep or output_path, **shown)
        if keep is not None:
            # papermill was given the notebook itself and would note all of it here.
            nb.metadata.papermill["input_path"] = None
            nb.metadata.papermill["output_path"] = keep
        # Papermill, which alone tells an engine the path of the source, writes what it gets back.
        is_written_next = keep is None and "input_path" in options
        keeper.notebook_start()
        is_whole = False
        try:
            run_cells(keeper, kernel_name, **options)
            is_whole = True
        finally:
            keeper.notebook_complete()
            if not (is_whole and is_written_next):
                keeper.save(force=True)
        is_done = keeper.monitor.failed_index is None and not _shows_errors(keeper.nb)
        if keep is not None and is_done:
            # Papermill would make a text of all of it once more, and write that nowhere.
            return _without_cells(keeper.nb)
        return keeper.nb


def _shows_errors(notebook: NotebookNode) -> bool:
    """Whether any cell shows an error, which papermill may take for a failure.

    So does a cell that succeeds, where what it runs shows one (``%run``, ``showtraceback``).
    """
    return any(
        output.output_type == "error"
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )


def _without_cells(notebook: NotebookNode) -> NotebookNode:
    from nbformat import NotebookNode

    return NotebookNode({**notebook, "cells": []})


def run_cells(
    keeper: Keeper,
    kernel_name: str,
    *,
    start: Starter | None = None,
    env: Mapping[str, str] | None = None,
    log: BinaryIO | None = None,
    start_timeout: float = 60,
    execution_timeout: float | None = None,
    deadline: float | None = None,
    log_output: bool = False,
    stdout_file: object = None,
    stderr_file: object = None,
    **_: Any,
) -> None:
    """Start the kernel and run the cells.

    ``start`` starts the kernel (default: the kernelspec called ``kernel_name``), ``env`` are
    more environment variables, ``log`` is a file for what the kernel process itself prints,
    ``deadline`` a time.monotonic() by which to end.  The timeouts are in seconds, and
    ``execution_timeout`` is for one cell.  Raises NoSuchKernel if this machine lacks the kernel.
    """
    from kale_pm.runtime.execution.client import Client

    monitor, variables = keeper.monitor, dict(env or {})
    start = start or _starter(keeper.nb, kernel_name)
    monitor.kernel_starting()
    kernel, facts = start(variables, log, monitor.kernel_chosen, start_timeout)
    is_done = False
    try:
        monitor.kernel_started()
        language = facts.get("language_info", {})
        client = Client(
            keeper,
            kernel,
            execution_timeout=execution_timeout,
            deadline=deadline,
            log_output=log_output,
            stdout_file=stdout_file,
            stderr_file=stderr_file,
        )
        if "KALE_PM_AUDIT" in variables and language.get("name") == "python":
            client.prepare(_PREPARE)
        client.run()
        keeper.nb.metadata["language_info"] = dict(language)
        ask_to_end(kernel)
        is_done = True
        monitor.kernel_ending()
    finally:
        if not is_done:
            # The kernel may hang, and if not, what it does at its exit is not worth a wait.
            keeper.save(force=True)
        end(kernel, politely=is_done)


def _starter(notebook: NotebookNode, kernel_name: str) -> Starter:
    spec, _warning = choose_spec(notebook.metadata.get("kernelspec", {}), kernel_name)
    if spec is None:
        from jupyter_client.kernelspec import NoSuchKernel

        raise NoSuchKernel(kernel_name)
    return cold_starter(spec, None)
