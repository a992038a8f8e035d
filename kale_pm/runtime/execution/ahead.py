"""What a kernel imports before it has a step: what the step's first cell would import anyway."""

from __future__ import annotations

import ast
import importlib.util
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from kale_pm.runtime import opened_files


class Noticed(Exception):
    """Something of the user's folder was opened, of which the step would have to tell."""


def import_ahead(statements: Sequence[str], folder: str) -> None:
    """Execute imports, up to the first one of a module that no package manager installed.

    The user's own modules wait for the step: they may change until then, and do anything.
    ``folder`` is the user's.  Raises Noticed, and whatever a module raises.
    """
    opened_files.watch(Path(folder))
    installed = opened_files.installed_places()
    for statement in statements:
        if not all(_is_installed(module, installed) for module in _modules(statement)):
            break
        exec(statement, {})
    if opened_files.read_files() or opened_files.written_files():
        raise Noticed


def _modules(statement: str) -> Iterable[str]:
    match ast.parse(statement).body:
        case [ast.Import(names=names)]:
            return [each.name for each in names]
        case [ast.ImportFrom(module=str(name))]:
            return [name]
    return []


def _is_installed(module: str, installed: tuple[str, ...]) -> bool:
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    places = spec.submodule_search_locations or [spec.origin or ""]
    is_below = all(os.path.realpath(place).startswith(installed) for place in places)
    return spec.origin in ("built-in", "frozen") or is_below
