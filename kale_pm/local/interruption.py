"""Signals that end a run in order.

An exception in the middle of things would leave locks taken and files half-closed, and a
second one would cut short the very end that the first one asked for.  So while a run goes on
a signal is only noted, and takes its usual effect when all is in order.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Told:
    """Whether a signal said that the run is to end, and the first that did."""

    number: int | None = None

    def __bool__(self) -> bool:
        return self.number is not None


@contextmanager
def deferred_signals() -> Iterator[Told]:
    """Inside of the block Ctrl-C, SIGTERM and SIGHUP do nothing but to be noted.

    After it the first of them does what it would have done, and if that ends nothing,
    KeyboardInterrupt is raised.  What the process ignores on purpose, as under nohup, it goes
    on ignoring.  Outside of the main thread nothing changes, because no signal arrives there.
    """
    told = Told()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return

    def note(number: int, _frame: object) -> None:
        if told.number is None:
            told.number = number

    try:
        # Each is put back, even if putting back the one before it lets a signal through.
        with ExitStack() as usual:
            for number in _ENDING:
                handler = signal.getsignal(number)
                # None is a handler that no Python code installed, and that none could put back.
                if handler not in (signal.SIG_IGN, None):
                    usual.callback(signal.signal, number, handler)
                    signal.signal(number, note)
            yield told
    finally:
        if told.number is not None:
            signal.raise_signal(told.number)
            raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[None]:
    """Told to end, or with its terminal closed, the block ends in order as by Ctrl-C.

    So KeyboardInterrupt is raised in it, once: further signals do nothing then, to the very
    end of the process.  What the process ignores on purpose, it goes on ignoring.
    """
    told = False

    def interrupt(*_: object) -> None:
        nonlocal told
        if not told:
            told = True
            raise KeyboardInterrupt

    usual = {n: h for n in _ENDING if (h := signal.getsignal(n)) is not signal.SIG_IGN}
    for number in usual:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, signal.SIG_IGN if told else handler)
