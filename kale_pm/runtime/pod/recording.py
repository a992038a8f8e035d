"""What a step recorded, as KFP keeps it: its metrics, and in a sweep what its last step is told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kale_pm import strict_json
from kale_pm.runtime.pod.places import Metrics

_LONGEST = 200  # characters of a text: all trials together must fit into one argument


def record(values: Mapping[str, Any], metrics: Metrics, trial: str = "") -> None:
    """KFP draws finite numbers; the rest is kept as text beside them, and so is the ``trial``."""
    if trial:
        metrics.metadata["trial"] = trial
    for name, value in values.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and math.isfinite(value):
            metrics.log_metric(name, value)
        else:
            metrics.metadata[name] = str(value)


def write_summary(values: Mapping[str, Any], path: Path, trial: str) -> None:
    """Write the metrics ``values`` for ``kale_pm.trials.collected``, which reads them.

    ``trial`` tells which values of varied parameters had reached the step.
    """
    told = {
        name: value[:_LONGEST] if isinstance(value, str) else value
        for name, value in values.items()
    }
    text = strict_json.dumps({"trial": trial, "metrics": told}, default=str)
    path.parent.mkdir(parents=True, exist_ok=True)
    # KFP would put something of its own where a metric has double braces.
    path.write_text(text.replace("{{", r"{\u007b"), encoding="utf-8")
