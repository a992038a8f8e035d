"""What a step recorded, as KFP keeps it and as the last step of a sweep is told it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from kale_pm.runtime.pod.recording import record, write_summary

RECORDED: dict[str, Any] = {"loss": 0.5, "rows": 3, "worst": math.inf, "ok": True, "kind": "a"}


class Metrics:
    path = uri = ""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}
        self.drawn: dict[str, float] = {}

    def log_metric(self, metric: str, value: float) -> None:
        self.drawn[metric] = value


def told(path: Path, values: dict[str, Any]) -> Any:
    write_summary(values, path, "lr=0.1")
    return json.loads(path.read_text(encoding="utf-8"))


def test_finite_numbers_are_drawn_and_the_rest_is_told_as_text() -> None:
    metrics = Metrics()
    record(RECORDED, metrics)
    assert metrics.drawn == {"loss": 0.5, "rows": 3}
    assert metrics.metadata == {"worst": "inf", "ok": "True", "kind": "a"}


def test_a_trial_is_named_beside_its_metrics_and_takes_no_metric_of_that_name_away() -> None:
    metrics = Metrics()
    record({}, metrics, "lr=0.1")
    assert metrics.metadata == {"trial": "lr=0.1"}
    record({"trial": "mine"}, metrics, "lr=0.1")
    assert metrics.metadata == {"trial": "mine"}


def test_the_summary_keeps_the_types_of_what_was_recorded(tmp_path: Path) -> None:
    found = told(tmp_path / "outputs" / "summary", RECORDED)
    assert found == {"trial": "lr=0.1", "metrics": {**RECORDED, "worst": "Infinity"}}


def test_the_summary_has_no_braces_that_kfp_would_fill_in(tmp_path: Path) -> None:
    text = "{{{$.inputs.parameters['x']}}}"
    assert told(tmp_path / "summary", {"text": text})["metrics"] == {"text": text}
    assert "{{" not in (tmp_path / "summary").read_text(encoding="utf-8")


def test_of_a_long_text_only_the_beginning_is_told(tmp_path: Path) -> None:
    assert told(tmp_path / "summary", {"text": "x" * 10_000})["metrics"] == {"text": "x" * 200}
