"""What the machine itself can do, in bytes per second: the measure of all the rest."""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from usage import held_memory

SIZE = 1_000_000_000  # bytes at scale 1
_BLOCK = 8 << 20


def speeds(scale: float, folder: Path) -> dict[str, float]:
    """Memory, disk and hashes; files are read from the page cache."""
    import numpy

    size = max(_BLOCK, round(SIZE * scale))
    held = held_memory(3 * size)
    source = numpy.random.default_rng(0).integers(0, 255, size, dtype="u1")
    found = {}

    def time_of(name: str, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        work()
        found[name] = size / (time.perf_counter() - start)

    held.close()
    target = numpy.empty_like(source)
    time_of("memcpy to new memory", lambda: numpy.copyto(target, source))
    time_of("memcpy", lambda: numpy.copyto(target, source))
    path = folder / "raw"
    with path.open("wb", buffering=0) as file:
        time_of("disk write", lambda: file.write(source))
        start = time.perf_counter()
        os.fsync(file.fileno())
        found["disk write and fsync"] = size / (
            size / found["disk write"] + time.perf_counter() - start
        )
    with path.open("rb", buffering=0) as file:
        time_of("read, cached", lambda: file.readinto(target))
    path.unlink()
    for name, digest in _hashes().items():
        time_of(name, lambda digest=digest: digest(source))  # type: ignore[misc]
    return found


def _hashes() -> dict[str, Callable[[object], object]]:
    found: dict[str, Callable[..., object]] = {
        "sha256": hashlib.sha256,
        "blake2b": hashlib.blake2b,
        "crc32": zlib.crc32,
    }
    try:
        import xxhash
    except ImportError:
        return found
    return {**found, "xxh3": xxhash.xxh3_128}
