"""Slices and executed notebooks, run by stock papermill without kale-pm's scheduler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

from kale_pm.slicing import cut, to_bytes

if TYPE_CHECKING:
    from conftest import Runner

CELLS = [
    ("parameters", "lr = 1.0\nhalf = lr / 2"),
    ("block:load", "rows = [1, 2, 3]"),
    ("block:clean prev:load", "count = len(rows)"),
    ("block:train prev:clean", "print(sum(rows) * lr, half, count)\nmodel = 1"),
    ("block:use prev:train", "print(model)"),
]


def papermill(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def printed(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    outputs = (o for c in cells for o in c.get("outputs", ()))
    return "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")


@pytest.fixture
def sliced(run: Runner) -> Runner:
    """The notebook with its slices in the folder ``slices``."""
    run.write_cells(CELLS)
    (run.folder / "slices").mkdir()
    pipeline = run.pipeline()
    for step in pipeline.steps:
        path = run.folder / "slices" / f"{step.name}.ipynb"
        path.write_bytes(to_bytes(cut(pipeline, step.name)))
    return run


def test_papermill_runs_a_slice_on_the_inputs_of_the_newest_run(sliced: Runner) -> None:
    ran = sliced().raise_for_failures()
    before = sorted(p for p in sliced.store.rglob("*"))
    done = papermill(sliced.folder, "slices/train.ipynb", "out.ipynb", "-p", "lr", "0.5")
    assert done.returncode == 0, done.stderr
    assert printed(sliced.folder / "out.ipynb") == "3.0 0.25 3\n"
    assert sorted(p for p in sliced.store.rglob("*")) == before

    # An executed notebook of the run can be executed once more, from where it lies as well.
    executed = ran.folder / "notebooks" / "train.ipynb"
    done = papermill(executed.parent, "train.ipynb", str(sliced.folder / "again.ipynb"))
    assert done.returncode == 0, done.stderr
    assert printed(sliced.folder / "again.ipynb") == "6.0 0.5 3\n"


def test_the_first_slice_needs_no_inputs_but_a_later_one_names_kale_pm_run(
    sliced: Runner,
) -> None:
    done = papermill(sliced.folder, "slices/train.ipynb", "out.ipynb")
    assert done.returncode != 0
    assert "kale-pm run" in done.stderr
    assert "train" in done.stderr


def test_a_skipped_step_of_a_failed_run_can_be_run_by_hand(sliced: Runner) -> None:
    cells = [*CELLS[:2], ("block:clean prev:load", "count = 3\n1 / 0"), *CELLS[3:]]
    sliced(cells)
    # ``clean`` gave nothing, so that there is no run with all that ``train`` needs ...
    done = papermill(sliced.folder, "slices/train.ipynb", "out.ipynb")
    assert "kale-pm run" in done.stderr
    # ... but the failed step itself has its inputs.
    done = papermill(sliced.folder, "slices/clean.ipynb", "out.ipynb")
    assert done.returncode == 0, done.stderr


def test_papermills_own_engine_registry_knows_ours(sliced: Runner) -> None:
    sliced()
    done = papermill(sliced.folder, "--engine", "kale-pm", "slices/train.ipynb", "out.ipynb")
    assert done.returncode == 0, done.stderr
    assert printed(sliced.folder / "out.ipynb") == "6.0 0.5 3\n"


def test_a_slice_run_twice_in_one_kernel_keeps_nothing_of_the_first_time(sliced: Runner) -> None:
    """As somebody does who opens it, runs it, edits a cell and runs it all once more."""
    sliced().raise_for_failures()
    path = sliced.folder / "slices" / "train.ipynb"
    notebook = nbformat.read(path, as_version=4)
    once = [cell for cell in notebook.cells if cell.cell_type == "code"]
    twice = [nbformat.from_dict({**cell, "id": f"again-{n}"}) for n, cell in enumerate(once)]
    for cells, name in ((once, "first"), (twice, "second")):
        cells[-2].source += f"\nimport kale_pm\nkale_pm.metric('{name}', 1)"
        cells[-1].source += "\nprint(sorted(kale_pm.runtime.metrics.recorded()))"
    notebook.cells = [*once, *twice]
    nbformat.write(notebook, sliced.folder / "twice.ipynb")
    done = papermill(sliced.folder, "twice.ipynb", "out.ipynb")
    assert done.returncode == 0, done.stderr
    lines = printed(sliced.folder / "out.ipynb").splitlines()
    assert [line for line in lines if line.startswith("[")] == ["['first']", "['second']"]
