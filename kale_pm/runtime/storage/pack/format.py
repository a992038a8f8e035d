"""The bytes of a pack, but for what is in its parts.

    header    64 bytes: magic, version
    for each component, every part at a multiple of 64 bytes:
        stream    pickle protocol 5
        segment…  memory of arrays, as it was
    index     JSON: where everything lies, its hashes, names, types, the version of Python
    footer    128 bytes: size and hash of the index, room for a signature, seal

docs/pack-format.md describes every byte.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from kale_pm.errors import PackError
from kale_pm.runtime.storage.memory import Reference

VERSION = 2
_MAGIC = b"KALEPACK"
_SEAL = b"KALESEAL"
_HASH = "xxh3-128"
_HEADER = struct.Struct("<8sI52x")
_FOOTER = struct.Struct("<Q32s16s64s8s")
_UNSIGNED = (bytes(16), bytes(64))  # the kind of the signature, and the signature

HEADER = _HEADER.pack(_MAGIC, VERSION)
_AGAIN = "delete it and run the step that wrote it again"


class Piece(NamedTuple):
    """A part of the file: where it begins, how many bytes it has, and their hash."""

    offset: int
    size: int
    digest: str


@dataclass(frozen=True)
class Component:
    """Variables that are stored together; ``id`` is a hash of their names and content.

    ``types`` are names for people.  ``buffers`` say where the arrays of the stream lie.
    """

    id: str
    names: tuple[str, ...]
    types: Mapping[str, str]
    stream: Piece
    segments: tuple[Piece, ...]
    buffers: tuple[Reference, ...]

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self.stream.size + sum(segment.size for segment in self.segments)


@dataclass(frozen=True)
class Index:
    """What a pack holds, and which version of Python wrote it.

    ``end`` is where the parts end and the index begins.
    """

    components: tuple[Component, ...]
    python: str
    end: int


def encode(components: Sequence[Component]) -> bytes:
    """The index as bytes: equal components give equal ones."""
    content = {
        "components": [vars(component) for component in components],
        "hash": _HASH,
        "python": platform.python_version(),
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def name_of(index: bytes) -> str:
    """The name of the file with this index, and so of its content."""
    return f"{hashlib.sha256(index).hexdigest()[:32]}.pack"


def footer(index: bytes) -> bytes:
    """What comes after the index."""
    return _FOOTER.pack(len(index), hashlib.sha256(index).digest(), *_UNSIGNED, _SEAL)


def read_index(path: Path, file: BinaryIO) -> Index:
    """Check header and footer, and read the index; PackError if one of them is not right."""
    header = file.read(len(HEADER))
    if header[: len(_MAGIC)] != _MAGIC:
        raise damaged(path, "it is no file of variables, or its beginning is damaged")
    if len(header) < len(HEADER):
        raise damaged(path, "it ends too early")
    if header != HEADER:
        raise unknown(path, "its format is not the one of this version of kale-pm")
    size = file.seek(0, os.SEEK_END)
    if size < len(HEADER) + _FOOTER.size:
        raise damaged(path, "it ends too early")
    file.seek(size - _FOOTER.size)
    length, digest, *signature, seal = _FOOTER.unpack(file.read(_FOOTER.size))
    offset = size - _FOOTER.size - length
    if seal != _SEAL or offset < len(HEADER):
        raise damaged(path, "it ends too early, or its end is damaged")
    if tuple(signature) != _UNSIGNED:
        raise unknown(path, "it carries a signature, which this version of kale-pm cannot check")
    file.seek(offset)
    content = file.read(length)
    if hashlib.sha256(content).digest() != digest:
        raise damaged(path, "its index has changed")
    try:
        index = _decode(path, json.loads(content), offset)
        if not all(_is_inside(component, offset) for component in index.components):
            raise ValueError("a part lies outside of the file")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(path, f"its index is none: {error}") from error
    return index


def _is_inside(component: Component, end: int) -> bool:
    """Whether all parts lie in the file, and all buffers in their segments."""
    pieces = (component.stream, *component.segments)
    return all(
        len(HEADER) <= offset and size >= 0 and offset + size <= end for offset, size, _ in pieces
    ) and all(
        0 <= number < len(component.segments)
        and start >= 0
        and size >= 0
        and start + size <= component.segments[number].size
        for number, start, size, _ in component.buffers
    )


def _decode(path: Path, content: Mapping[str, Any], end: int) -> Index:
    if content["hash"] != _HASH:
        raise unknown(path, f"its parts are hashed by {content['hash']}")
    components = tuple(
        Component(
            id=entry["id"],
            names=tuple(entry["names"]),
            types=entry["types"],
            stream=Piece(*entry["stream"]),
            segments=tuple(Piece(*piece) for piece in entry["segments"]),
            buffers=tuple(Reference(*reference) for reference in entry["buffers"]),
        )
        for entry in content["components"]
    )
    for name in (name for component in components for name in component.names):
        if not name.isidentifier():
            raise PackError(f"{path}: {name!r} is not the name of a variable", hint=_AGAIN)
    return Index(components, content["python"], end)


def damaged(path: Path, reason: str) -> PackError:
    """The error to raise where a byte is not what it was."""
    return PackError(f"{path}: the file is damaged: {reason}", hint=_AGAIN)


def unknown(path: Path, reason: str) -> PackError:
    """The error to raise where another version of kale-pm is needed."""
    hint = "run the step again, or use the version that wrote it"
    return PackError(f"{path}: {reason}", hint=hint)
