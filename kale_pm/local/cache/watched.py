"""Files that a step depends on, and whether they are still the same."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kale_pm.notebook.paths import could_be_a_path, exists, is_file_name

_PLACEHOLDER = re.compile(r"\{[^{}]*\}|%\w")
_WRITER = re.compile(r"^to_|save|write|dump|export", re.IGNORECASE)
# How IPython hands ``!command`` and ``%%bash`` to a shell: nobody sees what that opens.
_SHELL = frozenset({"system", "getoutput", "run_cell_magic"})
_BETWEEN_WORDS = re.compile(r"[\s\"'`|&;<>()$={},:]+")
_HIDDEN = (".", "__pycache__")
_MISSING = "missing"

# Read by libraries that open files themselves, so that the audit does not see which.
_DATA = frozenset(
    [
        ".parquet",
        ".pq",
        ".feather",
        ".arrow",
        ".ipc",
        ".orc",
        ".h5",
        ".hdf5",
        ".hdf",
        ".nc",
        ".duckdb",
        ".mdb",
        ".tfrecord",
        ".tif",
        ".tiff",
        ".safetensors",
    ]
)

Stamp = tuple[int, int]  # size in bytes, time of the last change in nanoseconds
_SETTLED = 2_000_000_000  # nanoseconds after which a further change must show in the times


@dataclass(frozen=True)
class FileState:
    """What a file held, as a digest, and how it looked then.

    ``look`` is size, inode, and the times of the last change of content and of status.  It is
    None where an equal look would not mean equal content: just after a change another one
    may leave the same times.
    """

    digest: str
    look: tuple[int, ...] | None = None


def digest(path: Path) -> str:
    """The state of a file or folder: of a file its content, of a folder the names in it."""
    try:
        if path.is_dir():
            names = sorted(p.name for p in path.iterdir() if not p.name.startswith(_HIDDEN))
            return (
                "folder " + hashlib.blake2b("\0".join(names).encode(), digest_size=16).hexdigest()
            )
        if not path.is_file():  # reading a device or a pipe might never end
            return _MISSING
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        return _MISSING


def file_states(folder: Path, names: Iterable[str]) -> dict[str, FileState]:
    """The state of every file of ``names``, which are absolute or relative to ``folder``."""
    return {name: _state(folder / name) for name in sorted(set(names))}


def _state(path: Path) -> FileState:
    now = time.time_ns()
    look = _look(path)  # before the content: what changes meanwhile has another look
    settled = look is not None and max(look[2:]) < now - _SETTLED
    return FileState(digest(path), look if settled else None)


def _look(path: Path) -> tuple[int, ...] | None:
    """How a file looks; None for a folder, whose look says little of what is in it."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def changed_file(folder: Path, expected: Mapping[str, FileState]) -> str | None:
    """The first file whose state is not the expected one; None if all are as they were.

    A file that looks as it did is not read again.
    """
    for name, state in expected.items():
        path = folder / name
        if state.look is not None and _look(path) == state.look:
            continue
        if digest(path) != state.digest:
            return name
    return None


def stamps(folder: Path, names: Iterable[str]) -> dict[str, Stamp | None]:
    """Size and time of the last change of every file; None for one that is not there."""
    return {name: _stamp(folder / name) for name in names}


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def touched_since(folder: Path, names: Iterable[str], moment: float) -> str | None:
    """The first file that was modified between ``moment`` (seconds since the epoch) and now."""
    latest = time.time() + 1  # a file from the future was not modified just now
    for name in names:
        stamp = _stamp(folder / name)
        if stamp and moment <= stamp[1] / 1e9 <= latest and not _is_folder(folder / name):
            return name
    return None


def may_write(trees: Iterable[ast.AST]) -> bool:
    """Whether the code calls a shell, or what speaks of writing (``to_parquet``, ``save``)."""
    return any(
        _WRITER.search(name) or name in _SHELL
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and (name := _called(node))
    )


def words_of(text: str) -> list[str]:
    """What may be paths in a command."""
    return [word for word in _BETWEEN_WORDS.split(text) if word]


def _called(call: ast.Call) -> str:
    """The last part of the name of what is called; empty where it has none."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def paths_in_code(trees: Iterable[ast.AST], values: Iterable[Any], folder: Path) -> set[str]:
    """Strings in code and parameter values that may name files, relative to ``folder``.

    Readers that are not written in Python (parquet, HDF5) escape the audit of opened files,
    so whatever could be such a path is watched, whether the file exists yet or not.  Of an
    f-string or a pattern all files that fit are watched, of a folder those with data in a
    format of such readers.
    """
    texts = {text for text in (*_strings(trees), *_texts(values)) if could_be_a_path(text)}
    texts = {text for text in texts if _says_enough(text)}
    found = {t for t in texts if is_file_name(t) or ("*" not in t and exists(folder / t))}
    folders = {t for t in found if _is_folder(folder / t)}
    inner = {t for t in folders if _is_inside(t)}
    for parent in ("", *inner):
        for text in texts - folders:
            if "*" in text:
                found |= _matching(folder, str(Path(parent, text)))
            elif parent and exists(folder / parent / text):
                found.add(str(Path(parent, text)))
    for name in inner:
        found |= _data_files(folder, name)
    return {n for n in found if n not in folders or (n in inner and _holds_data(folder / n))}


def _strings(trees: Iterable[ast.AST]) -> Iterator[str]:
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called(node) in _SHELL and node.args:
                script = node.args[-1]
                yield from (word for word in words_of(_pattern(script)) if "*" in word)
                for part in ast.walk(script):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield from filter(is_file_name, words_of(part.value))
            if isinstance(node, (ast.JoinedStr, ast.Constant)):
                yield _pattern(node)


def _pattern(node: ast.expr) -> str:
    """What is literal in a text, with ``*`` in place of what only the run can tell."""
    match node:
        case ast.Constant(value=str(text)):
            return _PLACEHOLDER.sub("*", text)
        case ast.JoinedStr(values=values):
            parts = (part.value if isinstance(part, ast.Constant) else "*" for part in values)
            return "".join(map(str, parts))
    return ""  # which is no path


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _texts(value)
        elif isinstance(value, Mapping):
            yield from _texts(value.values())


def _says_enough(text: str) -> bool:
    # "*" alone would be the whole folder.
    return "*" not in text or bool(re.search(r"\w[/\\]|\.\w", text))


def _matching(folder: Path, pattern: str) -> set[str]:
    if Path(pattern).is_absolute():
        return set()
    try:
        found = {p.relative_to(folder) for p in folder.glob(pattern) if p.is_file()}
        return {str(p) for p in found if not any(part.startswith(".") for part in p.parts)}
    except (OSError, ValueError, NotImplementedError):
        return set()


def _data_files(folder: Path, name: str) -> set[str]:
    """The data files anywhere below a folder, hidden ones left out."""
    found = set()
    for place, inner, files in os.walk(folder / name):
        inner[:] = [n for n in inner if not n.startswith(_HIDDEN)]
        for file in files:
            if Path(file).suffix.lower() in _DATA:
                found.add(os.path.relpath(Path(place, file), folder))
    return found


def _holds_data(folder: Path) -> bool:
    try:
        return any(path.suffix.lower() in _DATA for path in folder.iterdir())
    except OSError:
        return False


def _is_inside(name: str) -> bool:
    """Whether a relative path leads to something below the folder, not to it or out of it."""
    normal = Path(os.path.normpath(name))
    return not normal.is_absolute() and normal.parts[:1] not in ((), ("..",))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
