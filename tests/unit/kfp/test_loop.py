"""The trials of a sweep in the words of KFP: items, and what reaches which step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.loop import Loop, Swept, loop_of
from kale_pm.kfp.parameters import kfp_parameters
from kale_pm.model import Cell, Parameter, Pipeline, Step
from kale_pm.runtime.pod.parameters import decode
from kale_pm.settings import Configuration
from kale_pm.sweep import plan_sweep, space_of, trials
from kale_pm.trials.goal import Goal

DEFAULTS: Mapping[str, tuple[Any, Any]] = {
    "lr": ("float", 0.1),
    "depth": ("int", 3),
    "word": ("str", "x"),
    "_hidden": ("any", None),
}
READS = {"load": ["word"], "train": ["lr"], "score": ["depth"], "plot": []}
EDGES = [("load", "train"), ("train", "score"), ("load", "plot")]


def pipeline(reads: Mapping[str, Sequence[str]] = READS) -> Pipeline:
    steps = tuple(
        Step(name, (Cell(place, name, "code", ""),), parameters=tuple(names))
        for place, (name, names) in enumerate(reads.items(), 1)
    )
    parameters = tuple(
        Parameter(name, kind, default, optional=default is None)
        for name, (kind, default) in DEFAULTS.items()
    )
    edges = tuple(edge for edge in EDGES if {*edge} <= reads.keys())
    return Pipeline(Path("a.ipynb"), Configuration("a"), (), steps, parameters, edges=edges)


def loop(of: Pipeline | None = None, **given: Any) -> Loop:
    of = of or pipeline()
    space = space_of(of.parameters, given)
    found, _ = trials(of.parameters, space)
    known, _ = kfp_parameters(of)
    plan = plan_sweep(of, found, space.names)
    return loop_of(of, known, Swept(plan, Goal("accuracy", "max"), 4))


def test_a_step_is_inside_if_what_varies_reaches_it() -> None:
    assert set(loop(lr=[1, 2]).keys) == {"train", "score"}
    assert set(loop(depth=[1, 2]).keys) == {"score"}
    assert set(loop(word=["a", "b"]).keys) == {"load", "train", "score", "plot"}


def test_an_item_has_the_values_and_for_each_reach_a_text_that_tells_them() -> None:
    found = loop(lr=[1, 2], depth=[5])
    assert found.items == (
        {"p_lr": "json:1.0", "of_1": "lr=1.0"},
        {"p_lr": "json:2.0", "of_1": "lr=2.0"},
    )
    both = loop(lr=[1, 2], depth=[5, 6])
    assert both.items[1] == {
        "p_lr": "json:1.0",
        "p_depth": "json:6",
        "of_1": "lr=1.0",
        "of_2": "lr=1.0, depth=6",
    }
    assert both.keys == {"train": "of_1", "score": "of_2"}


def test_what_varies_comes_from_the_item_and_the_rest_from_the_pipeline() -> None:
    found = loop(lr=[1, 2], depth=7)
    assert found.value("lr") == "trial.p_lr"
    assert found.value("depth") == "depth"
    assert [(p.name, p.default) for p in found.fixed] == [
        ("depth", 7), ("word", "x"), ("_hidden", "json:null")
    ]  # fmt: skip


def test_steps_take_what_varies_as_text_and_keep_the_default_of_the_notebook() -> None:
    taken = loop(lr=[1, 2], depth=7).parameters
    assert (taken["lr"].type, taken["lr"].default) == ("str", "json:0.1")
    assert (taken["depth"].type, taken["depth"].default) == ("int", 3)


@pytest.mark.parametrize(
    "values",
    [["a", 'json:"a"', "{{x}}", 'say "a", b=1', "ä\n"], [None, [1, 2.0], {"a": {"b": {}}}, "a"]],
)
def test_values_come_back_as_they_were_and_no_item_has_double_braces(values: list[Any]) -> None:
    name = "word" if None not in values else "_hidden"
    of = pipeline({"load": ["word", "_hidden"]})
    space = space_of(of.parameters, {}, [{name: value} for value in values])
    found, _ = trials(of.parameters, space)
    known, _ = kfp_parameters(of)
    plan = plan_sweep(of, found, space.names)
    made = loop_of(of, known, Swept(plan, Goal("a", "min")))
    kind = known[name].parameter.type
    texts = [item[f"p_{known[name].kfp_name}"] for item in made.items]
    assert [decode(text, kind) for text in texts] == values
    assert "{{" not in json.dumps(made.items)
    assert len({item["of_1"] for item in made.items}) == len(values)


def test_a_parameter_that_no_step_reads_has_no_place_in_the_items() -> None:
    found = loop(pipeline({"train": ["lr"], "load": [], "score": [], "plot": []}), lr=[1, 2],
                 depth=[1, 2])  # fmt: skip
    assert set(found.items[0]) == {"p_lr", "of_1"}
    assert len(found.items) == 4


def test_there_must_be_something_to_loop_over() -> None:
    with pytest.raises(CompileError, match="a single trial is no sweep"):
        loop(lr=5)
    with pytest.raises(CompileError, match="no step reads _hidden"):
        loop(_hidden=[[1], [2]])


def test_what_a_loop_executes_in_vain_is_counted() -> None:
    (warning,) = loop(lr=[1, 2], depth=[1, 2]).warnings
    assert warning.startswith("10 step executions, where this machine would do with 8")
    assert "also train" in warning
    assert loop(lr=[1, 2]).warnings == ()


def test_too_many_trials_for_one_argument_are_refused() -> None:
    with pytest.raises(CompileError, match=r"3,000 trials are too many .* at most 120 KiB"):
        loop(lr=list(range(3000)), depth=3)
