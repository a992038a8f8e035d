"""What ran on the laptop runs on the cluster: ``kale-pm run`` and the compiled IR agree.

The IR runs under kfp.local's SubprocessRunner.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agreement import executed_by_kfp, notebook_of, outputs

import kale_pm
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
        assert outputs(executed_by_kfp(there, name)) == outputs(notebook_of(here, name))
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


def metrics(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in folder.glob("*/state/manifest.json"):
        found |= read_manifest(file).metrics
    return found
