"""A sweep: every trial a run, what they share executed once, whatever goes wrong in one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kale_pm.errors import PipelineError, StoreError, UsageError
from kale_pm.events import (
    OfTrial,
    StepFinished,
    SweepEvent,
    SweepFinished,
    SweepStarted,
    TrialFinished,
    TrialStarted,
)
from kale_pm.local import find_store
from kale_pm.local.interruption import Told
from kale_pm.local.journal import read_journal
from kale_pm.local.run import RunOptions
from kale_pm.local.sweeping import SweepOptions, find_sweep, read_sweep, stored
from kale_pm.record import State

if TYPE_CHECKING:
    from conftest import Sweeper

RATES, DEPTHS = [0.1, 0.2], [3, 5, 8]


# -- what is executed ---------------------------------------------------------------------------


def test_what_trials_share_is_executed_once(sweep: Sweeper) -> None:
    swept = sweep(rate=RATES, depth=DEPTHS)
    assert swept.record.state is State.DONE
    assert swept.executed == [
        *[(1, "load"), (1, "test"), (1, "train")],
        *[(2, "test"), (3, "test")],
        *[(4, "test"), (4, "train"), (5, "test"), (6, "test")],
    ]
    assert len(swept.executed) == swept.plan.count == swept.record.executions
    assert [trial.executed for trial in swept.record.trials] == [3, 1, 1, 2, 1, 1]


@pytest.mark.parametrize("jobs", [1, 4])
def test_side_by_side_it_is_no_other_sweep(sweep: Sweeper, jobs: int) -> None:
    swept = sweep(rate=RATES, depth=DEPTHS, jobs=jobs)
    assert len(swept.executed) == swept.plan.count
    scores = [trial.metrics["score"] for trial in swept.record.trials]
    assert scores == [rate * depth for rate in RATES for depth in DEPTHS]


@given(
    reads=st.lists(st.sets(st.sampled_from(["rate", "depth", "seed"])), min_size=1, max_size=4),
    jobs=st.integers(1, 3),
)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_step_is_executed_as_often_as_its_inputs_differ(
    sweep: Sweeper, reads: list[set[str]], jobs: int
) -> None:
    cells = [("parameters", "rate = 0.1\ndepth = 3\nseed = 1")]
    for number, names in enumerate(reads):
        above = f"v{number - 1}" if number else "0"
        source = f"v{number} = [{', '.join([above, *sorted(names)])}]"
        cells.append((f"block:s{number}" + (f" prev:s{number - 1}" if number else ""), source))
    sweep.write_cells(cells)
    sweep.options = {"fresh": True}
    swept = sweep(rate=[1.0, 2.0], depth=[1, 2], seed=[3, 4], jobs=jobs)
    seen: set[str] = set()
    expected = 0
    for names in reads:
        seen |= names
        expected += 2 ** len(seen)
    assert len(swept.executed) == swept.plan.count == expected
    assert swept.states == ["done"] * 8


def test_different_values_that_give_equal_inputs_are_executed_once(sweep: Sweeper) -> None:
    sweep.write_cells(
        [
            ("parameters", "rate = 0.1\ndepth = 3"),
            ("block:a", "wide = 1"),
            ("block:b prev:a", "x = wide"),
        ]
    )
    swept = sweep(rate=[1.0, 2.0], depth=[1, 2], jobs=3)
    assert swept.executed == [(1, "a"), (1, "b")]
    assert swept.states == ["done"] * 4


def test_the_same_sweep_again_executes_nothing(sweep: Sweeper) -> None:
    first = sweep(rate=RATES, depth=DEPTHS)
    again = sweep(rate=RATES, depth=DEPTHS)
    assert again.executed == []
    assert again.record.id != first.record.id
    assert [trial.metrics for trial in again.record.trials] == [
        trial.metrics for trial in first.record.trials
    ]
    assert {trial.executed for trial in again.record.trials} == {0}


def test_fresh_executes_everything_once_more(sweep: Sweeper) -> None:
    sweep(rate=RATES)
    sweep.options = {"fresh": True}
    swept = sweep(rate=RATES)
    assert len(swept.executed) == swept.plan.count


def test_what_is_never_kept_is_shared_all_the_same(sweep: Sweeper) -> None:
    sweep.write_cells(
        [
            ("parameters", "rate = 0.1\ndepth = 3"),
            ("block:load cache:disabled", "x = 1"),
            ("block:test prev:load", "y = x * rate"),
        ]
    )
    for _ in range(2):
        swept = sweep(rate=RATES)
        assert (1, "load") in swept.executed
        assert (2, "load") not in swept.executed


# -- what is there afterwards ---------------------------------------------------------------------


def test_every_trial_is_a_run_with_all_its_steps(sweep: Sweeper) -> None:
    swept = sweep(rate=RATES, depth=DEPTHS)
    for trial in swept.record.trials:
        run = swept.run(trial.number)
        assert run.id == f"{swept.record.id}.{trial.number:04d}"
        assert run.state is State.DONE
        assert run.metrics == trial.metrics
        assert {name: run.parameters[name] for name in ("rate", "depth")} == trial.parameters
        for step in run.steps:
            for path in (f"notebooks/{step}.ipynb", f"manifests/{step}.json", f"logs/{step}.log"):
                assert (swept.run_folder(trial.number) / path).exists()


def test_a_shared_step_says_where_it_was_executed(sweep: Sweeper) -> None:
    swept = sweep(rate=RATES, depth=DEPTHS)
    train = swept.run(6).steps["train"]
    assert train.state is State.CACHED
    assert train.why == "shared with trial 4"
    assert train.cached_from == f"{swept.record.id}.0004"
    assert train.seconds == 0


def test_the_seconds_of_a_trial_are_those_of_what_was_executed_for_it(sweep: Sweeper) -> None:
    swept = sweep(rate=RATES)
    for trial in swept.record.trials:
        steps = swept.run(trial.number).steps.values()
        assert trial.seconds == sum(s.seconds or 0 for s in steps if s.state is State.DONE)
        assert trial.seconds > 0
    again = sweep(rate=RATES)
    assert [trial.seconds for trial in again.record.trials] == [0, 0]


def test_what_is_shared_lies_on_the_disk_once(sweep: Sweeper) -> None:
    swept = sweep(rate=RATES)
    first, second = (swept.run_folder(number) / "notebooks/load.ipynb" for number in (1, 2))
    assert first.samefile(second)


def test_without_links_it_is_a_copy(sweep: Sweeper, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_source: Path, _target: Path) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    swept = sweep(rate=RATES)
    first, second = (swept.run_folder(number) / "notebooks/load.ipynb" for number in (1, 2))
    assert not first.samefile(second)
    assert first.read_bytes() == second.read_bytes()


def test_a_trial_whose_owner_was_removed_meanwhile_fails_alone(sweep: Sweeper) -> None:
    def remove(event: SweepEvent) -> None:
        if isinstance(event, TrialFinished) and event.record.number == 1:
            (sweep.store / "runs" / str(event.record.run) / "manifests/load.json").unlink()

    sweep.listen = remove
    swept = sweep(rate=RATES)
    assert swept.states == ["done", "failed"]
    assert "load.json" in swept.trial(2).error


def test_the_record_tells_what_was_swept(sweep: Sweeper) -> None:
    swept = sweep(depth=DEPTHS, rate=RATES, seed=7, best="score:max")
    record = swept.record
    assert read_sweep(swept.folder) == record
    assert record.pipeline == "notebook"
    assert record.notebook == str(sweep.path)
    assert record.varied == ("depth", "rate")
    assert record.fixed == {"name": "a", "seed": 7}
    assert record.goal == "score:max"
    assert record.trials[1].parameters == {"depth": 3, "rate": 0.2}
    assert record.seconds is not None


def test_a_parameter_that_no_step_reads_varies_as_well(sweep: Sweeper) -> None:
    swept = sweep(name=["a", "b"])
    assert swept.record.varied == ("name",)
    assert [trial.parameters for trial in swept.record.trials] == [{"name": "a"}, {"name": "b"}]
    assert len(swept.executed) == 3
    assert swept.trial(2).executed == 0
    assert swept.run(2).state is State.DONE


def test_a_sweep_is_found_by_its_id_and_as_the_latest(sweep: Sweeper) -> None:
    first, second = sweep(rate=RATES), sweep(rate=RATES)
    assert find_sweep("latest", sweep.folder) == second.folder
    assert find_sweep("latest-notebook", sweep.folder) == second.folder
    assert find_sweep(first.record.id, sweep.folder) == first.folder
    assert find_sweep(str(first.folder)) == first.folder
    with pytest.raises(StoreError):
        find_sweep("nothing", sweep.folder)


def test_trials_are_not_the_latest_run(sweep: Sweeper) -> None:
    sweep(rate=RATES)
    with pytest.raises(StoreError):
        find_store(sweep.folder).find_run("latest")


def test_what_happens_is_told_in_its_order_and_journalled(sweep: Sweeper) -> None:
    swept = sweep(rate=RATES)
    assert isinstance(swept.events[0], SweepStarted)
    assert (swept.events[0].trials, swept.events[0].executions) == (2, 5)
    assert isinstance(swept.events[-1], SweepFinished)
    assert swept.events[-1].state is State.DONE
    of_first = [e for e in swept.events if not isinstance(e, OfTrial)][1:-1]
    assert [type(event) for event in of_first] == [TrialStarted, TrialFinished] * 2
    ended = [
        e.event.step for e in swept.events if isinstance(getattr(e, "event", None), StepFinished)
    ]
    assert ended == ["load", "train", "test", "train", "test"]
    journal = read_journal(swept.folder / "journal.jsonl")
    assert [line["event"] for line in journal][:2] == ["SweepStarted", "TrialStarted"]
    assert {line["trial"] for line in journal if line["event"] == "StepStarted"} == {1, 2}


def test_few_trials_are_open_at_a_time_however_many_there_are(sweep: Sweeper) -> None:
    swept = sweep(rate=[1.0, 2.0, 3.0, 4.0], depth=list(range(15)), jobs=2)
    is_open, most = 0, 0
    for event in swept.events:
        is_open += isinstance(event, TrialStarted) - isinstance(event, TrialFinished)
        most = max(most, is_open)
    assert is_open == 0
    assert most <= 8


# -- what goes wrong in a trial -------------------------------------------------------------------


def test_a_failing_trial_stops_no_other(sweep: Sweeper) -> None:
    sweep.fails = lambda step, p: (
        "too deep\nand more" if step == "test" and p["depth"] == 5 else None
    )
    swept = sweep(rate=RATES, depth=DEPTHS)
    assert swept.states == ["done", "failed", "done"] * 2
    assert swept.record.state is State.FAILED
    assert swept.trial(2).error == "test: ValueError: too deep"
    assert swept.trial(2).why == ""
    assert swept.trial(2).executed == 1
    assert swept.run(2).state is State.FAILED
    assert len(swept.executed) == swept.plan.count


def test_a_failing_shared_step_fails_the_trials_that_share_it(sweep: Sweeper) -> None:
    sweep.fails = lambda step, p: "no" if step == "train" and p["rate"] == 0.1 else None
    swept = sweep(rate=RATES, depth=DEPTHS)
    assert swept.states == ["failed"] * 3 + ["done"] * 3
    assert (1, "test") not in swept.executed
    assert (swept.trial(1).why, swept.trial(1).executed) == ("", 2)
    assert (swept.trial(3).why, swept.trial(3).executed) == ("shared with trial 1", 0)
    assert swept.trial(3).error == "train: ValueError: no"
    run = swept.run(3)
    assert run.steps["train"].state is State.FAILED
    assert run.steps["train"].error is not None
    assert run.steps["test"].state is State.SKIPPED
    assert (swept.run_folder(3) / "notebooks/train.ipynb").exists()


def test_where_the_first_step_fails_all_trials_do_and_nothing_else_is_executed(
    sweep: Sweeper,
) -> None:
    sweep.fails = lambda step, _: "no" if step == "load" else None
    swept = sweep(rate=RATES, depth=DEPTHS)
    assert swept.states == ["failed"] * 6
    assert swept.executed == [(1, "load")]
    assert {trial.error for trial in swept.record.trials} == {"load: ValueError: no"}


def test_what_failed_once_is_not_tried_by_each_trial_that_shares_it(sweep: Sweeper) -> None:
    sweep.fails = lambda step, _: "no" if step == "load" else None
    assert len(sweep(rate=RATES, jobs=3).executed) == 1


def test_fail_fast_ends_the_sweep(sweep: Sweeper) -> None:
    sweep.options = {"fail_fast": True}
    sweep.fails = lambda step, p: "no" if step == "test" and p["depth"] == 5 else None
    swept = sweep(rate=RATES, depth=DEPTHS)
    assert swept.states == ["done", "failed", "skipped", "skipped", "skipped", "skipped"]
    assert swept.record.state is State.FAILED
    assert swept.trial(3).why.startswith("test of trial 2 failed, and --fail-fast")
    assert swept.trial(6).run is None


# -- the end before the end -----------------------------------------------------------------------


def test_enough_is_enough(sweep: Sweeper) -> None:
    swept = sweep(rate=RATES, depth=DEPTHS, stop_when="score>=0.5")
    assert swept.states == ["done", "done", "skipped", "skipped", "skipped", "skipped"]
    assert swept.record.state is State.DONE
    assert swept.trial(3).why == "trial 2 has score 0.5 >= 0.5"
    assert swept.trial(3).run is None
    assert swept.record.stop_when == "score>=0.5"
    assert read_sweep(swept.folder) == swept.record


def test_what_is_executed_when_it_is_enough_may_end(sweep: Sweeper) -> None:
    swept = sweep(rate=RATES, depth=DEPTHS, stop_when="score>=0.5", jobs=2)
    states = {
        step.state
        for t in swept.record.trials
        if t.run
        for step in swept.run(t.number).steps.values()
    }
    assert states <= {State.DONE, State.CACHED, State.SKIPPED}


def test_a_failing_trial_is_never_enough(sweep: Sweeper) -> None:
    sweep.fails = lambda step, _: "no" if step == "test" else None
    swept = sweep(depth=DEPTHS, stop_when="score<1")
    assert swept.states == ["failed"] * 3


def test_a_full_disk_ends_the_sweep_and_the_same_sweep_goes_on(
    sweep: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kale_pm.local.sweeping import live

    whole, count = live.open_run, 0

    def full(*arguments: object) -> object:
        nonlocal count
        count += 1
        if count == 3:
            raise StoreError("cannot write: no space left on device")
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(live, "open_run", full)
    with pytest.raises(StoreError, match="no space left"):
        sweep(rate=RATES, depth=DEPTHS)
    broken = read_sweep(find_sweep("latest", sweep.folder))
    assert [trial.state.value for trial in broken.trials] == ["done"] * 2 + ["interrupted"] * 4
    again = sweep(rate=RATES, depth=DEPTHS)
    assert again.states == ["done"] * 6
    assert len(again.executed) == again.plan.count - 4


def test_a_listener_that_raises_ends_the_sweep_in_order(sweep: Sweeper) -> None:
    def listen(event: SweepEvent) -> None:
        if isinstance(event, TrialFinished) and event.record.number == 2:
            raise RuntimeError("the terminal is gone")

    sweep.listen = listen
    with pytest.raises(RuntimeError, match="terminal is gone"):
        sweep(rate=RATES, depth=DEPTHS)
    record = read_sweep(find_sweep("latest", sweep.folder))
    assert record.state is State.INTERRUPTED
    assert [trial.state.value for trial in record.trials][:2] == ["done", "done"]


# -- what cannot begin ----------------------------------------------------------------------------


def test_a_plan_without_trials_is_no_sweep(sweep: Sweeper) -> None:
    from kale_pm.sweep import plan_sweep

    with pytest.raises(UsageError, match="there is no trial"):
        sweep.carry_out(plan_sweep(sweep.pipeline(), (), ()), SweepOptions())
    assert not sweep.store.exists()


def test_a_notebook_with_errors_is_not_swept(sweep: Sweeper) -> None:
    plan = sweep.plan(rate=RATES)
    sweep.write_cells([("block:a prev:nowhere", "x = 1")])
    with pytest.raises(PipelineError):
        sweep.carry_out(plan, SweepOptions())


def test_an_unknown_kernel_is_said_before_anything_is_written(sweep: Sweeper) -> None:
    sweep.options = {"kernel": "nothing"}
    with pytest.raises(UsageError, match="there is no kernel"):
        sweep(rate=RATES)
    assert not sweep.store.exists()


# -- what the store has ---------------------------------------------------------------------------


def test_how_many_executions_the_store_has(sweep: Sweeper) -> None:
    plan = sweep.plan(rate=RATES, depth=DEPTHS)
    assert stored(sweep.pipeline(), plan, RunOptions()) == 0
    assert not sweep.store.exists()
    sweep(rate=[0.1], depth=[3, 5])
    assert stored(sweep.pipeline(), plan, RunOptions()) == 4
    assert stored(sweep.pipeline(), plan, RunOptions(fresh=True)) == 0
    sweep(rate=RATES, depth=DEPTHS)
    assert stored(sweep.pipeline(), plan, RunOptions()) == plan.count


@pytest.fixture
def hears_interrupts() -> Iterator[None]:
    """What is started in the background by a script ignores them."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.mark.usefixtures("hears_interrupts")
def test_a_signal_is_heard_while_thousands_are_skipped(sweep: Sweeper) -> None:
    def listen(event: SweepEvent) -> None:
        if isinstance(event, TrialFinished) and event.record.number == 2:
            signal.raise_signal(signal.SIGINT)

    sweep.listen = listen
    sweep.fails = lambda step, _: "no" if step == "load" else None
    with pytest.raises(KeyboardInterrupt):
        sweep(rate=RATES, depth=DEPTHS)
    record = read_sweep(find_sweep("latest", sweep.folder))
    assert record.state is State.INTERRUPTED
    assert [trial.state.value for trial in record.trials] == ["failed"] * 2 + ["interrupted"] * 4
    assert record.trials[5].run is None
    assert record.trials[5].why == "the sweep was interrupted"


def test_a_signal_while_trials_that_execute_nothing_end(
    sweep: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()

    @contextmanager
    def signals() -> Iterator[Told]:
        yield told

    def listen(event: SweepEvent) -> None:
        if isinstance(event, TrialFinished) and event.record.number == 2:
            told.number = signal.SIGINT

    monkeypatch.setattr("kale_pm.local.sweeping.sweep.deferred_signals", signals)
    sweep.listen = listen
    assert sweep(name=["a", "b", "c", "d"]).states == ["done"] * 2 + ["interrupted"] * 2
