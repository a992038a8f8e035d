"""Runs steps, each in a process of its own, forked from one that has imported their libraries.

The libraries to import are the arguments.  On standard input comes a line for every batch of
steps that are to run at the same time, and a line goes out with what became of each, both JSON.
Of a step the environment, the folder and the cells are asked for, and after how many seconds it
is killed, if at all; what comes back is a :class:`step_processes.Report`, or null for one that
was killed.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import linecache
import os
import signal
import sys
import time
import traceback
import types
from typing import Any

import kale_pm.runtime  # noqa: F401 - what every step needs

_LIMIT = 60  # seconds, after which a step that hangs is ended


def main() -> None:
    for library in sys.argv[1:]:
        importlib.import_module(library)
    # What a library writes past Python must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        print(json.dumps(_together(json.loads(line))), file=answers, flush=True)


def _together(steps: list[dict[str, Any]]) -> list[dict[str, str] | None]:
    """What every step has to report; None for one that was killed."""
    seconds = [step.pop("killed_after") for step in steps]
    started = [_start(step) for step in steps]
    reports = []
    for (child, reader), killed_after in zip(started, seconds, strict=True):
        if killed_after is not None:
            time.sleep(killed_after)
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
        report = json.dumps(_report(**step))
        with os.fdopen(writer, "w", encoding="utf-8") as pipe:
            pipe.write(report)
        os._exit(0)
    os.close(writer)
    return child, reader


def _report(environment: dict[str, str], folder: str, cells: list[str]) -> dict[str, str]:
    os.environ.update(environment)
    os.chdir(folder)
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    printed, warned = io.StringIO(), io.StringIO()
    report = {"error": "", "message": "", "traceback": ""}
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(warned):
        try:
            for number, cell in enumerate(cells):
                name = f"<cell {number}>"
                linecache.cache[name] = len(cell), None, cell.splitlines(keepends=True), name
                exec(compile(cell, name, "exec", dont_inherit=True), main.__dict__)
        except BaseException as error:  # noqa: BLE001 - also a cell that exits is reported
            report["error"] = type(error).__name__
            report["message"] = str(error)
            report["traceback"] = traceback.format_exc()
    return {**report, "printed": printed.getvalue().strip(), "warned": warned.getvalue().strip()}


if __name__ == "__main__":
    main()
