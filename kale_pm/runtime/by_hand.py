"""A slice opened by hand: its inputs come from the newest run that has them.

So an executed notebook of a run can be opened in Jupyter and run again, cell by cell.  What
it saves goes to a scratch folder, never into the run.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kale_pm.errors import LoadError
from kale_pm.runtime.manifest import Exchange

_chosen: Path | None = None


def use_run(
    run: str | Path, *, folder: str | Path | None = None, env: Mapping[str, str] | None = None
) -> None:
    """From now on the inputs in this kernel come from the run in the folder ``run``.

    ``folder`` becomes the working directory, and ``env`` is set, as it was for the step.
    """
    global _chosen  # noqa: PLW0603 - one kernel runs one step
    _chosen = Path(run)
    if folder is not None:
        os.chdir(folder)
    os.environ.update(env or {})


def exchange_by_hand(pipeline: str, step: str) -> Exchange:
    """Where the inputs of ``step`` lie: in the run around, or the nearest ``.kale-pm`` upwards.

    After :func:`use_run` it is that run and no other.  Raises LoadError, naming ``kale-pm
    run``, when no run of the pipeline has them all.
    """
    if _chosen is not None:
        inputs = _inputs(_chosen / "run.json", pipeline, step)
        if inputs is None:
            raise LoadError(
                f"{_chosen} is gone, or does not hold the inputs of step '{step}'",
                hint=f"kale-pm run NOTEBOOK, then: kale-pm debug latest {step}",
            )
        return _exchange(inputs, step)
    here = Path.cwd()
    for folder in (here, *here.parents):
        # An executed notebook is opened in the folder of its run, a slice anywhere.
        runs = [folder / "run.json"] if (folder / "manifests").is_dir() else []
        runs += sorted((folder / ".kale-pm" / "runs").glob("*/run.json"), key=_age, reverse=True)
        for run in runs:
            inputs = _inputs(run, pipeline, step)
            if inputs is not None:
                return _exchange(inputs, step)
    raise LoadError(
        f"no run of pipeline '{pipeline}' holds the inputs of step '{step}'",
        hint="run the notebook first: kale-pm run NOTEBOOK",
    )


def _exchange(inputs: tuple[Path, ...], step: str) -> Exchange:
    scratch = Path(tempfile.mkdtemp(prefix=f"kale-pm-{step}-"))
    return Exchange(inputs, scratch / "manifest.json", scratch)


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
