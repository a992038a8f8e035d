"""Packs read: variables are mapped from the file, and cost nothing until they are touched."""

from __future__ import annotations

import mmap
import os
import pickle
import platform
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from kale_pm.errors import PackError
from kale_pm.runtime.storage import memory
from kale_pm.runtime.storage.blame import AGAIN_HINT, MEMORY, blame
from kale_pm.runtime.storage.pack.format import HEADER, Component, Piece, damaged, read_index


class Pack:
    """A pack opened for reading; header and index are checked, the rest when it is loaded.

    ``components`` are what it holds, ``python`` is the version that wrote it, ``seal`` the
    size (bytes) and time (ns) of the file.  Raises PackError when the file is missing,
    damaged, or of an unknown version.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            with self.path.open("rb") as file:
                index = read_index(self.path, file)
                state = os.fstat(file.fileno())
        except FileNotFoundError as error:
            raise PackError(
                f"{self.path}: this file of variables is missing",
                hint="run the step that wrote it again",
            ) from error
        except OSError as error:
            raise PackError(
                f"{self.path}: cannot be read: {error.strerror}", hint="check its permissions"
            ) from error
        self.components = index.components
        self.python = index.python
        self.seal = (state.st_size, state.st_mtime_ns)
        self._end = index.end
        self._by_id = {component.id: component for component in index.components}

    def load(
        self,
        component_id: str,
        *,
        verify: bool = False,
        loads: Callable[..., Any] = pickle.loads,
    ) -> dict[str, object]:
        """The variables of one component, by name; each call makes them anew.

        The stream is always checked, the memory of arrays if ``verify`` asks for it.  Raises
        PackError when there is no such component, when something is damaged, or when it
        cannot be unpickled here.  ``loads`` stands for ``pickle.loads``.
        """
        component = self._by_id.get(component_id)
        if component is None:
            raise damaged(self.path, "it does not hold what it should")
        with self._open() as file:
            stream, *segments = self._map(file, (component.stream, *component.segments))
        self._check(component, component.stream, stream)
        if verify:
            for piece, segment in zip(component.segments, segments, strict=True):
                self._check(component, piece, segment)
        buffers = [
            part.toreadonly() if readonly else part
            for number, start, length, readonly in component.buffers
            for part in (segments[number][start : start + length],)
        ]
        try:
            values = loads(stream, buffers=buffers)
        except Exception as error:
            raise self._unloadable(component.names, error) from error
        return dict(zip(component.names, values, strict=True))

    def verify(self) -> None:
        """Check every byte of the file; raises PackError when one has changed."""
        with (
            self._open() as file,
            memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data,
        ):
            end = len(HEADER)
            for component in self.components:
                for piece in (component.stream, *component.segments):
                    if any(data[end : piece.offset]):
                        raise damaged(self.path, "there is something between its parts")
                    end = piece.offset + piece.size
                    self._check(component, piece, data[piece.offset : end])
            if any(data[end : self._end]):
                raise damaged(self.path, "there is something between its parts")

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise PackError(
                f"{self.path}: cannot be read any more: {error.strerror}",
                hint="run the step that wrote it again",
            ) from error

    def _check(self, component: Component, piece: Piece, data: memoryview) -> None:
        if len(data) != piece.size or memory.digest(data) != piece.digest:
            names = ", ".join(component.names)
            raise damaged(self.path, f"the data of {names} has changed")

    def _map(self, file: BinaryIO, pieces: Sequence[Piece]) -> list[memoryview]:
        start = pieces[0].offset // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        end = pieces[-1].offset + pieces[-1].size
        mapped: mmap.mmap | bytearray
        try:
            mapped = mmap.mmap(file.fileno(), end - start, access=mmap.ACCESS_COPY, offset=start)
        except ValueError as error:
            raise damaged(self.path, "it ends too early") from error
        except OSError:  # a file system that cannot map files
            file.seek(start)
            mapped = bytearray(file.read(end - start))
        else:
            _stream, *segments = pieces
            digests = {(offset - start, size): digest for offset, size, digest in segments}
            memory.remember(mapped, digests)
        view = memoryview(mapped)
        return [view[offset - start : offset - start + size] for offset, size, _ in pieces]

    def _unloadable(self, names: Sequence[str], error: Exception) -> PackError:
        here = platform.python_version()
        reason = f"{type(error).__name__}: {error}"
        if self.python.rpartition(".")[0] != here.rpartition(".")[0]:
            hint = f"it was written by Python {self.python}, and this is {here}: use the same"
        elif isinstance(error, MemoryError):
            hint = MEMORY
        elif _is_absence(error):
            hint = "install here what the step that wrote it had, and let every step import it"
        else:
            reason = blame(error)
            hint = AGAIN_HINT
        return PackError(f"{self.path}: cannot load {', '.join(names)}: {reason}", hint=hint)


def _is_absence(error: Exception) -> bool:
    """Whether a module, or something of a module, is not there."""
    if isinstance(error, ImportError):
        return True
    return isinstance(error, AttributeError) and (
        isinstance(error.obj, types.ModuleType) or str(error).startswith("Can't get attribute")
    )
