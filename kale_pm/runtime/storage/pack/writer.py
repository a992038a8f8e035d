"""Packs written: whole under their final name, or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from kale_pm.errors import PackError, StoreError
from kale_pm.runtime.storage import memory, trial
from kale_pm.runtime.storage.culprit import explain
from kale_pm.runtime.storage.dump import dump
from kale_pm.runtime.storage.pack import format as pack_format
from kale_pm.runtime.storage.pack.format import Component, Piece
from kale_pm.runtime.storage.pack.parts import Parts
from kale_pm.runtime.storage.pack.reader import Pack

# Components up to these sizes are made again before they are given away: that takes milliseconds.
_TRIAL_STREAM = 1 << 20  # bytes
_TRIAL_MEMORY = 64 << 20
_LARGE = 4 << 20  # bytes of a segment


@dataclass(frozen=True)
class StoredPack:
    """``seal`` is the file's size in bytes and its time in nanoseconds."""

    path: Path
    components: tuple[Component, ...]
    seal: tuple[int, int] = field(compare=False)


def write_pack(
    folder: Path, groups: Sequence[Mapping[str, object]], prelude: frozenset[str]
) -> StoredPack:
    """Store groups of variables, as ``components`` gives them, in one new pack in ``folder``.

    The file is named by a hash of its content.  Nothing is left behind when an error occurs:
    SaveError when a value cannot be pickled, or not be made again of that, StoreError when
    the folder cannot be written.
    """
    wrong = [name for group in groups for name in group if not name.isidentifier()]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is not the name of a variable")
    temporary = folder / f".{os.urandom(8).hex()}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb", buffering=0) as file:
            parts = Parts(file)
            components = _write_components(parts, groups, prelude)
            index = pack_format.encode(components)
            parts.align()
            parts.write(index)
            parts.write(pack_format.footer(index))
            _try(Pack(temporary), groups, prelude)
            os.fsync(file.fileno())
        path = folder / pack_format.name_of(index)
        # Also when there is one of this name already: that one may be damaged.
        temporary.replace(path)
        _sync_folder(folder)
        state = path.stat()
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(
            f"{folder}: cannot write variables: {reason}",
            hint="make room there, or let it be written to another folder",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return StoredPack(path, components, (state.st_size, state.st_mtime_ns))


def check(variables: Mapping[str, object], prelude: frozenset[str]) -> None:
    """Raise SaveError if the variables cannot be stored as one component."""
    dumped = dump(variables, prelude)
    memory_size = sum(segment.nbytes for segment in dumped.layout.segments)
    if _is_small(dumped.stream_size, memory_size):
        try:
            trial.attempt(list(variables.values()), prelude)
        except Exception as error:
            raise explain(variables, error, prelude, trial.attempt) from error


def type_name(value: object) -> str:
    """The name of the value's type, with its module where that is not the language itself."""
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return module + kind.__qualname__


def _write_components(
    parts: Parts, groups: Sequence[Mapping[str, object]], prelude: frozenset[str]
) -> tuple[Component, ...]:
    parts.write(pack_format.HEADER)
    known = memory.untouched()
    with ThreadPoolExecutor(max_workers=1) as hashing:
        return tuple(_write_component(parts, group, prelude, known, hashing) for group in groups)


def _write_component(
    parts: Parts,
    group: Mapping[str, object],
    prelude: frozenset[str],
    known: Mapping[tuple[int, int], str],
    hashing: Executor,
) -> Component:
    offset = parts.align()
    dumped = dump(group, prelude, parts)
    segments = dumped.layout.segments
    # Another core reads large memory for its hash while this one copies it to the file.  With
    # small ones the two threads would only keep the interpreter from each other.
    pending = {
        number: hashing.submit(memory.digests, [segment], known)
        for number, segment in enumerate(segments)
        if segment.nbytes >= _LARGE
    }
    places: list[int] = []
    digests: list[str] = []
    for number, segment in enumerate(segments):
        places.append(parts.align())
        parts.add(segment)
        digests += [""] if number in pending else memory.digests([segment], known)
    parts.flush()
    for number, digest in pending.items():
        (digests[number],) = digest.result()
    sizes = (segment.nbytes for segment in segments)
    pieces = zip(places, sizes, digests, strict=True)
    return Component(
        id=dumped.id(digests),
        names=dumped.names,
        types={name: type_name(group[name]) for name in dumped.names},
        stream=Piece(offset, dumped.stream_size, dumped.stream_digest),
        segments=tuple(Piece(*piece) for piece in pieces),
        buffers=dumped.layout.references,
    )


def _try(pack: Pack, groups: Sequence[Mapping[str, object]], prelude: frozenset[str]) -> None:
    for component, group in zip(pack.components, groups, strict=True):
        if _is_small(component.stream.size, component.size - component.stream.size):
            try:
                pack.load(component.id, loads=trial.loads)
            except PackError as error:
                raise explain(group, error.__cause__ or error, prelude, trial.attempt) from error


def _is_small(stream_size: int, memory_size: int) -> bool:
    return stream_size <= _TRIAL_STREAM and memory_size <= _TRIAL_MEMORY


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
