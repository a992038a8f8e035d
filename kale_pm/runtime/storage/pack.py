"""The file in which one step's variables are stored; written once, never changed.

    header    64 bytes: magic, version
    for each component, every part at a multiple of 64 bytes:
        stream    pickle protocol 5
        segment…  memory of arrays, as it was
    index     JSON: where everything lies, its hashes, names, types, the version of Python
    footer    size and hash of the index, seal

Arrays are mapped from the file, private to the process: they cost nothing until they are
touched, and what is written to them never reaches the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import pickle
import platform
import struct
import traceback
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from kale_pm.errors import PackError, StoreError
from kale_pm.runtime.storage import memory
from kale_pm.runtime.storage.components import Dump, dump

_MAGIC = b"KALEPACK"
_SEAL = b"KALESEAL"
_VERSION = 1
_ALIGNMENT = 64
_HEADER = struct.Struct("<8sI52x")
_FOOTER = struct.Struct("<Q32s8s")
_AGAIN = "delete it and run the step that wrote it again"

Piece = tuple[int, int, str]  # offset, size, digest


@dataclass(frozen=True)
class StoredComponent:
    """Variables that are stored together.  ``size`` is in bytes; ``id`` a hash of the content."""

    id: str
    names: tuple[str, ...]
    types: Mapping[str, str]
    size: int


@dataclass(frozen=True)
class StoredPack:
    path: Path
    components: tuple[StoredComponent, ...]


def write_pack(
    folder: Path, groups: Sequence[Mapping[str, object]], prelude: frozenset[str]
) -> StoredPack:
    """Store groups of variables, as ``components`` gives them, in one new pack in ``folder``.

    The file is named by a hash of its content.  Nothing is left behind when an error occurs:
    SaveError when a value cannot be pickled, StoreError when the folder cannot be written.
    """
    wrong = [name for group in groups for name in group if not name.isidentifier()]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is not the name of a variable")
    temporary = folder / f".{os.urandom(8).hex()}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            index = _write(file, groups, prelude)
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"{_digest(index)}.pack"
        # Also when there is one of this name already: that one may be damaged.
        temporary.replace(path)
        _sync_folder(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(
            f"{folder}: cannot write variables: {reason}",
            hint="make room there, or let it be written to another folder",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return StoredPack(path, tuple(_stored(entry) for entry in json.loads(index)["components"]))


def type_name(value: object) -> str:
    """The name of the value's type, with its module where that is not the language itself."""
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return module + kind.__qualname__


def _write(
    file: BinaryIO, groups: Sequence[Mapping[str, object]], prelude: frozenset[str]
) -> bytes:
    file.write(_HEADER.pack(_MAGIC, _VERSION))
    entries = []
    for group in groups:
        offset = _align(file)
        dumped = dump(group, prelude, file)
        stream = (offset, dumped.stream_size, dumped.stream_digest)
        types = {name: type_name(group[name]) for name in dumped.names}
        segments = _write_segments(file, dumped)
        entries.append(
            {
                "buffers": dumped.layout.references,
                "id": dumped.id,
                "names": dumped.names,
                "segments": segments,
                "stream": stream,
                "types": types,
            }
        )
    content = {"components": entries, "python": platform.python_version()}
    index = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    _align(file)
    file.write(index)
    file.write(_FOOTER.pack(len(index), _digest(index).encode(), _SEAL))
    return index


def _write_segments(file: BinaryIO, dumped: Dump) -> list[Piece]:
    pieces = []
    for segment, digest in zip(dumped.layout.segments, dumped.digests, strict=True):
        pieces.append((_align(file), segment.nbytes, digest))
        file.write(segment)
    return pieces


def _align(file: BinaryIO) -> int:
    """Fill up with zeros; the position then."""
    file.write(bytes(-file.tell() % _ALIGNMENT))
    return file.tell()


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _digest(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _stored(entry: Mapping[str, Any]) -> StoredComponent:
    size = entry["stream"][1] + sum(size for _, size, _ in entry["segments"])
    return StoredComponent(entry["id"], tuple(entry["names"]), entry["types"], size)


class Pack:
    """A pack opened for reading; header and index are checked, the rest when it is loaded.

    Raises PackError when the file is missing, damaged, or of an unknown version.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            with self.path.open("rb") as file:
                self._index_offset, index = self._read_index(file)
        except FileNotFoundError as error:
            raise PackError(
                f"{self.path}: this file of variables is missing",
                hint="run the step that wrote it again",
            ) from error
        except OSError as error:
            raise PackError(
                f"{self.path}: cannot be read: {error.strerror}", hint="check its permissions"
            ) from error
        content = json.loads(index)
        self._python: str = content["python"]
        self._entries: dict[str, dict[str, Any]] = {
            entry["id"]: entry for entry in content["components"]
        }
        self.components = tuple(_stored(entry) for entry in content["components"])
        for name in (name for component in self.components for name in component.names):
            if not name.isidentifier():
                raise PackError(f"{self.path}: {name!r} is not the name of a variable")

    def load(self, component_id: str) -> dict[str, object]:
        """The variables of one component, by name; each call makes them anew.

        Raises KeyError for an unknown id, PackError when the stream is damaged or cannot be
        unpickled here.
        """
        entry = self._entries[component_id]
        offset, size, digest = entry["stream"]
        with self._open() as file:
            file.seek(offset)
            stream = file.read(size)
            if _digest(stream) != digest:
                raise self._damaged(f"the data of {', '.join(entry['names'])} has changed")
            segments = self._map_segments(file, entry["segments"])
        buffers = [
            part.toreadonly() if readonly else part
            for number, start, length, readonly in entry["buffers"]
            for part in (segments[number][start : start + length],)
        ]
        try:
            values = pickle.loads(stream, buffers=buffers)
        except Exception as error:
            raise self._unloadable(entry["names"], error) from error
        return dict(zip(entry["names"], values, strict=True))

    def verify(self) -> None:
        """Check every byte of the file; raises PackError when one has changed."""
        with (
            self._open() as file,
            memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data,
        ):
            end = _HEADER.size
            for entry in self._entries.values():
                for number, piece in enumerate((entry["stream"], *entry["segments"])):
                    offset, size, digest = piece
                    found = (memory.digest if number else _digest)(data[offset : offset + size])
                    if any(data[end:offset]) or found != digest:
                        raise self._damaged(f"the data of {', '.join(entry['names'])} has changed")
                    end = offset + size
            if any(data[end : self._index_offset]):
                raise self._damaged("there is something between its parts")

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise PackError(
                f"{self.path}: cannot be read any more: {error.strerror}",
                hint="run the step that wrote it again",
            ) from error

    def _read_index(self, file: BinaryIO) -> tuple[int, bytes]:
        header = file.read(_HEADER.size)
        if header[: len(_MAGIC)] != _MAGIC:
            raise self._damaged("it is no file of variables, or its beginning is damaged")
        if header != _HEADER.pack(_MAGIC, _VERSION):
            raise PackError(
                f"{self.path}: its format is not the one of this version of kale-pm",
                hint="run the step again, or use the version that wrote it",
            )
        size = file.seek(0, os.SEEK_END)
        if size < _HEADER.size + _FOOTER.size:
            raise self._damaged("it ends too early")
        file.seek(size - _FOOTER.size)
        length, digest, seal = _FOOTER.unpack(file.read(_FOOTER.size))
        offset = size - _FOOTER.size - length
        if seal != _SEAL or offset < _HEADER.size:
            raise self._damaged("it ends too early, or its end is damaged")
        file.seek(offset)
        index = file.read(length)
        if _digest(index).encode() != digest:
            raise self._damaged("its index has changed")
        return offset, index

    def _map_segments(self, file: BinaryIO, pieces: Sequence[Piece]) -> list[memoryview]:
        if not pieces:
            return []
        start = pieces[0][0] // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        end = pieces[-1][0] + pieces[-1][1]
        mapped: mmap.mmap | bytearray
        try:
            mapped = mmap.mmap(file.fileno(), end - start, access=mmap.ACCESS_COPY, offset=start)
        except ValueError as error:
            raise self._damaged("it ends too early") from error
        except OSError:  # a file system that cannot map files
            file.seek(start)
            mapped = bytearray(file.read(end - start))
        else:
            digests = {(offset - start, size): digest for offset, size, digest in pieces}
            memory.remember(mapped, digests)
        view = memoryview(mapped)
        return [view[offset - start : offset - start + size] for offset, size, _ in pieces]

    def _damaged(self, reason: str) -> PackError:
        return PackError(f"{self.path}: the file is damaged: {reason}", hint=_AGAIN)

    def _unloadable(self, names: Sequence[str], error: Exception) -> PackError:
        here = platform.python_version()
        reason = f"{type(error).__name__}: {error}"
        if self._python.rpartition(".")[0] != here.rpartition(".")[0]:
            hint = f"it was written by Python {self._python}, and this is {here}: use the same"
        elif _is_absence(error):
            hint = "install here what the step that wrote it had, and let every step import it"
        else:
            culprit = _culprit(error)
            reason = f"{culprit} failed: {reason}" if culprit else reason
            hint = (
                "its class does not let itself be made again: give it a method __reduce__, tell "
                "kale-pm how to store it (kale_pm.saver), or make it in the step that needs it"
            )
        return PackError(f"{self.path}: cannot load {', '.join(names)}: {reason}", hint=hint)


def _is_absence(error: Exception) -> bool:
    """Whether a module, or something of a module, is not there."""
    if isinstance(error, ImportError):
        return True
    return isinstance(error, AttributeError) and (
        isinstance(error.obj, types.ModuleType) or str(error).startswith("Can't get attribute")
    )


def _culprit(error: Exception) -> str:
    """The innermost function of the notebook that was running; "" if none was."""
    codes = [
        frame.f_code.co_qualname
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__") == "__main__"
    ]
    return codes[-1] if codes else ""
