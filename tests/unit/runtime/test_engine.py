"""The papermill engine: how papermill finds it, and the notebook that it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

MODULES = [
    *("client", "connection", "engine", "execute", "failure", "keeper", "kernel", "kernel_process"),
    *("handover", "lean_papermill"),
    *("monitor", "notebook_json", "outputs"),
]


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
    from kale_pm.runtime.execution.keeper import write_notebook

    values = {"rate": float("nan"), "most": float("inf"), "word": "NaN"}
    notebook = new_notebook(metadata={"papermill": {"parameters": values}})
    write_notebook(notebook, tmp_path / "it.ipynb")
    text = (tmp_path / "it.ipynb").read_text(encoding="utf-8")
    written = json.loads(text, parse_constant=pytest.fail)["metadata"]["papermill"]["parameters"]
    assert written == {"rate": "NaN", "most": "Infinity", "word": "NaN"}


def test_a_notebook_without_such_numbers_is_written_as_nbformat_does(tmp_path: Path) -> None:
    from kale_pm.runtime.execution.keeper import write_notebook

    notebook = new_notebook(metadata={"b": 1.5, "a": "ü"})
    write_notebook(notebook, tmp_path / "it.ipynb")
    nbformat.write(notebook, tmp_path / "reference.ipynb")
    assert (tmp_path / "it.ipynb").read_bytes() == (tmp_path / "reference.ipynb").read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        *("", "\n", "a", "a\n", "a\nb", "a\n\n", "\n\na", '"quoted"\n', "tab\tend\n", "ü — 漢\n"),
        *(
            "back\\slash\n",
            "not a newline: \\n\n",
            "a\rb\n",
            "a\r\nb",
            "\x0b\x0c\x1c\x85\u2028",
            "\x00",
        ),
    ],
)
def test_texts_are_written_line_by_line_as_nbformat_does(text: str, tmp_path: Path) -> None:
    from kale_pm.runtime.execution.keeper import write_notebook

    data = {
        "text/plain": text,
        "image/svg+xml": text,
        "image/png": text,
        "application/json": [text],
    }
    cell = new_code_cell(text, id="a", metadata={"trusted": True})
    cell.outputs = [new_output("stream", text=text), new_output("display_data", data)]
    cell.outputs.append(new_output("error", ename="E", evalue=text, traceback=[text]))
    attachments = {"a.txt": {"text/plain": text}}
    words = new_markdown_cell(text, id="b", attachments=attachments)
    notebook = new_notebook(cells=[cell, words], metadata={"orig_nbformat": 4, "empty": [{}]})
    write_notebook(notebook, tmp_path / "it.ipynb")
    nbformat.write(notebook, tmp_path / "reference.ipynb")
    assert (tmp_path / "it.ipynb").read_bytes() == (tmp_path / "reference.ipynb").read_bytes()


def test_papermill_is_imported_without_pyarrow_which_it_still_finds() -> None:
    pytest.importorskip("pyarrow")
    script = """
import sys
from kale_pm.runtime.execution.lean_papermill import import_papermill
papermill = import_papermill()
assert papermill is sys.modules["papermill"] is import_papermill()
assert "pyarrow" not in sys.modules and "numpy" not in sys.modules
selector = sys.modules["papermill.iorw"].FileSelector("/folder")
import pyarrow.fs
assert isinstance(selector, pyarrow.fs.FileSelector)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
