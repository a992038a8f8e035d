"""Runs commands, each in a process of its own, forked from one that has imported what they need.

One request a line comes in on standard input, JSON that holds the arguments, the folder, the
environment, and the files that take what the command writes; its exit code goes out.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from kale_pm.runtime.execution.lean_papermill import import_papermill

_SECONDS = 120
# To import this takes most of the time of a command that runs or compiles a small notebook.
_NEEDED = (
    *("kale_pm.cli", "kale_pm.face", "kale_pm.report", "kale_pm.terminal", "rich.live"),
    *("kale_pm.local", "kale_pm.local.kernels.pool", "kale_pm.runtime.execution.client"),
    *("nbformat.v4", "nbconvert", "papermill.execute", "jupyter_client.manager"),
    *("kale_pm.kfp.compiling.compile", "kfp.compiler", "kfp.kubernetes"),
)


def main() -> None:
    import_papermill()
    for name in _NEEDED:
        importlib.import_module(name)
    threads = Path("/proc/self/task")
    if threads.is_dir() and len(list(threads.iterdir())) > 1:
        raise RuntimeError("what has threads cannot be forked soundly")
    gc.collect()
    gc.freeze()  # a collection in a child would else copy every page
    request = _serve()
    sys.argv = ["kale-pm", *request.pop("arguments")]
    _begin(**request)
    sys.path[0] = str(Path.cwd())
    try:
        runpy.run_module("kale_pm", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, int):
            _end(end.code)
        raise
    _end(0)


def _serve() -> dict[str, Any]:
    """Answer until the input ends.  Returns in a forked process only: what was asked."""
    for line in sys.stdin.buffer:
        child = os.fork()
        if not child:
            return dict(json.loads(line))
        _, status = os.waitpid(child, 0)
        os.write(1, b"%d\n" % os.waitstatus_to_exitcode(status))
    sys.exit()


def _begin(folder: str, environment: dict[str, str], out: str, err: str) -> None:
    """Be as a process that was just started there."""
    signal.alarm(_SECONDS)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, path in enumerate((os.devnull, out, err)):
        opened = os.open(path, os.O_RDWR | os.O_APPEND)
        os.dup2(opened, descriptor)
        os.close(opened)


def _end(code: int) -> None:
    """All that the interpreter does at its end, but for taking apart every module."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
