"""A kernel that the template has forked, seen from the run that uses it."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kale_pm.runtime.execution.connection import Connection, shared_context


class ForkedKernel:
    """A kernel that is nobody's child here: a descriptor of its process shows its end."""

    def __init__(
        self,
        process: int,
        connection_file: Path,
        log: Path,
        exit_code_of: Callable[[int], int | None],
    ) -> None:
        from jupyter_client.connect import ConnectionFileMixin

        self.log = log
        self._process = process
        self._exit_code_of = exit_code_of
        self._connection_file = connection_file
        self._descriptor: int | None = os.pidfd_open(process)
        self._places = ConnectionFileMixin(context=shared_context())
        self._places.load_connection_file(str(connection_file))
        self.connection = Connection(self._places)
        self.connection.watch(self._descriptor)
        # The answer is here long before a step asks whether the kernel is ready.
        self.connection.send("shell", "kernel_info_request", {})

    @property
    def group(self) -> int:
        return self._process

    def is_alive(self) -> bool:
        return self._descriptor is not None and not self.wait(0)

    def exit_code(self) -> int | None:
        return None if self.is_alive() else self._exit_code_of(self._process)

    def interrupt(self) -> None:
        with suppress(OSError):
            os.killpg(self._process, signal.SIGINT)

    def wait(self, timeout: float) -> bool:
        if self._descriptor is None:
            return True
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(timeout * 1000))

    def release(self) -> None:
        self.connection.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self._places.cleanup_ipc_files()  # a kernel that ends at once leaves its sockets
        for path in (self._connection_file, self.log):
            path.unlink(missing_ok=True)
