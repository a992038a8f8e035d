"""The end of a kernel: nothing waits for ever."""

from __future__ import annotations

import subprocess
import sys

# ipykernel's thread of that name takes the request to end, and is told to stop by it.  Handlers
# run in the opposite order of their registration: the one here stands for ipykernel's own.
SCRIPT = """
import atexit, threading
from kale_pm.runtime.execution.handover import prepare

class Control(threading.Thread):
    def __init__(self):
        super().__init__(name="Control", daemon=True)
        self.told = threading.Event()
    def run(self):
        self.told.wait()
    def stop(self):
        self.told.set()

control = Control()
control.start()
atexit.register(lambda: print("alive" if control.is_alive() else "ended"))
prepare()
"""


def test_the_thread_that_takes_requests_ends_before_the_one_that_sends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert done.stdout == "ended\n"
