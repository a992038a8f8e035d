"""When steps run beside each other, again, or not at all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from kale_pm.errors import UsageError
from kale_pm.events import Event, StepFinished, StepRetried, StepStarted
from kale_pm.local import RunOptions, run_pipeline
from kale_pm.local import run as running
from kale_pm.record import State

if TYPE_CHECKING:
    from conftest import Runner

MEET = """
import time
from pathlib import Path
Path("{name}.here").write_text("")
for _ in range({naps}):
    if Path("{other}.here").exists():
        break
    time.sleep(0.02)
met = Path("{other}.here").exists()
print(met)
"""
LEAVE = "Path('{name}.here').unlink()\n"


def meeting(name: str, other: str) -> str:
    """Code that waits for the other step to begin, and prints whether it did."""
    return MEET.format(name=name, other=other, naps=1500)


def looking(name: str, other: str) -> str:
    """Code that looks for a while whether the other step is executed at the same time."""
    return MEET.format(name=name, other=other, naps=25) + LEAVE.format(name=name)


# -- memory ---------------------------------------------------------------------------------


def test_steps_that_fit_together_are_executed_together(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "machine_memory", lambda: 8 << 30)
    cells = [
        ("block:a limit:memory:4Gi", meeting("a", "b")),
        ("block:b limit:memory:4Gi", meeting("b", "a")),
    ]
    ran = run(cells).raise_for_failures()
    assert (ran.printed("a"), ran.printed("b")) == ("True\n", "True\n")


def test_steps_that_do_not_fit_together_are_executed_one_after_the_other(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "machine_memory", lambda: 6 << 30)
    cells = [
        ("block:a limit:memory:4Gi", looking("a", "b")),
        ("block:b limit:memory:4Gi", looking("b", "a")),
    ]
    ran = run(cells).raise_for_failures()
    assert (ran.printed("a"), ran.printed("b")) == ("False\n", "False\n")
    assert ran.warnings == []


def test_a_step_that_wants_more_than_the_machine_has_runs_alone_with_a_warning(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "machine_memory", lambda: 2 << 30)
    cells = [
        ("block:a limit:memory:4Gi", looking("a", "b")),
        ("block:b", looking("b", "a")),
    ]
    ran = run(cells).raise_for_failures()
    assert (ran.printed("a"), ran.printed("b")) == ("False\n", "False\n")
    assert ran.warnings == ["it asks for 4Gi of memory, this machine has 2.0Gi: it runs alone"]
    assert run().warnings == [], "what is not executed needs no memory"


def test_an_amount_that_kubernetes_would_refuse_is_refused_here(run: Runner) -> None:
    run.write_cells([("block:a limit:memory:4K", "print(1)")])
    with pytest.raises(UsageError, match="step a: the memory that it asks for: '4K' is no"):
        run()


# -- again ----------------------------------------------------------------------------------

FLAKY = """
from pathlib import Path
tries = Path("tries")
number = len(tries.read_text()) + 1 if tries.exists() else 1
tries.write_text("x" * number)
assert number == {good}
"""


def test_pauses_between_the_tries_grow(run: Runner) -> None:
    tags = "block:a retry:3 retry_interval:1 retry_factor:1.5 retry_max_interval:2"
    ran = run([(tags, FLAKY.format(good=4))]).raise_for_failures()
    pauses = [event.pause for event in ran.events if isinstance(event, StepRetried)]
    assert pauses == [1, 1.5, 2]


def test_a_step_that_waits_for_its_next_try_leaves_its_place_to_another(run: Runner) -> None:
    flaky = "from pathlib import Path\nassert Path('b.done').exists(), 'too early'\n"
    cells = [
        ("block:a retry:9 retry_interval:1 retry_factor:1", flaky),
        ("block:b", "open('b.done', 'w').close()"),
    ]
    ran = run.with_options(jobs=1)(cells).raise_for_failures()
    assert [e.step for e in ran.events if isinstance(e, StepStarted)] == ["a", "b"]
    assert ran.states() == {"a": "done", "b": "done"}


def test_a_pause_ends_with_the_run(run: Runner) -> None:
    run.write_cells(
        [
            ("block:a retry:1 retry_interval:3600", "1 / 0"),
            ("block:b", meeting("b", "go") + "1 / 0"),
        ]
    )

    def listen(event: Event) -> None:
        if isinstance(event, StepRetried):
            (run.folder / "go.here").write_text("")

    options = RunOptions(jobs=2, fail_fast=True)
    record, _ = run_pipeline(run.pipeline(), options, listen)
    assert {n: s.state for n, s in record.steps.items()} == {
        "a": State.INTERRUPTED,
        "b": State.FAILED,
    }


def test_every_try_has_the_whole_timeout(run: Runner) -> None:
    code = FLAKY.replace("assert", "import time\nif number < 2:\n    time.sleep(600)\nassert")
    cells = [("block:a retry:1 retry_interval:0 timeout:6", code.format(good=2))]
    ran = run(cells).raise_for_failures()
    [retried] = [event for event in ran.events if isinstance(event, StepRetried)]
    assert "timeout of 6 seconds" in retried.error.evalue


# -- not at all -----------------------------------------------------------------------------

BRANCHES = [
    ("block:bad", meeting("bad", "long") + "time.sleep(0.5)\n1 / 0"),
    ("block:long", meeting("long", "bad") + "time.sleep(600)"),
    ("block:late prev:long", "print('late')"),
    ("block:after prev:bad", "print('after')"),
]


def test_fail_fast_interrupts_what_runs_and_starts_nothing_new(run: Runner) -> None:
    ran = run.with_options(fail_fast=True)(BRANCHES)
    assert ran.states() == {
        "bad": "failed",
        "long": "interrupted",
        "late": "skipped",
        "after": "skipped",
    }
    assert ran.record.state is State.FAILED
    assert ran.why("long") == "bad failed, and --fail-fast ends the others"
    assert ran.why("late") == "bad failed, and --fail-fast starts nothing after a failure"
    assert ran.executed == ["bad", "long"]
    told = {event.step: event.why for event in ran.events if isinstance(event, StepFinished)}
    assert {name: ran.why(name) for name in told} == told
    assert told.keys() == ran.states().keys()
    assert "True" in ran.printed("long"), "the notebook so far is kept"


def test_without_it_independent_branches_go_on(run: Runner) -> None:
    cells = [(tags, source.replace("600", "0.1")) for tags, source in BRANCHES]
    ran = run(cells)
    assert ran.states() == {"bad": "failed", "long": "done", "late": "done", "after": "skipped"}
    assert ran.record.state is State.FAILED


def test_fail_fast_changes_nothing_where_all_goes_well(run: Runner) -> None:
    ran = run.with_options(fail_fast=True)([("block:a", "x = 1"), ("block:b prev:a", "print(x)")])
    assert ran.record.state is State.DONE


def test_what_fail_fast_ended_is_resumed(run: Runner) -> None:
    run.with_options(fail_fast=True)(BRANCHES)
    mended = [
        (tags, source.replace("1 / 0", "").replace("600", "0.1")) for tags, source in BRANCHES
    ]
    assert set(run(mended).states().values()) == {"done"}


def test_the_threads_of_a_run_end_with_it(run: Runner) -> None:
    run.with_options(fail_fast=True)(BRANCHES)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("step")]
