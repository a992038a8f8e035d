"""Where steps are executed: what all of them share, be they of one run or of many."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kale_pm.events import Event, SweepEvent, Warned
from kale_pm.local.cache.basis import Interpreter
from kale_pm.local.cache.claims import Claims
from kale_pm.local.cache.clashes import Clashes
from kale_pm.local.journal import Journal
from kale_pm.local.room import Room
from kale_pm.local.secrets import values
from kale_pm.local.store import Store
from kale_pm.model import Pipeline
from kale_pm.record import Task
from kale_pm.runtime.masking import Mask

if TYPE_CHECKING:
    from kale_pm.local.kernels.pool import Pool
    from kale_pm.runtime.execution.monitor import Monitor

_AHEAD = 2  # kernels that are ready before a step is, at most, while all places are taken
_STOCK = 8  # and while a processor has nothing else to do


@dataclass
class Workplace:
    """The room, the kernels, and those who listen.  Every method may be called from any thread.

    ``kernel`` is the user's choice of a kernelspec, ``room`` is what may be executed at once.
    ``listener`` hears what happens, one event at a time, with the number of the trial that it
    happens in; the ``journal`` notes it.  ``secrets`` are the values that each step gets as
    environment variables; none of them is told or written.  With ``verify`` every byte of what
    is stored is checked before it is used.  With ``one_after_another`` a step has its place until
    its result is known, not only until its last cell is done, nor while it waits to be tried
    again: the result may be enough for all, and another trial may write over its files.

    ``warnings`` are the texts of all that was warned of, each once, in their order.

    Once ``stopped`` is set nothing more is executed.  With ``fail_fast`` the first failure ends
    all, and ``gave_up`` says which step failed.
    """

    pipeline: Pipeline
    store: Store
    kernel: str | None
    room: Room[Task]
    journal: Journal
    listener: Callable[[int, Any], None]
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fail_fast: bool = False
    verify: bool = False
    one_after_another: bool = False
    gave_up: str | None = None
    warnings: dict[str, None] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)
    claims: Claims = field(default_factory=Claims)
    clashes: Clashes = field(default_factory=Clashes)
    interpreter: Interpreter = field(init=False)
    _coming: int = 0
    _monitors: dict[Task, Monitor] = field(default_factory=dict)
    _pool: Pool | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _kernel_lock: threading.Lock = field(default_factory=threading.Lock)
    _listener_lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.interpreter = Interpreter(self.pipeline, self.store, self.kernel, self.warn)

    @cached_property
    def mask(self) -> Mask:
        """Takes the secrets of all steps out of texts."""
        return Mask(values(self.secrets))

    # -- what happens ---------------------------------------------------------------------

    def tell(self, event: Event | SweepEvent, trial: int = 0) -> None:
        """Journal an event and tell the listener, one event at a time."""
        event = self.mask.noun(event)
        with self._listener_lock:
            if isinstance(event, Warned):
                text = f"{event.step}: {event.message}" if event.step else event.message
                self.warnings.setdefault(text)
            self.journal.write(event, trial)
            self.listener(trial, event)

    def warn(self, message: str) -> None:
        self.tell(Warned(message))

    # -- kernels ----------------------------------------------------------------------------

    def expect(self, count: int) -> None:
        """So many more steps will be executed, or fewer: kernels are ready for some of them."""
        with self._lock:
            self._coming += count

    def kernels(self) -> Pool:
        """Where the steps' kernels come from; the first call starts to have some ready."""
        from kale_pm.local.kernels.pool import Pool

        spec = self.interpreter.spec()
        with self._kernel_lock:
            if self._pool is None:
                self._pool = Pool(
                    spec,
                    self.pipeline.folder,
                    warm=self.pipeline.configuration.kernels == "warm",
                    ahead=self._ahead,
                    tell=self.journal.note,
                )
            return self._pool

    def _ahead(self) -> int:
        """How many kernels are worth to be had before the steps that will take them."""
        most = min(self.room.jobs, _AHEAD) if self.room.is_full else _STOCK
        return min(self._coming, most)

    def close(self) -> None:
        """Nothing is executed any more."""
        if self._pool is not None:
            self._pool.close()

    # -- the end from outside -------------------------------------------------------------

    def watch(self, task: Task, monitor: Monitor) -> None:
        """From now on ``stop`` ends the execution that ``monitor`` watches."""
        self._monitors[task] = monitor

    def forget(self, task: Task) -> None:
        """The execution has ended."""
        self._monitors.pop(task, None)

    def give_up(self, step: str) -> None:
        """The failure of ``step`` ends all: the first one that does so is remembered."""
        with self._lock:
            self.gave_up = self.gave_up or step

    def waiting(self, task: Task) -> AbstractContextManager[None]:
        """For the time of the block, in which ``task`` only waits, others may be executed."""
        return self.room.left(task, self.stopped.is_set)

    def ending(self, task: Task) -> None:
        """Of ``task`` only the end of its kernel is left: others may be executed meanwhile."""
        if not self.one_after_another:
            self.room.leave_early(task)

    def pause(self, task: Task, seconds: float) -> None:
        """Wait, while others may be executed; comes back at once when all is stopped."""
        with nullcontext() if self.one_after_another else self.waiting(task):
            self.stopped.wait(seconds)

    def stop(self) -> None:
        """End the kernels; what they have done so far stays in their notebooks.

        A kernel that is just about to start is ended by the next call.
        """
        self.stopped.set()
        for monitor in list(self._monitors.values()):
            monitor.interrupt()
