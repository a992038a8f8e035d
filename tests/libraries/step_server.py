"""Runs steps, each in a process of its own, forked from one that has imported their libraries.

The libraries to import are the arguments.  One request a line comes in on standard input,
one answer a line goes out on standard output, both JSON.  A request holds the environment,
the folder and the cells of a step; the answer what it wrote to standard error, and the kind,
the text and the traceback of the exception that ended it, if one did.
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
import traceback
import types
from typing import Any

import kale_pm.runtime  # noqa: F401 - what every step needs

_SECONDS = 60


def main() -> None:
    for library in sys.argv[1:]:
        importlib.import_module(library)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for request in sys.stdin:
        print(_answer(json.loads(request)), file=answers, flush=True)


def _answer(request: dict[str, Any]) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        signal.alarm(_SECONDS)
        with os.fdopen(writing, "w") as pipe:
            pipe.write(json.dumps(_outcome(**request)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    died = {"kind": "Died", "text": f"exit status {status}", "traceback": "", "errors": ""}
    return answer or json.dumps(died)


def _outcome(environment: dict[str, str], folder: str, cells: list[str]) -> dict[str, str]:
    os.environ.update(environment)
    os.chdir(folder)
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    outcome = {"kind": "", "text": "", "traceback": ""}
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            for number, cell in enumerate(cells):
                name = f"<cell {number}>"
                linecache.cache[name] = len(cell), None, cell.splitlines(keepends=True), name
                exec(compile(cell, name, "exec", dont_inherit=True), main.__dict__)
        except BaseException as error:  # noqa: BLE001 - whatever the step does is the answer
            outcome = {
                "kind": type(error).__name__,
                "text": str(error),
                "traceback": traceback.format_exc(),
            }
    return {**outcome, "errors": errors.getvalue()}


if __name__ == "__main__":
    main()
