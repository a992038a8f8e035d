"""Signals while a run goes on: noted, and obeyed when all is in order."""

from __future__ import annotations

import signal
import threading

import pytest

from kale_pm.local.interruption import deferred_signals

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def usual():
    """The handlers of a script that was started in a terminal; the former ones afterwards."""
    former = {number: signal.getsignal(number) for number in ENDING}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def block(log: list[bool], *signals: signal.Signals) -> None:
    """A block in which signals arrive; whether it was told before and after each."""
    with deferred_signals() as told:
        log.append(bool(told))
        for number in signals:
            signal.raise_signal(number)
            log.append(bool(told))


def test_any_number_of_signals_lets_the_block_come_to_its_end() -> None:
    log: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        block(log, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    assert log == [False, True, True, True, True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_of_ones_own_is_called_once_afterwards() -> None:
    calls: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: calls.append(number))
    with pytest.raises(KeyboardInterrupt):
        block([], signal.SIGTERM, signal.SIGTERM, signal.SIGINT)
    assert calls == [signal.SIGTERM]


def test_what_the_process_ignores_on_purpose_it_goes_on_ignoring() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with deferred_signals() as told:
        signal.raise_signal(signal.SIGHUP)
    assert not told


def test_without_a_signal_nothing_is_raised_and_all_is_as_before() -> None:
    with pytest.raises(ValueError, match="own"), deferred_signals():
        raise ValueError("of its own")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_another_thread_nothing_changes() -> None:
    handlers = []

    def work() -> None:
        with deferred_signals():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
