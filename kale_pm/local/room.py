"""How much may be executed at once: a number of steps, and no more memory than there is."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock


@dataclass
class Room:
    """Room for ``jobs`` steps, which together may ask for ``memory`` bytes (None: for any).

    ``wanted`` are the bytes that a step asks for; one that is not named asks for none.  A step
    that asks for more than there is gets the room for itself alone.
    """

    jobs: int
    memory: int | None = None
    wanted: Mapping[str, int] = field(default_factory=dict)
    _inside: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)
    _bell: Future[None] = field(default_factory=Future)

    def enter(self, step: str) -> bool:
        """Let the step in, if there is room for it now."""
        with self._lock:
            if not self._fits(step):
                return False
            self._inside.add(step)
            return True

    def leave(self, step: str) -> None:
        """The step is not executed now; nothing happens if it was not inside."""
        with self._lock:
            self._inside.discard(step)
            bell, self._bell = self._bell, Future()
        bell.set_result(None)

    def leave_early(self, step: str) -> None:
        """The step has only its kernel's end to wait for.

        One that asked for memory stays, since it may still hold it.
        """
        if not self.wanted.get(step):
            self.leave(step)

    @property
    def bell(self) -> Future[None]:
        """What is done as soon as the next step leaves."""
        with self._lock:
            return self._bell

    def is_too_small_for(self, step: str) -> bool:
        """Whether the step asks for more memory than there is."""
        return self.memory is not None and self.wanted.get(step, 0) > self.memory

    def _fits(self, step: str) -> bool:
        if len(self._inside) >= self.jobs:
            return False
        if not self._inside or self.memory is None:
            return True
        if any(self.is_too_small_for(each) for each in (step, *self._inside)):
            return False
        return sum(self.wanted.get(each, 0) for each in (step, *self._inside)) <= self.memory
