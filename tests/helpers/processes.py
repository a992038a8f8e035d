"""Other processes: to wait for what they do, and to see what they show on a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_terminal = pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds, for so long that only what hangs is a failure."""
    for _ in range(3000):
        if holds():
            return
        time.sleep(0.02)
    pytest.fail("it did not happen within a minute")


def has_ended(process: int) -> bool:
    """Whether a process is gone, or only waits for its parent to hear of its end."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return True
    except FileNotFoundError:  # it went just now, or this system has no such folder
        return Path("/proc/self").exists()
    return state == "Z"


@contextmanager
def driving(script: str, notebook: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that does something with the notebook; it is gone afterwards."""
    command = [sys.executable, "-c", script, str(notebook)]
    driver = subprocess.Popen(command, cwd=notebook.parent, stderr=subprocess.PIPE, text=True)
    try:
        yield driver
    finally:
        driver.kill()
        driver.wait()


def on_terminal(
    *arguments: str, folder: Path, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """The exit code of ``kale-pm ARGUMENTS``, and all that it wrote to a terminal of 60 columns."""
    main, child = os.openpty()
    size = {"TERM": "xterm-256color", "COLUMNS": "60", "LINES": "30"}
    process = subprocess.Popen(
        [sys.executable, "-m", "kale_pm", *arguments],
        cwd=folder,
        env={**os.environ, **size, **(environment or {})},
        stdin=child,
        stdout=child,
        stderr=child,
    )
    os.close(child)
    written = b""
    while True:
        try:
            chunk = os.read(main, 65536)
        except OSError:  # the terminal is gone when the process is
            break
        if not chunk:
            break
        written += chunk
    os.close(main)
    return process.wait(timeout=60), written.decode("utf-8")
