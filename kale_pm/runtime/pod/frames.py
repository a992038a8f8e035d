"""An executed notebook inside a log.

KFP keeps nothing of a failed step but its log.  So the notebook goes there, as lines

    KALEPM <step> <attempt> <i>/<n> <crc32> <base64>

Joined in order, the base64 of all lines is the gzipped notebook; the eight hex digits of the
checksum guard the base64 of their own line.
"""

from __future__ import annotations

import base64
import copy
import gzip
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from kale_pm import strict_json

if TYPE_CHECKING:
    from nbformat import NotebookNode

MARK = "KALEPM"
# Containers' logs are kept in lines of at most 16 KiB, and collectors cut earlier.
CHUNK = 3900  # characters of base64; the whole line stays below 4 KiB
LARGEST = 2**20  # bytes of the gzipped notebook


def frames(notebook: NotebookNode, step: str, attempt: int) -> Iterator[str]:
    """The lines for a notebook; one that is too large comes without its outputs.

    What the failing cell wrote is given up last.
    """
    for keep in (_any, _failed, _none):
        packed = _pack(notebook, keep)
        if len(packed) <= LARGEST:
            break
    yield from framed(MARK, step, attempt, packed)


def framed(mark: str, step: str, attempt: int, content: bytes) -> Iterator[str]:
    """The lines that carry ``content``; each begins with ``mark``, a word."""
    text = base64.b64encode(content).decode()
    pieces = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
    for number, piece in enumerate(pieces, start=1):
        checksum = zlib.crc32(piece.encode())
        yield f"{mark} {step} {attempt} {number}/{len(pieces)} {checksum:08x} {piece}"


def _pack(notebook: NotebookNode, keep: Callable[[NotebookNode], bool]) -> bytes:
    content = copy.deepcopy(notebook)
    for cell in content.cells:
        if cell.cell_type == "code" and not keep(cell):
            cell.outputs = []
    return gzip.compress(strict_json.dumps(content, sort_keys=True).encode(), mtime=0)


def _any(_cell: NotebookNode) -> bool:
    return True


def _none(_cell: NotebookNode) -> bool:
    return False


def _failed(cell: NotebookNode) -> bool:
    return any(output.output_type == "error" for output in cell.outputs)
