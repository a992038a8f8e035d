"""Scripts of the SDK, compiled: they give under kfp.local what they give here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest
import yaml
from fake_kfp import FakeKfp, serving

from kale_pm.runtime.artifacts import artifacts

GUIDE = '''
from kale_pm.sdk import pipeline, step      # the only line that is not as Kale's guide has it
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split


@step(name="data_loading")
def load(random_state):
    """Create a random dataset for binary classification."""
    rs = int(random_state)
    x, y = make_classification(random_state=rs)
    return x, y


@step(name="data_split")
def split(x, y):
    """Split the data into train and test set."""
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.1, random_state=0)
    return x, x_test, y, y_test


@step(name="model_training")
def train(x, x_test, y, training_iterations):
    """Train a logistic regression."""
    iters = int(training_iterations)
    model = LogisticRegression(max_iter=iters)
    model.fit(x, y)
    print(model.predict(x_test))


@pipeline(name="binary-classification", experiment="kale-tutorial",
          marshal_volume=True, marshal_volume_size="10Gi", marshal_path="/data/marshal")
def ml_pipeline(rs=42, iters=100):
    """Run the ML pipeline."""
    x, y = load(rs)
    x, x_test, y, y_test = split(x=x, y=y)
    train(x, x_test, y, training_iterations=iters)


if __name__ == "__main__":
    ml_pipeline(rs=42, iters=100)
'''


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(text: str, name: str = "script") -> ModuleType:
        (tmp_path / f"{name}.py").write_text(dedent(text), encoding="utf-8")
        return import_module(name)

    yield make
    for name in ("script", "steps", "tools"):
        sys.modules.pop(name, None)


def printed(notebook: Path) -> str:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    outputs = [each for cell in content["cells"] for each in cell.get("outputs", ())]
    return "".join("".join(each["text"]) for each in outputs if each["output_type"] == "stream")


def sources(notebook: Path) -> list[str]:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in content["cells"]]


def test_the_script_of_kale_s_guide_gives_the_same_here_and_there(
    script, run_under_kfp, tmp_path, monkeypatch
):
    made = script(GUIDE)
    here = made.ml_pipeline(rs=7)
    # The path of the volume is the cluster's; this machine has none of that name.
    monkeypatch.setitem(made.ml_pipeline.settings, "marshal_path", str(tmp_path / "volume"))
    there, _ = run_under_kfp(made.ml_pipeline.to_pipeline(rs=7))

    names = ("data_loading", "data_split", "model_training")
    notebooks = {
        name: there / f"step-{name.replace('_', '-')}" / "notebook" / f"{name}.ipynb"
        for name in names
    }
    predicted = printed(here.steps["model_training"].notebook)
    assert predicted.startswith("[")
    assert printed(notebooks["model_training"]) == predicted

    for notebook in (here.steps["data_split"].notebook, notebooks["data_split"]):
        found = sources(notebook)
        assert "## data_split\n\nSplit the data into train and test set." in found
        assert "x = data_loading_x\ny = data_loading_y" in found
        assert (
            "x, x_test, y, y_test = train_test_split(x, y, test_size=0.1, random_state=0)" in found
        )


def test_helpers_modules_metrics_and_artifacts_go_along(script, run_under_kfp):
    script("def double(x):\n    return 2 * x\n", name="tools")
    script(
        """
        from kale_pm.sdk import metric, step
        from tools import double

        def clean(number):
            return double(number)

        @step
        def load(n):
            metric("loaded", n)
            return clean(n), [n] * n
        """,
        name="steps",
    )
    made = script(
        """
        from pathlib import Path
        from kale_pm.sdk import artifact, pipeline, step
        from steps import load

        def clean(number):
            return -number

        @artifact("page", "page.html")
        @step(packages=["pandas"], limits={"memory": "1Gi"}, retry_count=1)
        def show(number, *numbers, text):
            if not numbers:
                return None
            Path("page.html").write_text(text)
            print(clean(number), numbers, text)

        @pipeline
        def small(n: int = 3, text="{{$}} 'x'"):
            number, numbers = load(n)
            show(number, numbers, 1.5, text=text)
        """
    )
    here = made.small(n=2)
    there, _ = run_under_kfp(made.small.to_pipeline(n=2))
    shown = there / "step-show" / "notebook" / "show.ipynb"
    said = "-4 ([2, 2], 1.5) {{$}} 'x'\n"
    assert printed(here.steps["show"].notebook) == said
    assert printed(shown) == said
    kept = artifacts(json.loads(shown.read_text(encoding="utf-8")))
    assert kept["page"].content == b"{{$}} 'x'"
    assert here.steps["show"].artifacts["page"].content == kept["page"].content
    assert (there / "step-show" / "page").read_bytes() == kept["page"].content


def test_packages_of_a_step_are_installed_in_its_pod_alone(script, tmp_path):
    made = script(
        """
        from kale_pm.sdk import pipeline, step

        @step(packages=["pandas==2.2.0"])
        def load():
            return 1

        @step
        def show(number):
            print(number)

        @pipeline
        def small():
            show(load())
        """
    )
    result = made.small.compile(tmp_path / "small.yaml")
    spec = next(yaml.safe_load_all(result.path.read_text(encoding="utf-8")))
    executors = spec["deploymentSpec"]["executors"]
    having = [name for name, each in executors.items() if "pandas==2.2.0" in str(each)]
    assert having == ["exec-step-load"]


def test_kfp_submits_the_script_with_the_values_of_its_call(tmp_path: Path) -> None:
    script = GUIDE.replace("ml_pipeline(rs=42, iters=100)\n", "ml_pipeline(rs=7)\n")
    (tmp_path / "guide.py").write_text(script, encoding="utf-8")
    with serving(FakeKfp()) as server:
        done = subprocess.run(
            [sys.executable, "guide.py", "--kfp", "--host", server.url, "-p", "iters=50"],
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    (experiment,) = server.experiments.values()
    assert experiment["display_name"] == "kale-tutorial"
    (run,) = server.runs.values()
    assert run["runtime_config"]["parameters"] == {"iters": 50}
    (version,) = server.versions.values()
    root = version["pipeline_spec"]["pipeline_spec"]["root"]
    assert root["inputDefinitions"]["parameters"]["rs"]["defaultValue"] == 7
    assert run["run_id"] in done.stdout
