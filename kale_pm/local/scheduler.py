"""When which step runs: as soon as its parents are done, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from kale_pm.local.room import Room
from kale_pm.record import State

# Python handles signals in the main thread only, but the system may deliver one to another
# thread while the main one sleeps, and nobody wakes it: so it never sleeps for long (seconds).
_NAP = 0.05


def schedule(
    order: Sequence[str],
    parents: Mapping[str, Sequence[str]],
    work: Callable[[str], State],
    skip: Callable[[str, str], None],
    *,
    room: Room,
    is_stopped: Callable[[], bool] = lambda: False,
    stop: Callable[[], None] = lambda: None,
) -> None:
    """Call ``work`` for every step of ``order``, each in a thread, while there is room for it.

    A step leaves the room when ``work`` returns; ``work`` may leave it, and enter it again, for
    the time in which it only waits.  Where there is no room for a step, a later one may start.

    A step whose parent did not succeed is not worked on: ``skip(step, parent)`` is called
    instead, and its own children are skipped in turn.  Independent branches go on.

    As soon as ``is_stopped()`` holds, or ``work`` raises, nothing new is started, and
    ``stop`` is called, again and again, until all that runs has ended.  So no thread is left
    when this returns, or raises what ``work`` raised.
    """
    states: dict[str, State] = {}
    waiting = list(order)
    running: dict[Future[State], str] = {}
    pool = ThreadPoolExecutor(max(1, len(order)), thread_name_prefix="step")
    try:
        while (waiting or running) and not is_stopped():
            bell = room.bell  # asked for first, so that nobody leaves unheard
            for name in list(waiting):
                if all(parent in states for parent in parents[name]):
                    failed = [p for p in parents[name] if not states[p].is_success]
                    if failed:
                        waiting.remove(name)
                        states[name] = State.SKIPPED
                        skip(name, failed[0])
                    elif room.enter(name):
                        waiting.remove(name)
                        running[pool.submit(work, name)] = name
            heard: list[Future[Any]] = [*running, bell]
            wait(heard, timeout=_NAP, return_when=FIRST_COMPLETED)
            for future in [future for future in running if future.done()]:
                name = running.pop(future)
                room.leave(name)
                states[name] = future.result()
    finally:
        alive = {future for future in running if not future.cancel()}
        while alive:
            stop()
            alive = wait(alive, timeout=_NAP).not_done
        pool.shutdown()
