"""The papermill engine of kale-pm.

It differs from papermill's own in three ways.  The statuses in the executed notebook are
true after every kind of failure (papermill 2.7 marks all cells "completed" when the kernel
dies or a cell times out).  The notebook is saved at most every few seconds, atomically, and
always at a failure and at the end.  And progress is told to a :class:`Monitor`.

It is registered as the entry point ``kale-pm``: ``papermill --engine kale-pm a.ipynb b.ipynb``.
Papermill loads that while it is itself being imported, so this module imports nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from kale_pm.runtime.execution.kernel import choose_spec, kernel_environment, kernel_manager
from kale_pm.runtime.execution.monitor import Monitor

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpec
    from nbformat import NotebookNode

    from kale_pm.runtime.execution.client import Keeper

# Runs in the kernel before the first cell, so that what the prelude opens is listed as well.
_AUDIT = "__import__('importlib').import_module('kale_pm.runtime.opened_files').watch_as_asked()"


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
        not to write it (papermill reads braces in a path as format fields).  The options are
        those of :func:`run_cells`; others, which are papermill's, are ignored.
        """
        from kale_pm.runtime.execution.client import Keeper

        keeper = Keeper(nb, monitor or Monitor(), keep or output_path)
        if keep is not None:
            # papermill was given the notebook itself and would note all of it here.
            nb.metadata.papermill["input_path"] = None
            nb.metadata.papermill["output_path"] = keep
        keeper.notebook_start()
        try:
            run_cells(keeper, kernel_name, **options)
        finally:
            keeper.notebook_complete()
        return keeper.nb


def run_cells(
    keeper: Keeper,
    kernel_name: str,
    *,
    spec: KernelSpec | None = None,
    folder: str | None = None,
    env: Mapping[str, str] | None = None,
    log: BinaryIO | None = None,
    start_timeout: float = 60,
    execution_timeout: float | None = None,
    deadline: float | None = None,
    **_: Any,
) -> None:
    """Start the kernel and run the cells.

    ``spec`` is the kernelspec (default: the one called ``kernel_name``), ``folder`` the
    working directory, ``env`` more environment variables, ``log`` a file for what the
    kernel process itself prints, ``deadline`` a time.monotonic() by which to end.  The
    timeouts are in seconds.  Raises NoSuchKernel if this machine lacks the kernel.
    """
    from kale_pm.runtime.execution.client import Client

    if spec is None:
        from jupyter_client.kernelspec import NoSuchKernel

        spec, _warning = choose_spec(keeper.nb.metadata.get("kernelspec", {}), kernel_name)
        if spec is None:
            raise NoSuchKernel(kernel_name)
    audited = spec.language == "python" and "KALE_PM_AUDIT" in (env or {})
    manager = kernel_manager(spec)
    keeper.monitor.kernel_chosen(manager)
    client = Client(
        keeper,
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
