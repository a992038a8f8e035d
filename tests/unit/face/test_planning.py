"""What a sweep is about to do, and what is doubtful about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kale_pm.face import Pipeline, load
from kale_pm.face.planning import doubts


def pipeline(folder: Path, *cells: tuple[str, str]) -> Pipeline:
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {"tags": tags.split()},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for number, (tags, source) in enumerate(cells)
        ],
    }
    path = folder / "tune.ipynb"
    path.write_text(json.dumps(content), encoding="utf-8")
    return load(path)


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
