"""The scheduler: parents first, several at a time, and failures stay in their branch."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from kale_pm.local.room import Room
from kale_pm.local.scheduler import schedule
from kale_pm.record import State

DIAMOND = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}


def run(
    parents: dict[str, tuple[str, ...]],
    work: Callable[[str], State] = lambda _: State.DONE,
    jobs: int = 2,
) -> tuple[list[str], dict[str, str]]:
    """The steps in the order in which they ended, and the skipped ones with their reason."""
    ended: list[str] = []
    skipped: dict[str, str] = {}

    def noted(name: str) -> State:
        state = work(name)
        ended.append(name)
        return state

    schedule(list(parents), parents, noted, skipped.__setitem__, room=Room(jobs))
    return ended, skipped


def test_parents_come_first() -> None:
    ended, skipped = run(DIAMOND)
    assert ended[0] == "a"
    assert ended[-1] == "d"
    assert skipped == {}


def test_one_at_a_time_keeps_the_given_order() -> None:
    assert run(DIAMOND, jobs=1)[0] == ["a", "b", "c", "d"]


def test_branches_overlap() -> None:
    meeting = threading.Barrier(2, timeout=5)

    def work(name: str) -> State:
        if name in "bc":
            meeting.wait()
        return State.DONE

    assert len(run(DIAMOND, work)[0]) == 4


def test_no_more_than_the_wanted_number_run_at_once() -> None:
    lock, running, most = threading.Lock(), 0, 0

    def work(name: str) -> State:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.02)
        with lock:
            running -= 1
        return State.DONE

    run({str(i): () for i in range(12)}, work, jobs=3)
    assert most == 3


def test_what_follows_a_failure_is_skipped_and_the_rest_goes_on() -> None:
    ended, skipped = run(
        {**DIAMOND, "e": ("d",), "lonely": ()},
        lambda name: State.FAILED if name == "b" else State.DONE,
    )
    assert set(ended) == {"a", "b", "c", "lonely"}
    assert skipped == {"d": "b", "e": "d"}


def test_a_cached_step_is_as_good_as_a_done_one() -> None:
    assert run(DIAMOND, lambda _: State.CACHED)[1] == {}


def test_an_exception_ends_it_and_nothing_new_is_started() -> None:
    started = []

    def work(name: str) -> State:
        started.append(name)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        schedule(["a", "b"], {"a": (), "b": ("a",)}, work, lambda *_: None, room=Room(1))
    assert started == ["a"]


def test_being_stopped_ends_what_runs_and_starts_nothing_new() -> None:
    told, ended = threading.Event(), threading.Event()
    log: list[str] = []

    def work(name: str) -> State:
        log.append(f"{name} began")
        told.set()  # as a signal would, while every thread sleeps
        assert ended.wait(30)
        log.append(f"{name} ended")
        return State.INTERRUPTED

    parents = {"a": (), "b": ("a",), "c": ()}
    schedule(
        list(parents),
        parents,
        work,
        lambda *_: None,
        room=Room(1),
        is_stopped=told.is_set,
        stop=ended.set,
    )
    assert log == ["a began", "a ended"]


def test_no_thread_is_left_when_a_step_raises() -> None:
    both, ended = threading.Barrier(2, timeout=30), threading.Event()
    log: list[str] = []

    def work(name: str) -> State:
        both.wait()
        if name == "a":
            raise OSError("the disk is full")
        assert ended.wait(30)
        log.append(name)
        return State.INTERRUPTED

    with pytest.raises(OSError, match="full"):
        schedule(
            ["a", "b"], {"a": (), "b": ()}, work, lambda *_: None, room=Room(2), stop=ended.set
        )
    assert log == ["b"]


def test_stop_is_called_until_it_works() -> None:
    began, ended = threading.Event(), threading.Event()
    calls: list[None] = []

    def stop() -> None:
        calls.append(None)
        if len(calls) == 3:  # a kernel that was only about to start
            ended.set()

    def work(name: str) -> State:
        began.set()
        assert ended.wait(30)
        return State.INTERRUPTED

    schedule(
        ["a"], {"a": ()}, work, lambda *_: None, room=Room(1), is_stopped=began.is_set, stop=stop
    )
    assert len(calls) >= 3


def test_nothing_to_do_is_soon_done() -> None:
    assert run({}) == ([], {})


def test_a_step_without_room_waits_and_lets_others_pass() -> None:
    big, small = threading.Event(), threading.Event()
    beside: list[str] = []

    def work(name: str) -> State:
        if name == "one":
            big.set()
            assert small.wait(30)
            beside.append("small")
        elif name == "two":
            assert beside == ["small"]  # it has begun after "one" had ended
        else:
            assert big.wait(30)
            small.set()
        return State.DONE

    room = Room(3, 10, {"one": 6, "two": 6})
    order = ["one", "two", "small"]
    done: list[str] = []
    schedule(
        order,
        dict.fromkeys(order, ()),
        lambda name: (work(name), done.append(name))[0],
        lambda *_: None,
        room=room,
    )
    assert set(done) == set(order)


def test_a_step_that_left_early_is_not_waited_for_by_those_beside_it() -> None:
    room = Room(1)
    other_has_run = threading.Event()
    met: list[bool] = []

    def work(name: str) -> State:
        if name == "first":
            room.leave(name)
            met.append(other_has_run.wait(10))
        else:
            other_has_run.set()
        return State.DONE

    parents: dict[str, tuple[str, ...]] = {"first": (), "second": ()}
    schedule(list(parents), parents, work, lambda *_: None, room=room)
    assert met == [True]


def test_when_it_is_enough_what_runs_ends_and_nothing_new_starts() -> None:
    ended: list[str] = []
    skipped: list[str] = []

    def work(name: str) -> State:
        ended.append(name)
        return State.DONE

    parents: dict[str, tuple[str, ...]] = {"a": (), "b": ("a",), "c": ("b",)}
    schedule(
        list(parents),
        parents,
        work,
        lambda name, _: skipped.append(name),
        room=Room(2),
        is_enough=lambda: "b" in ended,
        stop=lambda: pytest.fail("what runs may end"),
    )
    assert (ended, skipped) == (["a", "b"], [])


def test_what_runs_when_it_is_enough_is_waited_for() -> None:
    both, enough = threading.Barrier(2, timeout=30), threading.Event()
    ended: list[str] = []

    def work(name: str) -> State:
        both.wait()
        if name == "quick":
            enough.set()
        else:
            assert enough.wait(30)
        ended.append(name)
        return State.DONE

    order = ["quick", "slow", "late"]
    parents: dict[str, tuple[str, ...]] = {"quick": (), "slow": (), "late": ("quick",)}
    schedule(order, parents, work, lambda *_: None, room=Room(2), is_enough=enough.is_set)
    assert sorted(ended) == ["quick", "slow"]


def test_anything_hashable_is_a_key() -> None:
    done: list[tuple[int, str]] = []
    parents: dict[tuple[int, str], list[tuple[int, str]]] = {
        (1, "load"): [],
        (1, "train"): [(1, "load")],
        (2, "train"): [(1, "load")],
    }

    def work(task: tuple[int, str]) -> State:
        done.append(task)
        return State.DONE

    schedule(list(parents), parents, work, lambda *_: None, room=Room(1))
    assert done == list(parents)


def test_a_long_chain_is_skipped_in_order() -> None:
    names = [str(number) for number in range(5000)]
    parents = {name: tuple(names[max(0, i - 1) : i]) for i, name in enumerate(names)}
    ended, skipped = run(parents, lambda _: State.FAILED)
    assert ended == ["0"]
    assert list(skipped) == names[1:]
    assert list(skipped.values()) == names[:-1]


class CountingRoom(Room[int]):
    """Counts how often it is asked for room."""

    asked = 0

    def enter(self, step: int) -> bool:
        self.asked += 1
        return super().enter(step)


def test_of_many_each_is_asked_for_once() -> None:
    many, jobs = 50_000, 4
    room = CountingRoom(jobs)
    done: list[int] = []

    def work(number: int) -> State:
        done.append(number)
        return State.DONE

    # Those of the second half follow one of the first each.
    parents = {n: (n - many // 2,) if n >= many // 2 else () for n in range(many)}
    schedule(range(many), parents, work, lambda *_: None, room=room)
    assert sorted(done) == list(range(many))
    assert room.asked == many


def test_those_that_ask_for_the_same_wait_in_one_line() -> None:
    many = 2000
    room = CountingRoom(4, 10, dict.fromkeys(range(many), 6))
    done: list[int] = []

    def work(number: int) -> State:
        done.append(number)
        return State.DONE

    schedule(range(many), dict.fromkeys(range(many), ()), work, lambda *_: None, room=room)
    assert done == list(range(many))
    assert room.asked < 10 * many, "where one does not fit, those behind it are not asked for"
