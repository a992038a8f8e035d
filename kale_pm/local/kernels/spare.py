"""A kernel that waits for its step, and imports meanwhile what every step begins with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kale_pm.local.kernels.forked import ForkedKernel
from kale_pm.runtime.execution.connection import Message, Stopwatch
from kale_pm.runtime.execution.kernel_process import (
    GLANCE,
    check_alive,
    end,
    is_idle,
    wait_until_ready,
)

_BOOT = 30.0  # seconds that a kernel has to boot before it can import


class Spare:
    """A forked kernel without a step.  Its methods are called by one thread at a time."""

    def __init__(self, kernel: ForkedKernel) -> None:
        self.kernel = kernel
        self._request = ""  # the one to import
        self._status = ""  # of the reply
        self._is_done = False
        self._noticed = ""

    @property
    def has_begun(self) -> bool:
        """Whether it has been asked to import."""
        return bool(self._request)

    @property
    def is_importing(self) -> bool:
        self._look(0)
        return self.has_begun and not self._is_settled

    @property
    def refusal(self) -> str:
        """Why no step should have it: what a step would have shown, had it imported itself."""
        return self._noticed

    def begin_imports(self, statements: Sequence[str], folder: Path) -> None:
        """Ask it to import.  Raises RuntimeError or DeadKernelError if it does not boot."""
        # Only a kernel that has answered is known to be heard in whatever it prints.
        wait_until_ready(self.kernel, _BOOT)
        self._request = self.kernel.connection.execute(
            "__import__('kale_pm.runtime.execution.ahead', fromlist=['import_ahead'])"
            f".import_ahead({list(statements)!r}, {str(folder)!r})",
            silent=True,
        )

    def finish_imports(self, timeout: float) -> None:
        """Wait until it has imported.  Raises RuntimeError after ``timeout`` seconds."""
        clock = Stopwatch(timeout)
        while self.has_begun and not self._is_settled:
            self._look(clock.left(GLANCE))
            check_alive(self.kernel)
            if clock.is_over:
                raise RuntimeError(f"a kernel did not import within {timeout:g} seconds")

    def end(self) -> None:
        end(self.kernel, politely=False)

    @property
    def _is_settled(self) -> bool:
        return self._is_done and bool(self._status)

    def _look(self, seconds: float) -> None:
        if self.has_begun and not self._is_settled:
            for message in self.kernel.connection.receive(seconds):
                if message.parent == self._request:
                    self._note(message)

    def _note(self, message: Message) -> None:
        if message.kind == "execute_reply":
            self._status = message.content["status"]
            if self._status != "ok":
                self._noticed = str(message.content.get("ename", self._status))
        elif message.kind == "status":
            self._is_done = self._is_done or is_idle(message)
        else:
            self._noticed = self._noticed or f"a message of kind {message.kind}"
