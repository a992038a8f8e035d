"""Watching the execution of one notebook from outside."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kale_pm.events import CellFinished, CellOutput, CellStarted, Listener

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager


class Monitor:
    """Watches one execution; the methods do nothing until they are overridden.

    ``failed_index`` is the index of the failing cell in the slice, ``died`` the exception
    when it was not the cell's code that failed but its kernel or its time.
    """

    def __init__(self) -> None:
        self.failed_index: int | None = None
        self.died: BaseException | None = None
        self.interrupted = False
        self._manager: AsyncKernelManager | None = None
        self._group: int | None = None

    def cell_started(self, cell: Mapping[str, Any]) -> None: ...

    def cell_finished(self, cell: Mapping[str, Any], seconds: float) -> None: ...

    def output(self, stream: str, text: str) -> None: ...

    def kernel_chosen(self, manager: AsyncKernelManager) -> None:
        """``manager`` is about to start the kernel."""
        self._manager = manager

    def kernel_started(self) -> None:
        """The kernel is ready; raises Interrupted if it is not wanted any more."""
        self._group = self._process_group()
        if self.interrupted:
            raise Interrupted

    def interrupt(self) -> None:
        """End the kernel and its children now, from any thread; nothing more is executed."""
        self.interrupted = True
        self.end_processes()

    def end_processes(self) -> None:
        """End what is left of the kernel and of the processes that it started."""
        group = self._group or self._process_group()
        if group:
            with suppress(OSError):
                os.killpg(group, signal.SIGKILL)

    def _process_group(self) -> int | None:
        group = getattr(getattr(self._manager, "provisioner", None), "pgid", None)
        return group if isinstance(group, int) else None


class StepMonitor(Monitor):
    """Tells a listener what happens in the slice of ``step``, which has ``cells`` code cells."""

    def __init__(self, step: str, cells: int, listener: Listener) -> None:
        super().__init__()
        self._step = step
        self._cells = cells
        self._listener = listener
        self._count = 0

    def cell_started(self, cell: Mapping[str, Any]) -> None:
        self._count += 1
        self._listener(CellStarted(self._step, self._count, self._cells, source_number(cell)))

    def cell_finished(self, cell: Mapping[str, Any], seconds: float) -> None:
        number = source_number(cell)
        self._listener(CellFinished(self._step, self._count, self._cells, number, seconds))

    def output(self, stream: str, text: str) -> None:
        self._listener(CellOutput(self._step, stream, text))


def source_number(cell: Mapping[str, Any]) -> int | None:
    """The number in the source notebook of a slice's cell; None for the cells we add."""
    number = cell["metadata"].get("kale_pm", {}).get("cell")
    return number if isinstance(number, int) else None


class Interrupted(Exception):
    """The execution was ended from outside."""
