"""The file ``run.json``: the record of a run, and how its values are written as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kale_pm import strict_json
from kale_pm.errors import StoreError
from kale_pm.local.files import write_text
from kale_pm.record import CellError, Place, RunRecord, State, StepRecord


def write_run(record: RunRecord, folder: Path) -> None:
    """Write ``run.json``."""
    kept = replace(record, parameters=storable(record.parameters))
    text = strict_json.dumps(kept, indent=1, default=str)
    write_text(folder / "run.json", text + "\n")


def read_run(folder: Path) -> RunRecord:
    """Read ``run.json``; a run of this machine whose process is gone reads ``interrupted``."""
    path = folder / "run.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        read = {
            "state": State(content["state"]),
            "steps": {name: _step(values) for name, values in content["steps"].items()},
            "parameters": restored(content["parameters"]),
            "metrics": numbers(content["metrics"]),
            "implied_edges": tuple((parent, child) for parent, child in content["implied_edges"]),
        }
        record = RunRecord(**{**content, **read})
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{path} is damaged: {error}", hint="the run's notebooks are still beside it"
        ) from error
    if record.state is State.RUNNING and not is_alive(record.process):
        return RunRecord(**{**vars(record), "state": State.INTERRUPTED})
    return record


def _step(values: dict[str, Any]) -> StepRecord:
    error = values.pop("error")
    return StepRecord(
        **{
            **values,
            "state": State(values["state"]),
            "parents": tuple(values["parents"]),
            "inputs": tuple(values["inputs"]),
            "needs": tuple(values.get("needs", ())),
            "metrics": numbers(values["metrics"]),
            "error": _cell_error(**error) if error else None,
        }
    )


def _cell_error(
    needed_by: Iterable[str] = (), places: Iterable[Mapping[str, Any]] = (), **values: Any
) -> CellError:
    read = tuple(Place(**{**place, "lines": tuple(place["lines"])}) for place in places)
    return CellError(**values, needed_by=tuple(needed_by), places=read)


def numbers(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics as they were before they were written: not a number, infinite ones too."""
    return {name: strict_json.number(value) for name, value in metrics.items()}


def storable(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Values of parameters as files hold them; of these :func:`restored` makes the values."""
    return {name: strict_json.exact(value) for name, value in parameters.items()}


def restored(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Values of parameters as they were before they were written."""
    return {name: strict_json.restored(value) for name, value in parameters.items()}


def is_alive(process: int | None) -> bool:
    """Whether the process of a record that says running is still there."""
    if process is None:
        return True  # it runs elsewhere, and was running when it was looked at
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
