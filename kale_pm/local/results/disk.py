"""Files on the disk: their sizes and their contents, each once however many names it has."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path


def files_below(*folders: Path) -> Iterator[tuple[Path, int]]:
    """Every file below the folders with its size in bytes; links are left out.

    A file of several names counts at its first one; at the others its size is 0.
    """
    counted: set[tuple[int, int]] = set()
    for path in (path for folder in folders for path in folder.rglob("*")):
        try:
            status = path.lstat()
        except OSError:
            continue  # it went just now
        if stat.S_ISREG(status.st_mode):
            yield path, 0 if _is_among(counted, status) else status.st_size


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(size for _, size in files_below(path))
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def distinct(paths: Iterable[Path]) -> Iterator[Path]:
    """Of a file of several names, which the trials of a sweep share, the first one."""
    seen: set[tuple[int, int]] = set()
    return (path for path in paths if not _is_among(seen, path.lstat()))


def text_of(path: Path) -> str:
    """The text of a file, as far as it is one; empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _is_among(seen: set[tuple[int, int]], status: os.stat_result) -> bool:
    """Whether the file was seen under another name; from now on it was."""
    if status.st_nlink == 1:
        return False
    file = status.st_dev, status.st_ino
    is_known = file in seen
    seen.add(file)
    return is_known
