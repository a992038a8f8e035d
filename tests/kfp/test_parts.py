"""Pipelines too large for one graph are divided into parts, and give what they would undivided."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from kale_pm import Pipeline
from kale_pm.kfp.compiling import parts, plan
from kale_pm.kfp.server.compiled import inputs_of
from kale_pm.kfp.server.record import tasks_of

Make = Callable[..., Pipeline]
Run = Callable[..., tuple[Path, str]]

CELLS = [
    ("parameters", "rate = 2\nruntime = 'r'\np_rate = 1"),
    ("step:load", "table = [1, 2, 3]"),
    ("step:double prev:load limit:cpu:2", "table = [rate * x for x in table]\nlow = min(table)"),
    ("step:triple prev:load label:team:blue", "more = [3 * x for x in table]"),
    ("step:part_1 prev:double prev:triple", "print(table, more, low, runtime, p_rate)\ntotal = 1"),
    ("step:state_load prev:part_1 prev:load", "print(total, table)"),
    ("step:last prev:state_load node:disk:fast", "print('the end')"),
]


@pytest.fixture(params=["a function for each step", "shared functions"])
def divided(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a step or two each."""
    if request.param == "shared functions":
        monkeypatch.setattr(plan, "FOLDED_ABOVE", 3)
    monkeypatch.setattr(plan, "parts", lambda steps, _: parts.parts(steps, NO_TEXT, 1_500))


NO_TEXT = dict.fromkeys(("load", "double", "triple", "part_1", "state_load", "last"), 0)


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def parts_of(spec: Mapping[str, Any]) -> dict[str, set[str]]:
    """The steps of each part."""
    return {
        name: {task["taskInfo"]["name"] for task in component["dag"]["tasks"].values()}
        for name, component in spec["components"].items()
        if name.startswith("comp-part-")
    }


@pytest.mark.usefixtures("divided")
def test_a_divided_pipeline_gives_what_an_undivided_one_gives(
    pipeline: Make, run_under_kfp: Run
) -> None:
    folder, _ = run_under_kfp(pipeline(CELLS), rate=5)
    notebooks = {path.stem: path.read_text() for path in folder.rglob("notebook/*.ipynb")}
    assert "[5, 10, 15] [3, 6, 9] 5 r 1" in notebooks["part_1"]
    assert "1 [5, 10, 15]" in notebooks["state_load"]
    assert notebooks.keys() == NO_TEXT.keys()


@pytest.mark.usefixtures("divided")
def test_a_part_is_a_pipeline_of_its_steps(pipeline: Make, tmp_path: Path) -> None:
    result = pipeline(CELLS).compile(tmp_path / "p.yaml")
    spec, _ = documents(tmp_path / "p.yaml")
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    found = parts_of(spec)
    assert len(found) > 1
    assert sorted(step for steps in found.values() for step in steps) == sorted(NO_TEXT)
    assert any("parts" in text for text in result.warnings)


@pytest.mark.usefixtures("divided")
def test_settings_stay_with_their_step(pipeline: Make, tmp_path: Path) -> None:
    pipeline(CELLS).compile(tmp_path / "p.yaml")
    spec, platform = documents(tmp_path / "p.yaml")
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    found: dict[str, dict[str, Any]] = {}
    for component in spec["components"].values():
        for task in component.get("dag", {}).get("tasks", {}).values():
            label = spec["components"][task["componentRef"]["name"]]["executorLabel"]
            found[task["taskInfo"]["name"]] = {
                **spec["deploymentSpec"]["executors"][label]["container"],
                **settings.get(label, {}),
            }
    assert {n for n, each in found.items() if "resources" in each} == {"double"}
    assert {n for n, each in found.items() if "podMetadata" in each} == {"triple"}
    assert {n for n, each in found.items() if "nodeSelector" in each} == {"last"}


@pytest.mark.usefixtures("divided")
def test_the_server_is_told_of_the_steps_as_if_there_were_no_parts(
    pipeline: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pipeline(CELLS)
    made.compile(tmp_path / "divided.yaml")
    monkeypatch.setattr(plan, "parts", lambda *_: ())
    made.compile(tmp_path / "whole.yaml")
    told = []
    for name in ("divided", "whole"):
        spec = documents(tmp_path / f"{name}.yaml")[0]
        tasks = {task.name: task for task in tasks_of(spec)}
        parents = {name: set(task.parents) for name, task in tasks.items()}
        told.append((parents, inputs_of(spec, tasks), {task.key for task in tasks.values()}))
    assert told[0] == told[1]
    assert told[0][0]["part_1"] == {"double", "triple"}


@pytest.mark.usefixtures("divided")
def test_claims_of_the_run_and_the_exit_task_reach_all_parts(
    pipeline: Make, tmp_path: Path
) -> None:
    volume = {"type": "new_pvc", "name": "data", "mount_point": "/data", "size": 1}
    made = pipeline(CELLS, volumes=[volume], marshal_volume=True)
    made.compile(tmp_path / "p.yaml")
    spec, platform = documents(tmp_path / "p.yaml")
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    mounted = [each for each in settings.values() if "pvcMount" in each]
    labels = {
        spec["components"][task["componentRef"]["name"]]["executorLabel"]
        for component in spec["components"].values()
        for key, task in component.get("dag", {}).get("tasks", {}).items()
        if key.startswith("step-")
    }
    assert len(mounted) == len(labels)
    assert all(each["pvcMount"][0]["componentInputParameter"] == "claim_data" for each in mounted)


def test_a_pipeline_that_fits_is_not_divided(pipeline: Make, tmp_path: Path) -> None:
    result = pipeline(CELLS).compile(tmp_path / "p.yaml")
    assert not parts_of(documents(tmp_path / "p.yaml")[0])
    assert not [text for text in result.warnings if "parts" in text]
