"""Watching the execution of one notebook from outside."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kale_pm.events import (
    CellFinished,
    CellOutput,
    CellStarted,
    KernelStarting,
    Listener,
    Warned,
)
from kale_pm.runtime.masking import Mask

if TYPE_CHECKING:
    from kale_pm.runtime.execution.kernel_process import Kernel


class Monitor:
    """Watches one execution; the methods do nothing until they are overridden.

    ``failed_index`` is the index of the failing cell in the slice, ``died`` the exception
    when it was not the cell's code that failed but its kernel or its time.  Of a kernel that
    died ``exit_code`` is the code, or minus the signal, and ``memory`` the most bytes that
    it was seen to hold; None where that is not known.  ``mask`` takes the secrets out of
    what is written.
    """

    def __init__(self) -> None:
        self.failed_index: int | None = None
        self.died: BaseException | None = None
        self.exit_code: int | None = None
        self.memory: int | None = None
        self.interrupted = False
        self._is_ending = False
        self.mask = Mask()
        self._kernel: Kernel | None = None
        self._group: int | None = None

    def cell_started(self, cell: Mapping[str, Any]) -> None: ...

    def cell_finished(self, cell: Mapping[str, Any], seconds: float) -> None: ...

    def output(self, stream: str, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def kernel_starting(self) -> None:
        """All is imported, and the kernel is waited for."""

    def kernel_chosen(self, kernel: Kernel) -> None:
        """``kernel`` has a process; raises Interrupted if it is not wanted any more."""
        self._kernel = kernel
        self._group = kernel.group
        self.kernel_started()

    def kernel_started(self) -> None:
        """The kernel is ready; raises Interrupted if it is not wanted any more."""
        if self.interrupted:
            raise Interrupted

    def kernel_ending(self) -> None:
        """All cells are done: what follows is the end of the kernel."""
        self._is_ending = True

    def kernel_failed(self, error: BaseException) -> None:
        """It was not the code of the cell that failed, but the kernel or its time."""
        self.died = error
        if self._kernel is not None:
            self.exit_code = self._kernel.exit_code()

    def look(self) -> None:
        """Remember how much memory the kernel holds now, where the system tells."""
        with suppress(OSError, IndexError, ValueError):
            pages = Path(f"/proc/{self._group}/statm").read_text(encoding="ascii").split()[1]
            self.memory = max(self.memory or 0, int(pages) * os.sysconf("SC_PAGE_SIZE"))

    def interrupt(self) -> None:
        """End the kernel and its children now, from any thread; nothing more is executed.

        What was done already, when only the end of the kernel was left, is not interrupted by it.
        """
        self.interrupted = self.interrupted or not self._is_ending
        self.end_processes()

    def end_processes(self) -> None:
        """End what is left of the kernel and of the processes that it started."""
        if self._group:
            with suppress(OSError):
                os.killpg(self._group, signal.SIGKILL)


class StepMonitor(Monitor):
    """Tells a listener what happens in the slice of ``step``, which has ``cells`` code cells.

    ``ending`` is called when all that is left is the end of the kernel.
    """

    def __init__(
        self, step: str, cells: int, listener: Listener, ending: Callable[[], None]
    ) -> None:
        super().__init__()
        self._ending = ending
        self._step = step
        self._cells = cells
        self._listener = listener
        self._count = 0

    def kernel_starting(self) -> None:
        self._listener(KernelStarting(self._step))

    def kernel_ending(self) -> None:
        super().kernel_ending()
        self._ending()

    def cell_started(self, cell: Mapping[str, Any]) -> None:
        self._count += 1
        self._listener(CellStarted(self._step, self._count, self._cells, source_number(cell)))

    def cell_finished(self, cell: Mapping[str, Any], seconds: float) -> None:
        number = source_number(cell)
        self._listener(CellFinished(self._step, self._count, self._cells, number, seconds))

    def output(self, stream: str, text: str) -> None:
        self._listener(CellOutput(self._step, stream, text))

    def warn(self, text: str) -> None:
        self._listener(Warned(text, self._step))


def source_number(cell: Mapping[str, Any]) -> int | None:
    """The number in the source notebook of a slice's cell; None for the cells we add."""
    number = cell["metadata"].get("kale_pm", {}).get("cell")
    return number if isinstance(number, int) else None


class Interrupted(Exception):
    """The execution was ended from outside."""
