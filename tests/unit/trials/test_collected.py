"""The last step of a sweep on KFP: the trials from what their steps recorded."""

from __future__ import annotations

import base64
import csv
import json
import math
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kale_pm.errors import UsageError
from kale_pm.trials.collected import Collected, collected

FACTS: dict[str, Any] = {
    "title": "wine",
    "notebook": "wine.ipynb",
    "goal": "accuracy:max",
    "varied": ["lr", "depth"],
    "fixed": {"p_start": {"name": "_start", "type": "int"}},
    "reach": {"load": [], "train": ["lr"], "score": ["lr", "depth"]},
    "trials": [
        {"lr": "0.1", "depth": "3"},
        {"lr": "0.1", "depth": "5"},
        {"lr": "1.0", "depth": "3"},
    ],
}


def told(trial: str = "", **metrics: Any) -> str:
    return json.dumps({"trial": trial, "metrics": metrics})


GIVEN: dict[str, Any] = {
    "p_start": 4.0,
    "metrics_load": told(rows=10),
    "metrics_train": [told("lr=1.0", loss=0.5), told("lr=0.1", loss=2.5), told("lr=0.1", loss=2.5)],
    "metrics_score": [
        told("lr=1.0, depth=3", accuracy=0.9),
        told("lr=0.1, depth=5", accuracy="NaN"),
        told("lr=0.1, depth=3", accuracy=0.7),
    ],
}


def decode(value: Any, kind: str) -> Any:
    return int(value) if kind == "int" else value


def read(given: dict[str, Any] = GIVEN, **facts: Any) -> Collected:
    text = json.dumps({**FACTS, **facts})
    return collected(base64.b64encode(zlib.compress(text.encode())).decode(), given, decode)


@dataclass
class Artifact:
    path: str
    metadata: dict[str, Any] = field(default_factory=dict)
    drawn: dict[str, float] = field(default_factory=dict)

    def log_metric(self, metric: str, value: float) -> None:
        self.drawn[metric] = value


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Any]:
    artifacts = {name: Artifact(str(tmp_path / name)) for name in ("best", "report", "table")}
    return {**artifacts, **{name: str(tmp_path / name) for name in ("parameters", "trial")}}


def test_every_trial_gets_what_its_values_gave_in_whatever_order_it_comes() -> None:
    found = read()
    assert [row.parameters for row in found.rows] == [
        {"lr": 0.1, "depth": 3},
        {"lr": 0.1, "depth": 5},
        {"lr": 1.0, "depth": 3},
    ]
    assert [row.metrics.get("loss") for row in found.rows] == [2.5, 2.5, 0.5]
    assert [row.metrics["accuracy"] for row in found.rows][::2] == [0.7, 0.9]
    assert math.isnan(found.rows[1].metrics["accuracy"])
    assert {row.metrics["rows"] for row in found.rows} == {10}
    assert found.fixed == {"_start": 4}


def test_of_two_steps_that_record_one_name_the_later_one_counts() -> None:
    found = read({**GIVEN, "metrics_load": told(accuracy=5.0)})
    assert found.rows[0].metrics["accuracy"] == 0.7


def test_a_trial_of_which_nothing_is_told_has_no_metrics() -> None:
    found = read({**GIVEN, "metrics_score": [], "metrics_train": [], "metrics_load": told()})
    assert [row.metrics for row in found.rows] == [{}, {}, {}]


def test_the_best_is_handed_on_with_all_its_parameters(places: dict[str, Any]) -> None:
    read().hand_on(places)
    assert Path(places["trial"]).read_text() == "3"
    assert json.loads(Path(places["parameters"]).read_text()) == {
        "_start": 4, "lr": 1.0, "depth": 3
    }  # fmt: skip
    assert places["best"].drawn == {"rows": 10.0, "loss": 0.5, "accuracy": 0.9}
    assert "<svg" in Path(places["report"].path).read_text(encoding="utf-8")
    table = Path(places["table"].path)
    with (table / "trials.csv").open(encoding="utf-8") as file:
        assert [row["accuracy"] for row in csv.DictReader(file)] == ["0.7", "NaN", "0.9"]
    assert json.loads((table / "trials.json").read_text())["best"] == 3


def test_what_is_no_finite_number_is_handed_on_as_text(places: dict[str, Any]) -> None:
    read({**GIVEN, "metrics_load": told(rows="Infinity", ok=True, kind="a")}).hand_on(places)
    assert places["best"].metadata == {"rows": "inf", "ok": "True", "kind": "a"}


def test_values_keep_no_braces_that_kfp_would_fill_in(places: dict[str, Any]) -> None:
    trials = [{"lr": json.dumps("{{{{$.x}}"), "depth": "3"}, {"lr": "1.0", "depth": "3"}]
    one = told('lr="{{{{$.x}}", depth=3', accuracy=1)
    read({**GIVEN, "metrics_score": [one]}, trials=trials).hand_on(places)
    text = Path(places["parameters"]).read_text()
    assert "{{" not in text
    assert json.loads(text)["lr"] == "{{{{$.x}}"


def test_a_metric_that_nobody_recorded_is_an_error_that_names_the_others(
    places: dict[str, Any],
) -> None:
    with pytest.raises(UsageError, match=r"'acuracy'; .*: rows, loss, accuracy"):
        read(goal="acuracy:max").hand_on(places)
    assert Path(places["report"].path).exists()
