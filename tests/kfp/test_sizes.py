"""How much a compiled pipeline may weigh."""

from __future__ import annotations

import pytest

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.sizes import (
    LARGE_PACKAGE,
    LARGEST_ARGUMENT,
    LARGEST_PACKAGE,
    StepSize,
    argument_size,
    check_sizes,
)

SIZES = {"load": StepSize(60_000, 1_000, 50_000), "train": StepSize(70_000, 9_000, 50_000)}


def test_a_small_pipeline_passes_without_a_word() -> None:
    assert check_sizes(SIZES, LARGE_PACKAGE) == ()


def test_a_large_pipeline_is_announced_with_the_sizes_of_its_steps() -> None:
    (warning,) = check_sizes(SIZES, LARGE_PACKAGE + 1)
    assert "load" in warning
    assert "68.4 KiB" in warning


def test_a_pipeline_that_no_cluster_keeps_is_refused_with_the_sizes() -> None:
    with pytest.raises(CompileError, match="train") as caught:
        check_sizes(SIZES, LARGEST_PACKAGE + 1)
    assert caught.value.hint


def test_a_step_that_no_process_can_be_given_is_refused() -> None:
    sizes = {**SIZES, "huge": StepSize(LARGEST_ARGUMENT + 1, 70_000, 50_000)}
    with pytest.raises(CompileError, match=r"step huge .* 120\.0 KiB .* 68\.4 KiB"):
        check_sizes(sizes, 0)


def test_the_signs_that_go_writes_longer_are_counted_as_such() -> None:
    assert argument_size({"a": "<>&"}) == argument_size({"a": "xyz"}) + 15
