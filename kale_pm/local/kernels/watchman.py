"""Ends the kernels of a run that was killed: what remains of it when nothing else can.

It is run by its path and reads lines, each the number of a kernel's process.  When they end
without the word ``done`` the run is no more, and the process groups that still are those
kernels' are killed, however busy they are.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path


def born(process: int) -> str:
    """When a process was started, by the system's own clock; empty where nobody tells."""
    try:
        with Path(f"/proc/{process}/stat").open(encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def main() -> None:
    kernels: dict[int, str] = {}
    for line in sys.stdin:
        if line.strip() == "done":
            return
        process = int(line)
        kernels[process] = born(process)
    for process, facts in kernels.items():
        # The number of a kernel that has ended may be another process's by now.
        if born(process) == facts:
            try:
                os.killpg(process, signal.SIGKILL)
            except OSError:
                continue


if __name__ == "__main__":
    main()
