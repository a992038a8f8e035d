"""The record of a run as a file: it comes back as it was, or one clear error does."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kale_pm.errors import StoreError
from kale_pm.local.run_file import read_run, write_run
from kale_pm.record import CellError, RunRecord, State, StepRecord


def record(**changes: object) -> RunRecord:
    steps = {
        "a": StepRecord("a", State.DONE, metrics={"m": 0.5}, started=1.5, seconds=2.0),
        "b": StepRecord(
            "b",
            State.FAILED,
            parents=("a",),
            inputs=("a",),
            error=CellError("ValueError", "no", 3, 2, "x = f()", "…"),
        ),
    }
    made = RunRecord("r-1", "r", "r.ipynb", State.FAILED, {"n": [1, None]}, steps, 1.0)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_run(record(), tmp_path)
    assert read_run(tmp_path) == record()


def test_run_json_is_json_whatever_the_metrics_are(tmp_path: Path) -> None:
    steps = {"a": StepRecord("a", State.DONE, metrics={"loss": math.inf})}
    write_run(record(steps=steps, metrics={"loss": math.inf}, parameters={"x": math.nan}), tmp_path)
    json.loads((tmp_path / "run.json").read_text(), parse_constant=pytest.fail)
    found = read_run(tmp_path)
    assert found.metrics == found.steps["a"].metrics == {"loss": math.inf}


def test_parameters_come_back_as_they_were(tmp_path: Path) -> None:
    parameters = {"x": math.nan, "text": "NaN", "bounds": [0.0, math.inf], "limits": {"a": "inf"}}
    write_run(record(parameters=parameters), tmp_path)
    assert repr(read_run(tmp_path).parameters) == repr(parameters)
    text = (tmp_path / "run.json").read_text()
    written = json.loads(text, parse_constant=pytest.fail)["parameters"]
    assert written["text"] == "NaN"
    assert written["bounds"] == [0.0, {"$float": "Infinity"}]


def test_a_run_of_an_earlier_version_can_be_read(tmp_path: Path) -> None:
    write_run(record(parameters={"x": "NaN", "bounds": [0.0, "Infinity"]}), tmp_path)
    assert read_run(tmp_path).parameters == {"x": "NaN", "bounds": [0.0, "Infinity"]}


def test_all_that_an_error_knows_comes_back(tmp_path: Path) -> None:
    error = CellError("SaveError", "no", 3, variable="x", path="x[0]", needed_by=("b", "c"))
    made = record(steps={"a": StepRecord("a", State.FAILED, error=error)})
    write_run(made, tmp_path)
    assert read_run(tmp_path) == made


def test_a_running_run_whose_process_is_gone_reads_interrupted(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write_run(record(state=State.RUNNING, process=gone.pid), tmp_path)
    assert read_run(tmp_path).state is State.INTERRUPTED


def test_a_running_run_whose_process_lives_is_running(tmp_path: Path) -> None:
    write_run(record(state=State.RUNNING, process=os.getpid()), tmp_path)
    assert read_run(tmp_path).state is State.RUNNING


@pytest.mark.parametrize("text", ["", "{", "[]", '{"steps": {}}', '{"steps": {"a": 1}}', "null"])
def test_a_damaged_record_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(StoreError, match=r"run\.json"):
        read_run(tmp_path)


def test_a_missing_record_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot read"):
        read_run(tmp_path)
