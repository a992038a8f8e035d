"""Savers for files: one that is read is opened again where it was, one that is written is refused.

A file that is written has been written by the step: opened a second time it would be
truncated, or hold what two steps have written.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
from pathlib import Path
from typing import Any

from kale_pm.runtime.storage import instances
from kale_pm.runtime.storage.savers.registry import Reduced, saver

_COMPARED = 1 << 16  # characters
_STANDARD_STREAMS = ("stdout", "stderr", "stdin", "__stdout__", "__stderr__", "__stdin__")


@saver(
    "_io.TextIOWrapper",
    "_io.BufferedReader",
    "_io.BufferedWriter",
    "_io.BufferedRandom",
    "_io.FileIO",
)
def _save_file(file: Any) -> Reduced:
    standard = _save_standard_stream(file)
    if standard is not NotImplemented:
        return standard
    name = getattr(file, "name", None)
    if file.closed:
        return rebuild_closed_file, (type(file), name, file.mode)
    if file.writable():
        raise pickle.PicklingError("the file is open for writing")
    path = _path(file, name)
    options: dict[str, Any] = {"mode": file.mode}
    if isinstance(file, io.FileIO):
        options["buffering"] = 0
    elif isinstance(file, io.TextIOWrapper):
        options |= {"encoding": file.encoding, "errors": file.errors}
        options["newline"] = _newline(file, path, options)
    return rebuild_file, (path, options, file.tell(), name)


@saver("_io._TextIOBase")
def _save_standard_stream(file: Any) -> Reduced:
    """A kernel has put streams of its own in the places of the standard ones."""
    for stream in _STANDARD_STREAMS:
        if file is getattr(sys, stream):
            return getattr, (sys, stream)
    return NotImplemented


@saver("builtins.function")
def _save_write(function: Any) -> Reduced:
    """While a cell runs, IPython has a function of its own in the place of the method."""
    if function.__qualname__ != "InteractiveShell._tee.<locals>.write":
        return NotImplemented
    place = function.__code__.co_freevars.index("channel")
    stream = function.__closure__[place].cell_contents
    return getattr, (getattr(sys, stream), "write")


@saver("tqdm.utils.ObjectWrapper")
def _save_wrapper(wrapper: Any) -> Reduced:
    """Past its methods: it asks the stream, which is not there yet, for all that it lacks."""
    return instances.reduce(wrapper)


def _path(file: Any, name: Any) -> str:
    """Where the file lies; a name may have come to mean another file, or none."""
    if not isinstance(name, str | bytes | os.PathLike):
        raise pickle.PicklingError("the file has no path")
    path = Path(os.fsdecode(name)).absolute()
    if not path.is_file() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
        raise pickle.PicklingError("the file is gone")
    return str(path)


def _newline(file: io.TextIOWrapper, path: str, options: dict[str, Any]) -> str | None:
    """How the file takes the ends of lines: it does not tell, but one can see."""
    try:
        position, size = file.tell(), _COMPARED
    except OSError:  # in the midst of a loop over its lines it does not tell its place either
        position, size = None, -1
    text = file.read(size)
    for newline in (None, "", "\n"):
        with open(path, newline=newline, **options) as other:  # noqa: PTH123
            if position is None:
                whole = other.read()
                other.seek(0)
                other.read(len(whole) - len(text))
                start = other.tell()
            else:
                start = other.seek(position)
            if other.read(size) == text:
                file.seek(start)
                return newline
    raise pickle.PicklingError("the file has changed since it was opened")


def rebuild_file(path: str, options: dict[str, Any], position: int, name: Any) -> Any:
    file = open(path, **options)  # noqa: PTH123, SIM115 - the variable keeps it open
    file.seek(position)
    _rename(file, name)
    return file


def rebuild_closed_file(kind: type, name: Any, mode: str) -> Any:
    options: dict[str, Any] = {"buffering": 0} if issubclass(kind, io.FileIO) else {}
    file: Any = open(os.devnull, mode.replace("x", "w"), **options)  # noqa: PTH123, SIM115
    _rename(file, name)
    if issubclass(kind, io.TextIOWrapper):
        file.mode = mode
    file.close()
    return file


def _rename(file: Any, name: Any) -> None:
    buffer = getattr(file, "buffer", file)
    getattr(buffer, "raw", buffer).name = name
