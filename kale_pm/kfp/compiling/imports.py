"""What code imports: modules beside the notebook, and modules from elsewhere."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from kale_pm.notebook.imports import Import, imports_of, local_files
from kale_pm.notebook.source import parse


@dataclass(frozen=True)
class Imports:
    """What the code of a step rests on.

    ``files`` are local modules relative to the notebook's folder, ``outside`` the imports that
    neither they nor the standard library provide, without their lines.
    """

    files: frozenset[str] = frozenset()
    outside: frozenset[Import] = frozenset()

    def __or__(self, other: Imports) -> Imports:
        return Imports(self.files | other.files, self.outside | other.outside)


def imports(sources: Iterable[str], folder: Path) -> Imports:
    """What the cells ``sources`` import, through the modules in ``folder`` too.

    Cells may hold IPython's own syntax; one that is no Python even then is passed over.
    """
    files: set[str] = set()
    outside: set[Import] = set()
    waiting = [entry for source in sources for entry in imports_of_cell(source)]
    seen: set[Import] = set()
    while waiting:
        entry = waiting.pop()
        if entry in seen or entry.top in ("kale_pm", "__main__"):
            continue
        seen.add(entry)
        local = local_files(entry.top, folder)
        if not local and entry.top not in sys.stdlib_module_names:
            outside.add(replace(entry, line=0))
        for file in local - files:
            files.add(file)
            waiting += _imports((folder / file).read_text(encoding="utf-8", errors="replace"))
    return Imports(frozenset(files), frozenset(outside))


def _imports(source: str) -> list[Import]:
    try:
        return list(imports_of(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):
        return []


@cache
def imports_of_cell(source: str) -> tuple[Import, ...]:
    """All absolute imports in a cell, in the body of a cell magic too; none if it is no Python."""
    # Kept, since all slices have the cells of the prelude.
    if "import" not in source:
        return ()
    if source.lstrip().startswith("%%"):
        source = source.lstrip().partition("\n")[2]
    try:
        return tuple(imports_of(parse(source)))
    except SyntaxError:
        return ()
