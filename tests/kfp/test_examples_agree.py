"""What ran on the laptop runs on the cluster: ``kale-pm run`` and the compiled IR agree.

The IR runs under kfp.local's SubprocessRunner.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import kale_pm
from kale_pm.face import Run
from kale_pm.runtime.manifest import read_manifest
from kale_pm.runtime.storage.dump import fingerprint
from kale_pm.runtime.storage.pack.reader import Pack

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("example", "parameters"),
    [
        ("candies", {"kids": 5}),
        ("wine", {"trees": 60, "test_size": 0.3}),
        ("report", {}),
    ],
)
def test_run_and_kfp_give_the_same(
    example: str,
    parameters: dict[str, Any],
    tmp_path: Path,
    run_under_kfp: Callable[..., tuple[Path, str]],
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(EXAMPLES / f"{example}.ipynb", folder)
    pipeline = kale_pm.load(folder / f"{example}.ipynb")

    here = pipeline.run(**parameters)
    there, _ = run_under_kfp(pipeline, **parameters)

    for step in pipeline.steps:
        name = step.name
        assert variables(here.folder / "manifests" / f"{name}.json") == variables(
            there / f"step-{name.replace('_', '-')}" / "state" / "manifest.json"
        )
        executed = there / f"step-{name.replace('_', '-')}" / "notebook" / f"{name}.ipynb"
        assert outputs(executed) == outputs(notebook_of(here, name))
    assert metrics(there) == here.metrics


def variables(manifest: Path) -> dict[str, Any]:
    """Every variable that the step gave, in a form that can be compared."""
    found = {}
    for name, variable in read_manifest(manifest).variables.items():
        assert variable.pack is not None
        assert variable.component is not None
        value = Pack(manifest.parent / variable.pack).load(variable.component)[name]
        found[name] = comparable(value)
    return found


def comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: comparable(inner) for name, inner in value.items()}
    if hasattr(value, "predict_proba"):
        # The nodes of a tree have padding bytes that nobody sets: its behaviour must do.
        import numpy

        rows = numpy.random.default_rng(0).normal(10, 50, (500, value.n_features_in_))
        return repr(value), value.predict_proba(rows).tolist()
    return fingerprint({"value": value}, frozenset())


def notebook_of(run: Run, step: str) -> Path:
    path = run.steps[step].notebook
    assert path is not None
    return path


def outputs(notebook: Path) -> list[Any]:
    """What the cells of a notebook show, without times and memory addresses."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [list(shown(cell)) for cell in cells if cell["cell_type"] == "code"]


def shown(cell: dict[str, Any]) -> Iterator[Any]:
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            text = "".join(output["text"])
            yield re.sub(r"(CPU times|Wall time):.*", r"\1", text)
        else:
            data = {
                mime: "".join(text) if isinstance(text, list) else text
                for mime, text in output["data"].items()
            }
            data["text/plain"] = re.sub(r"0x[0-9a-f]+", "0x", data.get("text/plain", ""))
            yield data


def metrics(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in folder.glob("*/state/manifest.json"):
        found |= read_manifest(file).metrics
    return found
