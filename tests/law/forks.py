"""Run a pipeline with the real step wrapper, each step in a forked process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback
import types
from pathlib import Path

# Imported once here, and not in every child.
import cloudpickle  # noqa: F401
import dill  # noqa: F401
import nbformat  # noqa: F401
import xxhash  # noqa: F401

import kale_pm.runtime.step  # noqa: F401
from kale_pm.model import Pipeline
from kale_pm.slicing import cut


def run_forked(pipeline: Pipeline, folder: Path) -> list[str]:
    """What the cells of each step print, in notebook order.

    Raises RuntimeError with the traceback of a step that failed.
    """
    printed = {name: _step(pipeline, name, folder) for name in pipeline.order}
    return [printed[step.name] for step in pipeline.steps]


def _step(pipeline: Pipeline, name: str, folder: Path) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        code = 1
        try:
            result = _run_slice(pipeline, name, folder)
            code = 0
        except BaseException:
            result = traceback.format_exc()
        with os.fdopen(writer, "w", encoding="utf-8") as pipe:
            pipe.write(result)
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        result = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"step {name} failed:\n{result}")
    return result


def _run_slice(pipeline: Pipeline, name: str, folder: Path) -> str:
    step = pipeline.step(name)
    inputs = dict.fromkeys([*step.input_steps, *pipeline.parents[name]])
    # As in a cluster, where a step has nothing but the folders that it asked for.
    manifests = [str(folder / source / "manifest.json") for source in inputs]
    os.environ["KALE_PM_INPUTS"] = json.dumps(manifests)
    os.environ["KALE_PM_OUTPUT"] = str(folder / name / "manifest.json")
    os.environ["KALE_PM_PACKS"] = str(folder / name)
    os.environ["KALE_PM_ORDER"] = str(pipeline.order.index(name))
    (folder / name).mkdir()
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    printed = ""
    for cell in cut(pipeline, name).cells:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(cell.source, "<cell>", "exec"), module.__dict__)
        if cell.metadata["kale_pm"]["role"] == "step":
            printed += out.getvalue()
    return printed
