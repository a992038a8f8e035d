"""When which step runs: as soon as its parents are done, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from kale_pm.record import State


def schedule(
    order: Sequence[str],
    parents: Mapping[str, Sequence[str]],
    work: Callable[[str], State],
    skip: Callable[[str, str], None],
    jobs: int,
) -> None:
    """Call ``work`` for every step of ``order``, at most ``jobs`` at a time, each in a thread.

    A step whose parent did not succeed is not worked on: ``skip(step, parent)`` is called
    instead, and its own children are skipped in turn.  Independent branches go on.  On an
    exception, Ctrl-C included, nothing new is started; the threads that run are the
    caller's to end.
    """
    states: dict[str, State] = {}
    waiting = list(order)
    running: dict[Future[State], str] = {}
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="step")
    try:
        while waiting or running:
            for name in list(waiting):
                if all(parent in states for parent in parents[name]):
                    waiting.remove(name)
                    failed = [p for p in parents[name] if not states[p].is_success]
                    if failed:
                        states[name] = State.SKIPPED
                        skip(name, failed[0])
                    else:
                        running[pool.submit(work, name)] = name
            if running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    states[running.pop(future)] = future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
