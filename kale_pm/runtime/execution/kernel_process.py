"""A kernel that runs: its process, the way to talk to it, and its end.

A kernel talks over unix sockets in a private folder: nothing of a run can be reached from
the network, and kernels that start at the same moment never compete for a port.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from kale_pm.runtime.execution.connection import Connection, Message, Stopwatch, shared_context

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import KernelManager

GLANCE = 0.5  # seconds between two looks at a process that cannot be waited for
_PATIENCE = 5.0  # seconds that a kernel has to end by itself
_ASK_TWICE = 1.0  # seconds after which it is asked again
_ASK_AGAIN = (0.02, 1.0)  # seconds after which a kernel is asked again: first, and at most

# Runs in memory: a history that nobody reads is no file in the user's home.
ARGUMENTS = ("--HistoryManager.hist_file=:memory:",)


class Kernel(Protocol):
    """A process that runs the cells of one notebook.

    ``group`` is its process group, None where there is none of its own.
    """

    connection: Connection

    @property
    def group(self) -> int | None: ...

    def is_alive(self) -> bool: ...

    def exit_code(self) -> int | None:
        """The exit code of a kernel that has ended, or minus the signal; None if unknown."""

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the cell that runs."""

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for the process to end; whether it has."""

    def release(self) -> None:
        """Give back what belongs to the kernel, which has ended."""


class Starter(Protocol):
    """Starts a kernel with more environment variables and a file for what it prints itself.

    ``chosen`` is called with the kernel as soon as it has a process.  Returns what the kernel
    answered to the question what it is.
    """

    def __call__(
        self,
        env: Mapping[str, str],
        log: BinaryIO | None,
        chosen: Callable[[Kernel], None],
        timeout: float,
    ) -> tuple[Kernel, Mapping[str, Any]]: ...


class ColdKernel:
    """A kernel whose process jupyter_client has started."""

    def __init__(
        self,
        spec: KernelSpec,
        folder: str | None,
        env: Mapping[str, str],
        log: BinaryIO | None = None,
    ) -> None:
        self._manager, self._sockets = _manager(spec)
        pipes: dict[str, Any] = {"stdout": log, "stderr": log} if log is not None else {}
        where = {"cwd": folder} if folder is not None else {}
        arguments = list(ARGUMENTS) if "ipykernel" in " ".join(spec.argv) else []
        try:
            self._manager.start_kernel(extra_arguments=arguments, env=dict(env), **where, **pipes)
            self.connection = Connection(self._manager)
        except BaseException:
            self._remove_sockets()
            raise
        self._descriptor = descriptor(getattr(self._provisioner, "pid", None))
        if self._descriptor is not None:
            self.connection.watch(self._descriptor)

    @property
    def group(self) -> int | None:
        group = getattr(self._provisioner, "pgid", None)
        return group if isinstance(group, int) else None

    def is_alive(self) -> bool:
        return bool(self._manager.is_alive())

    def exit_code(self) -> int | None:
        process = getattr(self._provisioner, "process", None)
        code = process.poll() if process is not None else None
        return code if isinstance(code, int) else None

    def interrupt(self) -> None:
        if self._manager.kernel_spec and self._manager.kernel_spec.interrupt_mode == "message":
            self.connection.send("control", "interrupt_request", {})
        else:
            self._manager.interrupt_kernel()

    def wait(self, timeout: float) -> bool:
        return wait_for_end(self, self._descriptor, timeout)

    def release(self) -> None:
        self.connection.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self.is_alive():  # a kernel without a process group, such as one far away
            self._manager.shutdown_kernel(now=True)
        else:
            self._manager.cleanup_resources()
        self._remove_sockets()

    @property
    def _provisioner(self) -> object:
        return self._manager.provisioner

    def _remove_sockets(self) -> None:
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)


def cold_starter(spec: KernelSpec, folder: str | None) -> Starter:
    """Starts kernels of ``spec`` in ``folder``, each as a process of its own from the beginning."""
    from kale_pm.runtime.execution.kernel import kernel_environment

    def start(
        env: Mapping[str, str],
        log: BinaryIO | None,
        chosen: Callable[[Kernel], None],
        timeout: float,
    ) -> tuple[Kernel, Mapping[str, Any]]:
        kernel = ColdKernel(spec, folder, kernel_environment(env), log)
        try:
            chosen(kernel)
            return kernel, wait_until_ready(kernel, timeout)
        except BaseException:
            end(kernel, politely=False)
            raise

    return start


def wait_until_ready(kernel: Kernel, timeout: float) -> Mapping[str, Any]:
    """Wait until the kernel listens on all its sockets; what it says that it is.

    That is so once it has answered a request of ours, and we have heard of it on iopub as
    well.  Raises DeadKernelError if it died, RuntimeError after ``timeout`` seconds.
    """
    clock = Stopwatch(timeout)
    pause, most = _ASK_AGAIN
    asked: set[str] = set()
    answer: Message | None = None
    heard = False
    while not clock.is_over:
        asked.add(kernel.connection.send("shell", "kernel_info_request", {}))
        until = Stopwatch(pause)
        while not until.is_over:
            for message in kernel.connection.receive(until.left(GLANCE)):
                if message.parent in asked:
                    answer = message if message.kind == "kernel_info_reply" else answer
                    heard = heard or is_idle(message)
            if answer is not None and heard:
                return answer.content
            check_alive(kernel)
        # A question waits in line until the kernel listens; only what it says on iopub is lost.
        pause = min(2 * pause, most)
    raise RuntimeError(f"the kernel did not answer within {timeout:g} seconds")


def check_alive(kernel: Kernel) -> None:
    """Raises DeadKernelError if the kernel has ended."""
    from nbclient.exceptions import DeadKernelError

    if not kernel.is_alive():
        raise DeadKernelError(f"it ended{exit_words(kernel.exit_code())} before it was ready")


def exit_words(code: int | None) -> str:
    """An exit code, or minus a signal, as an addition to what has ended; empty if unknown."""
    if code is None:
        return ""
    return f" ({signal_name(-code)})" if code < 0 else f" (exit code {code})"


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def is_idle(message: Message) -> bool:
    """Whether the kernel says that it has done all of a request."""
    return message.kind == "status" and message.content.get("execution_state") == "idle"


def ask_to_end(kernel: Kernel) -> None:
    """Let the kernel end by itself, with all that is to be done at its exit."""
    kernel.connection.send("control", "shutdown_request", {"restart": False})


def end(kernel: Kernel, *, politely: bool) -> None:
    """End the kernel, and give back what belonged to it.

    ``politely`` waits for one that was asked to; what does not end is killed, with the
    processes that it started.
    """
    if politely and not kernel.wait(_ASK_TWICE):
        ask_to_end(kernel)  # one that has just been busy may have missed it
    if not (politely and kernel.wait(_PATIENCE)):
        group = kernel.group
        if group:
            with suppress(OSError):
                os.killpg(group, signal.SIGKILL)
        kernel.wait(_PATIENCE)
    kernel.release()


def descriptor(process: object) -> int | None:
    """A descriptor that is readable once ``process`` has ended; None where there is no such."""
    if sys.platform == "linux" and isinstance(process, int):
        with suppress(OSError):
            return os.pidfd_open(process)
    return None


def wait_for_end(kernel: Kernel, watched: int | None, timeout: float) -> bool:
    """Wait for the end of ``kernel``, by its descriptor where it has one."""
    if watched is not None:
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        return bool(poll.poll(timeout * 1000))
    clock, pause = Stopwatch(timeout), 0.002
    while kernel.is_alive():
        if clock.is_over:
            return False
        time.sleep(clock.left(pause))
        pause = min(2 * pause, 0.1)
    return True


def _manager(spec: KernelSpec) -> tuple[KernelManager, Path | None]:
    """A manager that will start the kernel of ``spec``, and the folder of its sockets."""
    from jupyter_client.manager import KernelManager

    class Manager(KernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            return spec

    # A context of its own would be started and ended with every kernel.
    manager = Manager(kernel_name=spec.display_name, context=shared_context())
    if sys.platform == "win32":
        return manager, None
    sockets = Path(tempfile.mkdtemp(prefix="kale-pm-"))
    manager.transport = "ipc"
    manager.ip = str(sockets / "kernel")
    if manager.has_trait("transport_encryption"):
        manager.transport_encryption = "disabled"  # the folder is private already
    return manager, sockets
