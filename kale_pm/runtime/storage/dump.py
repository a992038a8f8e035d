"""Variables pickled as one graph: a stream, and the memory that it refers to."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kale_pm.runtime.garbage import collection_paused
from kale_pm.runtime.storage import memory
from kale_pm.runtime.storage.culprit import explain
from kale_pm.runtime.storage.pickler import Pickler, Writer


@dataclass(frozen=True)
class Dump:
    """One component, taken apart: a stream, its hash, and the memory that it refers to."""

    names: tuple[str, ...]
    stream_size: int
    stream_digest: str
    layout: memory.Layout

    def id(self, digests: Sequence[str]) -> str:
        """A hash of the names, the stream and the memory, whose segments have these hashes."""
        content = json.dumps(
            [self.names, self.stream_digest, digests, self.layout.references], separators=(",", ":")
        )
        return memory.digest(content.encode())


def dump(
    variables: Mapping[str, object], prelude: frozenset[str], file: Writer | None = None
) -> Dump:
    """Pickle the variables as one graph, writing the stream to ``file`` if there is one.

    Raises SaveError when an object cannot be pickled, OSError when the file cannot be written.
    """
    names = tuple(sorted(variables))
    stream = _Stream(file)
    buffers: list[pickle.PickleBuffer] = []
    values = tuple(variables[name] for name in names)
    pickler = Pickler(stream, prelude, collector(buffers), values)
    try:
        with collection_paused():
            # Without their names, which may be the same strings as attributes further down.
            pickler.dump(list(values))
            layout = memory.arrange(buffers)
    except Exception as error:
        if stream.error is not None:
            raise stream.error from None
        raise explain(variables, error, prelude) from error
    return Dump(names, stream.size, stream.digest(), layout)


def fingerprint(variables: Mapping[str, object], prelude: frozenset[str]) -> str:
    """A hash of all that the variables hold, 32 hexadecimal digits.

    As long as nothing changes it stays the same inside one process; it is also the id that
    the component would get in a pack.  Raises SaveError when an object cannot be pickled.
    """
    dumped = dump(variables, prelude)
    segments = dumped.layout.segments
    return dumped.id(memory.digests(segments, memory.untouched() if segments else {}))


def collector(buffers: list[pickle.PickleBuffer]) -> Any:
    def collect(buffer: pickle.PickleBuffer) -> bool:
        if memory.keeps_in_stream(buffer):
            return True
        buffers.append(buffer)
        return False

    return collect


class _Stream:
    """Counts and hashes what the pickler writes on its way to the file."""

    def __init__(self, file: Writer | None) -> None:
        import xxhash

        self._file = file
        self._hash = xxhash.xxh3_128()
        self.size = 0
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self._hash.update(data)
        self.size += size
        if self._file is not None:
            try:
                self._file.write(data)
            except OSError as error:
                self.error = error
                raise
        return size

    def digest(self) -> str:
        digest: str = self._hash.hexdigest()
        return digest
