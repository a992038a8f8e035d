"""Named cases of the law: realistic notebooks, each of which went wrong once or well might have.

Each runs in one kernel, and as a pipeline with a step that does nothing between any two, so
that nothing arrives by mere neighbourhood.  Both must show the same.  Where a notebook cannot
follow, ``warned`` is the code of the problem that must say so.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from shells import in_one_kernel, in_steps
from tiny_notebooks import write_notebook

from kale_pm.analysis import understand
from kale_pm.model import Pipeline
from kale_pm.notebook import read

DATA = Path(__file__).parents[1] / "data" / "law_cases.json"
CASES = json.loads(DATA.read_text(encoding="utf-8"))

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_pipeline_shows_what_one_kernel_shows(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, manifests = tmp_path / "work", tmp_path / "manifests"
    manifests.mkdir()
    lay_out(case, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("MPLBACKEND", "agg")
    pipeline = understood(apart(case["cells"]), folder)
    if "warned" in case:
        assert case["warned"] in {problem.code for problem in pipeline.problems}
        return
    assert pipeline.errors == ()
    expected = in_one_kernel(pipeline, folder)
    shutil.rmtree(folder)
    lay_out(case, folder)
    assert in_steps(pipeline, folder, manifests) == expected


def lay_out(case: dict[str, Any], folder: Path) -> None:
    """The folder as it is before the notebook runs."""
    folder.mkdir()
    for name, text in case.get("files", {}).items():
        (folder / name).write_text(text, encoding="utf-8")


def apart(cells: list[dict[str, Any]]) -> list[tuple[list[str], str]]:
    """The cells, with an idle step before each step that follows a single other one."""
    found: list[tuple[list[str], str]] = []
    named: set[str] = set()
    for cell in cells:
        tags = list(cell["tags"])
        before = [tag for tag in tags if tag.startswith("prev:")]
        block = next((tag for tag in tags if tag.startswith("block:")), "")
        if block and block not in named and len(before) == 1:
            idle = f"idle_{len(found)}"
            found.append(([f"block:{idle}", *before], "pass"))
            tags = [tag for tag in tags if tag not in before] + [f"prev:{idle}"]
        named.add(block)
        found.append((tags, cell["source"]))
    return found


def understood(cells: list[tuple[list[str], str]], folder: Path) -> Pipeline:
    return understand(read(write_notebook(folder / "case.ipynb", cells)))
