"""What a piece of work takes: seconds, those of them in fsync, and memory beyond the present."""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Usage:
    """``seconds`` of the clock and ``processor`` seconds, both without ``fsync``.

    ``peak`` is the most memory in bytes that was resident beyond that of before; pages of a
    mapped file count as soon as they are touched.
    """

    seconds: float
    processor: float
    fsync: float
    peak: int


def measured(work: Callable[[], Any]) -> tuple[Any, Usage]:
    """What the work returns, and what it took."""
    gc.collect()
    _give_back_freed_memory()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM starts again
    sync, synced, sync_processor = os.fsync, 0.0, 0.0

    def timed_sync(descriptor: int) -> None:
        nonlocal synced, sync_processor
        start, processor = time.perf_counter(), time.process_time()
        sync(descriptor)
        synced += time.perf_counter() - start
        sync_processor += time.process_time() - processor

    os.fsync = timed_sync
    try:
        start, processor = time.perf_counter(), time.process_time()
        value = work()
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
    finally:
        os.fsync = sync
    peak = max(0, resident("VmHWM") - before)
    return value, Usage(seconds - synced, processor - sync_processor, synced, peak)


def held_memory(size: int) -> mmap.mmap:
    """Memory of about ``size`` bytes, in use until it is closed: close it before measuring.

    A virtual machine returns to its host what it does not use for a second or two, and takes
    ten times as long to write a file into memory that it must ask back.
    """
    block = bytes(8 << 20)
    held = mmap.mmap(-1, max(1, -(-size // len(block))) * len(block))
    while held.tell() < len(held):
        held.write(block)
    return held


def resident(field: str) -> int:
    """Bytes, as /proc/self/status names them."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def _give_back_freed_memory() -> None:
    """What was freed but is still held would hide how much the work takes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
