"""Of a sweep in one run, what is fetched are the steps that ran once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_kfp import CREATED, FakeKfp, Frame

from kale_pm import Pipeline
from kale_pm.errors import ServerError
from kale_pm.face import FetchedRun, fetch
from kale_pm.kfp.compiling.compile import compile_sweep
from kale_pm.kfp.compiling.loop import Swept
from kale_pm.trials.goal import Goal

pytestmark = pytest.mark.usefixtures("no_pod")

CELLS = [
    ("parameters", "lr = 0.1\nstart = 1"),
    ("block:load", "rows = [start, 2, 3]"),
    ("block:train prev:load", "accuracy = lr * len(rows)"),
    ("metrics", "accuracy"),
]
Fetch = Callable[..., FetchedRun]


@pytest.fixture
def fetched(pipeline: Callable[..., Pipeline], server: FakeKfp, tmp_path: Path) -> Fetch:
    """``fetched("train", lr=[1, 2])`` fetches a step of a sweep that has ended."""

    def bring(step: str | None = None, **values: Any) -> FetchedRun:
        made = pipeline(CELLS)
        swept = Swept(made.plan_sweep(parameters=values), Goal("accuracy", "max"))
        path = compile_sweep(made, swept, tmp_path / "sweep.yaml", install=False).path
        spec = next(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        server.runs["run-1"] = {
            "run_id": "run-1",
            "display_name": "small",
            "experiment_id": "experiment-1",
            "created_at": CREATED,
            "pipeline_spec": spec,
        }
        states = {"load": "SUCCEEDED", "train": "SUCCEEDED"}
        server.frames = [Frame("SUCCEEDED", states, cached=frozenset(states))]
        return fetch("run-1", step, host=server.url, authentication="none", folder=tmp_path)

    return bring


def test_what_ran_once_is_fetched_and_of_the_rest_it_is_told_why_not(fetched: Fetch) -> None:
    found = fetched(lr=[1, 2])
    assert set(found.steps) == {"load"}
    (lack,) = found.lacks["train"]
    assert lack.reason == "it ran once for every trial"
    assert "--as-runs" in lack.hint


def test_a_step_of_the_loop_is_refused(fetched: Fetch) -> None:
    with pytest.raises(ServerError, match="is a sweep: step train ran once for every trial"):
        fetched("train", lr=[1, 2])


def test_so_is_a_sweep_without_any_shared_step(fetched: Fetch) -> None:
    with pytest.raises(ServerError, match="is a sweep: every step of it ran once"):
        fetched(start=[1, 2])
