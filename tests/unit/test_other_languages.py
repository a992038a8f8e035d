"""A notebook that is not Python, on its way to slices and keys: no code of it is ever parsed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
from tiny_notebooks import write_notebook

import kale_pm
from kale_pm import Pipeline
from kale_pm.errors import CompileError
from kale_pm.local.cache.fingerprint import (
    Fingerprint,
    all_imports,
    fingerprint,
    missing_modules,
)
from kale_pm.local.cache.parts import difference
from kale_pm.local.cache.watched import may_write, paths_in_code
from kale_pm.local.kernels.environment import UNKNOWN
from kale_pm.model import Problem
from kale_pm.slicing import cut, to_bytes

Cells = Sequence[tuple[str, str]]
Load = Callable[..., Pipeline]

BASH = {"name": "bash", "display_name": "Bash", "language": "bash"}
CELLS: Cells = [
    ("imports", "set -o pipefail"),
    ("parameters", "n=3"),
    ("", "m=$((n * 2))"),
    ("block:load", "seq $n > rows.txt"),
    ("block:count prev:load", "wc -l < rows.txt"),
    ("", "echo ($"),
]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def write(cells: Cells = CELLS, kernelspec: Any = BASH, **options: Any) -> Pipeline:
        path = write_notebook(tmp_path / "notebook.ipynb", cells, {"kernelspec": kernelspec})
        return kale_pm.load(path, **options)

    return write


# -- check --------------------------------------------------------------------------------


def test_check_tells_that_nothing_flows_and_what_to_do(load: Load) -> None:
    (note,) = load().check()
    assert (note.code, note.severity, note.cell) == ("not-analysed", "note", None)
    assert "cells of bash are not analysed" in note.message
    assert "no variables flow" in note.message
    assert "above" not in note.message
    assert "prev:NAME" in note.hint
    assert "files" in note.hint


def test_nothing_is_needed_or_given_and_every_step_may_use_every_parameter(load: Load) -> None:
    found = load().to_dict()
    assert found["error"] is None
    assert (found["edges"], found["implied_edges"]) == ([["load", "count"]], [])
    for step in found["steps"].values():
        assert step == {
            "needs": [], "gives": [], "gives_if_changed": [], "params": ["n"], "from": {}
        }  # fmt: skip


THREE: Cells = [("block:a", "1"), ("block:b", "2"), ("block:c", "3")]


def test_without_any_prev_the_steps_follow_each_other_as_in_the_notebook(load: Load) -> None:
    pipeline = load(THREE)
    assert pipeline.implied_edges == (("a", "b"), ("b", "c"))
    (note,) = pipeline.check()
    assert "follows the one above" in note.message


def test_with_a_prev_the_others_are_free_unless_their_edges_are_to_be_inferred(load: Load) -> None:
    cells = [*THREE[:2], ("block:c prev:a", "3")]
    assert load(cells).implied_edges == ()
    assert load(cells, infer_edges=True).implied_edges == (("a", "b"),)
    upwards = [("block:a prev:b", "1"), *THREE[1:]]
    assert load(upwards, infer_edges=True).implied_edges == (("b", "c"),)


def test_a_single_step_follows_nothing(load: Load) -> None:
    (note,) = load(THREE[:1]).check()
    assert "above" not in note.message


def test_problems_of_the_tags_are_found_as_ever(load: Load) -> None:
    def codes(cells: Cells) -> list[str]:
        return [problem.code for problem in load(cells).problems]

    assert codes([("block:a prev:nobody", "1")]) == ["unknown-step"]
    assert codes([("block:a prev:b", "1"), ("block:b prev:a", "2")]) == ["cycle"]
    assert codes([("blok:a", "1")]) == ["bad-tags"]


def test_strict_leaves_a_note_alone(load: Load) -> None:
    assert not load(strict=True).errors


def test_parameters_that_nobody_can_set_are_told_with_their_cell(load: Load) -> None:
    ruby = {"name": "iruby", "display_name": "Ruby", "language": "ruby"}
    pipeline = load([("parameters", "n = 3"), ("block:a", "puts n")], ruby)
    assert pipeline.parameters == ()
    told = [problem for problem in pipeline.problems if problem.cell]
    assert [(problem.code, problem.severity, problem.cell) for problem in told] == [
        ("not-analysed", "note", 1)
    ]
    assert "ruby" in told[0].message


def test_a_notebook_of_python_knows_nothing_of_all_this(load: Load) -> None:
    pipeline = load([("block:a", "%%bash\nls")], {"name": "python3", "language": "python"})
    assert pipeline.is_analysed
    assert not any(isinstance(p, Problem) and p.code == "not-analysed" for p in pipeline.problems)


# -- slices -------------------------------------------------------------------------------


def roles(notebook: Any) -> list[tuple[str, str]]:
    return [(cell.metadata["kale_pm"]["role"], cell.source) for cell in notebook.cells]


def test_a_slice_is_the_prelude_and_the_steps_cells_and_nothing_else(load: Load) -> None:
    notebook = cut(load(), "count")
    assert roles(notebook) == [
        ("prelude", "set -o pipefail"),
        ("parameters", "n=3"),
        ("prelude", "m=$((n * 2))"),
        ("step", "wc -l < rows.txt"),
        ("step", "echo ($"),
    ]
    assert [cell.metadata["kale_pm"]["cell"] for cell in notebook.cells] == [1, 2, 3, 5, 6]


def test_a_slice_names_the_kernel_of_the_notebook(load: Load) -> None:
    assert cut(load(), "load").metadata["kernelspec"] == BASH


def test_a_slice_is_a_valid_notebook_and_the_same_bytes_each_time(load: Load) -> None:
    once, again = (to_bytes(cut(load(), "load")) for _ in range(2))
    assert once == again
    nbformat.validate(nbformat.reads(once.decode(), as_version=nbformat.NO_CONVERT))


def test_given_values_go_below_the_last_of_the_cells_that_set_them(load: Load) -> None:
    cells = [
        ("pipeline-parameters", "n=3"),
        ("functions", "m=$((n * 2))"),
        ("parameters", "k=4"),
        ("block:a", "echo $n $k"),
    ]
    tags = [list(cell.metadata["tags"]) for cell in cut(load(cells), "a").cells]
    assert tags == [[], ["functions"], ["parameters"], ["block:a"]]


# -- keys ---------------------------------------------------------------------------------


def printed(pipeline: Pipeline, step: str = "count", **changes: Any) -> Fingerprint:
    defaults = {parameter.name: parameter.default for parameter in pipeline.parameters}
    arguments: dict[str, Any] = {
        "parameters": defaults, "versions": {}, "context": {}, "kernel": ("bash",), "has": UNKNOWN
    }  # fmt: skip
    return fingerprint(pipeline, pipeline.step(step), **{**arguments, **changes})


@pytest.mark.parametrize(
    "number", [0, 1, 2, 4, 5], ids=["prelude", "parameters", "untagged", "own", "own, the second"]
)
def test_any_text_counts_also_a_comment(number: int, load: Load) -> None:
    before = printed(load())
    cells = [*CELLS]
    tags, source = cells[number]
    cells[number] = (tags, f"{source}  # said")
    assert printed(load(cells)).key != before.key


def test_the_cells_of_another_step_do_not_count(load: Load) -> None:
    before = printed(load())
    cells = [*CELLS[:3], ("block:load", "seq 9 > rows.txt"), *CELLS[4:]]
    assert printed(load(cells)).key == before.key


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"parameters": {"n": "4"}}, "parameter n changed: '3' -> '4'"),
        ({"kernel": ("bash", "--norc")}, "the kernel changed"),
        ({"after": {"load": "run-2"}}, "load ran again"),
        ({"after": {"load": "run-1", "more": "run-1"}}, "it now follows more"),
        ({"after": {}}, "it no longer follows load"),
    ],
)
def test_values_the_kernel_and_the_executions_above_count(
    changes: dict[str, Any], why: str, load: Load
) -> None:
    pipeline = load()
    before = printed(pipeline, after={"load": "run-1"})
    after = printed(pipeline, **{"after": {"load": "run-1"}, **changes})
    assert after.key != before.key
    assert difference(before.parts, after.parts) == why


def test_no_module_and_no_package_is_read_out_of_a_text(load: Load) -> None:
    pipeline = load([("imports", "import numpy"), ("block:a", "from pandas import x")])
    assert all_imports(pipeline) == set()
    assert missing_modules(pipeline, UNKNOWN) == []
    assert printed(pipeline, "a").parts["packages"] == {}


def test_words_that_name_files_are_watched_as_those_of_a_shell_in_python(
    tmp_path: Path, load: Load
) -> None:
    r = {"name": "ir", "display_name": "R", "language": "R"}
    pipeline = load([("block:a", 'x <- read.csv("in.csv")\nsaveRDS(x,file="out/x.rds")')], r)
    trees = printed(pipeline, "a").trees
    assert {"in.csv", "out/x.rds"} <= paths_in_code(trees, (), tmp_path)
    assert may_write(trees)


# -- Kubeflow Pipelines -------------------------------------------------------------------


def test_it_is_not_compiled_and_what_to_do_is_said(tmp_path: Path, load: Load) -> None:
    with pytest.raises(CompileError, match="cells are bash, and the pods run Python") as caught:
        load().compile(tmp_path / "x.yaml")
    assert "%%bash" in caught.value.hint
    assert not (tmp_path / "x.yaml").exists()
