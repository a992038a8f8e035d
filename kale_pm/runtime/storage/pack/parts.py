"""A file that is written part by part, each part at a multiple of 64 bytes.

Thousands of small parts cost as little as a large one: they are collected, and handed to the
system together, without being copied.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import Any

ALIGNMENT = 64
_PIECES = 1000  # the system takes 1024 at once
_BYTES = 1 << 18


class Parts:
    """Writes to an unbuffered file; what was added lies there after :meth:`flush`."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._waiting: list[memoryview] = []
        self._size = 0
        self.position = 0

    def align(self) -> int:
        """Fill up with zeros to where a part may begin; the position then, in bytes."""
        gap = -self.position % ALIGNMENT
        if gap:
            self.add(memoryview(bytes(gap)))
        return self.position

    def add(self, data: memoryview) -> None:
        """Append memory that does not change until :meth:`flush`.

        Raises OSError when the file takes no more.
        """
        self._waiting.append(data)
        self._size += data.nbytes
        self.position += data.nbytes
        if self._size >= _BYTES or len(self._waiting) >= _PIECES:
            self.flush()

    def write(self, data: Any) -> int:
        """Append bytes, or any buffer, at once; their number.

        Raises OSError when the file takes no more.
        """
        view = memoryview(data).cast("B")
        self.add(view)
        self.flush()
        return view.nbytes

    def flush(self) -> None:
        """Hand over to the system what waits; raises OSError when the file takes no more."""
        waiting, self._waiting, self._size = self._waiting, [], 0
        while waiting:
            waiting = _rest(waiting, os.writev(self._file.fileno(), waiting))


def _rest(pieces: Sequence[memoryview], written: int) -> list[memoryview]:
    """What remains of the pieces: the system may take fewer bytes than it is given."""
    for number, piece in enumerate(pieces):
        if written < piece.nbytes:
            return [piece[written:], *pieces[number + 1 :]]
        written -= piece.nbytes
    return []
