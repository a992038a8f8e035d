"""What pods wrote into their logs is read back, whatever has become of the logs."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook, new_output

from kale_pm.kfp.server.framed import is_frame, read_told
from kale_pm.runtime.pod.announce import OUTPUTS, announce, this_attempt
from kale_pm.runtime.pod.frames import MARK, framed, frames

NOISE = random.Random(0).randbytes(9_000).hex()
NOTEBOOK = new_notebook(cells=[new_code_cell("1", outputs=[new_output("stream", text=NOISE)])])
LINES = list(frames(NOTEBOOK, "train", 1))


def notebook_in(lines: Sequence[str]) -> Any:
    return read_told(lines)["train", 1].notebook


def test_the_notebook_needs_several_lines() -> None:
    assert len(LINES) > 2
    assert notebook_in(LINES) == NOTEBOOK


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param([f"2026-11-21T10:00:00.1Z {line}" for line in LINES], id="timestamps"),
        pytest.param([f"{line}\r" for line in LINES], id="ends of lines"),
        pytest.param([line for line in LINES for _ in range(2)], id="doubled"),
        pytest.param([*LINES, *LINES], id="twice"),
        pytest.param(LINES[::-1], id="backwards"),
        pytest.param([x for line in LINES for x in (line, "epoch 3: 1/9")], id="lines between"),
        pytest.param([f"\r 30%|### |{line} 40%" for line in LINES], id="text around"),
        pytest.param([" ".join(LINES)], id="one line"),
        pytest.param([line[:2_000] for line in LINES] + LINES, id="cut short, and whole later"),
        pytest.param([f"    \x1b[36m{line}\x1b[0m" for line in LINES], id="colours"),
    ],
)
def test_what_logs_go_through_does_no_harm(spoilt: list[str]) -> None:
    assert notebook_in(spoilt) == NOTEBOOK


@settings(max_examples=50, deadline=None)
@given(
    order=st.permutations(range(len(LINES))),
    noise=st.lists(st.text(max_size=60).filter(lambda text: MARK not in text), min_size=10),
)
def test_order_and_neighbours_never_matter(order: Sequence[int], noise: list[str]) -> None:
    lines = [line for index in order for line in (noise[index % len(noise)], LINES[index])]
    assert notebook_in(lines) == NOTEBOOK


def test_lines_that_are_missing_are_named() -> None:
    told = read_told([LINES[0], LINES[2][:3_000], *LINES[4:]])["train", 1]
    assert told.notebook is None
    assert told.damage == (f"its notebook: the log lacks 2-4 of {len(LINES)} lines",)


def test_lines_that_do_not_fit_together_are_no_notebook() -> None:
    told = read_told(framed(MARK, "train", 1, b"no gzip"))["train", 1]
    assert told.notebook is None
    assert "do not fit together" in told.damage[0]


def test_every_try_is_one_by_itself() -> None:
    second = new_notebook(cells=[new_code_cell("2")])
    told = read_told([*LINES, *frames(second, "train", 2), *frames(second, "other", 1)])
    assert told["train", 1].notebook == NOTEBOOK
    assert told["train", 2].notebook == second
    assert set(told) == {("train", 1), ("train", 2), ("other", 1)}


def test_a_notebook_that_was_framed_anew_in_the_same_log_is_found() -> None:
    short = new_notebook(cells=[new_code_cell("2")])
    assert notebook_in([LINES[0], *frames(short, "train", 1)]) == short


def test_an_announcement_is_one_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    uris = {f"state_{n}": f"minio://mlpipeline/v2/artifacts/wine/{n}/state" for n in range(50)}
    announce(
        "train", {"notebook": "n"}, uris, attempt=3, started=1.0, seconds=2.0,
        metrics={"loss": float("nan"), "odd": object},
    )  # fmt: skip
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{OUTPUTS} train 3 1/1 ")
    outputs = read_told([line])["train", 3].outputs
    assert outputs is not None
    assert (outputs["outputs"], outputs["inputs"]) == ({"notebook": "n"}, uris)
    assert outputs["metrics"]["loss"] == "NaN"


def test_text_that_looks_alike_is_for_people() -> None:
    assert is_frame(LINES[0])
    assert not is_frame("KALEPM is what the lines begin with")
    assert read_told(["KALEPM train 1 1/2 0000", "KALEPM train 1 99999999/2 00000000 AA"]) == {}


def test_a_wrong_kind_of_content_is_refused() -> None:
    packed = gzip.compress(json.dumps([1]).encode())
    assert read_told(framed(MARK, "train", 1, packed))["train", 1].notebook is None


@pytest.mark.parametrize(("index", "attempt"), [("0", 1), ("2", 3), ("{{retries}}", 1)])
def test_kfp_counts_tries_from_nought(
    monkeypatch: pytest.MonkeyPatch, index: str, attempt: int
) -> None:
    monkeypatch.setenv("KFP_RETRY_INDEX", index)
    assert this_attempt() == attempt
