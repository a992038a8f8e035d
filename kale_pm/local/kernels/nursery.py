"""The template process, seen from the run: where forked kernels come from."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kale_pm.local.kernels.environment import is_our_own
from kale_pm.local.kernels.forked import ForkedKernel
from kale_pm.runtime.execution.kernel import kernel_environment

_PATIENCE = 30.0  # seconds that the template has to answer
_FLAG = "-X"  # of the interpreter, as in -Xfrozen_modules=off


class Refused(Exception):
    """The template cannot give a kernel."""


def interpreter_words(argv: Sequence[str]) -> list[str] | None:
    """How to call the interpreter of a kernel that a template can fork.

    ``argv`` is the kernelspec's.  None if it is not ipykernel, plainly called by the interpreter
    that runs here: nothing else behaves as the template does.
    """
    end = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
    program, flags = argv[0], list(argv[1:-4])
    if list(argv[-4:]) != end or not all(flag.startswith(_FLAG) for flag in flags):
        return None
    can_fork = sys.platform == "linux" and hasattr(os, "pidfd_open")
    return [sys.executable, *flags] if can_fork and is_our_own(program) else None


class Nursery:
    """Starts the template in ``folder``, and asks it for kernels."""

    def __init__(self, interpreter: Sequence[str], folder: Path) -> None:
        self._lock = threading.Lock()
        self._places = Path(tempfile.mkdtemp(prefix="kale-pm-"))
        self._count = 0
        ours, theirs = socket.socketpair()
        ours.settimeout(_PATIENCE)
        script = Path(__file__).with_name("template.py")
        environment = kernel_environment({})
        environment.pop("PYTHONEXECUTABLE", None)
        try:
            with theirs, (self._places / "template.log").open("ab") as log:
                self._process = subprocess.Popen(
                    [*interpreter, str(script), str(theirs.fileno()), str(self._places)],
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C is for the run to handle
                )
        except OSError:
            ours.close()
            shutil.rmtree(self._places, ignore_errors=True)
            raise
        self._control = ours
        self._lines = ours.makefile("rb")

    def fork(self) -> ForkedKernel:
        """A kernel that boots.  Raises Refused or OSError."""
        from jupyter_client.connect import write_connection_file

        self._count += 1
        name = f"{self._count}-{secrets.token_hex(4)}"
        connection_file, log = self._places / f"{name}.json", self._places / f"{name}.log"
        write_connection_file(
            str(connection_file),
            transport="ipc",
            ip=str(self._places / f"{name}"),
            key=secrets.token_hex(32).encode(),
        )
        answer = self._ask({"connection_file": str(connection_file), "log": str(log)})
        if "process" not in answer:
            raise Refused(str(answer.get("refused", "it has no answer")))
        return ForkedKernel(answer["process"], connection_file, log, self._exit_code)

    def close(self) -> None:
        """End the template, and every kernel of its that still runs."""
        # Whoever waits for an answer is told that there will be none.
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._control.close()
        shutil.rmtree(self._places, ignore_errors=True)

    def _exit_code(self, process: int) -> int | None:
        try:
            code = self._ask({"exit_code_of": process}).get("exit_code")
        except (OSError, Refused):
            return None
        return code if isinstance(code, int) else None

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        line = b""
        # What is asked of a process that was killed is refused just as its end is.
        with self._lock, suppress(ConnectionError):
            self._control.sendall(json.dumps(request).encode() + b"\n")
            line = self._lines.readline()
        if not line:
            raise Refused("it has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer
