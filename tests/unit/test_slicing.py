"""Slices: one whole notebook a step, the same bytes each time."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kale_pm.analysis import understand
from kale_pm.model import Pipeline
from kale_pm.notebook import read
from kale_pm.slicing import cut, to_bytes

Cells = list[tuple[str, str]]

WINE: Cells = [
    ("imports", "import math"),
    ("parameters", "n = 1\nm = n * 2\nlr = 0.1"),
    ("functions", "def area(r):\n    return math.pi * r * r"),
    ("markdown", "# How it begins"),
    ("block:first", "data = [n, m]"),
    ("", "more = area(lr)"),
    ("block:second prev:first", "total = sum(data) + more\nprint(total)"),
    ("metrics", "total"),
]


def write(path: Path, cells: Cells, *, minor: int = 5, ids: list[str] | None = None) -> Path:
    written = []
    for number, (tags, source) in enumerate(cells):
        cell: dict[str, Any] = {"metadata": {"tags": tags.split()}, "source": source}
        if tags == "markdown":
            cell |= {"cell_type": "markdown", "metadata": {}}
        else:
            output = {"output_type": "stream", "name": "stdout", "text": "old"}
            cell |= {"cell_type": "code", "execution_count": 7, "outputs": [output]}
        if minor >= 5:
            cell["id"] = ids[number] if ids else f"cell-{number}"
        written.append(cell)
    metadata = {"widgets": {"state": {}}, "language_info": {"name": "python"}}
    content = {"cells": written, "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def pipeline(path: Path, cells: Cells, **options: Any) -> Pipeline:
    return understand(read(write(path, cells, **options)))


def slices(found: Pipeline) -> dict[str, Any]:
    assert not found.errors
    return {step.name: cut(found, step.name) for step in found.steps}


def tagged(notebook: Any, tag: str) -> list[str]:
    return [c.source for c in notebook.cells if tag in c.metadata.get("tags", ())]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wine.ipynb"


# -- form ---------------------------------------------------------------------------------


def test_a_slice_is_the_prelude_the_load_cell_the_steps_cells_and_the_save_cell(path: Path) -> None:
    second = slices(pipeline(path, WINE))["second"]
    roles = [cell.metadata["kale_pm"]["role"] for cell in second.cells]
    assert roles == ["prelude", "parameters", "prelude", "prelude", "load", "step", "save"]
    assert "kale_pm.runtime.load(" in second.cells[4].source
    assert "kale_pm.runtime.save(" in second.cells[6].source


def test_markdown_above_a_steps_cell_stays_with_it(path: Path) -> None:
    first = slices(pipeline(path, WINE))["first"]
    kinds = [c.cell_type for c in first.cells if c.metadata["kale_pm"]["role"] == "step"]
    assert kinds == ["markdown", "code", "code"]


@pytest.mark.parametrize("minor", [0, 4, 5])
def test_every_slice_is_a_valid_notebook_of_format_4_5(path: Path, minor: int) -> None:
    for notebook in slices(pipeline(path, WINE, minor=minor)).values():
        plain = nbformat.reads(to_bytes(notebook).decode(), as_version=nbformat.NO_CONVERT)
        nbformat.validate(plain)
        assert (plain.nbformat, plain.nbformat_minor) == (4, 5)
        assert len({cell.id for cell in plain.cells}) == len(plain.cells)


def test_outputs_counts_and_widget_state_do_not_enter_a_slice(path: Path) -> None:
    for notebook in slices(pipeline(path, WINE)).values():
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert all(not cell.outputs and cell.execution_count is None for cell in code)
        assert set(notebook.metadata) == {"kernelspec", "kale_pm"}


def test_every_cell_of_the_source_says_which_one_it_was(path: Path) -> None:
    first = slices(pipeline(path, WINE))["first"]
    numbers = [cell.metadata["kale_pm"].get("cell") for cell in first.cells]
    assert numbers == [1, 2, 2, 3, None, 4, 5, 6, None]


def test_a_metrics_cell_is_no_cell_of_a_slice_but_the_save_cell_records_it(path: Path) -> None:
    second = slices(pipeline(path, WINE))["second"]
    assert all(cell.source != "total" for cell in second.cells)
    assert 'metrics=["total"]' in second.cells[-1].source


def test_a_raw_cell_stays_raw_or_away(path: Path) -> None:
    cells = [("block:a", "x = 1"), ("block:a", "x = 2")]
    write(path, cells)
    content = json.loads(path.read_text())
    content["cells"].insert(1, {"cell_type": "raw", "id": "r", "metadata": {}, "source": "<b>"})
    path.write_text(json.dumps(content))
    notebook = cut(understand(read(path)), "a")
    nbformat.validate(notebook)
    assert all(cell.cell_type == "raw" for cell in notebook.cells if cell.source == "<b>")


def test_half_a_character_of_a_text_comes_through(path: Path) -> None:
    write(path, [("block:a", "x = 1")])
    content = json.loads(path.read_text())
    content["cells"].insert(
        0, {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "ü \ud83d"}
    )
    path.write_text(json.dumps(content))
    read_again = json.loads(to_bytes(cut(understand(read(path)), "a")))
    assert "ü \ud83d" in [cell["source"] for cell in read_again["cells"]]


# -- equal bytes --------------------------------------------------------------------------


@pytest.mark.parametrize("minor", [4, 5])
def test_equal_notebooks_give_equal_bytes_at_every_cut(path: Path, minor: int) -> None:
    once = {k: to_bytes(v) for k, v in slices(pipeline(path, WINE, minor=minor)).items()}
    again = {k: to_bytes(v) for k, v in slices(pipeline(path, WINE, minor=minor)).items()}
    assert once == again


def test_equal_bytes_where_the_source_repeats_an_id(path: Path) -> None:
    ids = ["same"] * len(WINE)
    once, again = (slices(pipeline(path, WINE, ids=ids)) for _ in range(2))
    for name, notebook in once.items():
        assert to_bytes(notebook) == to_bytes(again[name])
        assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def test_equal_bytes_in_another_process_with_another_hash_seed(path: Path) -> None:
    write(path, WINE, minor=4)
    script = (
        "import sys, pathlib\n"
        "from kale_pm.analysis import understand\n"
        "from kale_pm.notebook import read\n"
        "from kale_pm.slicing import cut, to_bytes\n"
        "p = understand(read(pathlib.Path(sys.argv[1])))\n"
        "sys.stdout.buffer.write(b''.join(to_bytes(cut(p, s.name)) for s in p.steps))\n"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", script, str(path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1] != b""


def test_no_path_of_the_machine_enters_a_slice(path: Path) -> None:
    for notebook in slices(pipeline(path, WINE)).values():
        assert str(path.parent).encode() not in to_bytes(notebook)


def test_the_source_notebook_is_never_written_to(path: Path) -> None:
    found = pipeline(path, WINE, minor=4)
    before, status = path.read_bytes(), path.stat()
    slices(found)
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == status.st_mtime_ns


# -- parameters ---------------------------------------------------------------------------


def test_exactly_one_cell_is_tagged_parameters_and_holds_the_literals(path: Path) -> None:
    for notebook in slices(pipeline(path, WINE)).values():
        assert tagged(notebook, "parameters") == ["n = 1\nlr = 0.1"]


def test_what_is_computed_from_parameters_follows_in_a_cell_of_its_own(path: Path) -> None:
    first = slices(pipeline(path, WINE))["first"]
    index = next(i for i, c in enumerate(first.cells) if "parameters" in c.metadata["tags"])
    assert first.cells[index + 1].source == "m = n * 2"
    assert first.cells[index + 1].metadata["tags"] == []


def test_two_parameters_cells_become_one_where_the_first_stood(path: Path) -> None:
    cells = [
        ("parameters", "a = 1"),
        ("imports", "import math"),
        ("parameters", "b = 2\nc = a + b"),
        ("block:s", "print(a, b, c)"),
    ]
    notebook = slices(pipeline(path, cells))["s"]
    assert tagged(notebook, "parameters") == ["a = 1\nb = 2"]
    sources = [cell.source for cell in notebook.cells]
    assert sources[:3] == ["a = 1\nb = 2", "import math", "c = a + b"]


def test_kales_own_word_for_parameters_becomes_papermills(path: Path) -> None:
    cells = [("pipeline-parameters", "a = 1"), ("step:s", "print(a)")]
    notebook = slices(pipeline(path, cells))["s"]
    assert tagged(notebook, "parameters") == ["a = 1"]
    assert tagged(notebook, "pipeline-parameters") == []


def test_a_parameters_cell_without_a_literal_is_plain_prelude(path: Path) -> None:
    cells = [("parameters", "import os\na = os.sep"), ("block:s", "print(a)")]
    notebook = slices(pipeline(path, cells))["s"]
    assert tagged(notebook, "parameters") == []
    assert notebook.cells[0].source == "import os\na = os.sep"


# -- the added cells ----------------------------------------------------------------------


def calls(notebook: Any) -> list[ast.Call]:
    trees = [ast.parse(c.source) for c in notebook.cells if c.cell_type == "code"]
    return [n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Call)]


def test_long_lists_of_variables_wrap_and_stay_valid_python(path: Path) -> None:
    names = [f"a_rather_long_name_{number}" for number in range(40)]
    cells = [
        ("block:a", "\n".join(f"{name} = {i}" for i, name in enumerate(names))),
        ("block:b prev:a", f"print({', '.join(names)})"),
    ]
    found = slices(pipeline(path, cells))
    for notebook, index in ((found["a"], -1), (found["b"], 0)):
        source = notebook.cells[index].source
        assert max(map(len, source.splitlines())) <= 88
        call = next(n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call))
        assert {argument.value for argument in call.args} == set(names)


def test_names_may_be_of_any_alphabet(path: Path) -> None:
    cells = [
        ("parameters", "größe = 2"),
        ("block:a", "переменная = größe\n数据 = 1"),
        ("block:b prev:a", "print(переменная, 数据)"),
    ]
    notebook = slices(pipeline(path, cells))["b"]
    values = {a.value for c in calls(notebook) for a in c.args if isinstance(a, ast.Constant)}
    assert {"переменная", "数据"} <= values
    assert "переменная" in to_bytes(notebook).decode("utf-8")


@pytest.mark.parametrize("name", ['a "quoted" name', "back\\slash", "new\nline", "{braces}"])
def test_no_name_of_a_pipeline_breaks_the_load_cell(path: Path, name: str) -> None:
    write(path, WINE)
    found = understand(read(path, {"pipeline_name": name}))
    for notebook in slices(found).values():
        load = next(c for c in notebook.cells if c.metadata["kale_pm"]["role"] == "load")
        given = {k.arg: k.value.value for k in calls_of(load.source)[0].keywords}
        assert given["pipeline"] == found.name


def calls_of(source: str) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
