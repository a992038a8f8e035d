"""The law on the cluster: the corpus gives there what it gives here, step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from agreement import executed_by_kfp, notebook_of, outputs

from kale_pm import Pipeline

CORPUS = Path(__file__).parents[1] / "data" / "dataflow_corpus.json"
CASES = {case["id"]: case for case in json.loads(CORPUS.read_text(encoding="utf-8"))["runnable"]}
# What changes how variables travel: shared objects, global state, classes, and a run of more
# steps than each carries the runtime for.
QUICK = (
    "r-random-seed",
    "r-class-in-step",
    "r-iterator",
    "r-logging",
    "r-branches-fill-one-dict",
)
OTHERS = tuple(name for name in CASES if name not in QUICK)


Disagreements = Callable[[Sequence[str]], dict[str, Any]]


@pytest.fixture
def disagreements(
    pipeline: Callable[..., Pipeline],
    run_all_under_kfp: Callable[[Sequence[Pipeline]], list[Path]],
) -> Disagreements:
    """The steps of these cases that show something else under kfp.local than here, and what."""

    def find(names: Sequence[str]) -> dict[str, Any]:
        cases = {name: CASES[name]["cells"] for name in names}
        pipelines = [
            pipeline([(" ".join(cell["tags"]), cell["source"]) for cell in cells])
            for cells in cases.values()
        ]
        found = {}
        there = run_all_under_kfp(pipelines)
        for name, made, folder in zip(cases, pipelines, there, strict=True):
            here = made.run()
            for step in made.order:
                shown = outputs(executed_by_kfp(folder, step))
                expected = outputs(notebook_of(here, step))
                if shown != expected:
                    found[f"{name}, step {step}"] = (shown, expected)
        return found

    return find


def test_named_cases_show_the_same_as_here(disagreements: Disagreements) -> None:
    assert disagreements(QUICK) == {}


@pytest.mark.slow
def test_all_other_cases_show_the_same_as_here(disagreements: Disagreements) -> None:
    assert disagreements(OTHERS) == {}
