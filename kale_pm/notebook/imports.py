"""What code imports, and which modules are there to be imported; nothing is ever imported."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path

from kale_pm.notebook.source import parse

_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
# An import below such a condition runs only where its package is.
_ASKS_FOR_THE_PLACE = re.compile(
    r"find_spec|\bmodules\b|platform|version|colab|kaggle|os\.name", re.I
)
_PYTHON_MAGICS = frozenset({"capture", "prun", "time", "timeit"})


@dataclass(frozen=True)
class Import:
    """One imported name, dotted (``a.b.c`` for ``from a.b import c``), and its line from 1.

    ``optional`` says that the code is made to do without.
    """

    name: str
    line: int
    optional: bool = False

    @property
    def top(self) -> str:
        """The module or package at the root: what has to be found."""
        return self.name.partition(".")[0]


def imports_of(tree: ast.AST) -> Iterator[Import]:
    """All absolute imports in ``tree``, in functions too, but for those of type checkers."""
    yield from _imports(tree, optional=False)


def _imports(node: ast.AST, optional: bool) -> Iterator[Import]:
    match node:
        case ast.Import(names=names):
            yield from (Import(alias.name, node.lineno, optional) for alias in names)
        case ast.ImportFrom(module=str(module), names=names, level=0):
            yield from (Import(f"{module}.{a.name}", node.lineno, optional) for a in names)
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            yield from _all(node.orelse, optional)
        case ast.If(test=ast.Constant(value=value)):
            yield from _all(node.body if value else node.orelse, optional)
        case ast.If() if _ASKS_FOR_THE_PLACE.search(ast.unparse(node.test)):
            yield from _all([*node.body, *node.orelse], optional=True)
        case ast.Try() if any(map(_catches, node.handlers)):
            # What the handler imports instead is no more certain than what was tried.
            yield from _all([*node.body, *node.handlers], optional=True)
            yield from _all([*node.orelse, *node.finalbody], optional)
        case ast.With(items=items, body=body) if any(_suppresses(i.context_expr) for i in items):
            yield from _all(body, optional=True)
        case ast.Call(func=ast.Attribute(attr="run_cell_magic"), args=[name, _, body]):
            yield from _in_magic(name, body, node.lineno, optional)
        case _:
            yield from _all(ast.iter_child_nodes(node), optional)


def _all(
    nodes: Iterator[ast.AST] | list[ast.AST] | list[ast.stmt], optional: bool
) -> Iterator[Import]:
    for node in nodes:
        yield from _imports(node, optional)


def _catches(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or _names_import_error(handler.type)


def _suppresses(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=caught):
            return any(map(_names_import_error, caught))
    return False


def _names_import_error(node: ast.expr) -> bool:
    return any(isinstance(part, ast.Name) and part.id in _IMPORT_ERRORS for part in ast.walk(node))


def _in_magic(name: ast.expr, body: ast.expr, line: int, optional: bool) -> Iterator[Import]:
    """Imports below ``%%time`` and its like, whose first line is that of the magic."""
    match name, body:
        case ast.Constant(value=str(magic)), ast.Constant(value=str(text)) if (
            magic in _PYTHON_MAGICS
        ):
            try:
                tree = parse(text)
            except SyntaxError:
                return
            for found in _imports(tree, optional):
                yield Import(found.name, found.line + line, found.optional)


def local_files(top: str, folder: Path) -> frozenset[str]:
    """The files of module or package ``top`` in ``folder``, as Python would find it there.

    They are relative to the folder; none if the module is not there.
    """
    package = folder / top
    if not (package / "__init__.py").is_file():
        if (folder / f"{top}.py").is_file():
            return frozenset([f"{top}.py"])
        # A folder without __init__.py is a package too, if nobody else has the name.
        if not package.is_dir() or is_found(top, besides=folder):
            return frozenset()
    return frozenset(path.relative_to(folder).as_posix() for path in package.rglob("*.py"))


def is_found(top: str, besides: Path | None = None) -> bool:
    """Whether this environment has a module ``top``; a folder in ``besides`` does not count."""
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return True
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        # A module that was made by hand has no specification.
        return top in sys.modules
    return spec is not None and not (besides and _is_folder_of(spec, besides))


def _is_folder_of(spec: ModuleSpec, folder: Path) -> bool:
    places = [Path(place).resolve().parent for place in spec.submodule_search_locations or ()]
    return spec.origin is None and bool(places) and set(places) == {folder.resolve()}
