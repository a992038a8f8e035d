"""Claims: of two executions that would do the very same, one waits for the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from threading import Lock


@dataclass(slots=True)
class Claim:
    """The right to do what a key stands for; ``is_done`` once its result is stored."""

    is_done: bool = False
    _lock: Lock = field(default_factory=Lock)


class Claims:
    """Who does what, among all that is executed together."""

    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}
        self._lock = Lock()

    @contextmanager
    def hold(
        self, key: str, waiting: Callable[[], AbstractContextManager[None]]
    ) -> Iterator[Claim]:
        """Nobody else holds the claim on ``key`` during the block.

        While somebody does, this waits, inside of ``waiting()``.
        """
        with self._lock:
            claim = self._claims.setdefault(key, Claim())
        if not claim._lock.acquire(blocking=False):
            with waiting():
                claim._lock.acquire()
        try:
            yield claim
        finally:
            claim._lock.release()
