"""A notebook in a log survives its size, and can be put together again."""

from __future__ import annotations

import base64
import gzip
import json
import random
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from kale_pm import Pipeline
from kale_pm.errors import StoreError
from kale_pm.kfp.compiling.plan import plan
from kale_pm.kfp.server.framed import read_told
from kale_pm.runtime.pod.frames import LARGEST, frames
from kale_pm.runtime.pod.step import run_step


def read(lines: Iterable[str]) -> dict[str, Any]:
    pieces = []
    for number, line in enumerate(lines, start=1):
        mark, step, attempt, place, checksum, piece = line.split()
        assert (mark, step, attempt) == ("KALEPM", "train", "2")
        assert place.split("/")[0] == str(number)
        assert zlib.crc32(piece.encode()) == int(checksum, 16)
        pieces.append(piece)
    return dict(json.loads(gzip.decompress(base64.b64decode("".join(pieces)))))


def notebook(first: int, failing: int) -> NotebookNode:
    """Two cells that wrote so many bytes, of which the second failed."""
    noise = random.Random(0)

    def text(size: int) -> str:
        return base64.b64encode(noise.randbytes(size)).decode()

    error = new_output("error", ename="ValueError", evalue="boom", traceback=["boom"])
    return new_notebook(
        cells=[
            new_code_cell("1", outputs=[new_output("stream", text=text(first))]),
            new_code_cell("2", outputs=[new_output("stream", text=text(failing)), error]),
        ]
    )


def outputs(content: dict[str, Any]) -> list[int]:
    return [len(cell["outputs"]) for cell in content["cells"]]


def test_lines_are_short_and_the_notebook_is_whole() -> None:
    made = notebook(20_000, 20_000)
    lines = list(frames(made, "train", 2))
    assert len(lines) > 5
    assert max(map(len, lines)) <= 4096
    assert read(lines) == made


def test_a_large_notebook_keeps_the_outputs_of_the_failing_cell() -> None:
    assert outputs(read(frames(notebook(2 * LARGEST, 1_000), "train", 2))) == [0, 2]


def test_a_failing_cell_that_wrote_too_much_loses_its_outputs_too() -> None:
    made = notebook(1_000, 2 * LARGEST)
    assert outputs(read(frames(made, "train", 2))) == [0, 0]
    assert outputs(made) == [1, 2]


class TestBeforeTheFirstCell:
    def test_what_goes_wrong_is_told_to_fetch(
        self,
        pipeline: Callable[..., Pipeline],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The volume for the variables is a file, so that nothing can be written to it."""
        for name in ("HOME", "KFP_RETRY_INDEX"):
            monkeypatch.setenv(name, str(tmp_path) if name == "HOME" else "1")
        made = pipeline([("step:a", "x = 1"), ("step:b prev:a", "x")], marshal_volume=True)
        volume = tmp_path / "volume"
        volume.touch()
        artifacts = {
            name: SimpleNamespace(path=str(tmp_path / name), uri=f"minio://{name}")
            for name in ("notebook", "html", "metrics", "state", "context")
        }
        with pytest.raises(StoreError, match="variables cannot be written to the volume"):
            run_step("a", plan(made).bundles["a"], {**artifacts, "volume": str(volume)})
        told = read_told(capsys.readouterr().out.splitlines())
        assert list(told) == [("a", 2)]
        error = told["a", 2].error
        assert error is not None
        assert error["error"]["ename"] == "StoreError"
        assert "cannot be written to the volume" in error["error"]["evalue"]
        assert "remove marshal_volume" in error["error"]["hint"]
        assert error["seconds"] >= 0
