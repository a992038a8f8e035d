"""Many runs at one workplace: the trials of a sweep, with executions that only pretend."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tiny_notebooks import write_notebook

from kale_pm.analysis import understand
from kale_pm.errors import UsageError
from kale_pm.events import Event, RunStarted, StepFinished, StepStarted, Warned
from kale_pm.local import step as step_module
from kale_pm.local.cache.claims import Claims
from kale_pm.local.journal import Journal, read_journal
from kale_pm.local.live import LiveRun, open_run
from kale_pm.local.run import RunOptions, ready_to_run, room_for
from kale_pm.local.run_file import read_run
from kale_pm.local.scheduler import schedule
from kale_pm.local.step import do_step, skip_step
from kale_pm.local.store import Store
from kale_pm.local.workplace import Workplace
from kale_pm.model import Pipeline, Step
from kale_pm.notebook import bind, read
from kale_pm.record import CellError, State, StepRecord, Task
from kale_pm.runtime.execution.execute import Outcome
from kale_pm.runtime.execution.monitor import Monitor
from kale_pm.runtime.manifest import Manifest, write_manifest

CELLS = [
    ("parameters", "n = 1\nfails = False"),
    ("block:one", "print(n)"),
    ("block:two prev:one", "assert not fails"),
]


def pipeline(folder: Path, cells: list[tuple[str, str]] = CELLS) -> Pipeline:
    path = write_notebook(folder / "notebook.ipynb", cells)
    return ready_to_run(understand(read(path)), RunOptions())


@dataclass
class Bench:
    """A workplace, and what was told there."""

    workplace: Workplace
    events: list[tuple[int, Event]]
    sweep: str
    executed: list[Task] = field(default_factory=list)
    meanwhile: Callable[[Task], None] = lambda _task: None

    def trial(self, number: int, **parameters: Any) -> LiveRun:
        workplace = self.workplace
        values = bind(workplace.pipeline.parameters, parameters, workplace.pipeline.language)
        folder = workplace.store.trial_run(self.sweep, number)
        return open_run(workplace, folder, values, workplace.pipeline.order, number)

    def execute(self, live: LiveRun, step: Step, _notebook: object, _record: object) -> Outcome:
        """What takes the place of an execution in a kernel."""
        task = live.task(step.name)
        self.meanwhile(task)
        self.executed.append(task)
        live.notebook(step.name).write_text("{}")
        order = live.pipeline.order.index(step.name)
        write_manifest(Manifest(step.name, order), live.manifest(step.name))
        if "fails" in step.parameters and live.parameters["fails"]:
            return Outcome(State.FAILED, 0.0, CellError("AssertionError", "it fails"))
        return Outcome(State.DONE, 0.0, None, {"score": 0.5})


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    found = pipeline(tmp_path)
    store = Store(tmp_path / ".kale-pm")
    store.prepare()
    sweep = store.new_sweep(found.name)
    events: list[tuple[int, Event]] = []
    tasks = [(number, step) for number in range(1, 9) for step in found.order]
    with Journal(sweep / "journal.jsonl") as journal:
        room = room_for(found, 2, tasks)
        workplace = Workplace(
            found, store, None, room, journal, lambda trial, event: events.append((trial, event))
        )
        bench = Bench(workplace, events, sweep.name)
        monkeypatch.setattr(step_module, "execute_step", bench.execute)
        yield bench


# -- trials ---------------------------------------------------------------------------------


def test_a_trial_is_a_run_as_any_other(bench: Bench) -> None:
    live = bench.trial(3, n=5)
    assert read_run(live.folder).state is State.RUNNING
    for name in ("one", "two"):
        do_step(live, name)
    live.close(1.5)
    record = read_run(live.folder)
    assert record == live.record
    assert (record.id, record.state, record.seconds) == (f"{bench.sweep}.0003", State.DONE, 1.5)
    assert record.parameters == {"n": 5, "fails": False}
    assert record.metrics == {"score": 0.5}
    assert {step.state for step in record.steps.values()} == {State.DONE}


def test_what_happens_is_told_and_journalled_with_the_number_of_the_trial(bench: Bench) -> None:
    for number in (1, 2):
        do_step(bench.trial(number, n=number), "one")
    bench.workplace.warn("take care")
    told = [(number, type(event)) for number, event in bench.events]
    ended = [(1, StepStarted), (1, StepFinished), (2, StepStarted), (2, StepFinished)]
    assert told == [*ended, (0, Warned)]
    path = bench.workplace.store.sweeps / bench.sweep / "journal.jsonl"
    assert [line.get("trial") for line in read_journal(path)] == [1, 1, 2, 2, None]


def test_the_record_of_a_trial_is_written_at_its_ends_and_at_a_failure(bench: Bench) -> None:
    live = bench.trial(1, fails=True)

    def written() -> list[State]:
        return [step.state for step in read_run(live.folder).steps.values()]

    do_step(live, "one")
    assert written() == [State.WAITING, State.WAITING]
    do_step(live, "two")
    assert written() == [State.DONE, State.FAILED]
    assert read_run(live.folder).steps["two"].error == CellError("AssertionError", "it fails")
    live.close(1.0)
    assert read_run(live.folder).state is State.FAILED


def test_the_record_of_a_plain_run_is_written_at_every_change(bench: Bench) -> None:
    workplace = bench.workplace
    folder = workplace.store.new_run("notebook")
    live = open_run(workplace, folder, {"n": 1, "fails": False}, ["one"])
    do_step(live, "one")
    assert read_run(folder).steps["one"].state is State.DONE
    assert read_run(folder).steps.keys() == {"one"}


def test_nothing_is_left_of_a_trial_that_is_closed(bench: Bench) -> None:
    live = bench.trial(1)
    do_step(live, "one")
    live.close(1.0)
    reference = weakref.ref(live)
    del live
    gc.collect()
    assert reference() is None


# -- how a trial ends -----------------------------------------------------------------------


def test_what_follows_a_failure_is_skipped(bench: Bench) -> None:
    live = bench.trial(1)
    skip_step(live, "two", "one")
    assert live.record.steps["two"].state is State.SKIPPED
    assert live.record.steps["two"].why == "one did not succeed"
    _, event = bench.events[-1]
    assert isinstance(event, StepFinished)
    assert event.state is State.SKIPPED


def test_a_trial_that_was_interrupted_says_so(bench: Bench) -> None:
    live = bench.trial(1)
    do_step(live, "one")
    live.close(1.0)
    assert live.record.state is State.INTERRUPTED
    assert live.record.steps["two"].state is State.INTERRUPTED
    assert live.record.steps["two"].why == "the run was interrupted"


def test_what_is_not_needed_any_more_is_skipped_for_a_reason(bench: Bench) -> None:
    live = bench.trial(1)
    do_step(live, "one")
    live.close(1.0, "trial 7 has accuracy 0.96")
    assert live.record.state is State.SKIPPED
    assert live.record.steps["one"].state is State.DONE
    assert live.record.steps["two"].state is State.SKIPPED
    assert live.record.steps["two"].why == "trial 7 has accuracy 0.96"


def test_where_the_first_failure_ends_all_the_others_say_whose_it_was(bench: Bench) -> None:
    bench.workplace.fail_fast = True
    failing, other, idle = bench.trial(2, fails=True), bench.trial(3), bench.trial(4)
    other.update(replace(other.record.steps["one"], state=State.RUNNING))
    do_step(failing, "two")
    for live in (failing, other, idle):
        live.close(1.0)
    why = "two of trial 2 failed, and --fail-fast"
    assert failing.record.state is State.FAILED
    assert other.record.state is State.INTERRUPTED
    assert other.record.steps["one"].why == f"{why} ends the others"
    assert idle.record.state is State.SKIPPED
    assert idle.record.steps["one"].why == f"{why} starts nothing after a failure"


# -- what would be done twice ---------------------------------------------------------------


def run_side_by_side(lives: list[LiveRun], forced: str = "") -> list[StepRecord]:
    """The first steps of the trials, all at once."""
    room = lives[0].workplace.room
    tasks = {live.task("one"): live for live in lives}
    found: dict[Task, StepRecord] = {}

    def work(task: Task) -> State:
        found[task] = do_step(tasks[task], "one", forced)
        return found[task].state

    schedule(list(tasks), dict.fromkeys(tasks, ()), work, lambda *_: None, room=room)
    return [found[task] for task in tasks]


def test_equal_executions_side_by_side_are_done_once(bench: Bench) -> None:
    room = bench.workplace.room
    other = threading.Event()
    made_room: list[bool] = []

    def meanwhile(task: Task) -> None:
        if task[0] == 3:
            other.set()
        else:
            # The one that waits for this execution has left the room to a third one.
            made_room.append(other.wait(30))

    bench.meanwhile = meanwhile
    records = run_side_by_side([bench.trial(1), bench.trial(2), bench.trial(3, n=3)])
    assert sorted(record.state for record in records) == ["cached", "done", "done"]
    assert made_room == [True]
    assert len(bench.executed) == 2
    assert not room.is_full


def test_a_forced_execution_is_not_done_again_by_another_trial(bench: Bench) -> None:
    before = bench.trial(1)
    do_step(before, "one")
    bench.workplace.claims = Claims()  # that was another sweep
    records = [do_step(bench.trial(number), "one", "asked for by --fresh") for number in (2, 3)]
    assert [record.state for record in records] == [State.DONE, State.CACHED]
    assert records[1].cached_from == f"{bench.sweep}.0002"


def test_what_failed_is_tried_by_each_trial(bench: Bench) -> None:
    lives = [bench.trial(1, fails=True), bench.trial(2, fails=True)]
    for live in lives:
        do_step(live, "one")
    records = [do_step(live, "two", "asked for by --fresh") for live in lives]
    assert [record.state for record in records] == [State.FAILED, State.FAILED]


def test_steps_that_are_not_cached_do_not_wait_for_each_other(bench: Bench, tmp_path: Path) -> None:
    found = pipeline(tmp_path, [CELLS[0], ("block:one cache:disabled", "print(n)")])
    bench.workplace.pipeline = bench.workplace.interpreter.pipeline = found
    both = threading.Barrier(2, timeout=30)

    def meanwhile(_task: Task) -> None:
        both.wait()  # neither is kept waiting by the other

    bench.meanwhile = meanwhile
    records = run_side_by_side([bench.trial(1), bench.trial(2)])
    assert [record.state for record in records] == [State.DONE, State.DONE]


# -- the room, the kernels, the end ---------------------------------------------------------


def test_the_room_counts_the_memory_of_every_trial(tmp_path: Path) -> None:
    found = pipeline(
        tmp_path, [("parameters", "n = 1"), ("block:one limit:memory:4Gi", "print(n)")]
    )
    room = room_for(found, 3, [(1, "one"), (2, "one")])
    assert [room.asked_by((number, "one")) for number in (1, 2)] == [4 << 30, 4 << 30]
    odd = pipeline(tmp_path, [("block:one limit:memory:4K", "print(1)")])
    with pytest.raises(UsageError, match="step one: the memory that it asks for"):
        room_for(odd, 3, [])


class FakePool:
    """Keeps how many kernels it is to have ready."""

    def __init__(self, *_: object, ahead: Callable[[], int], **__: object) -> None:
        self.ahead = ahead


def test_all_trials_share_one_pool_with_as_many_kernels_ready_as_can_be_used(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kale_pm.local.kernels.pool.Pool", FakePool)
    workplace = bench.workplace
    pool: Any = workplace.kernels()
    assert workplace.kernels() is pool
    workplace.expect(4)
    assert pool.ahead() == 4
    live = bench.trial(1)
    do_step(live, "one")
    skip_step(live, "two", "one")
    assert pool.ahead() == 2
    do_step(bench.trial(2), "one")
    assert pool.ahead() == 1
    do_step(bench.trial(3), "one")
    assert pool.ahead() == 0


def test_many_kernels_are_ready_only_while_a_processor_idles(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kale_pm.local.kernels.pool.Pool", FakePool)
    workplace = bench.workplace
    pool: Any = workplace.kernels()
    workplace.expect(1_000)
    idle = pool.ahead()
    for number in range(workplace.room.jobs):
        assert workplace.room.enter((number, "one"))
    assert 0 < pool.ahead() < idle < 20
    workplace.room.leave((0, "one"))
    assert pool.ahead() == idle


@pytest.mark.parametrize("one_after_another", [False, True])
def test_one_after_another_each_has_its_place_until_its_result_is_known(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, one_after_another: bool
) -> None:
    workplace, first = bench.workplace, (1, "one")
    workplace.one_after_another = one_after_another
    places: list[bool] = []

    def wait(_seconds: float) -> bool:
        places.append(workplace.room.is_full)
        return False

    monkeypatch.setattr(workplace.stopped, "wait", wait)
    for number in range(1, workplace.room.jobs + 1):
        assert workplace.room.enter((number, "one"))
    workplace.pause(first, 1.0)  # until it is tried again
    workplace.ending(first)
    assert [*places, workplace.room.is_full] == [one_after_another] * 2


class Interruptible(Monitor):
    """Notes that it was interrupted, and touches no process."""

    def interrupt(self) -> None:
        self.interrupted = True


def test_the_end_reaches_whatever_is_executed(bench: Bench) -> None:
    monitors = {(1, "one"): Interruptible(), (2, "one"): Interruptible()}
    for task, monitor in monitors.items():
        bench.workplace.watch(task, monitor)
    bench.workplace.forget((1, "one"))
    bench.workplace.stop()
    assert [monitor.interrupted for monitor in monitors.values()] == [False, True]
    bench.workplace.pause((2, "one"), 3600)  # comes back at once


def test_secrets_are_neither_told_nor_written_in_any_trial(bench: Bench) -> None:
    bench.workplace.secrets = {"one": {"TOKEN": "opensesame"}}
    live = bench.trial(1)
    live.tell(RunStarted("opensesame", "p", ()))
    live.update(replace(live.record.steps["one"], why="opensesame"))
    assert "opensesame" not in str(bench.events) + str(live.record)
