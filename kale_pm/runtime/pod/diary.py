"""What the steps of a run leave on a volume while they run, for the report of the whole run.

    <volume>/.kale-pm/<run>/<step>.ipynb    the executed notebook, written after every cell
    <volume>/.kale-pm/<run>/<step>.json     how the step stands

A pod that is killed, for want of memory or by Kubernetes, leaves what it had written so far.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kale_pm import strict_json
from kale_pm.events import Event, Listener
from kale_pm.record import CellError, Place, State, StepRecord
from kale_pm.runtime.atomic import replacing

FOLDER = ".kale-pm"
# The variable of a pod's environment that holds the run's id.
RUN = "KALE_PM_RUN"


@dataclass(frozen=True)
class Diary:
    """One run's folder on the volume; None where there is none, and then nothing is written.

    What the volume does not take is not written either: no step fails of that.
    """

    folder: Path | None

    def notebook(self, step: str) -> Path | None:
        """The notebook that was kept of a step, if one was."""
        path = None if self.folder is None else self.folder / f"{step}.ipynb"
        return path if path and path.is_file() else None

    def write(self, record: StepRecord) -> None:
        """Say how a step stands now: state, times, metrics and error."""
        if self.folder is None:
            return
        facts = {
            "state": record.state,
            "started": record.started,
            "seconds": record.seconds,
            "metrics": dict(record.metrics),
            "error": None if record.error is None else asdict(record.error),
        }
        text = strict_json.dumps(facts, default=str)
        with suppress(OSError), replacing(self.folder / f"{record.name}.json") as temporary:
            temporary.write_text(text, encoding="utf-8")

    def copy(self, step: str, executed: Path) -> None:
        """Keep the notebook of a step as it is now."""
        if self.folder is None:
            return
        with suppress(OSError), replacing(self.folder / f"{step}.ipynb") as temporary:
            shutil.copyfile(executed, temporary)

    def copying(self, step: str, executed: Path, listener: Listener) -> Listener:
        """A listener that keeps the notebook whenever it was written, and tells ``listener``."""
        copied = 0

        def listen(event: Event) -> None:
            nonlocal copied
            listener(event)
            with suppress(OSError):
                changed = executed.stat().st_mtime_ns
                if changed != copied:
                    copied = changed
                    self.copy(step, executed)

        return listen

    def read(self, step: str) -> StepRecord | None:
        """What was written last of a step; None if nothing was."""
        if self.folder is None:
            return None
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


def open_diary(volume: str) -> Diary:
    """The diary of this run on ``volume``, a path; without a folder if that is not mounted."""
    folder = Path(volume) / FOLDER / (os.environ.get(RUN) or "run")
    try:
        if not volume or not Path(volume).is_dir():
            return Diary(None)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Diary(None)
    return Diary(folder)


def _error(facts: Mapping[str, Any] | None) -> CellError | None:
    if facts is None:
        return None
    places = tuple(Place(**{**place, "lines": tuple(place["lines"])}) for place in facts["places"])
    return CellError(**{**facts, "places": places, "needed_by": tuple(facts["needed_by"])})
