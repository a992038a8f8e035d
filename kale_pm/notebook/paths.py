"""Paths that code names: what looks like one, and what an expression says without being run."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path

_LOOKS_LIKE_A_PATH = re.compile(r"[\w .~@+=,*?\-/\\]+")
_FILE_NAME = re.compile(r"[\w.~\-/]*\w\.[A-Za-z][A-Za-z0-9]{1,7}")
# Calls that give a path as it was.
_SAME_PATH = frozenset(
    {"str", "fspath", "abspath", "expanduser", "resolve", "absolute", "as_posix"}
)
_PATH_TYPES = frozenset({"Path", "PurePath", "PosixPath"})


def could_be_a_path(text: str) -> bool:
    """Whether ``text`` is short, on one line, and of characters that stand in paths."""
    return 0 < len(text) < 300 and bool(_LOOKS_LIKE_A_PATH.fullmatch(text))


def is_file_name(text: str) -> bool:
    """Whether ``text`` looks like the path of a file: it ends in a dot and some letters."""
    return bool(_FILE_NAME.fullmatch(text))


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; False where the system cannot even look."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def literal_path(node: ast.expr, known: Mapping[str, str]) -> str | None:
    """The text or path that ``node`` is for certain, None if only the run can tell.

    ``known`` are texts of variables.  The home folder is written ``~``, and the working
    directory ``.``.
    """
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return known.get(name)
        case ast.JoinedStr(values=parts):
            texts = [literal_path(part, known) for part in parts]
            return None if None in texts else "".join(text or "" for text in texts)
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return literal_path(value, known)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _joined([left, right], known)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            first, second = literal_path(left, known), literal_path(right, known)
            return None if first is None or second is None else first + second
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments):
            return _of_call(node.func, name, arguments, known)
    return None


def _of_call(
    function: ast.expr, name: str, arguments: list[ast.expr], known: Mapping[str, str]
) -> str | None:
    owner = function.value if isinstance(function, ast.Attribute) else None
    if name in _PATH_TYPES:
        return _joined(arguments, known) if arguments else "."
    if name in ("cwd", "getcwd", "home") and not arguments:
        return "~" if name == "home" else "."
    if name in _SAME_PATH:
        # Either a function of the path, or a method of it.
        given = arguments or ([owner] if owner is not None else [])
        return literal_path(given[0], known) if given else None
    if name == "joinpath" and owner is not None:
        return _joined([owner, *arguments], known)
    if name == "join" and owner is not None and ast.unparse(owner) in ("os.path", "path", "osp"):
        return _joined(arguments, known)
    return None


def _joined(nodes: list[ast.expr], known: Mapping[str, str]) -> str | None:
    texts = [literal_path(node, known) for node in nodes]
    if None in texts:
        return None
    return Path(*(text for text in texts if text is not None)).as_posix()
