"""How much may be executed at once: a number of steps, and no more memory than there is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

_NAP = 0.05  # seconds between two looks whether it is all over

Key = TypeVar("Key", bound=Hashable)


@dataclass
class Room(Generic[Key]):
    """Room for ``jobs`` steps, which together may ask for ``memory`` bytes (None: for any).

    ``wanted`` are the bytes that a step asks for; one that is not named asks for none.  A step
    that asks for more than there is gets the room for itself alone.
    """

    jobs: int
    memory: int | None = None
    wanted: Mapping[Key, int] = field(default_factory=dict)
    _inside: set[Key] = field(default_factory=set)
    _returning: set[Key] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)
    _bell: Future[None] = field(default_factory=Future)

    def enter(self, step: Key) -> bool:
        """Let the step in, if there is room for it now; who comes back goes first."""
        with self._lock:
            return not self._is_kept and self._let_in(step)

    def leave(self, step: Key) -> None:
        """The step is not executed now; nothing happens if it was not inside."""
        with self._lock:
            self._inside.discard(step)
            bell, self._bell = self._bell, Future()
        bell.set_result(None)

    def leave_early(self, step: Key) -> None:
        """The step has only its kernel's end to wait for.

        One that asked for memory stays, since it may still hold it.
        """
        if not self.asked_by(step):
            self.leave(step)

    @contextmanager
    def left(self, step: Key, is_over: Callable[[], bool]) -> Iterator[None]:
        """For the time of the block, in which the step only waits, others may be executed.

        At its end the step enters again, before those that have not been inside; once
        ``is_over()`` holds it does not wait for that.
        """
        self.leave(step)
        try:
            yield
        finally:
            self._return(step, is_over)

    @property
    def bell(self) -> Future[None]:
        """What is done as soon as the next step leaves."""
        with self._lock:
            return self._bell

    @property
    def is_full(self) -> bool:
        """Whether there is no room for any step, whatever it asks for."""
        with self._lock:
            return len(self._inside) >= self.jobs or self._is_kept

    def asked_by(self, step: Key) -> int:
        """The bytes that the step asks for."""
        return self.wanted.get(step, 0)

    def is_too_small_for(self, step: Key) -> bool:
        """Whether the step asks for more memory than there is."""
        return self.memory is not None and self.asked_by(step) > self.memory

    def _return(self, step: Key, is_over: Callable[[], bool]) -> None:
        with self._lock:
            self._returning.add(step)
        try:
            while not is_over():
                bell = self.bell
                with self._lock:
                    if self._let_in(step):
                        return
                wait([bell], timeout=_NAP)
        finally:
            with self._lock:
                self._returning.discard(step)

    @property
    def _is_kept(self) -> bool:
        return any(self._fits(step) for step in self._returning)

    def _let_in(self, step: Key) -> bool:
        if not self._fits(step):
            return False
        self._inside.add(step)
        return True

    def _fits(self, step: Key) -> bool:
        if len(self._inside) >= self.jobs:
            return False
        if not self._inside or self.memory is None:
            return True
        if any(self.is_too_small_for(each) for each in (step, *self._inside)):
            return False
        return sum(self.asked_by(each) for each in (step, *self._inside)) <= self.memory
