"""What a kernel does before its first cell; one that was ready is handed over to its step."""

from __future__ import annotations

import atexit
import importlib
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from kale_pm.runtime import opened_files
from kale_pm.runtime.execution.legible import write_legibly

_FLUSH = 0.1  # seconds
_CONTROL = 1.0  # seconds that the thread of ipykernel that takes requests has to end


def take_over(env: Mapping[str, str], log: str, before: str) -> None:
    """What a kernel would have had from its beginning, had it been started for this step.

    ``env`` are more environment variables, ``log`` is the file for what the process itself
    prints, and ``before`` the one that it had until now, which is moved there.
    """
    os.environ.update(env)
    importlib.invalidate_caches()  # a step before may have made a folder of the path
    if log:
        _redirect(Path(before), Path(log))
    prepare()


def prepare() -> None:
    """What every kernel of a run does before its first cell."""
    opened_files.watch_as_asked()
    atexit.register(_end_promptly)
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    session = getattr(getattr(shell, "kernel", None), "session", None)
    if session is not None:
        write_legibly(session)


def _end_promptly() -> None:
    """Let no thread of ipykernel wait long for the one that sends, which may be gone already.

    By itself it does so for ten seconds, or for ever, now and then, and the process cannot end.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "flush_timeout"):
            stream.flush_timeout = _FLUSH
    # It flushes once more after the request to end, while ipykernel ends the one that sends.
    for thread in threading.enumerate():
        if thread.name == "Control" and hasattr(thread, "stop"):
            thread.stop()
            thread.join(_CONTROL)


def _redirect(before: Path, log: Path) -> None:
    former = before.stat()
    new = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    # ipykernel holds the file by more descriptors than the standard ones.
    for entry in list(Path("/proc/self/fd").iterdir()):
        number = int(entry.name)
        with suppress(OSError):
            if os.path.samestat(os.fstat(number), former):
                os.dup2(new, number, inheritable=number < 3)
    os.write(new, before.read_bytes())
    os.close(new)
    before.unlink()
