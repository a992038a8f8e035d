"""How much a compiled pipeline may weigh."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from kale_pm import Pipeline
from kale_pm.errors import CompileError
from kale_pm.kfp.compiling import plan
from kale_pm.kfp.compiling.package import Package
from kale_pm.kfp.compiling.sizes import (
    LARGE_PACKAGE,
    LARGEST_ARGUMENT,
    LARGEST_PACKAGE,
    StepSize,
    argument_size,
    check_graph,
    check_sizes,
)

Make = Callable[..., Pipeline]

SIZES = {"load": StepSize(60_000, 1_000, 50_000), "train": StepSize(70_000, 9_000, 50_000)}


def test_a_small_pipeline_passes_without_a_word() -> None:
    assert check_sizes(SIZES, LARGE_PACKAGE, {}) == ()


def test_a_large_pipeline_is_announced_with_the_sizes_of_its_steps() -> None:
    (warning,) = check_sizes(SIZES, LARGE_PACKAGE + 1, {})
    assert "load" in warning
    assert "68.4 KiB" in warning


def test_components_of_one_executor_count_once() -> None:
    component = {"executorLabel": "exec-a", "inputDefinitions": {"parameters": {}}}
    spec = {
        "components": {"comp-a": component, "comp-b": component, "comp-part": {"dag": {}}},
        "root": {"dag": {"tasks": {}}},
    }
    alone = {**spec, "components": {"comp-a": component, "comp-part": {"dag": {}}}}
    package = Package(spec)
    assert package.size - package.kept == len(json.dumps(component, separators=(",", ":")))
    assert Package(alone).kept == Package(alone).size


def test_only_the_largest_steps_are_shown() -> None:
    sizes = {f"s{n}": StepSize(n, n, 0) for n in range(200)}
    (warning,) = check_sizes(sizes, LARGE_PACKAGE + 1, {})
    rows = warning.splitlines()[2:]
    assert [row.split()[0] for row in rows[:-1]] == [f"s{n}" for n in range(199, 189, -1)]
    assert rows[-1] == "and 190 smaller steps"


def test_a_graph_that_no_process_can_be_given_is_refused_with_a_way_out() -> None:
    check_graph(LARGEST_ARGUMENT)
    with pytest.raises(CompileError, match=r"120\.0 KiB") as caught:
        check_graph(LARGEST_ARGUMENT + 1)
    assert "fewer steps" in caught.value.hint


def test_a_pipeline_that_no_cluster_keeps_is_refused_with_the_sizes() -> None:
    with pytest.raises(CompileError, match="train") as caught:
        check_sizes(SIZES, LARGEST_PACKAGE + 1, {})
    assert caught.value.hint


def noise(size: int) -> bytes:
    """Bytes that no packing makes fewer."""
    return random.Random(0).randbytes(size)


def test_a_step_that_no_process_can_be_given_is_refused(pipeline: Make, tmp_path: Path) -> None:
    made = pipeline([("step:huge", "x = 1")], files=["*.bin"])
    (made.folder / "data.bin").write_bytes(noise(200_000))
    with pytest.raises(CompileError, match=r"step huge .* 120\.0 KiB"):
        made.compile(tmp_path / "out.yaml")


def test_the_largest_cell_of_such_a_step_is_named_with_a_way_out(
    pipeline: Make, tmp_path: Path
) -> None:
    made = pipeline(
        [("imports", "import math"), ("step:a", "x = 1"), ("", f"text = '{noise(100_000).hex()}'")]
    )
    with pytest.raises(CompileError, match=r"the most is in cell 3: \d+\.\d KiB") as caught:
        made.compile(tmp_path / "out.yaml")
    assert "cell 3" in caught.value.hint
    assert "volume" in caught.value.hint
    assert "image" in caught.value.hint


def test_a_step_of_a_large_pipeline_is_named_no_less(
    pipeline: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "FOLDED_ABOVE", 1)
    noise = random.Random(0).randbytes(150_000).hex()
    made = pipeline([("step:a", "x = 1"), ("step:b prev:a", f"print(x, len('{noise}'))")])
    with pytest.raises(CompileError, match=r"step b is too large .*; the most is in cell 2"):
        made.compile(tmp_path / "x.yaml")


def test_a_file_that_is_larger_than_all_cells_is_named(pipeline: Make, tmp_path: Path) -> None:
    made = pipeline([("step:a", f"text = '{noise(100).hex()}'")], files=["data"])
    (made.folder / "data").mkdir()
    (made.folder / "data" / "small.bin").write_bytes(noise(1_000))
    (made.folder / "data" / "large.bin").write_bytes(noise(100_000))
    with pytest.raises(
        CompileError, match=r"the most is in data/large\.bin: 13\d\.\d KiB"
    ) as caught:
        made.compile(tmp_path / "out.yaml")
    assert "data/large.bin" in caught.value.hint


def test_what_packs_well_is_not_called_the_largest(pipeline: Make, tmp_path: Path) -> None:
    made = pipeline(
        [("step:a", f"text = '{'a' * 500_000}'"), ("", f"more = '{noise(100_000).hex()}'")]
    )
    with pytest.raises(CompileError, match="cell 2"):
        made.compile(tmp_path / "out.yaml")


def test_the_signs_that_go_writes_longer_are_counted_as_such() -> None:
    assert argument_size({"a": "<>&"}) == argument_size({"a": "xyz"}) + 15
