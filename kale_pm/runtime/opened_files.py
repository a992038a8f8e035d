"""Which files a step opened: the audit that makes cached results safe to reuse.

Python raises an audit event for every ``open``, ``listdir`` and sqlite connection.  Readers
written in other languages can bypass it; for those the cache also looks at literal paths.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from pathlib import Path

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_read: set[str] = set()
_written: set[str] = set()
_watching = False


def watch(folder: Path) -> None:
    """List from now on what this process opens below ``folder``, hidden folders left out."""
    global _watching  # noqa: PLW0603 - an audit hook lives as long as its process
    if _watching:
        return
    _watching = True
    root = os.path.realpath(folder) + os.sep
    environment = os.path.realpath(sys.prefix) + os.sep

    def note(path: object, writing: bool) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        full = os.path.realpath(os.fsdecode(path))
        if not (full + os.sep).startswith(root) or full.startswith(environment):
            return
        inner = full[len(root) :]
        if any(part.startswith(".") or part == "__pycache__" for part in Path(inner).parts):
            return
        (_written if writing else _read).add(inner or ".")

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            if isinstance(mode, str):
                writing = any(letter in mode for letter in "wax+")
            else:
                writing = isinstance(flags, int) and bool(flags & _WRITING)
            note(path, writing)
        elif event in ("os.listdir", "os.scandir"):
            # Every import lists the working directory; what it found is among the modules.
            if "importlib" not in sys._getframe(1).f_code.co_filename:
                note(arguments[0] if arguments[0] is not None else ".", False)
        elif event == "sqlite3.connect":
            note(arguments[0], True)

    sys.addaudithook(hook)


def watch_as_asked() -> None:
    """Watch the folder that the environment variable KALE_PM_AUDIT names, if it is set."""
    folder = os.environ.get("KALE_PM_AUDIT")
    if folder:
        watch(Path(folder))


def read_files() -> tuple[str, ...]:
    """Files and folders that were read, relative to the watched folder."""
    return tuple(sorted(_read))


def written_files() -> tuple[str, ...]:
    """Files that were opened for writing, relative to the watched folder."""
    return tuple(sorted(_written))


def local_modules() -> tuple[str, ...]:
    """Source files of the imported modules that no package manager installed."""
    installed = {os.path.realpath(path) for path in sysconfig.get_paths().values()}
    installed |= {os.path.realpath(path) for path in site.getsitepackages()}
    installed |= {os.path.realpath(site.getusersitepackages())}
    installed |= {str(Path(__file__).resolve().parent.parent)}
    found = set()
    for module in list(sys.modules.values()):
        source = getattr(module, "__file__", None)
        if not isinstance(source, str) or not source.endswith(".py"):
            continue
        full = os.path.realpath(source)
        if not any(full.startswith(folder + os.sep) for folder in installed):
            found.add(full)
    return tuple(sorted(found))
