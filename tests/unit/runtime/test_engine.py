"""The papermill engine: how papermill finds it, and the notebook that it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_notebook

MODULES = ["engine", "client", "execute", "failure", "kernel", "monitor"]


@pytest.mark.parametrize("module", MODULES)
def test_papermill_knows_the_engine_whatever_is_imported_first(module: str) -> None:
    script = f"""
import kale_pm.runtime.execution.{module}
from papermill.engines import papermill_engines
from kale_pm.runtime.execution.engine import Engine
assert papermill_engines.get_engine("kale-pm") is Engine
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_executed_notebook_is_strict_json_whatever_the_parameters(tmp_path: Path) -> None:
    from kale_pm.runtime.execution.client import write_notebook

    values = {"rate": float("nan"), "most": float("inf"), "word": "NaN"}
    notebook = new_notebook(metadata={"papermill": {"parameters": values}})
    write_notebook(notebook, tmp_path / "it.ipynb")
    text = (tmp_path / "it.ipynb").read_text(encoding="utf-8")
    written = json.loads(text, parse_constant=pytest.fail)["metadata"]["papermill"]["parameters"]
    assert written == {"rate": "NaN", "most": "Infinity", "word": "NaN"}


def test_a_notebook_without_such_numbers_is_written_as_nbformat_does(tmp_path: Path) -> None:
    from kale_pm.runtime.execution.client import write_notebook

    notebook = new_notebook(metadata={"b": 1.5, "a": "ü"})
    write_notebook(notebook, tmp_path / "it.ipynb")
    nbformat.write(notebook, tmp_path / "reference.ipynb")
    assert (tmp_path / "it.ipynb").read_bytes() == (tmp_path / "reference.ipynb").read_bytes()
