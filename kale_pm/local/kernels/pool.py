"""The kernels of a run: ready before their step is where that is sound, else started for it."""

from __future__ import annotations

import site
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kale_pm.local.kernels.nursery import Nursery, interpreter_words
from kale_pm.local.kernels.warden import Warden
from kale_pm.runtime.execution.connection import Stopwatch
from kale_pm.runtime.execution.kernel_process import (
    GLANCE,
    Kernel,
    check_alive,
    cold_starter,
    end,
    is_idle,
    wait_until_ready,
)

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpec

    from kale_pm.local.kernels.forked import ForkedKernel

_OURS = "KALE_PM_"  # how the variables begin that a kernel can be given at any time
_NAP = 0.05  # seconds between two looks whether there will be one
_HANDOVER = 10.0  # seconds that a kernel has to take over its step
_BOOT = 0.05  # seconds, about, in which a forked kernel boots


class Pool:
    """Gives kernels of ``spec``, which work in ``folder``, to the steps of one run.

    At most ``ahead()`` kernels are ready at a time.  When anything about the template goes
    wrong, ``tell`` hears of it, and kernels are started one by one from then on.
    """

    def __init__(
        self,
        spec: KernelSpec,
        folder: Path,
        *,
        warm: bool = True,
        ahead: Callable[[], int] = lambda: 1,
        tell: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._cold = cold_starter(spec, str(folder))
        self._folder = folder
        self._ahead = ahead
        self._tell = tell
        self._warden = Warden()
        self._changed = threading.Condition()
        self._spares: deque[ForkedKernel] = deque()
        self._is_over = False
        self._waiting = 0  # steps that wait for a kernel
        self._interpreter = interpreter_words(spec.argv) if warm and not spec.env else None
        if spec.interrupt_mode != "signal" or "kernel_provisioner" in spec.metadata:
            self._interpreter = None
        self._installed = _installed()
        self._breeder: threading.Thread | None = None
        if self._interpreter is not None:
            self._breeder = threading.Thread(target=self._breed, name="kernels", daemon=True)
            self._breeder.start()

    def start(
        self,
        env: Mapping[str, str],
        log: BinaryIO | None,
        chosen: Callable[[Kernel], None],
        timeout: float,
    ) -> tuple[Kernel, Mapping[str, Any]]:
        """See :class:`kale_pm.runtime.execution.kernel_process.Starter`.

        A kernel that was started before its step can be given all variables but those that
        tell libraries or the interpreter how to begin: steps with such start their own.
        """
        has_file = log is None or isinstance(log.name, str)
        if has_file and all(name.startswith(_OURS) for name in env):
            spare = self._take()
            if spare is not None:
                try:
                    chosen(spare)
                    facts = wait_until_ready(spare, timeout)
                    _hand_over(spare, env, log)
                    return spare, facts
                except (OSError, RuntimeError) as error:
                    end(spare, politely=False)
                    self._give_up(str(error))
                except BaseException:
                    end(spare, politely=False)
                    raise

        def noted(kernel: Kernel) -> None:
            self._warden.watch(kernel.group)
            chosen(kernel)

        return self._cold(env, log, noted, timeout)

    def close(self) -> None:
        """End what no step took, the template and all that still runs of its kernels."""
        with self._changed:
            self._interpreter = None
            self._is_over = True
            self._changed.notify_all()
        if self._breeder is not None:
            self._breeder.join()
        self._warden.close()

    def _take(self) -> ForkedKernel | None:
        """A kernel that is ready or about to be; None if the step is to start its own."""
        if self._installed != _installed():
            self._give_up("packages were installed while the pipeline ran")
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            try:
                while self._interpreter is not None:
                    while self._spares:
                        spare = self._spares.popleft()
                        self._changed.notify_all()
                        if spare.is_alive():
                            return spare
                        spare.release()
                    self._changed.wait(_NAP)
            finally:
                self._waiting -= 1
        return None

    def _give_up(self, reason: str) -> None:
        with self._changed:
            was_warm, self._interpreter = self._interpreter is not None, None
            self._changed.notify_all()
        if was_warm:
            self._tell(f"kernels are started one by one: {reason}")

    def _breed(self) -> None:
        """Have as many kernels ready as are wanted, to the end of the run."""
        nursery: Nursery | None = None
        try:
            assert self._interpreter is not None
            nursery = Nursery(self._interpreter, self._folder)
            while self._is_wanted():
                spare = nursery.fork()
                with self._changed:
                    self._spares.append(spare)
                    self._changed.notify_all()
                    # One after another, or steps that run now would have to wait for them.
                    self._changed.wait_for(self._is_needed, _BOOT)
        except Exception as error:  # noqa: BLE001 - whatever it is, steps wait for kernels
            self._give_up(str(error))
        finally:
            with self._changed:
                # Steps may still be using kernels that end with the template.
                self._changed.wait_for(lambda: self._is_over)
            for spare in self._spares:
                end(spare, politely=False)
            if nursery is not None:
                nursery.close()

    def _is_needed(self) -> bool:
        """Whether a step waits for a kernel, or none will any more."""
        return self._waiting > len(self._spares) or self._interpreter is None

    def _is_wanted(self) -> bool:
        """Wait until another kernel is wanted; False if none will be."""
        with self._changed:
            while self._interpreter is not None:
                if len(self._spares) < max(self._waiting, self._ahead()):
                    return True
                self._changed.wait(GLANCE)
        return False


def _hand_over(kernel: ForkedKernel, env: Mapping[str, str], log: BinaryIO | None) -> None:
    """Give the kernel what one that is started for the step has from its beginning."""
    place = str(Path(log.name).resolve()) if log is not None else ""
    request = kernel.connection.execute(
        "__import__('kale_pm.runtime.execution.handover', fromlist=['take_over'])"
        f".take_over({dict(env)!r}, {place!r}, {str(kernel.log)!r})",
        silent=True,
    )
    clock = Stopwatch(_HANDOVER)
    status, is_done = "", False
    while not (status and is_done):
        for message in kernel.connection.receive(clock.left(GLANCE)):
            if message.parent == request and message.kind == "execute_reply":
                status = message.content["status"]
            is_done = is_done or (message.parent == request and is_idle(message))
        check_alive(kernel)
        if clock.is_over:
            raise RuntimeError("a kernel did not take over its step in time")
    if status != "ok":
        raise RuntimeError("a kernel did not take over its step")


def _installed() -> tuple[int, ...]:
    """Changes when a package is installed: what is forked would not see all of it."""
    stamps = []
    for place in (*site.getsitepackages(), site.getusersitepackages()):
        with suppress(OSError):
            stamps.append(Path(place).stat().st_mtime_ns)
    return tuple(stamps)
