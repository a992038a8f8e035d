"""The template process: it has imported what every kernel needs, and forks one on request.

It is run by its path, imports nothing of the user's and has a single thread, so that what it
forks is as sound as what is started anew; when it finds a second thread it refuses to fork.
Linux only.

It is asked over the socket whose descriptor is its first argument, a line of JSON each:
``{"connection_file": path, "log": path}`` is answered by ``{"process": number}`` or
``{"refused": reason}``, ``{"exit_code_of": number}`` by ``{"exit_code": number or null}``.
The end of that socket is the end of the template and of all that it forked; the folder that
its second argument names is removed then.
"""

from __future__ import annotations

import sys

# A module of the user's folder, or of this one, must not take the place of a library.
if not getattr(sys.flags, "safe_path", False):
    del sys.path[0]

import ctypes
import gc
import importlib
import importlib.util
import json
import os
import select
import shutil
import signal
import socket
import types
from contextlib import suppress
from pathlib import Path

_BASE = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.zmqshell",
    "ipykernel.iostream",
    "ipykernel.shellchannel",
    "ipykernel.parentpoller",
)
# What a kernel imports while it starts, and what load and save need; without it all is the same.
# Never numpy, pandas or pyarrow, nor what imports them as matplotlib_inline does: their libraries
# start threads.
_MORE = (
    *("IPython.core.completer", "IPython.core.magics", "IPython.extensions.storemagic"),
    *("IPython.core.completerlib", "IPython.core.debugger", "IPython.core.logger"),
    "IPython.core.oinspect",
    *("ipykernel.debugger", "tornado.queues", "tornado.platform.asyncio", "encodings.idna"),
    *("comm", "faulthandler", "sqlite3", "psutil", "uuid"),
    *("cloudpickle", "dill", "xxhash", "kale_pm.runtime.step", "kale_pm.runtime.by_hand"),
    "kale_pm.runtime.execution.handover",
)
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Template:
    """Forks kernels, and knows what became of them."""

    def __init__(self, control: socket.socket, folder: str) -> None:
        self._control = control
        self._lines = control.makefile("rb")
        self._folder = folder
        self._kernels: dict[int, int] = {}  # descriptors that show their end, by process
        self._exit_codes: dict[int, int] = {}
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._library = ctypes.CDLL(None, use_errno=True)

    def serve(self) -> dict[str, str]:
        """Answer until the socket ends.  Returns in a forked process only: what was asked."""
        while True:
            ready = {descriptor for descriptor, _ in self._poll.poll()}
            self._note_the_ended()
            if self._control.fileno() not in ready:
                continue
            line = self._lines.readline()
            if not line:
                self._end()
            request = json.loads(line)
            if "exit_code_of" in request:
                self._answer({"exit_code": self._exit_codes.get(request["exit_code_of"])})
                continue
            threads = sum(1 for _ in Path("/proc/self/task").iterdir())
            if threads != 1:
                self._answer({"refused": f"it has {threads} threads"})
                continue
            template = os.getpid()
            process = os.fork()
            if process == 0:
                self._become_a_kernel(template, request)
                return dict(request)
            self._kernels[process] = os.pidfd_open(process)
            self._poll.register(self._kernels[process], select.POLLIN)
            self._answer({"process": process})

    def _answer(self, answer: dict[str, object]) -> None:
        self._control.sendall(json.dumps(answer).encode() + b"\n")

    def _note_the_ended(self) -> None:
        for process, descriptor in list(self._kernels.items()):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                self._exit_codes[process] = os.waitstatus_to_exitcode(status)
                self._poll.unregister(descriptor)
                os.close(self._kernels.pop(process))

    def _end(self) -> None:
        for process in self._kernels:
            for kill in (os.killpg, os.kill):
                with suppress(OSError):
                    kill(process, signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(0)

    def _become_a_kernel(self, template: int, request: dict[str, str]) -> None:
        self._library.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != template:
            os._exit(1)
        os.setsid()
        self._lines.close()
        self._control.close()
        for descriptor in self._kernels.values():
            os.close(descriptor)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)


def _prepare() -> None:
    # ipykernel reads it when it is imported; a kernel watches whether its parent is still there.
    os.environ["JPY_PARENT_PID"] = str(os.getpid())
    for name in _BASE:
        importlib.import_module(name)
    for name in _MORE:
        with suppress(Exception):  # a kernel would import it itself, or do without
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a kernel would else copy every page of the template


def _launch(connection_file: str) -> None:
    """Be what ``python -m ipykernel_launcher -f FILE ...`` is."""
    from ipykernel.kernelapp import launch_new_instance

    arguments = ["-f", connection_file, "--HistoryManager.hist_file=:memory:"]
    launcher = importlib.util.find_spec("ipykernel_launcher")
    sys.argv = [launcher.origin if launcher and launcher.origin else "", *arguments]
    sys.orig_argv = [sys.executable, "-m", "ipykernel_launcher", *arguments]
    # The interpreter keeps its own hold on this module, whose functions are still running.
    sys.modules["__main__"] = types.ModuleType("__main__")
    importlib.invalidate_caches()
    launch_new_instance()


def main() -> None:
    descriptor, folder = sys.argv[1:]
    _prepare()
    request = Template(socket.socket(fileno=int(descriptor)), folder).serve()
    # What follows runs in a forked process, and its end is a proper end of the interpreter.
    _launch(request["connection_file"])


if __name__ == "__main__":
    main()
