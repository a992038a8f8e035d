"""Files that a step depends on, and whether they are still the same."""

from __future__ import annotations

import ast
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_LOOKS_LIKE_A_PATH = re.compile(r"[\w .~@+=,\-/\\]+")
_MISSING = "missing"


def digest(path: Path) -> str:
    """The state of a file or folder: of a file its content, of a folder the names in it."""
    try:
        if path.is_dir():
            names = sorted(n for n in os.listdir(path) if not n.startswith((".", "__pycache__")))
            return "folder " + hashlib.blake2b("\0".join(names).encode(), digest_size=16).hexdigest()
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        return _MISSING


def digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The state of every file of ``names``, which are absolute or relative to ``folder``."""
    return {name: digest(folder / name) for name in sorted(set(names))}


def changed_file(folder: Path, expected: Mapping[str, str]) -> str | None:
    """The first file whose state is not the expected one; None if all are as they were."""
    for name, state in expected.items():
        if digest(folder / name) != state:
            return name
    return None


def touched_since(folder: Path, names: Iterable[str], moment: float) -> str | None:
    """The first file that was modified at or after ``moment`` (seconds since the epoch)."""
    for name in names:
        try:
            if (folder / name).stat().st_mtime >= moment:
                return name
        except OSError:
            continue
    return None


def literal_paths(trees: Iterable[ast.AST], values: Iterable[Any], folder: Path) -> set[str]:
    """Strings in code and parameter values that may name a file or lie in a named folder.

    Readers that are not written in Python (parquet, HDF5) escape the audit of opened files,
    so whatever could be such a path is watched, whether the file exists yet or not.
    """
    texts = {value for value in values if isinstance(value, str)}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
    texts = {t for t in texts if 0 < len(t) < 300 and _LOOKS_LIKE_A_PATH.fullmatch(t)}
    found = {t for t in texts if _is_file_name(t) or _exists(folder / t)}
    folders = [t for t in found if _is_folder(folder / t)]
    found |= {
        os.path.join(parent, name)
        for parent in folders
        for name in texts
        if name != parent and _exists(folder / parent / name)
    }
    return {name for name in found if not _is_folder(folder / name)}


def _is_file_name(text: str) -> bool:
    return bool(re.fullmatch(r"[\w.~\-/]*\w\.[A-Za-z][A-Za-z0-9]{1,7}", text))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
