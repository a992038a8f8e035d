"""What a sweep is about to do, and what is doubtful about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_notebooks import write_notebook

from kale_pm.errors import UsageError
from kale_pm.face import Pipeline, load
from kale_pm.face.planning import doubts


def pipeline(folder: Path, *cells: tuple[str, str]) -> Pipeline:
    return load(write_notebook(folder / "tune.ipynb", cells))


@pytest.mark.parametrize(
    "source",
    [
        "kale_pm.metric('accuracy', 1)",
        "sb.glue('accuracy', 1)",
        "metric(name='accuracy', value=1)",
        # However it comes to be recorded, the name stands there.
        "log = kale_pm.metric\nfor name in ['accuracy']:\n    log(name, 1)",
    ],
)
def test_a_metric_that_a_cell_names_is_no_doubt(source: str, tmp_path: Path) -> None:
    assert not list(doubts(pipeline(tmp_path, ("block:a", source)), ["accuracy"]))


def test_a_name_that_is_computed_may_be_any(tmp_path: Path) -> None:
    source = "for kind in kinds:\n    kale_pm.metric(f'{kind}_score', 1)"
    assert not list(doubts(pipeline(tmp_path, ("block:a", source)), ["accuracy"]))


def test_a_metric_that_no_cell_names_is_doubtful(tmp_path: Path) -> None:
    notebook = pipeline(
        tmp_path, ("block:a", "accuracy = 1\nkale_pm.metric('loss', 2)"), ("metrics", "accuracy")
    )

    assert list(doubts(notebook, ["acuracy", "f1", "accuracy", "loss"])) == [
        "no cell names a metric 'acuracy': did you mean 'accuracy'?",
        "no cell names a metric 'f1'; metrics: accuracy, loss",
    ]


def test_where_no_metric_is_named_at_all_that_is_said(tmp_path: Path) -> None:
    notebook = pipeline(tmp_path, ("block:a", "accuracy = 1"))
    assert list(doubts(notebook, ["accuracy"])) == [
        "no cell names a metric 'accuracy', nor any other"
    ]


def test_what_varies_stands_in_the_order_in_which_it_was_given(tmp_path: Path) -> None:
    notebook = pipeline(
        tmp_path,
        ("parameters", "unused: int = 1\nlr: float = 0.1\ndepth: int = 3"),
        ("block:a", "print(lr, depth)"),
    )
    plan = notebook.plan_sweep(depth=[3, 5], lr=[0.1, 0.2], unused=[1, 2])
    assert plan.varied == ("depth", "lr", "unused")
    assert notebook.plan_sweep(depth=5).varied == ()


def test_warnings_of_the_space_and_of_the_plan_come_together(tmp_path: Path) -> None:
    notebook = pipeline(
        tmp_path,
        ("parameters", "lr: float = 0.1\nunused: int = 1"),
        ("block:a", "print(lr)"),
    )
    warnings = notebook.plan_sweep(lr=[0.1, 0.1], unused=[1, 2]).warnings

    assert any("left out" in warning for warning in warnings)
    assert any("no step reads unused" in warning for warning in warnings)


TYPED = ("parameters", "n: int = 3\nlr: float = 0.1\nname: str | None = None")


@pytest.fixture
def typed(tmp_path: Path) -> Pipeline:
    return pipeline(tmp_path, TYPED, ("block:a", "print(n, lr, name)"))


@pytest.mark.parametrize("empty", [[], (), pd.DataFrame({"n": []})])
def test_an_empty_table_is_no_sweep_of_the_defaults(empty: object, typed: Pipeline) -> None:
    with pytest.raises(UsageError, match="there is no trial") as caught:
        typed.plan_sweep(trials=empty)
    assert "[{'depth': 3}" in caught.value.hint


def test_a_table_without_names_has_trials_of_the_defaults(typed: Pipeline) -> None:
    assert len(typed.plan_sweep(trials=[{}]).trials) == 1
    assert len(typed.plan_sweep(trials=pd.DataFrame(index=[0])).trials) == 1


def test_a_data_frame_has_a_trial_in_each_row(typed: Pipeline) -> None:
    frame = pd.DataFrame({"n": [1, 2], "lr": [0.5, float("nan")], "name": ["a", None]})
    plan = typed.plan_sweep(trials=frame)
    assert [repr(dict(trial.parameters)) for trial in plan.trials] == [
        "{'n': 1, 'lr': 0.5, 'name': 'a'}",
        "{'n': 2, 'lr': nan, 'name': None}",
    ]


@pytest.mark.parametrize("dtype", ["float", "Int64"])
def test_a_gap_in_a_data_frame_is_told_with_its_place(dtype: Any, typed: Pipeline) -> None:
    frame = pd.DataFrame({"n": [1, None]}, index=["x", "y"], dtype=dtype)
    with pytest.raises(UsageError) as caught:
        typed.plan_sweep(trials=frame)
    assert caught.value.message == "row y of the DataFrame: there is no value in the column 'n'"
    assert "frame.fillna({'n': 3}).astype({'n': int})" in caught.value.hint
    mended = frame.fillna({"n": 3}).astype({"n": int})
    assert [trial.parameters["n"] for trial in typed.plan_sweep(trials=mended).trials] == [1, 3]


def test_where_none_is_allowed_a_gap_is_none(tmp_path: Path) -> None:
    cells = ("parameters", "n: int | None = 3"), ("block:a", "print(n)")
    notebook, frame = pipeline(tmp_path, *cells), pd.DataFrame({"n": [1, None]})
    with pytest.raises(UsageError, match="row 1 of the DataFrame: there is no value") as caught:
        notebook.plan_sweep(trials=frame)
    assert "frame.astype({'n': 'Int64'})" in caught.value.hint
    plan = notebook.plan_sweep(trials=frame.astype({"n": "Int64"}))
    assert [trial.parameters["n"] for trial in plan.trials] == [1, None]


def test_another_wrong_value_is_told_with_its_row_as_well(typed: Pipeline) -> None:
    frame = pd.DataFrame({"lr": [0.5, "high"]})
    with pytest.raises(UsageError, match="row 1 of the DataFrame: parameter 'lr': 'high' is no"):
        typed.plan_sweep(trials=frame)


def test_what_is_given_and_the_same_in_all_trials_is_told(typed: Pipeline) -> None:
    assert typed.plan_sweep(n=[1, 2], lr=0.1).fixed == {"lr": 0.1}
    rows = [{"n": 1, "name": "a"}, {"n": 2, "name": "a"}]
    assert typed.plan_sweep(trials=rows).fixed == {"name": "a"}
    assert typed.plan_sweep(n=[1, 2]).fixed == {}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"best": 5}, "5 names no metric"),
        ({"stop_when": 5}, "5 is no condition"),
        ({"jobs": "x"}, "jobs='x' is no whole number"),
        ({"jobs": 0}, "0 steps at a time is too few"),
        ({"random": 2.5}, "random=2.5 is no whole number"),
        ({"random": "3"}, "random='3' is no whole number"),
        ({"random": True}, "random=True is no whole number"),
        ({"seed": None}, "seed=None is no whole number"),
        ({"seed": -7}, "the seed -7 is below 0"),
        ({"trials": 5}, "trials=5 names no trials"),
        ({"reports": 1.5}, "reports=1.5 is no whole number"),
        ({"reports": -1}, "reports=-1 is below 0"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_starts(
    wrong: dict[str, Any], words: str, typed: Pipeline
) -> None:
    values = {} if "trials" in wrong else {"n": [1, 2]}
    with pytest.raises(UsageError, match=words) as caught:
        typed.sweep(**wrong, **values)
    assert caught.value.hint
    assert not (typed.folder / ".kale-pm").exists()


def test_counts_of_numpy_are_counts(typed: Pipeline) -> None:
    plan = typed.plan_sweep(n=range(9), random=np.int64(3), seed=np.int64(7))
    assert plan == typed.plan_sweep(n=range(9), random=3, seed=7)
