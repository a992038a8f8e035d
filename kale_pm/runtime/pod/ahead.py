"""What a step gets ready while its kernel starts, when it would only wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from kale_pm.runtime.execution.kernel_process import Kernel, Starter


def while_starting(start: Starter, work: Callable[[], object]) -> Starter:
    """Starts kernels as ``start`` does, and lets ``work`` run as soon as there is a process.

    Nobody waits for ``work``, and its errors are nobody's: what needs it meets them again.
    """

    def run() -> None:
        with suppress(Exception):
            work()

    def start_beside(
        env: Mapping[str, str],
        log: BinaryIO | None,
        chosen: Callable[[Kernel], None],
        timeout: float,
    ) -> tuple[Kernel, Mapping[str, Any]]:
        def chosen_then_work(kernel: Kernel) -> None:
            chosen(kernel)
            threading.Thread(target=run, name="kale-pm-ahead", daemon=True).start()

        return start(env, log, chosen_then_work, timeout)

    return start_beside
