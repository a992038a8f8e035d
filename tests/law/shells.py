"""Cells in IPython, as a kernel runs them: one forked process for all, or one for each step."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import tempfile
import traceback
import types
from collections.abc import Callable, Sequence
from pathlib import Path

# Imported once here, and not in every child.
import cloudpickle  # noqa: F401
import dill  # noqa: F401
import xxhash  # noqa: F401
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell

import kale_pm.runtime.step  # noqa: F401
from kale_pm.model import Pipeline
from kale_pm.slicing import cut

Shown = dict[int, str]  # number of a cell -> what it showed


class CellFailed(Exception):
    """A cell ended with an error."""


def in_one_kernel(pipeline: Pipeline, folder: Path) -> Shown:
    """What the cells of the steps show, run from the top of the notebook to its end."""
    steps = [cell for step in pipeline.steps for cell in step.code]
    cells = sorted([*pipeline.prelude, *steps], key=lambda cell: cell.number)
    shown = _forked([(cell.number, cell.source) for cell in cells if cell.is_code], folder, {})
    return {cell.number: shown[cell.number] for cell in steps}


def in_steps(pipeline: Pipeline, folder: Path, manifests: Path) -> Shown:
    """What the cells of the steps show, each slice in a process of its own."""
    shown: Shown = {}
    for name in pipeline.order:
        step = pipeline.step(name)
        inputs = dict.fromkeys([*step.input_steps, *pipeline.parents[name]])
        environment = {
            # As in a cluster, where a step has nothing but the folders that it asked for.
            "KALE_PM_INPUTS": json.dumps([str(manifests / s / "manifest.json") for s in inputs]),
            "KALE_PM_OUTPUT": str(manifests / name / "manifest.json"),
            "KALE_PM_PACKS": str(manifests / name),
            "KALE_PM_ORDER": str(pipeline.order.index(name)),
        }
        (manifests / name).mkdir()
        cells = [
            (cell.metadata["kale_pm"].get("cell", 0), cell.source)
            for cell in cut(pipeline, name).cells
            if cell.cell_type == "code"
        ]
        own = {cell.number for cell in step.code}
        found = _forked(cells, folder, environment)
        shown |= {number: text for number, text in found.items() if number in own}
    return shown


def _forked(cells: Sequence[tuple[int, str]], folder: Path, environment: dict[str, str]) -> Shown:
    def run() -> Shown:
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        os.environ.update(environment)
        return _run(cells)

    return {int(number): text for number, text in _in_child(run).items()}


def _in_child(work: Callable[[], Shown]) -> Shown:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        try:
            answer: object = work()
        except BaseException:
            answer = traceback.format_exc()
        with os.fdopen(writer, "w", encoding="utf-8") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        answer = json.load(pipe)
    os.waitpid(child, 0)
    if not isinstance(answer, dict):
        raise CellFailed(answer)
    return answer


def _run(cells: Sequence[tuple[int, str]]) -> Shown:
    HistoryManager.enabled = False
    module = types.ModuleType("__main__")
    shell = InteractiveShell(user_module=module)
    InteractiveShell._instance = shell
    sys.modules["__main__"] = module
    shown: Shown = {}
    # A file, because what a shell command prints arrives there as well.
    with tempfile.TemporaryFile() as output:
        os.dup2(output.fileno(), 1)
        sys.stdout = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        sys.stderr = io.StringIO()
        for number, source in cells:
            start = os.lseek(output.fileno(), 0, os.SEEK_END)
            result = shell.run_cell(source, store_history=True)
            sys.stdout.flush()
            result.raise_error()
            shown[number] = shown.get(number, "") + _plain(
                os.pread(output.fileno(), 10**6, start).decode("utf-8", "replace")
            )
    return shown


def _plain(text: str) -> str:
    """Without addresses and execution counts."""
    return re.sub(r"0x[0-9a-fA-F]+", "0x", re.sub(r"Out\[\d+\]:", "Out:", text)).strip()
