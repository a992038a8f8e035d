"""Watching the execution of one notebook from outside."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any


class Monitor:
    """Watches one execution; the methods do nothing until they are overridden.

    ``failed_index`` is the index of the failing cell in the slice, ``died`` the exception
    when it was not the cell's code that failed but its kernel or its time.
    """

    def __init__(self) -> None:
        self.failed_index: int | None = None
        self.died: BaseException | None = None
        self.interrupted = False
        self._manager: Any = None
        self._group: int | None = None

    def cell_started(self, cell: Mapping[str, Any]) -> None: ...

    def cell_finished(self, cell: Mapping[str, Any], seconds: float) -> None: ...

    def output(self, stream: str, text: str) -> None: ...

    def kernel_chosen(self, manager: Any) -> None:
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


class Interrupted(Exception):
    """The execution was ended from outside."""
