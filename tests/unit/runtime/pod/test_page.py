"""The page of a step: its metrics, its notebook, and never more than a browser takes."""

from __future__ import annotations

import base64
import random
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from kale_pm.runtime.pod.page import LARGEST, write_page


def picture(size: int) -> Any:
    text = base64.b64encode(random.Random(0).randbytes(size * 3 // 4)).decode()
    return new_output("display_data", data={"image/png": text})


def printed(text: str) -> Any:
    return new_output("stream", name="stdout", text=text)


@pytest.fixture
def page(tmp_path: Path) -> Any:
    def make(*outputs: Any, wanted: bool = True, **metrics: Any) -> str:
        executed = tmp_path / "train.ipynb"
        cells = [new_code_cell("train()", outputs=[output]) for output in outputs]
        nbformat.write(new_notebook(cells=cells), executed)
        path = tmp_path / "somewhere" / "html"
        write_page(path, executed, "train", wanted=wanted, metrics=metrics)
        return path.read_text(encoding="utf-8")

    return make


def test_metrics_stand_above_the_notebook_whatever_they_are(page: Any) -> None:
    html = page(printed("text of the cell"), loss=float("nan"), best="<net>", rate=0.1 + 0.2, n=3)
    rows = [
        '<th scope="row">loss</th><td>nan</td>',
        '<th scope="row">best</th><td>&lt;net&gt;</td>',
        '<th scope="row">rate</th><td>0.3</td>',
        '<th scope="row">n</th><td>3</td>',
    ]
    assert all(row in html for row in rows)
    assert html.index("rate") < html.index("text of the cell")


def test_without_metrics_there_is_no_table(page: Any) -> None:
    assert "<table" not in page(printed("text"))


def test_of_a_large_page_the_largest_outputs_are_left_out(page: Any) -> None:
    html = page(printed("small"), picture(LARGEST), picture(1_000))
    assert len(html) < LARGEST
    assert "An output of 4.0 MB is left out here; the notebook has it." in html
    assert "small" in html
    assert html.count("data:image/png") == 1


def test_a_page_that_is_too_large_without_them_keeps_the_metrics(page: Any) -> None:
    html = page(*[printed("x" * 100_000) for _ in range(60)], accuracy=0.5)
    assert len(html) < LARGEST
    assert "<td>0.5</td>" in html


def test_what_cannot_be_made_small_leaves_the_metrics(
    page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kale_pm.runtime.pod.page.LARGEST", 1_000)
    html = page(printed("text of the cell"), accuracy=0.5)
    assert "too much for a page" in html
    assert "<td>0.5</td>" in html
    assert "train()" not in html


def test_half_characters_do_not_fail_a_step(page: Any, tmp_path: Path) -> None:
    assert "cannot be shown" not in page(printed("ok"), name="\ud800")


def test_a_notebook_that_is_gone_does_not_fail_a_step(tmp_path: Path) -> None:
    write_page(tmp_path / "html", tmp_path / "none.ipynb", "train", wanted=True, metrics={})
    assert "cannot be shown" in (tmp_path / "html").read_text(encoding="utf-8")


def test_a_report_that_is_switched_off_shows_nothing(page: Any) -> None:
    html = page(printed("secret"), wanted=False, accuracy=0.5)
    assert "switched off" in html
    assert "secret" not in html
