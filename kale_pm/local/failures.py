"""The failures of a run as people read them: where, what, and what to do about it."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kale_pm.errors import StepFailed
from kale_pm.model import Cell, Pipeline, Step
from kale_pm.record import CellError, Place, RunRecord, StepRecord
from kale_pm.runtime.execution.failure import excerpt, frames, place_in
from kale_pm.runtime.execution.unsaved import with_origin

_MISSING = re.compile(r"No module named '([\w.]+)'")
# How ipykernel calls the file of a cell: by a hash of its text.
_CELL_FILE = re.compile(r"(?:^|[/\\])(\d+)\.py$")


def failures(record: RunRecord, folder: Path) -> list[StepFailed]:
    """Every failure of a run as an error that says it all, in the order of the steps."""
    return [_failure(step, folder) for step in record.failures]


def explained(
    error: CellError, pipeline: Pipeline, step: Step, command: Sequence[str]
) -> CellError:
    """``error`` with all that the pipeline knows about it: places in other steps, what to do.

    ``command`` is how the kernel was started.
    """
    cells = [(cell.number, cell.source) for cell in step.code]
    error = _in_the_notebook(with_origin(error, cells, pipeline.users(step.name)), pipeline)
    if error.ename in ("ModuleNotFoundError", "ImportError"):
        return _with_package(error, pipeline, step, command)
    return replace(error, places=_with_end_in_other_step(error, pipeline))


def _failure(step: StepRecord, folder: Path) -> StepFailed:
    error = step.error or CellError("Failed", "it did not say why")
    notebook = str(folder / step.notebook) if step.notebook else ""
    log = folder / "logs" / f"{step.name}.log"
    hints = [error.hint] if error.hint else []
    if notebook:
        hints.append(f"look at {notebook}")
    if error.ename in ("DeadKernelError", "KernelNotStarted") and _has_text(log):
        hints.append(f"the kernel's own words: {log}")
    return StepFailed(
        step.name,
        f"{_where(error, bool(notebook))}\n{error.message}",
        notebook=notebook,
        hint="\n".join(hints),
    )


def _where(error: CellError, has_notebook: bool) -> str:
    """Cell and line, with the lines around, and the same of the function that it called."""
    added = "outside of its own cells" if has_notebook else "before its first cell"
    where = f"cell {error.cell}" if error.cell else added
    where += f", line {error.line}" if error.line and error.cell else ""
    places = [place for place in error.places if place.cell is not None]
    if not places:
        return f"{where}: {error.source}" if error.source and error.cell else where
    shown = [f"{where}\n{_indented(excerpt(places[0]))}"]
    for place in places[1:]:
        inside = f", in {place.function}" if place.function else ""
        shown.append(
            f"  called cell {place.cell}, line {place.line}{inside}\n{_indented(excerpt(place))}"
        )
    return "\n".join(shown)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))


def _has_text(log: Path) -> bool:
    try:
        return log.stat().st_size > 0
    except OSError:
        return False


def _with_package(
    error: CellError, pipeline: Pipeline, step: Step, command: Sequence[str]
) -> CellError:
    """Which interpreter lacks the module, and how it gets it."""
    found = _MISSING.search(error.evalue)
    if found is None or not command:
        return error
    top = found[1].partition(".")[0]
    if top == "kale_pm" or (pipeline.folder / top).is_dir():
        return error
    from kale_pm.analysis.flow.provided import DISTRIBUTIONS

    interpreter = _full_path(command[0])
    install = f"{interpreter} -m pip install {DISTRIBUTIONS.get(top, top)}"
    hint = f"step {step.name} runs in {interpreter}, which lacks it; to add it: {install}"
    return replace(error, hint=hint)


def _full_path(program: str) -> str:
    # jupyter_client starts a kernel that is called just python with its own interpreter.
    major, minor = sys.version_info[:2]
    if program in ("python", f"python{major}", f"python{major}.{minor}"):
        return sys.executable
    return shutil.which(program) or program


def _in_the_notebook(error: CellError, pipeline: Pipeline) -> CellError:
    """The places by the lines of the notebook: a slice has its parameters cells put together."""
    sources = {cell.number: cell.source for cell in _cells(pipeline)}
    places = []
    for place in error.places:
        text = place.lines[place.line - place.first]
        lines = sources.get(place.cell or 0, "").split("\n")
        same = [number for number, line in enumerate(lines, 1) if line.rstrip() == text]
        is_moved = len(same) == 1 and same[0] != place.line
        places.append(
            place_in("\n".join(lines), place.cell, same[0], place.function) if is_moved else place
        )
    line = places[0].line if places else error.line
    return replace(error, places=tuple(places), line=line)


def _cells(pipeline: Pipeline) -> list[Cell]:
    return [*pipeline.prelude, *(cell for step in pipeline.steps for cell in step.code)]


def _with_end_in_other_step(error: CellError, pipeline: Pipeline) -> tuple[Place, ...]:
    """The places, and where a function that another step has defined ended the call.

    Such a function travelled by value: its frame names the file of a cell in a kernel that is
    gone.
    """
    if len(error.places) != 1:
        return error.places
    for frame in reversed(frames(error.traceback)):
        match = _CELL_FILE.search(frame.file)
        cell = _cell_of_file(int(match[1]), _cells(pipeline)) if match else None
        if cell is not None and frame.line <= cell.source.count("\n") + 1:
            end = place_in(cell.source, cell.number, frame.line, frame.function)
            return (*error.places, end)
    return error.places


def _cell_of_file(number: int, cells: Sequence[Cell]) -> Cell | None:
    from ipykernel.compiler import get_tmp_hash_seed, murmur2_x86

    seed = get_tmp_hash_seed()
    for cell in cells:
        if murmur2_x86(cell.source, seed) == number:
            return cell
    return None
