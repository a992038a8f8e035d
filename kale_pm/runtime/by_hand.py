"""A slice opened by hand: its inputs come from the newest run that has them.

So an executed notebook of a run can be opened in Jupyter and run again, cell by cell.  What
it saves goes to a scratch folder, never into the run.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from kale_pm.errors import LoadError
from kale_pm.runtime.manifest import Exchange


def exchange_by_hand(pipeline: str, step: str) -> Exchange:
    """Where the inputs of ``step`` lie: in the run around, or the nearest ``.kale-pm`` upwards.

    Raises LoadError, naming ``kale-pm run``, when no run of the pipeline has them all.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        # An executed notebook is opened in the folder of its run, a slice anywhere.
        runs = [folder / "run.json"] if (folder / "manifests").is_dir() else []
        runs += sorted((folder / ".kale-pm" / "runs").glob("*/run.json"), key=_age, reverse=True)
        for run in runs:
            inputs = _inputs(run, pipeline, step)
            if inputs is not None:
                scratch = Path(tempfile.mkdtemp(prefix=f"kale-pm-{step}-"))
                return Exchange(inputs, scratch / "manifest.json", scratch)
    raise LoadError(
        f"no run of pipeline '{pipeline}' holds the inputs of step '{step}'",
        hint="run the notebook first: kale-pm run NOTEBOOK",
    )


def _age(run: Path) -> str:
    # Run ids hold the UTC time right after the pipeline's name, so they sort by age.
    return run.parent.name


def _inputs(run: Path, pipeline: str, step: str) -> tuple[Path, ...] | None:
    """The manifests that the step reads, if this run has them all."""
    content = _read(run)
    record = content.get("steps", {}).get(step)
    if content.get("pipeline") != pipeline or not record:
        return None
    names = dict.fromkeys([*record.get("inputs", ()), *record.get("parents", ())])
    paths = tuple(run.parent / "manifests" / f"{name}.json" for name in names)
    return paths if all(path.exists() for path in paths) else None


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
