"""Large pipelines: steps of one kind share an executor, and the package stays small."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from kale_pm import Pipeline
from kale_pm.kfp.compiling import plan
from kale_pm.kfp.compiling.folding import fold
from kale_pm.kfp.compiling.functions import FOLDED_ABOVE
from kale_pm.kfp.compiling.sizes import argument_size
from kale_pm.kfp.server.record import tasks_of

Make = Callable[..., Pipeline]
Run = Callable[..., tuple[Path, str]]

CELLS = [
    ("parameters", "rate = 2"),
    ("step:load", "table = [1, 2, 3]"),
    ("step:double prev:load limit:cpu:2", "table = [rate * x for x in table]\nlow = min(table)"),
    ("step:triple prev:load", "more = [3 * x for x in table]"),
    ("step:join prev:double prev:triple", "print(table, more, low)\ntotal = sum(table + more)"),
    ("step:last prev:join", "import kale_pm\nkale_pm.metric('total', total)"),
]


def long_chain(length: int, shared: bool) -> list[tuple[str, str]]:
    """Steps of some code each; ``shared``: all of them may change one list."""
    code = "\n".join(f"value_{n} = [x * {n} for x in range(10)]" for n in range(8))
    cells = [("imports", "import math\n\ndef note(text):\n    log.append(text)")]
    cells += [("step:s0", f"log = []\ntotal = 0\n{code}")]
    for number in range(1, length):
        change = "note(total)" if shared else "total += value_1[-1]"
        cells.append((f"step:s{number} prev:s{number - 1}", f"{code}\n{change}"))
    return cells


def documents(path: Path) -> list[Mapping[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def graphs(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts = [spec["root"], *spec["components"].values()]
    return [part["dag"] for part in parts if "dag" in part]


def tasks(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: task for graph in graphs(spec) for key, task in graph["tasks"].items()}


@pytest.fixture
def folding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "FOLDED_ABOVE", 3)


@pytest.mark.usefixtures("folding")
def test_a_folded_pipeline_gives_what_a_plain_one_gives(pipeline: Make, run_under_kfp: Run) -> None:
    folder, _ = run_under_kfp(pipeline(CELLS), rate=5)
    printed = "".join(
        path.read_text(encoding="utf-8") for path in folder.glob("*/notebook/join.ipynb")
    )
    assert "[5, 10, 15] [3, 6, 9] 5" in printed
    assert {path.stem for path in folder.glob("*/notebook/*.ipynb")} == {
        "load", "double", "triple", "join", "last"
    }  # fmt: skip


@pytest.mark.usefixtures("folding")
def test_what_steps_of_one_kind_give_stays_apart(pipeline: Make, run_under_kfp: Run) -> None:
    made = pipeline(
        [
            ("step:start", "numbers = [1, 2]"),
            ("step:a prev:start", "low = min(numbers)"),
            ("step:b prev:start", "high = max(numbers)"),
            ("step:c prev:start", "count = len(numbers)"),
            ("step:both prev:a prev:b prev:c", "print(low, high, count)"),
        ]
    )
    folder, _ = run_under_kfp(made)
    assert "1 2 2" in (folder / "step-both" / "notebook" / "both.ipynb").read_text()
    assert "max" in (folder / "step-b" / "html").read_text()


@pytest.mark.usefixtures("folding")
def test_settings_stay_with_their_step(pipeline: Make, tmp_path: Path) -> None:
    made = pipeline([*CELLS, ("step:more prev:join node:disk:fast", "print(total)")])
    made.compile(tmp_path / "p.yaml")
    spec, platform = documents(tmp_path / "p.yaml")
    executors = spec["deploymentSpec"]["executors"]
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for task in tasks(spec).values():
        label = spec["components"][task["componentRef"]["name"]]["executorLabel"]
        name = task["taskInfo"]["name"]
        assert ("resources" in executors[label]["container"]) == (name == "double")
        assert ("nodeSelector" in settings.get(label, {})) == (name == "more")


@pytest.mark.usefixtures("folding")
def test_a_task_says_which_step_it_is(pipeline: Make, tmp_path: Path) -> None:
    pipeline(CELLS).compile(tmp_path / "p.yaml")
    (spec,) = documents(tmp_path / "p.yaml")
    names = {task["taskInfo"]["name"] for task in tasks(spec).values()}
    assert {"load", "double", "triple", "join", "last"} <= names


@pytest.mark.parametrize("shared", [False, True], ids=["chain", "shared list"])
def test_two_hundred_steps_fit_into_a_cluster(pipeline: Make, tmp_path: Path, shared: bool) -> None:
    result = pipeline(long_chain(200, shared)).compile(tmp_path / "p.yaml")
    spec = documents(tmp_path / "p.yaml")[0]
    assert len(json.dumps(spec, separators=(",", ":"))) == result.size <= 700_000
    assert len([key for key in tasks(spec) if key.startswith("step-")]) == 200
    # Each of these is one argument of a pod.
    executors = spec["deploymentSpec"]["executors"].values()
    parts = [spec["root"], *spec["components"].values(), *tasks(spec).values(), *executors]
    assert max(map(argument_size, parts)) < 120_000


def test_a_small_pipeline_has_a_component_for_every_step(pipeline: Make, tmp_path: Path) -> None:
    pipeline(long_chain(FOLDED_ABOVE, shared=False)).compile(tmp_path / "p.yaml")
    spec = documents(tmp_path / "p.yaml")[0]
    assert len(spec["components"]) == FOLDED_ABOVE + 1


@pytest.mark.usefixtures("folding")
def test_every_step_is_found_by_what_the_package_calls_it(pipeline: Make, tmp_path: Path) -> None:
    pipeline(CELLS).compile(tmp_path / "p.yaml")
    (spec,) = documents(tmp_path / "p.yaml")
    found = tasks_of(spec)
    assert {task.name for task in found} == {"load", "double", "triple", "join", "last"}
    assert {task.key for task in found} < tasks(spec).keys()


def test_the_order_in_which_kfp_gives_components_does_not_matter() -> None:
    command = {"container": {"image": "i", "command": ["run"]}}

    def folded(steps: dict[str, str]) -> dict[str, Any]:
        """A pipeline of equal tasks that say, by what KFP calls them, which step they are."""
        spec = {
            "components": {f"comp-{n}": {"executorLabel": f"exec-{n}"} for n in steps},
            "deploymentSpec": {"executors": {f"exec-{n}": command for n in steps}},
            "root": {
                "dag": {
                    "tasks": {
                        n: {"componentRef": {"name": f"comp-{n}"}, "taskInfo": {"name": step}}
                        for n, step in steps.items()
                    }
                }
            },
        }
        fold(spec, {})
        return spec

    made = folded({"steps-1": "a", "steps-1-2": "b", "steps-1-3": "c"})
    assert made == folded({"steps-1-3": "a", "steps-1": "b", "steps-1-2": "c"})
    assert len(made["deploymentSpec"]["executors"]) == 1
    assert set(made["root"]["dag"]["tasks"]) == {"step-a", "step-b", "step-c"}


@pytest.mark.usefixtures("folding")
def test_tasks_are_called_as_in_a_pipeline_that_is_not_folded(
    pipeline: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pipeline(CELLS)
    made.compile(tmp_path / "folded.yaml")
    monkeypatch.setattr(plan, "FOLDED_ABOVE", FOLDED_ABOVE)
    made.compile(tmp_path / "plain.yaml")
    (folded,), (plain,) = documents(tmp_path / "folded.yaml"), documents(tmp_path / "plain.yaml")
    assert tasks(folded).keys() == tasks(plain).keys()
    for key, task in tasks(folded).items():
        assert task.get("dependentTasks") == tasks(plain)[key].get("dependentTasks")


@pytest.mark.usefixtures("folding")
def test_names_of_the_file_itself_are_left_to_it(pipeline: Make, tmp_path: Path) -> None:
    cells = [
        ("parameters", "steps_1 = 1\nbundle_b = 2"),
        ("step:steps_1", "print(steps_1, bundle_b)"),
        *((f"step:{name} prev:steps_1", f"print('{name}')") for name in "bcd"),
    ]
    dsl = tmp_path / "p.py"
    pipeline(cells).compile(tmp_path / "p.yaml", dsl=dsl)
    (spec,) = documents(tmp_path / "p.yaml")
    assert {"steps_1", "b", "c", "d"} <= {t["taskInfo"]["name"] for t in tasks(spec).values()}
    assert "Each function steps_* runs several steps" in dsl.read_text(encoding="utf-8")
