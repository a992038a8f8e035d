"""A tagged notebook becomes an outlined pipeline: prelude, steps, edges, problems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kale_pm.errors import NotebookError
from kale_pm.model import Pipeline, Problem
from kale_pm.notebook import read
from kale_pm.settings import StepOptions

Cell = tuple[str, str]


@pytest.fixture
def outlined(tmp_path: Path) -> Any:
    """Outline cells given as ("tags separated by spaces", source); "#" makes markdown."""
    (tmp_path / "pyproject.toml").write_text("")

    def make(*cells: Cell, **metadata: Any) -> Pipeline:
        kinds = {"#": "markdown", "raw": "raw"}
        content = {
            "nbformat": 4,
            "nbformat_minor": 4,
            "metadata": metadata,
            "cells": [
                {
                    "cell_type": kinds.get(tags, "code"),
                    "source": source,
                    "metadata": {"tags": [] if tags in kinds else tags.split()},
                }
                for tags, source in cells
            ],
        }
        path = tmp_path / "wine.ipynb"
        path.write_text(json.dumps(content), encoding="utf-8")
        return read(path)

    return make


def sources(pipeline: Pipeline) -> dict[str, list[str]]:
    return {step.name: [cell.source for cell in step.cells] for step in pipeline.steps}


def prelude(pipeline: Pipeline) -> list[str]:
    return [cell.source for cell in pipeline.prelude]


def only(pipeline: Pipeline) -> Problem:
    (problem,) = pipeline.problems
    return problem


class TestCells:
    def test_prelude_and_steps_in_notebook_order(self, outlined: Any) -> None:
        pipeline = outlined(
            ("imports", "import os"),
            ("parameters", "n = 1"),
            ("block:a", "x = 1"),
            ("functions", "def f(): pass"),
            ("step:b prev:a", "y = 2"),
        )
        assert prelude(pipeline) == ["import os", "n = 1", "def f(): pass"]
        assert sources(pipeline) == {"a": ["x = 1"], "b": ["y = 2"]}
        assert pipeline.edges == (("a", "b"),)
        assert pipeline.problems == ()
        assert [parameter.name for parameter in pipeline.parameters] == ["n"]

    def test_the_cells_of_a_step_may_stand_apart(self, outlined: Any) -> None:
        pipeline = outlined(
            ("block:a", "1"), ("block:b prev:a", "2"), ("block:a prev:c", "3"), ("block:c", "4")
        )
        assert sources(pipeline) == {"a": ["1", "3"], "b": ["2"], "c": ["4"]}
        assert pipeline.step("a").prev == ("c",)

    def test_an_untagged_cell_joins_the_last_tagged_one(self, outlined: Any) -> None:
        pipeline = outlined(
            ("functions", "f"), ("", "g"), ("block:a", "1"), ("hide-input", "2"), ("block:b", "3")
        )
        assert prelude(pipeline) == ["f", "g"]
        assert sources(pipeline) == {"a": ["1", "2"], "b": ["3"]}
        assert pipeline.problems == ()

    def test_skipped_cells_are_jumped_over(self, outlined: Any) -> None:
        pipeline = outlined(("block:a", "1"), ("skip", "no"), ("", "2"))
        assert sources(pipeline) == {"a": ["1", "2"]}

    def test_metrics_cells_are_jumped_over(self, outlined: Any) -> None:
        pipeline = outlined(("block:a", "1"), ("metrics", "x"), ("", "2"))
        assert sources(pipeline) == {"a": ["1", "2"]}

    def test_a_prelude_cell_below_a_step_gathers_what_follows(self, outlined: Any) -> None:
        pipeline = outlined(("block:a", "1"), ("imports", "i"), ("", "j"))
        assert prelude(pipeline) == ["i", "j"]

    def test_untagged_cells_above_the_first_tag_are_prelude_with_a_warning(
        self, outlined: Any
    ) -> None:
        pipeline = outlined(("", "import os"), ("", ""), ("", "# c"), ("", "y"), ("block:a", "x"))
        assert prelude(pipeline) == ["import os", "y"]
        found = [(problem.code, problem.severity, problem.cell) for problem in pipeline.problems]
        assert found == [("untagged-prelude", "warning", 1), ("untagged-prelude", "warning", 4)]

    def test_skip_and_metrics_do_not_end_the_untagged_prelude(self, outlined: Any) -> None:
        pipeline = outlined(("skip", "no"), ("", "y = 1"), ("block:a", "x"))
        assert prelude(pipeline) == ["y = 1"]
        assert only(pipeline).code == "untagged-prelude"

    def test_untagged_cells_below_parameters_hold_parameters(self, outlined: Any) -> None:
        pipeline = outlined(("parameters", "n = 1"), ("", "m = 2"), ("block:a", "x"))
        assert [parameter.name for parameter in pipeline.parameters] == ["n", "m"]

    def test_markdown_above_a_step_stays_with_it_and_raw_does_not(self, outlined: Any) -> None:
        pipeline = outlined(
            ("#", "Title"),
            ("imports", "import os"),
            ("#", "Load"),
            ("raw", "raw"),
            ("#", "ünïcode"),
            ("block:a", "1"),
            ("#", "more"),
            ("", "2"),
            ("#", "dropped"),
            ("skip", "no"),
            ("#", "the end"),
        )
        assert sources(pipeline) == {"a": ["Load", "ünïcode", "1", "more", "2"]}
        assert [cell.number for cell in pipeline.step("a").cells] == [3, 5, 6, 7, 8]
        assert prelude(pipeline) == ["import os"]

    def test_lines_that_end_as_on_windows(self, outlined: Any) -> None:
        assert sources(outlined(("block:a", "x = 1\r\ny = 2"))) == {"a": ["x = 1\ny = 2"]}

    def test_the_kernel_is_the_notebooks(self, outlined: Any) -> None:
        pipeline = outlined(("block:a", "x"), kernelspec={"name": "env", "language": "python"})
        assert pipeline.kernelspec == {"name": "env", "language": "python"}
        assert pipeline.folder == pipeline.path.parent


class TestRefusals:
    def test_a_notebook_without_a_step(self, outlined: Any) -> None:
        with pytest.raises(NotebookError) as caught:
            outlined(("imports", "import os"), ("", "x = 1"))
        assert caught.value.reason == "it has no step"
        assert "block:NAME" in caught.value.hint

    def test_the_slip_that_left_no_step_is_told(self, outlined: Any) -> None:
        with pytest.raises(NotebookError) as caught:
            outlined(("prev:a", "x = 1"))
        assert "prev:a" in caught.value.hint

    def test_a_misspelt_step_is_a_step_all_the_same(self, outlined: Any) -> None:
        pipeline = outlined(("blok:Train", "x = 1"))
        assert sources(pipeline) == {"train": ["x = 1"]}
        assert {problem.code for problem in pipeline.errors} == {"bad-tags"}


class TestOtherLanguages:
    def test_the_tags_of_another_language_are_read_and_its_code_is_not(self, outlined: Any) -> None:
        pipeline = outlined(
            ("imports", "library(dplyr)"),
            ("parameters", "n <- 3"),
            ("block:a", "x <- if ("),
            ("", "y <- x |> f()"),
            ("block:b prev:a limit:cpu:2", "%% nothing of python"),
            language_info={"name": "R"},
        )
        assert pipeline.problems == ()
        assert (pipeline.language, pipeline.is_analysed) == ("R", False)
        assert prelude(pipeline) == ["library(dplyr)", "n <- 3"]
        assert sources(pipeline) == {
            "a": ["x <- if (", "y <- x |> f()"],
            "b": ["%% nothing of python"],
        }
        assert pipeline.edges == (("a", "b"),)
        assert pipeline.step("b").options.limits == {"cpu": "2"}

    @pytest.mark.parametrize("name", ["python", "Python", "python3", "ipython"])
    def test_python_has_several_names(self, name: str, outlined: Any) -> None:
        pipeline = outlined(("block:a", "x = 1"), language_info={"name": name})
        assert (pipeline.language, pipeline.is_analysed) == ("python", True)

    @pytest.mark.parametrize(
        ("metadata", "kernelspec"),
        [
            (
                {"kernelspec": {"name": "ir", "display_name": "R 4", "language": "R"}},
                {"name": "ir", "display_name": "R 4", "language": "R"},
            ),
            (
                {"language_info": {"name": "julia"}},
                {"name": "julia", "display_name": "julia", "language": "julia"},
            ),
            (
                {"kernelspec": {"name": "bash"}, "language_info": {"name": "bash"}},
                {"name": "bash", "display_name": "bash", "language": "bash"},
            ),
        ],
    )
    def test_its_kernel_is_never_left_to_be_guessed(
        self, metadata: Any, kernelspec: Any, outlined: Any
    ) -> None:
        assert outlined(("block:a", "1"), **metadata).kernelspec == kernelspec

    def test_its_metrics_cannot_be_recorded(self, outlined: Any) -> None:
        pipeline = outlined(
            ("block:a", "n=1"), ("metrics", "n"), kernelspec={"name": "bash", "language": "bash"}
        )
        problem = only(pipeline)
        assert (problem.code, problem.severity, problem.cell) == ("bad-metrics", "warning", 2)
        assert "bash" in problem.message
        assert pipeline.metrics == ()

    def test_what_looks_like_a_comment_of_python_may_be_code(self, outlined: Any) -> None:
        pipeline = outlined(
            ("", "#include <cmath>"), ("block:a", "1"), language_info={"name": "c++"}
        )
        assert prelude(pipeline) == ["#include <cmath>"]
        assert only(pipeline).code == "untagged-prelude"


class TestOptions:
    def test_options_of_several_cells_add_up(self, outlined: Any) -> None:
        pipeline = outlined(
            ("block:a limit:cpu:2 image:x", "1"), ("block:a limit:memory:1Gi image:x", "2")
        )
        assert pipeline.step("a").options == StepOptions(
            image="x", limits={"cpu": "2", "memory": "1Gi"}
        )
        assert pipeline.problems == ()

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("image:x", "image:y"),
            ("cache:enabled", "cache:disabled"),
            ("limit:cpu:1", "limit:cpu:2"),
            ("secret:a:b:C", "secret:d:e:C"),
        ],
    )
    def test_two_values_for_one_thing(self, outlined: Any, one: str, other: str) -> None:
        apart = only(outlined((f"block:a {one}", "1"), ("block:b", ""), (f"block:a {other}", "2")))
        assert (apart.code, apart.cell, apart.step) == ("bad-tags", 3, "a")
        assert "cell 1" in apart.message
        assert only(outlined((f"block:a {one} {other}", "1"))).code == "bad-tags"

    def test_defaults_hold_where_a_step_says_nothing(self, outlined: Any) -> None:
        defaults = ["limit:cpu:2", "limit:memory:1Gi", "retry:3", "cache:disabled"]
        pipeline = outlined(
            ("block:a limit:cpu:4 retry:0 cache:enabled", "1"),
            ("block:b", "2"),
            kubeflow_notebook={"steps_defaults": defaults},
        )
        assert pipeline.step("a").options == StepOptions(
            limits={"cpu": "4", "memory": "1Gi"}, retry=0, cache=True
        )
        assert pipeline.step("b").options == StepOptions(
            limits={"cpu": "2", "memory": "1Gi"}, retry=3, cache=False
        )


class TestEdges:
    def test_in_the_order_of_the_tags_and_once_each(self, outlined: Any) -> None:
        pipeline = outlined(
            ("block:a", "1"),
            ("block:b", "2"),
            ("prev:b block:c prev:a", "3"),
            ("block:c prev:a", "4"),
        )
        assert pipeline.edges == (("b", "c"), ("a", "c"))
        assert pipeline.parents["c"] == ("a", "b")

    def test_a_parent_may_stand_below(self, outlined: Any) -> None:
        pipeline = outlined(("block:a prev:b", "1"), ("block:b", "2"))
        assert pipeline.order == ("b", "a")
        assert pipeline.problems == ()

    def test_an_unknown_step_stays_an_edge(self, outlined: Any) -> None:
        pipeline = outlined(("block:train", "1"), ("block:b prev:trian prev:train", "2"))
        problem = only(pipeline)
        assert (problem.code, problem.severity) == ("unknown-step", "error")
        assert (problem.cell, problem.step) == (2, "b")
        assert "prev:train" in problem.hint
        assert pipeline.edges == (("trian", "b"), ("train", "b"))
        assert pipeline.parents["b"] == ("train",)

    def test_an_unknown_step_near_to_none_lists_them(self, outlined: Any) -> None:
        assert "a, b" in only(outlined(("block:a", "1"), ("block:b prev:zzz", "2"))).hint

    def test_the_prelude_is_no_step(self, outlined: Any) -> None:
        pipeline = outlined(("imports", "1"), ("block:b prev:imports", "2"))
        assert "remove the tag" in only(pipeline).hint

    @pytest.mark.parametrize(
        ("cells", "path"),
        [
            ([("block:a prev:a", "1")], "a -> a"),
            ([("block:a prev:b", "1"), ("block:b prev:a", "2")], "a -> b -> a"),
            (
                [
                    ("block:z", ""),
                    ("block:a prev:z prev:c", "1"),
                    ("block:b prev:a", "2"),
                    ("block:c prev:b", "3"),
                    ("block:d prev:c", "4"),
                ],
                "a -> b -> c -> a",
            ),
        ],
    )
    def test_a_cycle_is_written_out(self, outlined: Any, cells: list[Cell], path: str) -> None:
        problem = only(outlined(*cells))
        assert (problem.code, problem.severity) == ("cycle", "error")
        assert problem.message.endswith(f": {path}")
        assert "prev:" in problem.hint

    def test_every_cycle_is_told(self, outlined: Any) -> None:
        pipeline = outlined(
            ("block:a prev:b", ""),
            ("block:b prev:a", ""),
            ("block:c prev:c prev:b", ""),
            ("block:d prev:c", ""),
        )
        assert [problem.cell for problem in pipeline.errors] == [1, 3]

    def test_long_chains(self, outlined: Any) -> None:
        cells = [("block:s0", "")]
        cells += [(f"block:s{i} prev:s{i - 1}", "") for i in range(1, 1500)]
        assert outlined(*cells).problems == ()


class TestMetrics:
    def test_names_alone_and_printed(self, outlined: Any) -> None:
        pipeline = outlined(
            ("block:a", "x"),
            ("metrics", "loss\nprint(accuracy)"),
            ("pipeline-metrics", "# both\nloss, f1\nprint(a, b)"),
        )
        assert pipeline.metrics == ("loss", "accuracy", "f1", "a", "b")
        assert pipeline.problems == ()

    @pytest.mark.parametrize(
        "line",
        ["y = 2", "print('loss', loss)", "print(f'{loss}')", "model.loss", "print()", "f(x)"],
    )
    def test_anything_else_is_told(self, outlined: Any, line: str) -> None:
        pipeline = outlined(("block:a", "x"), ("metrics", f"loss\n{line}"))
        problem = only(pipeline)
        assert (problem.severity, problem.cell, problem.line) == ("warning", 2, 2)
        assert pipeline.metrics == ("loss",)

    def test_a_cell_that_does_not_parse(self, outlined: Any) -> None:
        problem = only(outlined(("block:a", "x"), ("metrics", "loss\nprint(")))
        assert (problem.code, problem.cell, problem.line) == ("syntax-error", 2, 2)


def test_problems_come_in_the_order_of_the_cells(outlined: Any) -> None:
    pipeline = outlined(
        ("", "x = 1"),
        ("block:a prev:nope", ""),
        ("metrics", "1"),
        ("block:b retry:x", ""),
        ("block:c prev:c", ""),
        kubeflow_notebook={"zzz": 1},
    )
    found = [(problem.cell, problem.code) for problem in pipeline.problems]
    assert found == [
        (None, "bad-configuration"),
        (1, "untagged-prelude"),
        (2, "unknown-step"),
        (3, "bad-metrics"),
        (4, "bad-tags"),
        (5, "cycle"),
    ]
    assert pipeline.problems[4].step == "b"


def test_code_that_does_not_parse_is_left_to_the_analysis(outlined: Any) -> None:
    pipeline = outlined(("parameters", "n = ("), ("block:a", "if x"))
    assert pipeline.problems == ()


def test_equal_files_give_equal_pipelines(outlined: Any) -> None:
    cells = [("imports", "import os"), ("block:a", "x"), ("", "x")]
    assert outlined(*cells) == outlined(*cells)


def test_flags_override(tmp_path: Path, outlined: Any) -> None:
    path = outlined(("block:a", "x")).path
    assert read(str(path), {"name": "other", "image": None}).name == "other"


class TestMessages:
    """The place of a problem stands in its fields; its message does not say it once more."""

    @pytest.mark.parametrize(
        "cell",
        [
            ("block:b prev:laod", "1"),
            ("metrics", "x = 1"),
            ("metrics", "x ="),
            ("block:a image:y", "1"),
        ],
    )
    def test_do_not_repeat_the_cell(self, outlined: Any, cell: Cell) -> None:
        problem = only(outlined(("block:a image:x", "1"), cell))
        assert problem.cell == 2
        assert "cell 2" not in problem.message

    def test_of_an_untagged_cell(self, outlined: Any) -> None:
        problem = only(outlined(("", "import sys"), ("block:a", "1")))
        assert problem.cell == 1
        assert problem.message.startswith("this cell has no tag")

    def test_where_there_is_no_step_the_hint_names_the_cell_once(self, outlined: Any) -> None:
        with pytest.raises(NotebookError) as caught:
            outlined(("imports", "1"), ("prev:b", "1"))
        assert caught.value.hint.count("cell 2: ") == 1
