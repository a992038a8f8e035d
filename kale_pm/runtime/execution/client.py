"""How the cells of a slice are run one after another."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError

from kale_pm.runtime.execution.connection import Message, Stopwatch
from kale_pm.runtime.execution.kernel_process import GLANCE, Kernel, is_idle
from kale_pm.runtime.execution.outputs import Recorder

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from kale_pm.runtime.execution.keeper import Keeper

_LAST_WORDS = 2.0  # seconds that a cell over its time has to say where it was interrupted
_LATE = 4.0  # seconds after the reply in which the outputs of a cell may still arrive
_IN_FLIGHT = 0.05  # seconds that what a dead kernel said may need to get here


class Client:
    """Runs the cells one after another and stops at the first failure.

    ``execution_timeout`` is for one cell, ``deadline`` a time.monotonic() for them all; both in
    seconds.
    """

    def __init__(
        self,
        keeper: Keeper,
        kernel: Kernel,
        *,
        execution_timeout: float | None = None,
        deadline: float | None = None,
        **options: Any,
    ) -> None:
        self._keeper = keeper
        self._kernel = kernel
        self._connection = kernel.connection
        self._recorder = Recorder(keeper, kernel.connection, **options)
        self._timeout = execution_timeout
        self._deadline = deadline
        self._cells: dict[str, tuple[NotebookNode, int]] = {}  # by the request that ran them

    def prepare(self, code: str) -> None:
        """Run code that is no cell, before the first one."""
        self._wait(self._connection.execute(code, silent=True), None)

    def run(self) -> None:
        """Run all cells.

        A cell that fails ends it.  Raises DeadKernelError or CellTimeoutError if it was not the
        code of the cell that failed.
        """
        try:
            self._run_cells()
            self._recorder.set_widgets_metadata()
        finally:
            self._recorder.release()

    def _run_cells(self) -> None:
        keeper, monitor = self._keeper, self._keeper.monitor
        for index, cell in enumerate(keeper.nb.cells):
            keeper.cell_start(cell, index)
            if cell.cell_type != "code":
                keeper.cell_complete(cell, cell_index=index)
                continue
            monitor.cell_started(cell)
            began = time.monotonic()
            try:
                is_done = self._run_cell(cell, index)
                if not is_done:
                    keeper.cell_exception(cell, cell_index=index)
                    break
            except BaseException as error:
                keeper.cell_exception(cell, cell_index=index)
                monitor.kernel_failed(error)
                raise
            finally:
                self._recorder.settle(cell)
                monitor.cell_finished(cell, time.monotonic() - began)
                keeper.cell_complete(cell, cell_index=index)

    def _run_cell(self, cell: NotebookNode, index: int) -> bool:
        tags = cell.metadata.get("tags", ())
        if not cell.source.strip() or "skip-execution" in tags:
            return True
        may_fail = "raises-exception" in tags
        self._recorder.begin(cell)
        request = self._connection.execute(cell.source, stop_on_error=not may_fail)
        self._cells[request] = (cell, index)
        reply = self._wait(request, cell)
        if _asks_to_end(reply):
            self._recorder.note_exit(cell)
            return False
        # Some kernels answer "abort" when a cell was interrupted.
        return may_fail or reply.get("status", "ok") == "ok"

    def _wait(self, request: str, cell: NotebookNode | None) -> Mapping[str, Any]:
        """Take what the kernel says until it has done what was asked; its reply."""
        seconds = self._seconds()
        clock = Stopwatch(seconds)
        reply: Message | None = None
        is_done = False
        late = Stopwatch(None)
        while not (reply is not None and (is_done or late.is_over)):
            is_silent = True
            for message in self._connection.receive(clock.left(GLANCE)):
                is_silent = False
                self._take(message)
                if message.parent == request and message.kind == "execute_reply":
                    reply, late = message, Stopwatch(_LATE)
                is_done = is_done or (message.parent == request and is_idle(message))
            self._keeper.autosave_cell()
            if is_silent:
                self._keeper.monitor.look()
            if is_silent and not self._kernel.is_alive():
                self._take_last_words()
                raise DeadKernelError("Kernel died")
            if reply is None and clock.is_over:
                self._interrupt(request)
                raise _timeout_error(seconds, cell)
        return reply.content

    def _seconds(self) -> float | None:
        limits = [] if not self._timeout or self._timeout < 0 else [float(self._timeout)]
        if self._deadline is not None:
            limits.append(max(0.0, self._deadline - time.monotonic()))
        return min(limits) if limits else None

    def _take(self, message: Message) -> None:
        """What a thread prints later belongs to the cell that started it."""
        if message.channel == "iopub" and message.parent in self._cells:
            self._recorder.record(message, *self._cells[message.parent])

    def _take_last_words(self) -> None:
        time.sleep(_IN_FLIGHT)
        for message in self._connection.receive(0):
            self._take(message)

    def _interrupt(self, request: str) -> None:
        """Let a cell that is over its time say where it was."""
        self._kernel.interrupt()
        clock = Stopwatch(_LAST_WORDS)
        while not clock.is_over and self._kernel.is_alive():
            for message in self._connection.receive(clock.left(GLANCE)):
                self._take(message)
                if message.parent == request and is_idle(message):
                    return


def _asks_to_end(reply: Mapping[str, Any]) -> bool:
    """Whether the kernel is about to end because the cell said ``exit()``, which raises nothing."""
    payload = reply.get("payload") or ()
    return any(
        each.get("source") == "ask_exit" and not each.get("keepkernel")
        for each in payload
        if isinstance(each, Mapping)
    )


def _timeout_error(seconds: float | None, cell: NotebookNode | None) -> Exception:
    error: Exception = CellTimeoutError.error_from_timeout_and_cell(
        "Cell execution timed out", int(seconds or 0), cell
    )
    return error
