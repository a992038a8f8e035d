"""A step of a run as a notebook to debug: its inputs, and its cells up to the one that failed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from kale_pm.errors import NotebookError, SecretError, StoreError, UsageError
from kale_pm.local.secrets import read_secrets
from kale_pm.notebook import read
from kale_pm.record import RunRecord, State, StepRecord
from kale_pm.runtime.atomic import replacing
from kale_pm.settings import Secret, StepOptions

_MARKER_TAG = "papermill-error-cell-tag"  # papermill's word for a cell that it adds

_Cell = dict[str, Any]


def write_debug_notebook(
    record: RunRecord,
    folder: Path,
    step: str,
    output: Path | None = None,
    *,
    overwrite: bool = False,
) -> Path:
    """Write a notebook that takes up step ``step`` of the run in ``folder`` where it failed.

    Gives its path: by default it lies beside the source notebook under a name that is free.  Raises
    UsageError where the step never started, or where ``output`` is there and must not be
    overwritten; StoreError where the executed notebook is gone; OSError where the new one
    cannot be written.
    """
    source = Path(record.notebook)
    home = source.parent if source.parent.is_dir() else folder.parents[2]
    executed = _executed(record, folder, record.steps[step])
    cells = [cell for cell in executed["cells"] if _MARKER_TAG not in _tags(cell)]
    failing = _failing(cells, record.steps[step])
    is_elsewhere = output is not None and output.resolve().parent != home.resolve()
    options = _options(source, step)
    given = []
    if any(_own(cell).get("role") == "load" for cell in cells):  # else it is not Python
        given = [
            _inputs_cell(folder, options.env, home if is_elsewhere else None),
            *_secrets_cells(source, step, options.secrets),
        ]
    content = {
        "cells": [
            _markdown("about", _about(record, step, source, failing is not None)),
            *given,
            *_shown(cells, failing, record.steps[step]),
        ],
        "metadata": {"kernelspec": _kernelspec(executed)},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    return _write(text, home / f"{step}-debug.ipynb", output, overwrite)


def set_secrets(notebook: str | Path, step: str) -> None:
    """Set the secrets of ``step`` in this process, read from where a run reads them.

    Raises SecretError, which also says what to do, for one that is not to be had;
    NotebookError where the notebook, whose tags name them, is gone.
    """
    try:
        os.environ.update(read_secrets(read(Path(notebook)), [step]).get(step, {}))
    except SecretError as error:
        raise SecretError(f"{error}: {error.hint}") from None


def jupyter_command() -> list[str]:
    """How to start Jupyter here, Lab if there is one; empty if there is none."""
    beside = str(Path(sys.executable).parent)
    for name in ("jupyter-lab", "jupyter-notebook"):
        found = shutil.which(name, path=beside) or shutil.which(name)
        if found:
            return [found]
    return []


def _executed(record: RunRecord, folder: Path, step: StepRecord) -> dict[str, Any]:
    if step.notebook is None:
        failed = [each.name for each in record.steps.values() if each.state is State.FAILED]
        raise UsageError(
            f"step {step.name} of run {record.id} did not start: there is nothing to debug",
            hint=f"the step that failed: {', '.join(failed)}" if failed else "run it again",
        )
    path = folder / step.notebook
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content["cells"], list):
            raise TypeError("it has no list of cells")
        return content
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is damaged: {error}"
        raise StoreError(f"cannot read {path}: {reason}", hint="run the notebook again") from error


def _failing(cells: Sequence[_Cell], step: StepRecord) -> int | None:
    """The index of the cell that ended the step; None if it succeeded."""
    if step.state.is_success:
        return None
    raised = [
        index
        for index, cell in enumerate(cells)
        if any(output["output_type"] == "error" for output in cell.get("outputs", ()))
        and "raises-exception" not in _tags(cell)
    ]
    if raised:
        return raised[-1]
    # A kernel that died or was stopped leaves no error in its notebook.
    number = step.error.cell if step.error else None
    named = [i for i, cell in enumerate(cells) if number and _own(cell).get("cell") == number]
    return named[-1] if named else None


def _shown(cells: Sequence[_Cell], failing: int | None, step: StepRecord) -> list[_Cell]:
    """The cells as new, up to the failing one; else all but the one that saves."""
    if failing is None:
        return [_bare(cell) for cell in cells if _own(cell).get("role") != "save"]
    *before, last = (_bare(cell) for cell in cells[: failing + 1])
    return [*before, _markdown("failed", _mark(last, step)), last]


def _bare(cell: _Cell) -> _Cell:
    """A cell as it was before it ran."""
    bare = {key: value for key, value in cell.items() if key in ("cell_type", "id", "source")}
    own = {"kale_pm": _own(cell)} if _own(cell) else {}
    bare["metadata"] = {**own, "tags": _tags(cell)}
    return {**bare, "outputs": [], "execution_count": None} if _is_code(cell) else bare


def _inputs_cell(run: Path, env: Mapping[str, str], folder: Path | None) -> _Cell:
    arguments = [repr(str(run))]
    if folder is not None:
        arguments.append(f"folder={str(folder)!r}")
    if env:
        arguments.append(f"env={dict(env)!r}")
    text = ",\n    ".join(arguments)
    return _code(
        "inputs",
        f"import kale_pm.runtime.by_hand\n\nkale_pm.runtime.by_hand.use_run(\n    {text},\n)",
    )


def _secrets_cells(notebook: Path, step: str, secrets: Sequence[Secret]) -> list[_Cell]:
    """A cell that reads the secrets when it is executed: no value of them is written here."""
    if not secrets:
        return []
    names = ", ".join(secret.variable for secret in secrets)
    source = (
        f"# Sets {names} as a run does: from the environment, else from your folder of secrets.\n"
        "# What cells print is not masked here: save no output that shows them.\n"
        "import kale_pm.local.results.debugging\n\n"
        f"kale_pm.local.results.debugging.set_secrets(\n    {str(notebook)!r},\n    {step!r},\n)"
    )
    return [_code("secrets", source)]


def _code(name: str, source: str) -> _Cell:
    return {**_markdown(name, source), "cell_type": "code", "outputs": [], "execution_count": None}


def _markdown(name: str, source: str) -> _Cell:
    metadata = {"kale_pm": {"role": "debug"}, "tags": []}
    return {
        "cell_type": "markdown",
        "id": f"kale-pm-{name}",
        "source": source,
        "metadata": metadata,
    }


def _about(record: RunRecord, step: str, source: Path, has_failed: bool) -> str:
    end = ", up to the one that failed" if has_failed else ""
    return (
        f"# Step `{step}` of run `{record.id}`\n\n"
        f"The cells of `{source.name}` as they ran{end}. What they receive is what it was in "
        f"that run. Nothing here changes the run: what you mend, mend in `{source.name}`, too."
    )


def _mark(cell: _Cell, step: StepRecord) -> str:
    number = _own(cell).get("cell")
    which = f"Cell {number}" if number else "This cell, which kale-pm added,"
    if step.error is None or step.state is State.INTERRUPTED:
        return f"### ✗ {which} was interrupted here"
    said = step.error.evalue.strip().replace("```", "'''")
    return f"### ✗ {which} failed here\n\n```text\n{step.error.ename}: {said}\n```"


def _options(notebook: Path, step: str) -> StepOptions:
    """What the tags of the step say; nothing where the notebook does not have it any more."""
    try:
        return read(notebook).step(step).options
    except (NotebookError, KeyError):
        return StepOptions()


def _kernelspec(executed: Mapping[str, Any]) -> dict[str, Any]:
    """The kernel that the notebook names; for a Python that this machine lacks our own."""
    from kale_pm.runtime.execution.kernel import find_spec

    named: dict[str, Any] = executed["metadata"].get("kernelspec", {})
    is_python = str(named.get("language", "python")).lower() == "python"
    if named and (not is_python or find_spec(str(named.get("name"))) is not None):
        return named
    return {"name": "python3", "language": "python", "display_name": "Python 3 (ipykernel)"}


def _write(text: str, default: Path, output: Path | None, overwrite: bool) -> Path:
    if output is not None and overwrite:
        with replacing(output) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return output
    names = (default.with_stem(f"{default.stem}-{n}" if n > 1 else default.stem) for n in count(1))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
    for path in [output] if output is not None else names:
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
            return path
        except FileExistsError:
            continue
    raise UsageError(f"{output} is there already", hint="name another file, or add --force")


def _is_code(cell: _Cell) -> bool:
    return bool(cell["cell_type"] == "code")


def _own(cell: _Cell) -> dict[str, Any]:
    own = cell["metadata"].get("kale_pm", {})
    return own if isinstance(own, dict) else {}


def _tags(cell: _Cell) -> list[str]:
    return list(cell["metadata"].get("tags", []))
