"""debug: a notebook that fails as the step did, and passes when its cell is mended."""

from __future__ import annotations

import os

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

CELLS = (
    ("parameters", "n: int = 3"),
    ("imports", "import math\nfrom pathlib import Path"),
    ("block:make", "rows = list(range(n))"),
    (
        "block:fail prev:make env:MODE:fast",
        "import os\ncount = len(rows)\nmode = os.environ['MODE']",
    ),
    (
        "block:fail",
        "limit = int(Path('limit.txt').read_text())\nrate = math.sqrt(count) / (n - limit)",
    ),
    ("block:fail", "print('never')"),
    ("block:last prev:fail", "print(rate, mode)"),
)


@pytest.fixture
def failed(notebook, kale, tmp_path):
    """A run whose step ``fail`` has failed, with another parameter than the default."""
    path = notebook("broken.ipynb", *CELLS)
    (tmp_path / "limit.txt").write_text("5")
    assert kale("run", "broken.ipynb", "-p", "n=5").code == 1
    return path


def execute(path, change=lambda source: source):
    """Run the notebook as Jupyter does, in its folder; its own cells as they are afterwards."""
    content = nbformat.read(path, as_version=4)
    for cell in content.cells:
        cell.source = change(cell.source)
    told = NotebookClient(content, timeout=60, resources={"metadata": {"path": path.parent}})
    told.execute()
    return content


def failing(path, change=lambda source: source):
    """Number of the cell in the source notebook, name and text of the error."""
    with pytest.raises(CellExecutionError) as caught:
        execute(path, change)
    content = nbformat.read(path, as_version=4)
    last = content.cells[-1]
    return last.metadata["kale_pm"]["cell"], caught.value.ename, caught.value.evalue


def test_it_fails_at_the_same_cell_with_the_same_error_and_passes_when_mended(
    failed, kale, tmp_path
):
    before = failed.read_bytes()
    answer = kale("debug", "broken.ipynb", "fail")

    assert (answer.code, answer.err) == (0, "")
    path = tmp_path / "fail-debug.ipynb"
    assert answer.out == f"{path}\n"
    error = kale("report", "--json").json["steps"]["fail"]["error"]
    assert failing(path) == (error["cell"], error["ename"], error["evalue"])
    assert error["cell"] == 5

    mended = execute(path, lambda source: source.replace("(n - limit)", "n"))
    assert "never" not in str(mended.cells)
    assert failed.read_bytes() == before


def test_it_takes_the_inputs_of_its_own_run_whatever_ran_since(failed, kale, tmp_path):
    run = kale("runs", "--json").json["runs"][0]["id"]
    assert kale("run", "broken.ipynb", "-p", "n=4").code == 0
    assert kale("debug", run, "fail").code == 0

    show = "rate = (count, n, mode)\nprint(rate)\n1 / 0"
    path = tmp_path / "fail-debug.ipynb"
    content = nbformat.read(path, as_version=4)
    content.cells[-1].source = show
    nbformat.write(content, path)
    with pytest.raises(CellExecutionError, match="ZeroDivisionError") as caught:
        execute(path)
    assert "(5, 5, 'fast')" in str(caught.value)


def test_elsewhere_it_works_in_the_notebooks_folder(failed, kale, tmp_path):
    answer = kale("debug", "latest", "fail", "-o", "deep/down/x.ipynb")

    assert answer.out == "deep/down/x.ipynb\n"
    assert failing(tmp_path / "deep/down/x.ipynb")[1] == "ZeroDivisionError"
    taken = kale("debug", "latest", "fail", "-o", "deep/down/x.ipynb")
    assert (taken.code, taken.out) == (2, "")
    assert "is there already" in taken.err
    assert kale("debug", "latest", "fail", "-o", "deep/down/x.ipynb", "--force").code == 0


def test_a_run_that_is_gone_is_told_in_the_notebook(failed, kale, tmp_path):
    kale("debug", "latest", "fail")
    assert kale("clean", "--all").code == 0
    with pytest.raises(CellExecutionError, match="is gone") as caught:
        execute(tmp_path / "fail-debug.ipynb")
    assert "kale-pm run" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["latest", "fial"], 2, "did you mean 'fail'?"),
        (["latest", "last"], 2, "the step that failed: fail"),
        (["nothing", "fail"], 1, "no run 'nothing'"),
        (["latest"], 2, "Missing argument"),
        (["latest", "fail", "-o", "limit.txt/x.ipynb"], 2, "cannot write"),
    ],
)
def test_what_is_wrong_is_told(arguments, code, said, failed, kale):
    answer = kale("debug", *arguments)

    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_open_starts_jupyter_or_says_how_to_get_it(failed, kale, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    started = tmp_path / "started"
    script = tools / "jupyter-lab"
    script.write_text(f'#!/bin/sh\necho "$@" > {started}\nexit ${{CODE:-0}}\n')
    script.chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"

    answer = kale("debug", "latest", "fail", "--open", env={"PATH": path})
    if "started" not in {each.name for each in tmp_path.iterdir()}:
        pytest.skip("this environment has a Jupyter of its own")
    assert answer.code == 0
    assert started.read_text() == f"{tmp_path}/fail-debug.ipynb\n"
    broken = kale("debug", "latest", "fail", "--open", env={"PATH": path, "CODE": "3"})
    assert broken.code == 1
    assert "ended with code 3" in broken.err

    script.unlink()
    missing = kale("debug", "latest", "fail", "--open", env={"PATH": str(tools)})
    assert missing.code == 1
    assert missing.out == f"{tmp_path}/fail-debug-3.ipynb\n"
    assert "pip install jupyterlab" in missing.err


# -- secrets ----------------------------------------------------------------------------------

SECRET = "s3cr3t-of-the-database"
SHY = (
    ("block:make", "rows = [1]"),
    (
        "block:fail prev:make secret:db:password:DB_PASSWORD",
        "import os\nword = os.environ['DB_PASSWORD']\nraise ValueError(f'refused: {word}')",
    ),
)


def test_a_step_with_a_secret_fails_there_as_it_did_and_nothing_is_written_of_it(
    notebook, kale, tmp_path, monkeypatch
):
    notebook("shy.ipynb", *SHY)
    answer = kale("run", "shy.ipynb", env={"DB_PASSWORD": SECRET})
    assert "ValueError: refused: •••" in answer.err
    assert kale("debug", "shy.ipynb", "fail").code == 0

    path = tmp_path / "fail-debug.ipynb"
    assert SECRET not in answer.out + answer.err + path.read_text()
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    assert failing(path) == (2, "ValueError", f"refused: {SECRET}")
