"""When what runs: as soon as its parents are done, several at a time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Generic, TypeVar

from kale_pm.local.room import Room
from kale_pm.record import State

# Python handles signals in the main thread only, but the system may deliver one to another
# thread while the main one sleeps, and nobody wakes it: so it never sleeps for long (seconds).
_NAP = 0.05

Key = TypeVar("Key", bound=Hashable)


def schedule(
    order: Sequence[Key],
    parents: Mapping[Key, Sequence[Key]],
    work: Callable[[Key], State],
    skip: Callable[[Key, Key], object],
    *,
    room: Room[Key],
    is_stopped: Callable[[], bool] = lambda: False,
    is_enough: Callable[[], bool] = lambda: False,
    stop: Callable[[], None] = lambda: None,
) -> None:
    """Call ``work`` for everything in ``order``, each in a thread, while there is room for it.

    What is worked on leaves the room when ``work`` returns; ``work`` may leave it, and enter it
    again, for the time in which it only waits.  Where there is no room for one, a later one may
    start.  ``order`` has parents before their children.

    What has a parent that did not succeed is not worked on: ``skip(key, parent)`` is called
    instead, and its own children are skipped in turn.  Independent branches go on.

    As soon as ``is_enough()`` holds nothing new is started, and what runs may end.  As soon as
    ``is_stopped()`` holds, or ``work`` raises, nothing new is started either, and ``stop`` is
    called, again and again, until all that runs has ended.  So no thread is left when this
    returns, or raises what ``work`` raised.
    """
    lines = _Lines(order, room)
    graph = _Graph(order, parents, lines.add, lambda at, parent: skip(order[at], order[parent]))
    running: dict[Future[State], int] = {}
    pool = ThreadPoolExecutor(max(1, len(order)), thread_name_prefix="step")
    try:
        while (running or (lines and not is_enough())) and not is_stopped():
            bell = room.bell  # asked for first, so that nobody leaves unheard
            if not is_enough():
                for position in lines.admitted():
                    running[pool.submit(work, order[position])] = position
            heard: list[Future[Any]] = [*running, bell]
            wait(heard, timeout=_NAP, return_when=FIRST_COMPLETED)
            for future in [future for future in running if future.done()]:
                position = running.pop(future)
                room.leave(order[position])
                graph.ended(position, future.result())
    finally:
        alive = {future for future in running if not future.cancel()}
        while alive:
            stop()
            alive = wait(alive, timeout=_NAP).not_done
        pool.shutdown()


class _Graph:
    """What waits for what, by positions in the order.

    ``ready`` is called with each whose parents have succeeded, ``skip`` with each that has a
    parent that has not, and with that one.
    """

    def __init__(
        self,
        order: Sequence[Key],
        parents: Mapping[Key, Sequence[Key]],
        ready: Callable[[int], None],
        skip: Callable[[int, int], object],
    ) -> None:
        self._ready = ready
        self._skip = skip
        positions = {key: position for position, key in enumerate(order)}
        self._parents = [[positions[parent] for parent in parents[key]] for key in order]
        self._children: list[list[int]] = [[] for _ in order]
        self._missing = [len(above) for above in self._parents]
        self._succeeded = [False] * len(order)
        for position, above in enumerate(self._parents):
            for parent in above:
                self._children[parent].append(position)
            if not above:
                ready(position)

    def ended(self, position: int, state: State) -> None:
        """What is here is done, or failed: its children are ready now, or are skipped."""
        self._succeeded[position] = state.is_success
        free = self._freed(position)
        while free:
            child = heapq.heappop(free)
            failed = [each for each in self._parents[child] if not self._succeeded[each]]
            if failed:
                self._skip(child, failed[0])
                for each in self._freed(child):
                    heapq.heappush(free, each)
            else:
                self._ready(child)

    def _freed(self, parent: int) -> list[int]:
        """Those whose last parent has ended just now, in their order."""
        found = []
        for child in self._children[parent]:
            self._missing[child] -= 1
            if not self._missing[child]:
                found.append(child)
        return found


class _Lines(Generic[Key]):
    """What is ready, and waits for room; true if anything is.

    Those that ask for equally much stand in one line, in the given order: while there is no
    room for its first, there is none for those behind it.
    """

    def __init__(self, order: Sequence[Key], room: Room[Key]) -> None:
        self._order = order
        self._room = room
        self._lines: dict[int, list[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, position: int) -> None:
        size = self._room.asked_by(self._order[position])
        heapq.heappush(self._lines.setdefault(size, []), position)

    def admitted(self) -> Iterator[int]:
        """Those that have entered the room now."""
        firsts = [(line[0], size) for size, line in self._lines.items()]
        heapq.heapify(firsts)
        while firsts and not self._room.is_full:
            position, size = heapq.heappop(firsts)
            if not self._room.enter(self._order[position]):
                continue
            line = self._lines[size]
            heapq.heappop(line)
            if line:
                heapq.heappush(firsts, (line[0], size))
            else:
                del self._lines[size]
            yield position
