"""The names that ``from module import *`` binds."""

from __future__ import annotations

import ast
import sys
from functools import cache
from importlib import import_module
from pathlib import Path


@cache
def public_names(module: str) -> tuple[str, ...] | None:
    """The public names of ``module``, or None when they cannot be found out.

    Modules of the standard library are imported.  Others are only read, for importing
    them may do anything: their ``__all__`` where it is a literal, else what they bind.
    """
    if module.partition(".")[0] in sys.stdlib_module_names:
        return _of_standard_module(module)
    source = _source(module)
    return _of_source(source) if source is not None else None


def _of_standard_module(module: str) -> tuple[str, ...] | None:
    try:
        imported = import_module(module)
    except ImportError:
        return None
    names = getattr(imported, "__all__", None)
    if names is None:
        names = [name for name in vars(imported) if not name.startswith("_")]
    return tuple(names)


def _source(module: str) -> Path | None:
    parts = module.split(".")
    for entry in sys.path:
        base = Path(entry or ".").joinpath(*parts)
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def _of_source(source: Path) -> tuple[str, ...] | None:
    try:
        tree = ast.parse(source.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    names: dict[str, None] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                try:
                    return tuple(ast.literal_eval(value))
                except (ValueError, TypeError):
                    return None
            case ast.ImportFrom() if any(alias.name == "*" for alias in node.names):
                return None
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names[name] = None
            case ast.AsyncFunctionDef(name=name):
                names[name] = None
            case ast.Assign(targets=targets):
                for target in targets:
                    for part in ast.walk(target):
                        if isinstance(part, ast.Name):
                            names[part.id] = None
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    names[alias.asname or alias.name.split(".")[0]] = None
            case ast.If() | ast.Try():
                return None  # what is bound depends on the place
    return tuple(name for name in names if not name.startswith("_"))
