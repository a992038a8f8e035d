"""The threads that the body of a pipeline starts: they know nothing of what goes on in its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Set
from contextlib import contextmanager
from weakref import WeakSet

_start = threading.Thread.start
_families: dict[int, WeakSet[threading.Thread]] = {}
_lock = threading.Lock()


@contextmanager
def family() -> Iterator[Set[threading.Thread]]:
    """The thread that asks, those that it starts within, and those that they start."""
    found = WeakSet([threading.current_thread()])
    with _lock:
        _watch(found)
    try:
        yield found
    finally:
        with _lock:
            _forget(found)


def _watch(found: WeakSet[threading.Thread]) -> None:
    global _start  # noqa: PLW0603 - that of the moment: others may have put theirs there
    if not _families:
        _start = threading.Thread.start
        # No thread says who has started it.
        threading.Thread.start = _noting_start  # type: ignore[method-assign,assignment]
    _families[id(found)] = found


def _forget(found: WeakSet[threading.Thread]) -> None:
    del _families[id(found)]
    if not _families:
        threading.Thread.start = _start  # type: ignore[method-assign]


def _noting_start(thread: threading.Thread) -> None:
    here = threading.current_thread()
    with _lock:
        for each in _families.values():
            if here in each:
                each.add(thread)
    _start(thread)
