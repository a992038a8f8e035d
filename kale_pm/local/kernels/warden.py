"""Sees to it that no kernel outlives its run, even one that is killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path


class Warden:
    """Has a small process beside the run, from the first kernel on that it is told of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def watch(self, group: int | None) -> None:
        """End ``group`` when this process is no more."""
        if group is None or sys.platform == "win32":
            return
        with self._lock, suppress(OSError):
            if self._process is None:
                script = Path(__file__).with_name("watchman.py")
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(script)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is for the run to handle
                    text=True,
                    bufsize=1,
                )
            assert self._process.stdin is not None
            self._process.stdin.write(f"{group}\n")

    def close(self) -> None:
        """All kernels have ended."""
        with self._lock:
            if self._process is not None:
                with suppress(OSError):
                    self._process.communicate("done\n")
                self._process = None
