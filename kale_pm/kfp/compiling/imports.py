"""What code imports: modules beside the notebook, and packages to install."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kale_pm.notebook.imports import Import, imports_of, local_files
from kale_pm.notebook.source import python_text

# What kale_pm.runtime itself needs in a pod, as distributions.
RUNTIME = ("cloudpickle", "dill", "ipykernel", "nbclient", "nbconvert", "papermill", "xxhash")


@dataclass(frozen=True)
class Imports:
    """What the code of a step rests on.

    ``files`` are local modules relative to the notebook's folder, ``packages`` pinned
    requirements, ``missing`` the imports that no distribution here provides and the code
    cannot do without, and ``local_only`` distributions that were installed here from a folder
    or file.
    """

    files: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    local_only: frozenset[str] = frozenset()

    def __or__(self, other: Imports) -> Imports:
        return Imports(
            self.files | other.files,
            self.packages | other.packages,
            self.missing | other.missing,
            self.local_only | other.local_only,
        )


def imports(sources: Iterable[str], folder: Path) -> Imports:
    """What the cells ``sources`` import, through the modules in ``folder`` too.

    Cells may hold IPython's own syntax; one that is no Python even then is passed over.
    """
    files: set[str] = set()
    outside: set[Import] = set()
    waiting = [entry for source in sources for entry in _imports(_python(source))]
    seen: set[Import] = set()
    while waiting:
        entry = waiting.pop()
        if entry in seen or entry.top in ("kale_pm", "__main__"):
            continue
        seen.add(entry)
        local = local_files(entry.top, folder)
        if not local:
            outside.add(entry)
        for file in local - files:
            files.add(file)
            waiting += _imports((folder / file).read_text(encoding="utf-8", errors="replace"))
    found = Imports(files=frozenset(files))
    for entry in outside:
        found |= _installed(entry)
    return found


def runtime_packages() -> frozenset[str]:
    """The pinned requirements of ``kale_pm.runtime``."""
    from importlib.metadata import version

    return frozenset(_pin(name, version(name)) for name in RUNTIME)


def imported_names(source: str) -> list[str]:
    r"""The dotted names of all absolute imports in ``source``, in functions too.

    >>> imported_names("import os.path, json as j\nfrom a.b import c\nfrom . import d")
    ['os.path', 'json', 'a.b.c']
    """
    return [entry.name for entry in _imports(source)]


def _imports(source: str) -> list[Import]:
    try:
        return list(imports_of(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):
        return []


def _python(source: str) -> str:
    """A cell as Python: magics become calls, and the body of a cell magic stays to be seen."""
    if source.lstrip().startswith("%%"):
        source = source.lstrip().partition("\n")[2]
    try:
        return python_text(source)
    except SyntaxError:
        return ""


def _installed(entry: Import) -> Imports:
    from importlib.metadata import version

    if entry.top in sys.stdlib_module_names:
        return Imports()
    candidates = sorted(set(_distributions().get(entry.top, ())))
    if not candidates:
        return Imports() if entry.optional else Imports(missing=frozenset([entry.top]))
    chosen = candidates if len(candidates) == 1 else _owners(entry.name, candidates)
    return Imports(
        packages=frozenset(_pin(d, version(d)) for d in chosen if not _is_local(d)),
        local_only=frozenset(d for d in chosen if _is_local(d)),
    )


def _owners(name: str, candidates: Sequence[str]) -> list[str]:
    """Those of several distributions under one top name that hold the module ``name``."""
    parts = name.split(".")
    for length in range(len(parts), 1, -1):
        stem = "/".join(parts[:length])
        owners = [d for d in candidates if {f"{stem}.py", f"{stem}/__init__.py"} & _files(d)]
        if owners:
            return owners
    return list(candidates)


@cache
def _distributions() -> Mapping[str, Sequence[str]]:
    from importlib.metadata import packages_distributions

    return packages_distributions()


@cache
def _files(name: str) -> frozenset[str]:
    from importlib.metadata import files

    return frozenset(path.as_posix() for path in files(name) or ())


def _is_local(name: str) -> bool:
    """Whether a distribution was installed from a folder or file that no pod can reach."""
    from importlib.metadata import distribution

    return '"file:' in (distribution(name).read_text("direct_url.json") or "").replace(" ", "")


def _pin(name: str, version: str) -> str:
    # A local label, as in 2.3.0+cpu, is known to no package index.
    return f"{name}=={version.partition('+')[0]}"
