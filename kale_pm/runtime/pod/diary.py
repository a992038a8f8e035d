"""What the steps of a run leave on a volume while they run, for the report of the whole run.

    <volume>/.kale-pm/<run>/<step>.ipynb    the executed notebook, written after every cell
    <volume>/.kale-pm/<run>/<step>.json     how the step stands

A pod that is killed, for want of memory or by Kubernetes, leaves what it had written so far.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kale_pm import strict_json
from kale_pm.record import CellError, Place, State, StepRecord
from kale_pm.runtime.atomic import replacing

FOLDER = ".kale-pm"
# The variable of a pod's environment that holds the run's id.
RUN = "KALE_PM_RUN"


@dataclass(frozen=True)
class Diary:
    """One run's folder on the volume."""

    folder: Path

    def notebook(self, step: str) -> Path:
        return self.folder / f"{step}.ipynb"

    def write(self, record: StepRecord) -> None:
        """Say how a step stands now: state, times, metrics and error."""
        facts = {
            "state": record.state,
            "started": record.started,
            "seconds": record.seconds,
            "metrics": dict(record.metrics),
            "error": None if record.error is None else asdict(record.error),
        }
        with replacing(self.folder / f"{record.name}.json") as temporary:
            temporary.write_text(strict_json.dumps(facts, default=str), encoding="utf-8")

    def read(self, step: str) -> StepRecord | None:
        """What was written last of a step; None if nothing was."""
        try:
            facts = json.loads((self.folder / f"{step}.json").read_text(encoding="utf-8"))
            return StepRecord(
                step,
                State(facts["state"]),
                started=facts["started"],
                seconds=facts["seconds"],
                metrics={name: strict_json.number(v) for name, v in facts["metrics"].items()},
                error=_error(facts["error"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def open_diary(volume: str) -> Diary | None:
    """The diary of this run on the mounted ``volume``; None where nothing can be written.

    A step never fails because its volume is full or write protected.
    """
    folder = Path(volume) / FOLDER / (os.environ.get(RUN) or "run")
    try:
        if not volume or not Path(volume).is_dir():
            return None
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return Diary(folder) if os.access(folder, os.W_OK | os.X_OK) else None


def _error(facts: Mapping[str, Any] | None) -> CellError | None:
    if facts is None:
        return None
    places = tuple(Place(**{**place, "lines": tuple(place["lines"])}) for place in facts["places"])
    return CellError(**{**facts, "places": places, "needed_by": tuple(facts["needed_by"])})
