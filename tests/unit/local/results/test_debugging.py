"""The notebook that takes up a step where it failed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from tiny_notebooks import write_notebook

from kale_pm.errors import SecretError, StoreError, UsageError
from kale_pm.local.results.debugging import jupyter_command, write_debug_notebook
from kale_pm.record import CellError, RunRecord, State, StepRecord

ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["…"]}


def cell(
    role: str, number: int | None, source: str, *outputs: dict[str, Any], tags: str = ""
) -> dict[str, Any]:
    own = {"role": role} if number is None else {"role": role, "cell": number}
    ran = {"status": "completed"}
    return {
        "cell_type": "code",
        "id": f"{role}-{number}",
        "metadata": {"kale_pm": own, "papermill": ran, "execution": {}, "tags": tags.split()},
        "source": source.splitlines(keepends=True),
        "outputs": list(outputs),
        "execution_count": 1,
    }


PRINTED = {"output_type": "stream", "name": "stdout", "text": "1"}
MARKER = {
    "cell_type": "markdown",
    "id": "marker",
    "source": "An Exception was encountered",
    "metadata": {"tags": ["papermill-error-cell-tag"]},
}
INJECTED = {
    "cell_type": "code",
    "id": "injected",
    "source": "n = 5",
    "execution_count": 2,
    "metadata": {"tags": ["injected-parameters"]},
    "outputs": [],
}
USES_SECRET = ("block:b secret:db:password:DB_PASSWORD", "print(1)")
CELLS = [
    MARKER,
    cell("parameters", 1, "n = 2", tags="parameters"),
    INJECTED,
    cell("prelude", 2, "import math"),
    cell("load", None, "import kale_pm.runtime\n\nkale_pm.runtime.load('x')"),
    cell("step", 3, "print(x)", PRINTED, tags="block:b env:MODE:fast"),
    cell("step", 4, "1 / 0", ERROR, tags="raises-exception"),
    MARKER,
    cell("step", 5, "raise ValueError('no')", ERROR),
    cell("step", 6, "print('never')"),
    cell("save", None, "kale_pm.runtime.save('y')"),
]
KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
FAILED = StepRecord("b", State.FAILED, error=CellError("ValueError", "no", 5))


class Run:
    """A run whose step ``b`` executed CELLS, beside a notebook that is there or not."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / ".kale-pm" / "runs" / "wine-1"
        (self.folder / "notebooks").mkdir(parents=True)

    def debug(
        self,
        output: Path | None = None,
        *,
        step: StepRecord = FAILED,
        cells: list[dict[str, Any]] | None = None,
        overwrite: bool = False,
    ) -> Path:
        content = {
            "cells": CELLS if cells is None else cells,
            "metadata": {"kernelspec": KERNEL, "papermill": {}, "kale_pm": {}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        path = self.folder / "notebooks" / "b.ipynb"
        path.write_text(json.dumps(content))
        steps = {
            "b": StepRecord(**{**vars(step), "notebook": "notebooks/b.ipynb"}),
            "c": StepRecord("c", State.SKIPPED),
        }
        record = RunRecord(
            "wine-1", "wine", str(self.home / "wine.ipynb"), State.FAILED, {}, steps, 1.0
        )
        self.record = record
        return write_debug_notebook(record, self.folder, "b", output, overwrite=overwrite)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def sources(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


def test_it_holds_the_cells_up_to_the_failing_one_which_is_marked(run: Run) -> None:
    path = run.debug()
    assert path == run.home / "b-debug.ipynb"
    about, inputs, *cells, mark, last = sources(path)
    assert "`b` of run `wine-1`" in about
    assert f"use_run(\n    {str(run.folder)!r},\n)" in inputs
    assert cells == [
        *("n = 2", "n = 5", "import math"),
        "import kale_pm.runtime\n\nkale_pm.runtime.load('x')",
        *("print(x)", "1 / 0"),
    ]
    assert mark == "### ✗ Cell 5 failed here\n\n```text\nValueError: no\n```"
    assert last == "raise ValueError('no')"


def test_it_is_a_valid_notebook_in_which_nothing_ran(run: Run) -> None:
    content = nbformat.read(run.debug(), as_version=4)
    nbformat.validate(content)
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert content.metadata == {"kernelspec": KERNEL}
    assert all({*cell.metadata} <= {"kale_pm", "tags"} for cell in content.cells)


def test_a_kernel_that_died_leaves_the_number_of_its_cell(run: Run) -> None:
    silent = [each | {"outputs": []} if "outputs" in each else each for each in CELLS]
    step = StepRecord("b", State.FAILED, error=CellError("DeadKernelError", "died", 3))
    assert sources(run.debug(step=step, cells=silent))[-2:] == [
        "### ✗ Cell 3 failed here\n\n```text\nDeadKernelError: died\n```",
        "print(x)",
    ]


def test_what_kale_pm_added_may_fail_too(run: Run) -> None:
    cells = [*CELLS[:8], cell("step", 5, "y = 1"), cell("save", None, "save('y')", ERROR)]
    step = StepRecord("b", State.FAILED, error=CellError("SaveError", "no", 5))
    assert sources(run.debug(step=step, cells=cells))[-1] == "save('y')"


def test_an_interrupted_step_says_so(run: Run) -> None:
    step = StepRecord("b", State.INTERRUPTED)
    assert "### ✗ Cell 5 was interrupted here" in sources(run.debug(step=step))


def test_of_a_step_that_did_not_fail_all_cells_but_the_saving_one(run: Run) -> None:
    found = sources(run.debug(step=StepRecord("b", State.CACHED)))
    assert found[-1] == "print('never')"
    assert not any("failed here" in source for source in found)


def test_a_kernel_that_this_machine_lacks_becomes_the_interpreter(run: Run) -> None:
    path = run.debug()
    executed = json.loads((run.folder / "notebooks/b.ipynb").read_text())
    executed["metadata"]["kernelspec"] = {"name": "no-such-kernel"}
    (run.folder / "notebooks/b.ipynb").write_text(json.dumps(executed))
    path = write_debug_notebook(run.record, run.folder, "b", path, overwrite=True)
    assert json.loads(path.read_text())["metadata"]["kernelspec"]["name"] == "python3"


def test_the_working_directory_and_the_environment_are_those_of_the_step(run: Run) -> None:
    cells = [("block:a", "x = 1"), ("block:b env:MODE:fast", "print(x)")]
    content = {
        "cells": [
            {"cell_type": "code", "metadata": {"tags": tags.split()}, "source": source}
            for tags, source in cells
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    (run.home / "wine.ipynb").write_text(json.dumps(content))
    inputs = sources(run.debug(run.home / "deep" / "x.ipynb"))[1]
    assert f"folder={str(run.home)!r}" in inputs
    assert "env={'MODE': 'fast'}" in inputs
    assert "folder=" not in sources(run.debug())[1]


# -- no file of the user's is lost ------------------------------------------------------------


def test_a_name_that_is_taken_gets_a_number(run: Run) -> None:
    (run.home / "b-debug.ipynb").write_text("mine")
    names = [run.debug().name for _ in range(2)]
    assert names == ["b-debug-2.ipynb", "b-debug-3.ipynb"]
    assert (run.home / "b-debug.ipynb").read_text() == "mine"


def test_a_file_that_was_named_is_overwritten_on_demand_only(run: Run) -> None:
    path = run.home / "mine.ipynb"
    path.write_text("mine")
    with pytest.raises(UsageError, match="is there already") as caught:
        run.debug(path)
    assert "--force" in caught.value.hint
    assert path.read_text() == "mine"
    assert run.debug(path, overwrite=True) == path
    nbformat.validate(nbformat.read(path, as_version=4))


# -- what there is nothing to debug of --------------------------------------------------------


def test_a_step_that_never_started_names_the_one_that_failed(run: Run) -> None:
    run.debug()
    with pytest.raises(UsageError, match="step c of run wine-1 did not start") as caught:
        write_debug_notebook(run.record, run.folder, "c")
    assert "b" in caught.value.hint


@pytest.mark.parametrize("text", [None, "", "{}", '{"cells": 1}', "null"])
def test_a_lost_or_damaged_notebook_is_one_clear_error(text: str | None, run: Run) -> None:
    run.debug()
    path = run.folder / "notebooks/b.ipynb"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(StoreError, match=r"b\.ipynb"):
        write_debug_notebook(run.record, run.folder, "b")


def test_jupyter_is_looked_for_where_people_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert jupyter_command() == []
    (tmp_path / "bin").mkdir()
    for name in ("bin/jupyter-notebook", "jupyter-lab"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        assert jupyter_command() == [str(tmp_path / name)]


def test_of_secrets_it_holds_how_to_read_them_and_no_value(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hush-hush")
    write_notebook(run.home / "wine.ipynb", [USES_SECRET])
    path = run.debug()
    cell = sources(path)[2]
    assert "hush-hush" not in path.read_text()
    assert cell.startswith("# Sets DB_PASSWORD as a run does")
    monkeypatch.setenv("DB_PASSWORD", "another")
    exec(cell, {})
    assert os.environ["DB_PASSWORD"] == "another"


def test_a_secret_that_is_missing_there_is_told_with_what_to_do(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DB_PASSWORD", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(run.home / "config"))
    write_notebook(run.home / "wine.ipynb", [USES_SECRET])
    cell = sources(run.debug())[2]
    with pytest.raises(SecretError, match="nowhere to be found: set the environment variable"):
        exec(cell, {})

    secret = run.home / "config/kale-pm/secrets/db/password"
    secret.parent.mkdir(parents=True)
    secret.write_text("from a file\n")
    secret.chmod(0o600)
    exec(cell, {})
    assert os.environ.pop("DB_PASSWORD") == "from a file"
