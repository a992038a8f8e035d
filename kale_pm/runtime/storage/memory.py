"""The bytes behind arrays: lent to the pickler without copying, merged where they overlap.

Two views of one array must stay views of one array in the next step.  So a view is not
stored as its elements but as the stretch of memory that it covers; stretches that overlap
become one segment of the pack.
"""

from __future__ import annotations

import mmap
import pickle
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

SMALL = 4096  # bytes; below the size of a page, a copy in the stream is cheaper than a segment
_PAGE_ENTRY = 8  # bytes that Linux keeps for each page


class Span:
    """A stretch of memory from address ``low`` up to ``high``, kept alive by ``owner``.

    ``apart`` marks memory that must not be shared with anything else once it is loaded.
    """

    __slots__ = ("__array_interface__", "apart", "owner")

    def __init__(
        self, owner: object, low: int, high: int, *, readonly: bool = False, apart: bool = False
    ) -> None:
        self.__array_interface__: dict[str, Any] = {
            "data": (low, readonly),
            "shape": (high - low,),
            "typestr": "|u1",
            "version": 3,
        }
        self.owner = owner
        self.apart = apart

    def buffer(self) -> pickle.PickleBuffer:
        import numpy

        return pickle.PickleBuffer(numpy.asarray(self))


class Reference(NamedTuple):
    """Where one buffer of a pickle stream lies: bytes ``offset`` to ``offset + size``."""

    segment: int
    offset: int
    size: int
    readonly: bool


@dataclass(frozen=True)
class Layout:
    """Segments in the order of first use, and one reference for every buffer."""

    segments: tuple[memoryview, ...]
    references: tuple[Reference, ...]


class Extent(NamedTuple):
    """The addresses that one buffer occupies."""

    low: int
    high: int
    readonly: bool
    apart: bool


def keeps_in_stream(buffer: pickle.PickleBuffer) -> bool:
    """Whether a buffer that some library offers is better copied into the stream."""
    raw = buffer.raw()
    return raw.nbytes == 0 or (raw.nbytes < SMALL and _span(raw) is None)


def extent(buffer: pickle.PickleBuffer) -> Extent:
    raw = buffer.raw()
    span = _span(raw)
    if span is None:
        low = address(raw)
        return Extent(low, low + raw.nbytes, raw.readonly, apart=False)
    low, readonly = span.__array_interface__["data"]
    return Extent(low, low + raw.nbytes, readonly, span.apart)


def clusters(extents: Sequence[Extent]) -> list[list[int]]:
    """Indices of the extents, those together whose memory overlaps."""
    found: list[list[int]] = []
    end = -1
    for index in sorted(range(len(extents)), key=lambda index: extents[index][:2]):
        span = extents[index]
        if span.apart:
            found.insert(0, [index])
        elif span.low < end:
            found[-1].append(index)
            end = max(end, span.high)
        else:
            found.append([index])
            end = span.high
    return found


def arrange(buffers: Sequence[pickle.PickleBuffer]) -> Layout:
    """Merge buffers into segments: those that overlap share one."""
    extents = [extent(buffer) for buffer in buffers]
    segments = []
    references: dict[int, Reference] = {}
    # The order of first use is the same in every process; that of addresses is not.
    for number, cluster in enumerate(sorted(clusters(extents), key=min)):
        low = extents[cluster[0]].low  # a cluster begins with its lowest
        if len(cluster) == 1:
            segments.append(buffers[cluster[0]].raw())
        else:
            high = max(extents[index].high for index in cluster)
            segments.append(memoryview(Span(buffers, low, high, readonly=True).buffer()))
        for index in cluster:
            span = extents[index]
            size = span.high - span.low
            references[index] = Reference(number, span.low - low, size, span.readonly)
    ordered = tuple(references[index] for index in range(len(buffers)))
    return Layout(tuple(segments), ordered)


def address(view: memoryview | mmap.mmap) -> int:
    """The address of the first byte of a non-empty buffer."""
    import numpy

    interface = numpy.frombuffer(view, numpy.uint8).__array_interface__
    return int(interface["data"][0])


def digest(data: bytes | memoryview) -> str:
    """A hash of the bytes, 32 hexadecimal digits: xxh3-128, as fast as memory is read."""
    import xxhash

    found: str = xxhash.xxh3_128_hexdigest(data)
    return found


def digests(
    segments: Sequence[memoryview], known: Mapping[tuple[int, int], str]
) -> tuple[str, ...]:
    """A hash of the bytes of each segment; ``known`` are those that :func:`untouched` gives."""
    return tuple(
        known.get((address(segment), segment.nbytes)) or digest(segment) for segment in segments
    )


_mappings: WeakKeyDictionary[mmap.mmap, tuple[int, Mapping[tuple[int, int], str]]] = (
    WeakKeyDictionary()
)


def remember(mapping: mmap.mmap, digests: Mapping[tuple[int, int], str]) -> None:
    """Note which (offset, size) of a private mapping holds bytes of which digest."""
    if not digests:
        return
    _mappings[mapping] = (address(mapping), digests)


def untouched() -> dict[tuple[int, int], str]:
    """(address, size) -> digest of every loaded segment that nobody has written to.

    A private mapping gets a page of its own for each page that is written; while a segment has
    none, its bytes are those of the file.  Where the system does not tell, the answer is empty.
    """
    known = {}
    for mapping, (start, digests_of_file) in list(_mappings.items()):
        written = _written_pages(start, len(mapping))
        for (offset, size), value in digests_of_file.items():
            first, last = offset // mmap.PAGESIZE, (offset + size - 1) // mmap.PAGESIZE
            if written is not None and bisect_left(written, first) == bisect_right(written, last):
                known[start + offset, size] = value
    return known


def _written_pages(start: int, size: int) -> list[int] | None:
    """The pages of a private mapping that are no longer those of its file, in order.

    They are counted from the mapping's ``start``.  None where the system does not tell.
    Linux keeps 64 bits for each page in /proc/self/pagemap (its documentation: pagemap.rst):
    the highest three say whether the page is in memory, is swapped out, is one of a file.
    """
    import numpy

    try:
        with open("/proc/self/pagemap", "rb", buffering=0) as file:  # noqa: PTH123 - unbuffered
            file.seek(start // mmap.PAGESIZE * _PAGE_ENTRY)
            entries = file.read(-(-size // mmap.PAGESIZE) * _PAGE_ENTRY)
    except OSError:
        return None
    bits = numpy.frombuffer(entries, numpy.uint64) >> numpy.uint64(61)
    if len(bits) != -(-size // mmap.PAGESIZE):
        return None
    in_memory, swapped, of_file = ((bits & numpy.uint64(bit)) != 0 for bit in (4, 2, 1))
    written: list[int] = numpy.flatnonzero(swapped | (in_memory & ~of_file)).tolist()
    return written


def _span(raw: memoryview) -> Span | None:
    base = getattr(raw.obj, "base", None)
    return base if isinstance(base, Span) else None
