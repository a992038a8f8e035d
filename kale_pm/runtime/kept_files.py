"""Files that a step keeps as artifacts, taken from where its code has written them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kale_pm.record import CellError, State
from kale_pm.runtime.execution.execute import Outcome


def with_files(
    outcome: Outcome, paths: Mapping[str, str], folder: Path, places: Mapping[str, Path]
) -> Outcome:
    """The outcome of a step whose files are in their ``places``, by the names of the artifacts.

    ``paths`` say where in its working ``folder`` a step that is done must have written them: it
    has failed where there is none.  Raises OSError for a file that cannot be copied.
    """
    if outcome.state is not State.DONE:
        return outcome
    for name, path in paths.items():
        source = folder / path
        if not source.is_file():
            what = "is no file" if source.exists() else "was not written by the step"
            error = CellError(
                "ArtifactMissing",
                f"artifact '{name}': {path} {what}",
                hint=f"write the file {path} in the step, or remove the artifact",
            )
            return replace(outcome, state=State.FAILED, error=error)
        places[name].parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, places[name])
    return outcome
