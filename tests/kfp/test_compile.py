"""The compiled pipeline: a strict IR, the same at every compile, with all that the tags ask."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

import kale_pm
from kale_pm import Pipeline
from kale_pm.errors import CompileError, PipelineError

EXAMPLES = Path(__file__).parents[2] / "examples"
Make = Callable[..., Pipeline]

CHAIN = [
    ("parameters", "count: int = 3\nrate = 0.5\nname = 'x'\nlayers = [1, 2]\nnothing = None"),
    ("step:first", "total = [rate] * count"),
    ("step:second prev:first", "print(sum(total), name, layers, nothing)"),
]


def documents(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pipeline's spec and the platform's, empty where there is none."""
    found = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    return found[0], found[1] if len(found) > 1 else {}


@pytest.fixture
def compiled(pipeline: Make, tmp_path: Path) -> Callable[..., Any]:
    def compile_(cells: Any, install: bool = True, **metadata: Any) -> Any:
        result = pipeline(cells, **metadata).compile(tmp_path / "out.yaml", install=install)
        return documents(result.path)

    return compile_


@pytest.mark.parametrize("example", ["candies", "wine", "report"])
def test_the_ir_parses_strictly(example: str, tmp_path: Path) -> None:
    result = kale_pm.compile(EXAMPLES / f"{example}.ipynb", tmp_path / "out.yaml")
    spec, platform = documents(result.path)
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    executors = (platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})).get(
        "executors", {}
    )
    for settings in executors.values():
        json_format.ParseDict(settings, kubernetes_pb2.KubernetesExecutorConfig())


def test_equal_notebooks_give_equal_bytes(pipeline: Make, tmp_path: Path) -> None:
    made = pipeline(CHAIN)
    first = made.compile(tmp_path / "a.yaml", dsl=tmp_path / "a.py")
    second = made.compile(tmp_path / "b.yaml", dsl=tmp_path / "b.py")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert (tmp_path / "a.py").read_bytes() == (tmp_path / "b.py").read_bytes()


def test_it_lies_beside_the_notebook_by_default(pipeline: Make) -> None:
    made = pipeline(CHAIN)
    assert made.compile().path == made.path.with_suffix(".yaml")


def test_the_dsl_file_runs_by_itself(pipeline: Make, tmp_path: Path) -> None:
    result = pipeline(CHAIN).compile(tmp_path / "a.yaml", dsl=tmp_path / "a.py")
    subprocess.run([sys.executable, tmp_path / "a.py", tmp_path / "b.yaml"], check=True)
    assert documents(tmp_path / "b.yaml") == documents(result.path)


def test_a_name_that_is_too_long_for_kfp_is_cut(compiled: Any) -> None:
    spec, _ = compiled([("step:a", "1")], name=f"{'a' * 127}-b")
    assert spec["pipelineInfo"]["name"] == "a" * 127


def test_parameters_have_their_types_and_defaults(compiled: Any) -> None:
    spec, _ = compiled(CHAIN)
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    assert {name: (p["parameterType"], p["defaultValue"]) for name, p in inputs.items()} == {
        "count": ("NUMBER_INTEGER", 3.0),
        "rate": ("NUMBER_DOUBLE", 0.5),
        "name": ("STRING", "x"),
        "layers": ("STRING", "json:[1, 2]"),
        "nothing": ("STRING", "json:null"),
    }


def test_a_step_gets_the_parameters_that_it_uses(compiled: Any) -> None:
    spec, _ = compiled(CHAIN)
    inputs = spec["components"]["comp-step-first"]["inputDefinitions"]["parameters"]
    assert set(inputs) == {"p_count", "p_rate"}


def test_edges_order_even_without_data(compiled: Any) -> None:
    spec, _ = compiled([("step:a", "1"), ("step:b prev:a", "2"), ("step:c prev:a", "3")])
    tasks = spec["root"]["dag"]["tasks"]
    assert tasks["step-b"]["dependentTasks"] == ["step-a"]
    assert tasks["step-c"]["dependentTasks"] == ["step-a"]
    assert "dependentTasks" not in tasks["step-a"]


def test_the_runtime_travels_once_above_a_few_steps(compiled: Any, tmp_path: Path) -> None:
    chain = [("step:s0", "x = 0")]
    chain += [(f"step:s{i} prev:s{i - 1}", "x = x + 1") for i in range(1, 40)]
    spec, _ = compiled(chain)
    assert (tmp_path / "out.yaml").stat().st_size < 400 * 1024
    tasks = spec["root"]["dag"]["tasks"]
    assert "carry-runtime" in tasks
    assert all("carry-runtime" in t["dependentTasks"] for n, t in tasks.items() if n[:5] == "step-")


def test_every_option_of_a_step_arrives(compiled: Any) -> None:
    tags = [
        "step:a", "image:registry:5000/team/image:1", "cache:disabled", "limit:cpu:2",
        "limit:memory:1Gi", "request:cpu:500m", "request:memory:512Mi", "limit:nvidia.com/gpu:1",
        "retry:3", "timeout:90", "env:MODE:a:b", "node:disk:ssd", "secret:db:password:DB_PASSWORD",
        "label:team:blue", "annotation:url:scheme://host:80/y",
    ]  # fmt: skip
    spec, platform = compiled([(" ".join(tags), "x = 1")])
    executor = spec["deploymentSpec"]["executors"]["exec-step-a"]["container"]
    task = spec["root"]["dag"]["tasks"]["step-a"]
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-step-a"]
    resources = executor["resources"]

    assert executor["image"] == "registry:5000/team/image:1"
    assert {"name": "MODE", "value": "a:b"} in executor["env"]
    assert resources["resourceCpuLimit"] == "2"
    assert resources["resourceMemoryLimit"] == "1Gi"
    assert resources["resourceCpuRequest"] == "500m"
    assert resources["resourceMemoryRequest"] == "512Mi"
    assert resources["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert resources["accelerator"]["resourceCount"] == "1"
    assert "enableCache" not in task.get("cachingOptions", {})
    assert task["retryPolicy"]["maxRetryCount"] == 3
    # The step ends itself after 90 seconds; the pod has time to start and to save.
    assert settings["activeDeadlineSeconds"] == "1890"
    assert settings["nodeSelector"]["labels"] == {"disk": "ssd"}
    assert settings["podMetadata"]["labels"] == {"team": "blue"}
    assert settings["podMetadata"]["annotations"] == {"url": "scheme://host:80/y"}
    (secret,) = settings["secretAsEnv"]
    assert secret["keyToEnv"] == [{"secretKey": "password", "envVar": "DB_PASSWORD"}]


def test_steps_are_cached_unless_told_otherwise(compiled: Any) -> None:
    spec, _ = compiled([("step:a", "x = 1"), ("step:b cache:disabled", "y = 1")])
    tasks = spec["root"]["dag"]["tasks"]
    assert tasks["step-a"]["cachingOptions"] == {"enableCache": True}
    assert not tasks["step-b"].get("cachingOptions")


def test_pods_install_what_the_step_imports_pinned(compiled: Any) -> None:
    spec, _ = compiled([("imports", "import numpy"), ("step:a", "import json")])
    command = " ".join(spec["deploymentSpec"]["executors"]["exec-step-a"]["container"]["command"])
    import numpy
    import papermill

    assert f"numpy=={numpy.__version__}" in command
    assert f"papermill=={papermill.__version__}" in command
    assert "json==" not in command


def test_nothing_is_installed_when_the_image_has_it(compiled: Any) -> None:
    spec, _ = compiled([("step:a", "import numpy")], install=False)
    command = " ".join(spec["deploymentSpec"]["executors"]["exec-step-a"]["container"]["command"])
    assert "pip install" not in command


@pytest.mark.parametrize("tag", ["limit:nvidia.com/gpu:0.5", "request:memory:500m"])
def test_a_quantity_without_sense_names_the_step_and_the_tag(
    pipeline: Make, tag: str, tmp_path: Path
) -> None:
    made = pipeline([(f"step:a {tag}", "x = 1")])
    with pytest.raises(CompileError, match="step a") as caught:
        made.compile(tmp_path / "out.yaml")
    assert tag in str(caught.value)
    assert caught.value.hint
    assert not (tmp_path / "out.yaml").exists()


def test_files_that_are_too_large_are_refused_with_their_sizes(
    pipeline: Make, tmp_path: Path
) -> None:
    import random

    made = pipeline([("step:a", "x = 1")], files=["*.bin"])
    (made.folder / "data.bin").write_bytes(random.Random(0).randbytes(200_000))
    with pytest.raises(CompileError, match=r"step a is too large .* KiB"):
        made.compile(tmp_path / "out.yaml")
    assert not (tmp_path / "out.yaml").exists()


def test_a_notebook_with_errors_is_not_compiled(pipeline: Make, tmp_path: Path) -> None:
    with pytest.raises(PipelineError):
        pipeline([("step:a", "print(nowhere)")]).compile(tmp_path / "out.yaml")


def test_what_is_not_carried_is_said(pipeline: Make, tmp_path: Path) -> None:
    volume = {"type": "new_pvc", "name": "data", "mount_point": "/data", "size": "5Gi"}
    result = pipeline([("step:a", "x = 1")], volumes=[volume]).compile(tmp_path / "out.yaml")
    assert any("data" in warning for warning in result.warnings)


def test_a_home_is_given_unless_the_tags_name_one(compiled: Any) -> None:
    spec, _ = compiled([("step:a", "1"), ("step:b prev:a env:HOME:/mine", "1")])
    homes = {
        name: container["container"]["env"]
        for name, container in spec["deploymentSpec"]["executors"].items()
    }
    assert homes["exec-step-a"] == [{"name": "HOME", "value": "/tmp"}]
    assert homes["exec-step-b"] == [{"name": "HOME", "value": "/mine"}]


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_neither_file_takes_the_place_of_the_notebook(
    pipeline: Make, tmp_path: Path, suffix: str
) -> None:
    made = pipeline(CHAIN)
    notebook = made.folder / f"text{suffix}"
    source = Path(made.folder / "small.ipynb")
    if suffix == ".ipynb":
        notebook.write_bytes(source.read_bytes())
    else:
        notebook.write_text('# %% tags=["block:a"]\nx = 1\n', encoding="utf-8")
    before = notebook.read_bytes()
    with pytest.raises(CompileError, match="is the notebook itself"):
        kale_pm.load(notebook).compile(tmp_path / "x.yaml", dsl=notebook)
    assert notebook.read_bytes() == before
    assert not (tmp_path / "x.yaml").exists()


def test_the_two_files_are_two(pipeline: Make, tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="is the compiled pipeline"):
        pipeline(CHAIN).compile(tmp_path / "x.yaml", dsl=tmp_path / "x.yaml")
