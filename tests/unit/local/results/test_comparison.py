"""Two runs side by side."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from kale_pm.local.results.changed_cells import CodeCell, compare_cells
from kale_pm.local.results.comparison import Comparison, compare_runs
from kale_pm.local.run_file import write_run
from kale_pm.record import CellError, RunRecord, State, StepRecord
from kale_pm.runtime.manifest import Manifest, Variable, Version, write_manifest
from kale_pm.terminal import comparison_view

Cells = Sequence[tuple[int, str, str]]  # number, tags, source


@dataclass
class Folder:
    """A run of one step ``a`` that executed the given cells and gave the given variables."""

    path: Path

    def write(
        self,
        cells: Cells = ((3, "step:a", "x = 1"),),
        *,
        prelude: str = "import math",
        components: Mapping[str, str] | None = None,
        python: str = "3.12.1",
        parameters: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        **step: Any,
    ) -> RunRecord:
        values = {"state": State.DONE, "seconds": 2.0, "notebook": "notebooks/a.ipynb", **step}
        book = [_cell(2, "imports", prelude, "prelude"), *(_cell(*cell, "step") for cell in cells)]
        added = {"cell_type": "code", "metadata": {"tags": ["injected-parameters"]}, "source": "n"}
        markdown = _cell(9, "", str(self.path), "step") | {"cell_type": "markdown"}
        content = {
            "cells": [added, markdown, *book],
            "metadata": {"language_info": {"name": "python", "version": python}},
        }
        (self.path / "notebooks").mkdir(parents=True)
        (self.path / "notebooks" / "a.ipynb").write_text(json.dumps(content))
        given = components or {}
        variables = {n: Variable("list", "../../packs/x.pack", c) for n, c in given.items()}
        versions = {n: Version("a", 0, c) for n, c in given.items()}
        manifest = Manifest("a", 0, variables=variables, versions=versions)
        write_manifest(manifest, self.path / "manifests" / "a.json")
        record = RunRecord(
            self.path.name,
            "wine",
            "wine.ipynb",
            State.DONE,
            parameters or {},
            {"a": StepRecord("a", **values)},
            1.0,
            seconds=2.5,
            metrics=metrics or {},
        )
        write_run(record, self.path)
        return record


def _cell(number: int, tags: str, source: str, role: str) -> dict[str, Any]:
    metadata = {"kale_pm": {"cell": number, "role": role}, "tags": tags.split()}
    return {"cell_type": "code", "id": f"c{number}", "metadata": metadata, "source": source}


@pytest.fixture
def left(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "wine-1")


@pytest.fixture
def right(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "wine-2")


def compared(left: Folder, right: Folder, before: RunRecord, after: RunRecord) -> Comparison:
    return compare_runs(before, left.path, after, right.path)


# -- what differs -----------------------------------------------------------------------------


def test_equal_runs_do_not_differ_whatever_their_times_are(left: Folder, right: Folder) -> None:
    before = left.write(components={"x": "c1"}, parameters={"n": 1}, metrics={"m": math.nan})
    after = right.write(
        components={"x": "c1"},
        parameters={"n": 1},
        metrics={"m": math.nan},
        state=State.CACHED,
        cached_from="wine-1",
        seconds=0.1,
    )
    found = compared(left, right, before, after)
    assert not found.differs
    assert not found.steps[0].differs
    assert found.notes == ()


def test_parameters_and_metrics_with_their_difference(left: Folder, right: Folder) -> None:
    found = compared(
        left,
        right,
        left.write(parameters={"n": 1, "same": "x", "gone": None}, metrics={"m": 0.5, "t": "a"}),
        right.write(parameters={"n": True, "same": "x", "new": 2}, metrics={"m": 0.75, "t": "b"}),
    )
    told = found.to_dict()
    assert told["parameters"] == {
        "n": {"before": 1, "after": True},
        "gone": {"before": None},
        "new": {"after": 2},
    }
    assert told["metrics"] == {
        "m": {"before": 0.5, "after": 0.75, "difference": 0.25},
        "t": {"before": "a", "after": "b", "difference": None},
    }


@pytest.mark.parametrize("value", [math.nan, math.inf, True, "1"])
def test_what_is_no_finite_number_has_no_difference(
    value: object, left: Folder, right: Folder
) -> None:
    before, after = left.write(metrics={"m": 1.0}), right.write(metrics={"m": value})
    assert compared(left, right, before, after).metrics["m"].difference is None


def test_a_changed_cell_is_told_by_its_lines(left: Folder, right: Folder) -> None:
    found = compared(
        left,
        right,
        left.write([(3, "step:a", "x = 1\ny = 2\nz = 3"), (4, "", "print(x)")]),
        right.write([(3, "step:a", "x = 1\ny = 20\nz = 3"), (4, "", "print(x)")]),
    )
    (cell,) = found.steps[0].cells
    assert cell.diff(0) == ["@@ -2 +2 @@", "-y = 2", "+y = 20"]
    assert cell.to_dict()["diff"][1:] == [" x = 1", "-y = 2", "+y = 20", " z = 3"]
    assert found.steps[0].differs


def test_the_prelude_is_told_once_and_not_as_the_steps_own(left: Folder, right: Folder) -> None:
    before, after = left.write(), right.write(prelude="import cmath")
    found = compared(left, right, before, after)
    (cell,) = found.prelude
    assert cell.diff(0)[1:] == ["-import math", "+import cmath"]
    assert not found.steps[0].differs
    assert found.differs


def test_a_variable_differs_by_its_content(left: Folder, right: Folder) -> None:
    found = compared(
        left,
        right,
        left.write(components={"same": "c1", "other": "c2", "gone": "c3"}),
        right.write(components={"same": "c1", "other": "c4", "new": "c5"}),
    )
    assert found.steps[0].variables is not None
    assert sorted(found.steps[0].variables) == ["gone", "new", "other"]
    told = found.to_dict()["steps"]["a"]["variables"]
    assert told["new"]["before"] is None
    assert told["other"]["after"] == {"type": "list", "kind": "stored", "size": 0}


def test_options_and_order_of_a_step(left: Folder, right: Folder) -> None:
    found = compared(
        left,
        right,
        left.write([(3, "step:a retry:2 hide-input", "x = 1")], parents=("b",)),
        right.write([(3, "block:a prev:b timeout:9", "x = 1")]),
    )
    step = found.to_dict()["steps"]["a"]
    assert step["options"] == {"before": ["retry:2"], "after": ["timeout:9"]}
    assert step["parents"] == {"before": ["b"], "after": []}
    assert step["cells"] == []


def test_a_step_that_failed_or_is_not_there(left: Folder, right: Folder) -> None:
    before = left.write(components={"x": "c1"})
    failed = StepRecord("a", State.FAILED, error=CellError("ValueError", "no", 3))
    after = replace(right.write(), steps={"a": failed, "new": StepRecord("new", State.SKIPPED)})
    found = compared(left, right, before, after)
    assert [step.differs for step in found.steps] == [True, True]
    assert found.to_dict()["steps"]["a"]["after"]["error"] == "ValueError: no"
    assert found.to_dict()["steps"]["new"]["before"] is None
    assert not found.steps[0].variables  # a step that failed gave none


def test_the_kernels_that_ran_them(left: Folder, right: Folder) -> None:
    before, after = left.write(python="3.11.7"), right.write(python="3.12.1")
    found = compared(left, right, before, after)
    assert found.to_dict()["kernels"] == {"before": ["python 3.11.7"], "after": ["python 3.12.1"]}
    assert found.differs


@pytest.mark.parametrize("name", ["notebooks/a.ipynb", "manifests/a.json"])
def test_what_is_damaged_is_noted_and_the_rest_compared(
    name: str, left: Folder, right: Folder
) -> None:
    before, after = left.write(parameters={"n": 1}), right.write(parameters={"n": 2})
    (right.path / name).write_text("{")
    found = compared(left, right, before, after)
    (note,) = found.notes
    assert "wine-2" in note
    assert "not compared" in note
    assert list(found.parameters) == ["n"]


# -- cells ------------------------------------------------------------------------------------


def cells(*sources: str, ids: Sequence[str] = ()) -> list[CodeCell]:
    names = ids or [f"id-{source}" for source in sources]
    return [CodeCell(n, name, s) for n, (name, s) in enumerate(zip(names, sources, strict=True), 1)]


def pairs(before: list[CodeCell], after: list[CodeCell]) -> list[tuple[str | None, str | None]]:
    return [
        (it.before.source if it.before else None, it.after.source if it.after else None)
        for it in compare_cells(before, after)
    ]


def test_cells_that_only_have_other_numbers_are_the_same() -> None:
    assert pairs(cells("a", "b"), cells("new", "a", "b")) == [(None, "new")]
    assert pairs(cells("a", "b", "c"), cells("a", "c")) == [("b", None)]


def test_cells_of_one_id_belong_together() -> None:
    before = cells("one", "two", ids="xy")
    assert pairs(before, cells("ONE", "new", "TWO", ids="xny")) == [
        *(("one", "ONE"), ("two", "TWO")),
        (None, "new"),
    ]
    assert pairs(before, cells("TWO", ids="y")) == [("one", None), ("two", "TWO")]


def test_cells_without_a_common_id_are_told_in_their_order() -> None:
    assert pairs(cells("one", "two"), cells("1", "2")) == [("one", "1"), ("two", "2")]


# -- how it looks -----------------------------------------------------------------------------


def drawn(comparison: Comparison, *, whole: bool = False, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(comparison_view(comparison, whole=whole))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in lines)


def test_a_comparison_is_read_from_top_to_bottom(left: Folder, right: Folder) -> None:
    found = compared(
        left,
        right,
        left.write([(3, "step:a", "y = 2")], parameters={"n": 1}, metrics={"m": 0.5}),
        right.write(
            [(4, "step:a", "y = 20")],
            parameters={"n": 3},
            metrics={"m": 0.25},
            components={"y": "c"},
        ),
    )
    text = drawn(found)
    assert text.startswith("- wine-1  1970-01-01")
    assert "parameters\n  n  1 → 3  (+2)\n" in text
    assert "metrics\n  m  0.5 → 0.25  (-0.25)\n" in text
    assert "\na     ✓ done 2.0 s  ✓ done 2.0 s  cell 4; another y\n" in text
    assert text.endswith("a  cell 4, was 3\n  -y = 2\n  +y = 20")


def test_an_error_is_told_whichever_run_had_it(left: Folder, right: Folder) -> None:
    error = CellError("ValueError", "not\n so", 3)
    good, bad = left.write(), right.write(state=State.FAILED, error=error)
    assert "  ValueError: not so" in drawn(compared(left, right, good, bad))
    assert "  was ValueError: not so" in drawn(compared(right, left, bad, good))


def test_equal_runs_say_so(left: Folder, right: Folder) -> None:
    before, after = left.write(), right.write()
    assert "nothing differs: " in drawn(compared(left, right, before, after))
    assert "the same run: " in drawn(compared(left, left, before, before))


def test_of_a_long_change_the_beginning_and_all_of_it_on_demand(
    left: Folder, right: Folder
) -> None:
    old, new = ("\n".join(f"{name}{n} = {n}" for n in range(50)) for name in "xy")
    before, after = left.write([(3, "step:a", old)]), right.write([(3, "step:a", new)])
    found = compared(left, right, before, after)
    assert "  … 88 more lines: -v" in drawn(found)
    assert "y49" not in drawn(found)
    assert "y49" in drawn(found, whole=True)
    assert "more lines" not in drawn(found, whole=True)


def test_code_cannot_harm_the_terminal(left: Folder, right: Folder) -> None:
    before = left.write([(3, "step:a", "x = 1")])
    after = right.write([(3, "step:a", "x = '\x1b[2J [red]'")])
    text = drawn(compared(left, right, before, after))
    assert r"+x = '\x1b[2J [red]'" in text
