"""Talks to a kernel that a pool has started."""

from __future__ import annotations

from kale_pm.runtime.execution.kernel_process import Kernel, is_idle


def printed_by(kernel: Kernel, code: str) -> str:
    """What a cell of this code prints."""
    request = kernel.connection.execute(code)
    text, is_done = "", False
    while not is_done:
        for message in kernel.connection.receive(10):
            text += message.content["text"] if message.kind == "stream" else ""
            is_done = is_done or (message.parent == request and is_idle(message))
    return text
