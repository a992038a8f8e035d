"""Room: how many steps, and how much memory, at once."""

from __future__ import annotations

import threading

from kale_pm.local.room import Room

GIB = 1 << 30


def test_as_many_steps_as_jobs() -> None:
    room = Room(2)
    assert room.enter("a")
    assert room.enter("b")
    assert not room.enter("c")
    room.leave("a")
    assert room.enter("c")


def test_the_memory_of_all_together_is_what_there_is() -> None:
    room = Room(9, 16 * GIB, {"a": 8 * GIB, "b": 8 * GIB, "c": 1})
    assert room.enter("a")
    assert room.enter("b")
    assert not room.enter("c")
    assert room.enter("light"), "a step that says nothing of its memory asks for none"
    room.leave("b")
    assert room.enter("c")


def test_a_step_that_asks_for_more_than_there_is_is_alone() -> None:
    room = Room(9, 4 * GIB, {"huge": 5 * GIB})
    assert room.is_too_small_for("huge")
    assert room.enter("light")
    assert not room.enter("huge")
    room.leave("light")
    assert room.enter("huge")
    assert not room.enter("light")
    room.leave("huge")
    assert room.enter("light")


def test_where_nobody_knows_the_memory_only_the_number_counts() -> None:
    room = Room(2, None, {"a": 99 * GIB, "b": 99 * GIB})
    assert not room.is_too_small_for("a")
    assert room.enter("a")
    assert room.enter("b")


def test_who_is_not_inside_may_leave() -> None:
    room = Room(1)
    room.leave("a")
    assert room.enter("a")
    room.leave("a")
    room.leave("a")
    assert room.enter("b")
    assert not room.enter("c")


def test_who_only_waits_for_its_kernel_to_end_makes_room_for_the_next() -> None:
    room = Room(1)
    assert room.enter("a")
    room.leave_early("a")
    assert room.enter("b")


def test_but_not_with_memory_that_it_asked_for() -> None:
    room = Room(2, 16 * GIB, {"a": 9 * GIB, "b": 9 * GIB})
    assert room.enter("a")
    room.leave_early("a")
    assert not room.enter("b")
    room.leave("a")
    assert room.enter("b")


def test_the_bell_rings_when_somebody_leaves() -> None:
    room = Room(1)
    room.enter("a")
    bell = room.bell
    assert not bell.done()
    room.leave("a")
    assert bell.done()
    assert not room.bell.done()


def test_a_full_room_says_so() -> None:
    room = Room(1)
    assert not room.is_full
    room.enter("a")
    assert room.is_full
    room.leave("a")
    assert not room.is_full


def test_who_waits_lets_another_in_and_comes_back() -> None:
    room = Room(1)
    assert room.enter("a")
    with room.left("a", lambda: False):
        assert room.enter("b")
        room.leave("b")
    assert not room.enter("c")


def test_who_comes_back_is_before_those_that_have_not_been_inside() -> None:
    room = Room(1)
    assert room.enter("a")
    is_waiting, is_back = threading.Event(), threading.Event()

    def is_over() -> bool:
        is_waiting.set()
        return False

    def come_back() -> None:
        with room.left("a", is_over):
            assert room.enter("b")
        is_back.set()

    thread = threading.Thread(target=come_back)
    thread.start()
    assert is_waiting.wait(30)
    assert room.is_full
    room.leave("b")
    assert not room.enter("c")
    assert is_back.wait(30)
    thread.join()
    room.leave("a")
    assert room.enter("c")


def test_who_comes_back_with_too_much_memory_lets_small_ones_pass() -> None:
    room = Room(3, 10, {"a": 6, "b": 6})
    is_waiting, over = threading.Event(), threading.Event()
    assert room.enter("a")

    def is_over() -> bool:
        is_waiting.set()
        return over.is_set()

    def come_back() -> None:
        with room.left("a", is_over):
            assert room.enter("b")

    thread = threading.Thread(target=come_back)
    thread.start()
    assert is_waiting.wait(30)
    assert not room.is_full
    assert room.enter("small")
    over.set()
    thread.join()


def test_nobody_waits_to_come_back_when_all_is_over() -> None:
    room = Room(1)
    room.enter("a")
    with room.left("a", lambda: True):
        room.enter("b")
    assert room.is_full
    room.leave("b")
    assert room.enter("c"), "it did not come back"
