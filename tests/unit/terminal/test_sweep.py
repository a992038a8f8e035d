"""A sweep on the screen: while it goes on, when it has ended, and before it starts."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from kale_pm.events import (
    CellOutput,
    CellStarted,
    OfTrial,
    StepFinished,
    StepStarted,
    SweepEvent,
    SweepFinished,
    SweepStarted,
    TrialFinished,
    TrialStarted,
    Warned,
)
from kale_pm.face import Sweep
from kale_pm.record import State, SweepRecord, TrialRecord
from kale_pm.sweep import Execution, Plan, Trial
from kale_pm.terminal import (
    SweepLines,
    SweepView,
    best_view,
    places_view,
    plan_head,
    plan_view,
    sweep_view,
)
from kale_pm.terminal.commands import typed_in
from kale_pm.trials.goal import read_goal

SWEEP = "wine-20261121-045219-7ffa"
BEST = read_goal("accuracy:max")


def drawn(view: RenderableType, width: int = 80, height: int = 25) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    console.print(view)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


def trial(number: int, accuracy: float | None = None, **values: Any) -> TrialRecord:
    """A trial that is done, or without an accuracy one that failed."""
    record = {
        "parameters": {"depth": number},
        "state": State.DONE if accuracy is not None else State.FAILED,
        "run": f"{SWEEP}.{number:04d}",
        "metrics": {} if accuracy is None else {"accuracy": accuracy},
        "seconds": 1.5,
        "executed": 1,
        "error": "" if accuracy is not None else "train: ValueError: too deep",
    }
    return TrialRecord(number, **{**record, **values})  # type: ignore[arg-type]


def sweep(*trials: TrialRecord, goal: str = "accuracy:max", **values: Any) -> Sweep:
    record = {
        "state": State.FAILED if any(t.state is State.FAILED for t in trials) else State.DONE,
        "varied": tuple(trials[0].parameters) if trials else (),
        "seconds": 12.0,
        **values,
    }
    return Sweep(
        SweepRecord(
            id=SWEEP,
            pipeline="wine",
            notebook="wine.ipynb",
            fixed={},
            trials=trials,
            executions=len(trials),
            started=0.0,
            goal=goal,
            **record,
        ),
        Path("/store/sweeps") / SWEEP,
    )


# -- while it goes on -------------------------------------------------------------------------


def view_of(*events: SweepEvent) -> SweepView:
    view = SweepView(("load", "train_forest"), BEST)
    for event in (SweepStarted(SWEEP, "wine", 120, 180), *events):
        view.hear(event)
    return view


def test_it_says_how_far_the_trials_are_and_which_is_the_best_so_far() -> None:
    view = view_of(
        OfTrial(1, StepStarted("load", 1, "new")),
        OfTrial(1, StepFinished("load", State.DONE, 0.5)),
        TrialFinished(trial(1, 0.9)),
        TrialFinished(trial(2, 0.972)),
        TrialFinished(trial(3, 0.5)),
        TrialFinished(trial(4)),
    )

    counts = "4/120 trials · 1/180 steps · 1 failed · best accuracy=0.972 (trial 2)"
    assert drawn(view)[1] == counts


def test_before_the_first_event_it_is_starting() -> None:
    assert drawn(SweepView(("load",)))[1] == "starting"


def test_each_step_that_runs_has_a_line_until_it_ends() -> None:
    view = view_of(
        OfTrial(7, StepStarted("load", 1, "new")),
        OfTrial(12, StepStarted("train_forest", 1, "new")),
        OfTrial(12, CellStarted("train_forest", 3, 5, 4)),
        OfTrial(12, CellOutput("train_forest", "stdout", "epoch 1\repoch 2")),
    )

    lines = drawn(view)[2:]
    assert [line.split()[1:3] for line in lines] == [["7", "load"], ["12", "train_forest"]]
    assert "0/5" in lines[1]
    assert lines[1].endswith("epoch 2")
    # One below the other, whatever they are called.
    assert lines[0].index("starting") + len("starting") == lines[1].index("0/5") + len("0/5")

    view.hear(OfTrial(7, StepFinished("load", State.DONE, 0.5)))
    assert len(drawn(view)) == len(lines) + 1


def test_what_is_skipped_ends_without_having_begun() -> None:
    view = view_of(OfTrial(2, StepFinished("train_forest", State.SKIPPED, 0.0, "load failed")))
    assert "1/180 steps" in drawn(view)[1]


@pytest.mark.parametrize("width", [24, 40, 60, 120])
def test_no_line_is_longer_than_the_terminal_is_wide(width: int) -> None:
    view = view_of(
        OfTrial(12, StepStarted("train_forest", 1, "new")),
        OfTrial(12, CellOutput("train_forest", "stdout", "some words " * 20)),
        TrialFinished(trial(1, 0.9)),
        TrialFinished(trial(4)),
    )
    assert max(map(len, drawn(view, width))) <= width


def test_many_steps_at_a_time_leave_room_for_the_counts() -> None:
    started = [OfTrial(number, StepStarted("load", 1, "new")) for number in range(1, 100)]
    lines = drawn(view_of(*started), height=20)

    assert len(lines) < 20
    assert lines[1].startswith("0/120 trials")
    assert lines[-1].endswith("running")


def test_hundreds_that_fail_for_one_reason_are_told_once() -> None:
    view = view_of()
    told = [view.hear(TrialFinished(trial(number))) for number in range(1, 100)]
    lines = [str(line) for lines in told for line in lines]

    assert lines == ["✗ trial 1  depth=1  failed  train: ValueError: too deep  1.5 s"]


def test_of_many_reasons_the_first_few_are_told() -> None:
    view = view_of()
    told = [view.hear(TrialFinished(trial(n, error=f"reason {n}"))) for n in range(1, 100)]
    assert sum(map(len, told)) == 5


def test_a_warning_stays_in_sight_whoever_gave_it() -> None:
    view = view_of()
    for event in (Warned("no room"), OfTrial(3, Warned("no room"))):
        assert [str(line) for line in view.hear(event)] == ["warning: no room"]


def test_reports_that_are_being_written_are_counted() -> None:
    view = view_of(SweepFinished(SWEEP, State.DONE, 12.0))
    view.tell(2, 33)

    assert "report 3 of 33" in drawn(view)[1]
    assert "12.0 s" in drawn(view)[0]


def lines_of(*events: SweepEvent, verbose: bool = False) -> list[str]:
    lines = SweepLines(BEST, verbose)
    heard = (SweepStarted(SWEEP, "wine", 12, 20), *events)
    return [str(line) for event in heard for line in lines.hear(event)][1:]


def test_elsewhere_each_trial_that_ended_is_a_line() -> None:
    done = trial(3, 0.97, metrics={"f1": 0.9, "accuracy": 0.97}, parameters={"depth": 3, "lr": 0.1})
    assert lines_of(
        TrialStarted(3, f"{SWEEP}.0003"),
        OfTrial(3, StepStarted("load", 1, "new")),
        TrialFinished(done),
        TrialFinished(trial(4)),
        TrialFinished(trial(5, 0.5, executed=0)),
        TrialFinished(trial(6, state=State.SKIPPED, why="enough", error="")),
    ) == [
        "✓  1/12  trial 3  depth=3  lr=0.1  accuracy=0.97  f1=0.9  1.5 s",
        "✗  2/12  trial 4  depth=4  failed  train: ValueError: too deep  1.5 s",
        "✓  3/12  trial 5  depth=5  accuracy=0.5",
        "-  4/12  trial 6  depth=6  skipped  enough  1.5 s",
    ]


def test_a_verbose_sweep_tells_whose_words_are_whose() -> None:
    told = lines_of(
        OfTrial(3, StepStarted("load", 1, "new")),
        OfTrial(3, CellOutput("load", "stdout", "of three\n")),
        OfTrial(4, CellOutput("load", "stdout", "of four\n")),
        OfTrial(3, StepFinished("load", State.DONE, 1.0)),
        verbose=True,
    )
    assert told == [
        "▸ 3 load  new",
        "3 load | of three",
        "4 load | of four",
        "✓ 3 load  done 1.0 s",
    ]


def test_what_a_trial_is_called_and_says_cannot_harm_the_terminal() -> None:
    odd = trial(3, error="train: \x1b[2J\nsecond line", parameters={"name": "\x1b[31m"})
    (line,) = lines_of(TrialFinished(odd))

    assert "\x1b" not in line
    assert "second line" not in line


# -- when it has ended ------------------------------------------------------------------------


def test_the_trials_stand_by_rank_and_the_best_is_marked() -> None:
    shown = drawn(sweep_view(sweep(trial(1, 0.5), trial(2, 0.975), trial(3, 0.9))))

    assert shown == [
        f"✓ {SWEEP}  3 done in 12.0 s",
        "",
        "   trial  depth  accuracy   took",
        "★      2      2     0.975  1.5 s",
        "       3      3     0.900  1.5 s",
        "       1      1     0.500  1.5 s",
    ]


def test_without_a_goal_they_stand_by_number_and_none_is_marked() -> None:
    shown = drawn(sweep_view(sweep(trial(1, 0.5), trial(2, 0.9), goal="")))

    assert shown[2:] == [
        "trial  depth  accuracy   took",
        "    1      1       0.5  1.5 s",
        "    2      2       0.9  1.5 s",
    ]


def test_of_many_the_best_are_listed_and_the_worst_is_told() -> None:
    trials = [trial(number, number / 100) for number in range(1, 101)]
    shown = drawn(sweep_view(sweep(*trials)))

    assert shown[3].split()[:2] == ["★", "100"]
    assert shown[-2].split()[0] == "81"
    assert shown[-1] == "… and 80 more, down to accuracy=0.01"


def test_thirty_are_all_listed() -> None:
    trials = [trial(number, number / 100) for number in range(1, 31)]
    assert len(drawn(sweep_view(sweep(*trials)))) == 3 + 30


def test_failures_are_told_below_each_reason_once() -> None:
    trials = [trial(1, 0.5), trial(2), trial(3), trial(4, error="load: OSError: gone")]
    shown = drawn(sweep_view(sweep(*trials)))

    assert shown[0] == f"✗ {SWEEP}  1 done, 3 failed in 12.0 s"
    assert shown[-2:] == [
        "✗ 2 trials (2, 3)  train: ValueError: too deep",
        "✗ trial 4  depth=4  load: OSError: gone",
    ]


def test_of_many_reasons_the_most_frequent_are_told() -> None:
    trials = [trial(n, error=f"reason {n}") for n in range(1, 20)]
    shown = drawn(sweep_view(sweep(*trials, trial(20, error="reason 19"))))

    assert shown[2] == "✗ 2 trials (19, 20)  reason 19"
    assert shown[-1] == "✗ 14 more trials, for other reasons"


def test_what_was_not_needed_says_why() -> None:
    left = [trial(n, state=State.SKIPPED, why="trial 1 has accuracy 1", error="") for n in (2, 3)]
    shown = drawn(sweep_view(sweep(trial(1, 1.0), *left)))
    assert shown[-1] == "- 2 skipped: trial 1 has accuracy 1"


def test_columns_without_room_are_named_and_those_that_count_stay() -> None:
    metrics = {f"a_metric_of_many_{n}": n / 7 for n in range(9)} | {"accuracy": 0.9}
    wide = trial(1, 0.9, metrics=metrics, parameters={"depth": 3, "rate": 0.001})
    shown = drawn(sweep_view(sweep(wide)), width=60)

    assert max(map(len, shown[:4])) <= 60
    assert shown[2].split()[:4] == ["trial", "depth", "rate", "accuracy"]
    assert "no room for" in shown[4]
    assert "took" in " ".join(shown[4:])
    assert "no room for" not in "".join(drawn(sweep_view(sweep(wide)), width=400))


def test_long_texts_leave_room_for_the_numbers() -> None:
    values = {"name": "a_long_name " * 9, "rate": 0.001, "other": "another_long_name " * 9}
    shown = drawn(sweep_view(sweep(trial(7, 0.9, parameters=values))), width=60)

    assert max(map(len, shown)) <= 60
    assert shown[2].split() == ["trial", "name", "rate", "other", "accuracy"]
    assert shown[3].split()[:2] == ["★", "7"]
    assert "  0.001  another" in shown[3]
    assert "…" in shown[3]
    assert shown[3].endswith("  0.9")


def test_a_metric_called_like_a_parameter_has_a_column_of_its_own() -> None:
    shown = drawn(sweep_view(sweep(trial(1, 0.9, metrics={"depth": 7, "accuracy": 0.9}))))
    assert shown[2].split() == ["trial", "depth", "accuracy", "metrics.depth", "took"]


def test_values_that_are_no_numbers_are_shown_too() -> None:
    values = {"depth": [32, 32], "name": "a\x1b[31m", "flag": True, "none": None}
    shown = drawn(sweep_view(sweep(trial(1, float("nan"), parameters=values))), width=120)
    cells = [cell.strip() for cell in shown[3].split("  ") if cell]
    assert cells == ["1", "[32, 32]", "'a\\x1b[31m'", "True", "None", "nan", "1.5 s"]


def test_where_to_look_and_what_to_type() -> None:
    told = drawn(places_view(sweep(trial(1, 0.5))))
    assert told == [
        f"  report     /store/sweeps/{SWEEP}/report.html",
        f"  results    /store/sweeps/{SWEEP}/results.csv",
        f"  open       kale-pm report {SWEEP} --open",
        f"  variables  kale-pm vars {SWEEP}:best",
    ]
    failed = drawn(places_view(sweep(trial(1, 0.5), trial(2))))
    assert failed[-1] == f"  retry      kale-pm sweep {SWEEP} --retry"
    with typed_in("python script.py"):  # which knows its newest sweep
        assert (
            drawn(places_view(sweep(trial(2))))[-1] == "  retry      python script.py sweep --retry"
        )
    lost = drawn(places_view(sweep(trial(1, 0.5), goal="loss:min")))
    assert lost[-1] == f"  choose     kale-pm report {SWEEP} --best METRIC:min"


def test_the_best_one_in_a_line() -> None:
    assert drawn(best_view(sweep(trial(1, 0.5), trial(2, 0.9)))) == [
        "★ trial 2  depth=2  →  accuracy=0.9"
    ]


# -- before it starts -------------------------------------------------------------------------


@pytest.fixture
def plan() -> Callable[[int], Plan]:
    """The plan of so many trials of two steps, the first of which they share."""

    def make(count: int) -> Plan:
        numbers = range(1, count + 1)
        return Plan(
            trials=tuple(Trial(n, {"depth": n, "seed": 7}) for n in numbers),
            varied=("depth",),
            reach={"load": (), "train": ("depth",)},
            executions=(
                Execution("load", tuple(numbers)),
                *(Execution("train", (n,)) for n in numbers),
            ),
            parents={},
            owners={"load": dict.fromkeys(numbers, 1), "train": {n: n for n in numbers}},
        )

    return make


def planned(plan: Plan, varied: Sequence[str] = ("depth",), stored: int = 0) -> list[str]:
    return drawn(plan_view(plan, varied, stored=stored))


def test_a_plan_lists_the_trials_and_counts_the_executions(plan: Callable[[int], Plan]) -> None:
    assert planned(plan(3)) == [
        "trial  depth",
        "    1      1",
        "    2      2",
        "    3      3",
        "",
        "3 trials: 4 step executions (6 without sharing)",
        "  load 1, train 3",
    ]


def test_what_is_the_same_in_all_trials_is_told_once(plan: Callable[[int], Plan]) -> None:
    several = replace(plan(2), fixed={"seed": 7})
    assert planned(several)[2:5] == ["    2      2", "in all trials: seed=7", ""]
    assert drawn(plan_head(several)) == [
        "2 trials: 3 step executions (4 without sharing)",
        "in all trials: seed=7",
    ]


def test_of_one_trial_all_given_values_are_columns(plan: Callable[[int], Plan]) -> None:
    one = replace(plan(1), varied=(), fixed={"depth": 1, "seed": 7})
    assert planned(one, ())[:3] == ["trial  depth  seed", "    1      1     7", ""]
    assert drawn(plan_head(one))[-1] == "in the trial: depth=1  seed=7"


def test_a_plan_says_how_many_executions_are_stored(plan: Callable[[int], Plan]) -> None:
    assert planned(plan(3), stored=2)[-2].endswith("(6 without sharing); 2 of them are stored")
    assert planned(plan(3), stored=1)[-2].endswith("(6 without sharing); 1 of them is stored")


def test_one_trial_shares_nothing(plan: Callable[[int], Plan]) -> None:
    assert planned(plan(1), ())[-2] == "1 trial: 2 step executions"


def test_of_a_large_plan_the_first_trials_are_listed(plan: Callable[[int], Plan]) -> None:
    shown = planned(plan(10_000))

    assert len(shown) == 1 + 20 + 1 + 3
    assert shown[21] == "… and 9,980 more"
    assert shown[-2] == "10,000 trials: 10,001 step executions (20,000 without sharing)"
