"""Files that appear at once or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kale_pm.errors import StoreError
from kale_pm.runtime.atomic import replacing


def cannot_write(folder: Path, error: OSError) -> StoreError:
    """The error to tell that nothing can be written into the folder."""
    return StoreError(
        f"cannot write to {folder}: {error.strerror or error}",
        hint="make room there, or choose another place with --dir",
    )


def write_text(path: Path, text: str) -> None:
    """Write a file at once or not at all; StoreError if it cannot be written."""
    with _replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def copy_file(source: Path, target: Path) -> None:
    """Copy a file; the target appears at once or not at all.  StoreError as above."""
    with _replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def link_file(source: Path, target: Path) -> None:
    """Let ``target``, which must be new, be the same file, or a copy.  StoreError as above."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)
    except OSError:
        # The file system has no links, or no more for this file.
        copy_file(source, target)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise cannot_write(path.parent, error) from error
