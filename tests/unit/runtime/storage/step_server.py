"""Runs steps for the tests, each in a process that is forked from this one.

It reads a line of JSON for every batch of steps that are to run at the same time, and answers
with a line that says how each ended.  So libraries are imported once, not in every step.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import time
import traceback
import types
from typing import Any

import numpy as np  # noqa: F401 - for the steps

import kale_pm.runtime
from kale_pm.errors import KalePmError

_LIMIT = 60  # seconds, after which a step that hangs is ended


def serve() -> None:
    for line in sys.stdin:
        print(json.dumps(_together(json.loads(line))), flush=True)


def _together(steps: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    """What every step has to report; None for one that was killed."""
    started = [_start(step) for step in steps]
    reports = []
    for step, (child, reader) in zip(steps, started, strict=True):
        if step["killed_after"] is not None:
            time.sleep(step["killed_after"])
            os.kill(child, signal.SIGKILL)
        with os.fdopen(reader, encoding="utf-8") as pipe:
            text = pipe.read()
        os.waitpid(child, 0)
        reports.append(json.loads(text) if text else None)
    return reports


def _start(step: dict[str, Any]) -> tuple[int, int]:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(_LIMIT)
        os.close(reader)
        report = json.dumps(_report(step))
        with os.fdopen(writer, "w", encoding="utf-8") as pipe:
            pipe.write(report)
        os._exit(0)
    os.close(writer)
    return child, reader


def _report(step: dict[str, Any]) -> dict[str, Any]:
    printed, warned = io.StringIO(), io.StringIO()
    report: dict[str, Any] = {"error": "", "message": "", "traceback": ""}
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(warned):
        try:
            _run(step)
        except BaseException as error:  # noqa: BLE001 - also a cell that exits is reported
            report["error"] = type(error).__name__
            report["message"] = str(error.args[0] if isinstance(error, KalePmError) else error)
            report["traceback"] = traceback.format_exc()
    return {**report, "printed": printed.getvalue().strip(), "warned": warned.getvalue().strip()}


def _run(step: dict[str, Any]) -> None:
    """The cells of a slice: the prelude, load, the step's own code, save."""
    os.environ.update(step["environment"])
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    exec("import numpy as np\n" + step["prelude"], main.__dict__)
    kale_pm.runtime.load(*step["needs"], step=step["name"])
    exec(compile(step["code"], "<cell>", "exec", dont_inherit=True), main.__dict__)
    kale_pm.runtime.save(*step["gives"])


if __name__ == "__main__":
    serve()
