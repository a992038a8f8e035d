"""Claims: what would be done twice at the same time is done once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest

from kale_pm.local.cache.claims import Claims


def test_the_first_to_come_finds_nothing_done() -> None:
    with Claims().hold("key", nullcontext) as claim:
        assert not claim.is_done


def test_who_comes_later_finds_it_done() -> None:
    claims = Claims()
    with claims.hold("key", nullcontext) as claim:
        claim.is_done = True
    with claims.hold("key", nullcontext) as claim:
        assert claim.is_done
    with claims.hold("other", nullcontext) as claim:
        assert not claim.is_done


def test_of_many_that_do_the_same_at_once_one_does_it() -> None:
    claims = Claims()
    begun = threading.Barrier(8, timeout=30)
    executed: list[int] = []
    waited: list[int] = []

    def work(number: int) -> None:
        @contextmanager
        def waiting() -> Iterator[None]:
            waited.append(number)
            yield

        begun.wait()
        with claims.hold("key", waiting) as claim:
            if not claim.is_done:
                executed.append(number)
                claim.is_done = True

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(executed) == 1
    assert executed[0] not in waited, "who need not wait does not leave its place"


def test_others_go_on_meanwhile() -> None:
    claims = Claims()
    with claims.hold("a", nullcontext), claims.hold("b", lambda: pytest.fail("it waits")):
        pass


def test_what_fails_is_done_by_the_next() -> None:
    claims = Claims()
    with pytest.raises(OSError, match="full"), claims.hold("key", nullcontext):
        raise OSError("full")
    with claims.hold("key", nullcontext) as claim:
        assert not claim.is_done
