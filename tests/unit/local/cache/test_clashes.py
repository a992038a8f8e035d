"""Clashes: who wrote the same file at the same time."""

from __future__ import annotations

import pytest

from kale_pm.local.cache.clashes import Clashes

FIRST, SECOND = (1, "train"), (2, "train")


@pytest.fixture
def clashes() -> Clashes:
    return Clashes()


def test_who_ends_later_hears_of_who_ended_before(clashes: Clashes) -> None:
    with clashes.watched(SECOND):
        with clashes.watched(FIRST):
            assert clashes.wrote(FIRST, {"model.txt", "a.txt"}, "key 1") == {}
        assert clashes.wrote(SECOND, {"model.txt", "b.txt"}, "key 2") == {"model.txt": {"key 1"}}


def test_who_begins_when_the_other_has_ended_meets_nobody(clashes: Clashes) -> None:
    with clashes.watched(FIRST):
        clashes.wrote(FIRST, {"model.txt"}, "key 1")
    with clashes.watched(SECOND):
        assert clashes.wrote(SECOND, {"model.txt"}, "key 2") == {}


def test_an_execution_is_forgotten_however_it_ends(clashes: Clashes) -> None:
    with pytest.raises(OSError, match="full"), clashes.watched(FIRST):
        raise OSError("full")
    with clashes.watched(FIRST):
        assert clashes.wrote(FIRST, {"model.txt"}, "key 1") == {}


def test_each_file_is_news_once(clashes: Clashes) -> None:
    assert [clashes.is_news(name) for name in ("a", "b", "a")] == [True, True, False]
