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
        self._manager: Any = None

    def cell_started(self, cell: Mapping[str, Any], index: int) -> None: ...

    def cell_finished(self, cell: Mapping[str, Any], index: int, seconds: float) -> None: ...

    def output(self, stream: str, text: str) -> None: ...

    def kernel_started(self, manager: Any) -> None:
        self._manager = manager

    def interrupt(self) -> None:
        """End the kernel and its children now, from any thread."""
        group = getattr(getattr(self._manager, "provisioner", None), "pgid", None)
        if group:
            with suppress(OSError):
                os.killpg(group, signal.SIGKILL)
