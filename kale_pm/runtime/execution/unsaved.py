"""A variable that could not be stored: which statement made it so, and who would have needed it.

The cell that saves is kale-pm's own, and says nothing to the reader.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kale_pm.record import CellError
from kale_pm.runtime.execution.failure import place_in

_FILLING = {"add", "append", "appendleft", "extend", "insert", "setdefault", "update"}
_SCOPES = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


def with_origin(
    error: CellError, cells: Sequence[tuple[int | None, str]], users: Mapping[str, Sequence[str]]
) -> CellError:
    """``error`` with its place in the source notebook, where it is about storing a variable.

    ``cells`` are number and text of the step's cells in the source notebook, ``users`` the
    steps that need a variable, by its name.
    """
    if error.ename != "SaveError" or error.cell is not None or not error.variable:
        return error
    needed_by = tuple(users.get(error.variable, ()))
    if needed_by:
        text = f"{error.evalue} (needed by step {', '.join(needed_by)})"
        error = replace(error, evalue=text, needed_by=needed_by)
    found = _origin(cells, error.variable, error.path)
    if found is None:
        return error
    number, text, line = found
    place = place_in(text, number, line)
    source = text.split("\n")[line - 1].strip()
    return replace(error, cell=number, line=line, source=source, places=(place,))


def _origin(
    cells: Sequence[tuple[int | None, str]], variable: str, path: str
) -> tuple[int | None, str, int] | None:
    """Number, text and line of the statement that is to blame.

    That is the last one, in the order of the code, that puts something in the way to the
    culprit: if possible deeper inside of the variable, else by binding it, and if nothing
    does either, the last that mentions it.
    """
    found: dict[int, tuple[int | None, str, int]] = {}
    for number, text in cells:
        nodes = sorted(_nodes(_parse(text)), key=lambda node: node.lineno)
        found |= {_rank(node, variable, path): (number, text, node.lineno) for node in nodes}
    surest = max(found, default=0)
    return found[surest] if surest else None


def _parse(text: str) -> ast.AST:
    """The syntax tree of a cell that has run."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        tree = compile(text, "<cell>", "exec", flags, dont_inherit=True)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager

        transformer: Any = TransformerManager
        tree = compile(transformer().transform_cell(text), "<cell>", "exec", flags)
    assert isinstance(tree, ast.AST)
    return tree


def _nodes(tree: ast.AST) -> Iterator[ast.stmt | ast.expr | ast.alias]:
    """What runs in the cell itself, not in the functions and classes that it defines."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt | ast.expr | ast.alias):
            yield node
        if not isinstance(node, _SCOPES):
            yield from _nodes(node)


def _rank(node: ast.AST, variable: str, path: str) -> int:
    """How surely ``node`` brought the culprit into the variable: 3 inside, 2 bound, 1 named."""
    match node:
        case ast.Name(id=name, ctx=context) if name == variable:
            return 2 if isinstance(context, ast.Store) else 1
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return 2 if name == variable else 0
        case ast.alias(name=name, asname=asname):
            return 2 if (asname or name.partition(".")[0]) == variable else 0
        case (ast.Attribute(ctx=ast.Store()) | ast.Subscript(ctx=ast.Store())) as target:
            return 3 if _leads_to(target, path) else 0
        case ast.Call(func=ast.Attribute(attr=method, value=holder)) if method in _FILLING:
            return 3 if _leads_to(holder, path) and path != ast.unparse(holder) else 0
    return 0


def _leads_to(target: ast.expr, path: str) -> bool:
    return bool(re.match(_pattern(target) + r"(?!\w)", path))


def _pattern(target: ast.expr) -> str:
    """A regular expression of the paths that begin as ``target`` does."""
    match target:
        case ast.Name(id=name):
            return re.escape(name)
        case ast.Attribute(value=holder, attr=name):
            return _pattern(holder) + re.escape(f".{name}")
        case ast.Subscript(value=holder, slice=ast.Constant(value=key)):
            return _pattern(holder) + re.escape(f"[{key!r}]")
        case ast.Subscript(value=holder):
            return _pattern(holder) + r"\[[^\]]*\]"  # a computed key may be any
    return r"(?!)"
