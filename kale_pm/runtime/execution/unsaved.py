"""A variable that could not be stored: which statement made it so, and who would have needed it.

The cell that saves is kale-pm's own, and says nothing to the reader.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from kale_pm.model import Cell, Pipeline, Step
from kale_pm.notebook import parse
from kale_pm.record import CellError

_FILLING = {"add", "append", "appendleft", "extend", "insert", "setdefault", "update"}
_SCOPES = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


def with_origin(error: CellError, pipeline: Pipeline, step: Step) -> CellError:
    """``error`` with its place in the source notebook, where it is about storing a variable."""
    if error.ename != "SaveError" or error.cell is not None:
        return error
    variable, path = _culprit(error)
    found = _origin(step, variable, path)
    needed_by = tuple(
        other.name
        for other in pipeline.steps
        if any(
            need.name == variable and step.name in {source.step for source in need.sources}
            for need in other.needs
        )
    )
    if needed_by:
        text = f"{error.evalue} (needed by step {', '.join(needed_by)})"
        error = replace(error, evalue=text, variable=variable, path=path, needed_by=needed_by)
    if found is None:
        return error
    cell, line = found
    source = cell.source.split("\n")[line - 1].strip()
    return replace(error, cell=cell.number, line=line, source=source, variable=variable, path=path)


def _culprit(error: CellError) -> tuple[str, str]:
    """Variable and path; an executed notebook that keeps only the text has them there."""
    if error.variable:
        return error.variable, error.path or error.variable
    found = re.match(r"cannot save ((\w+).*?): ", error.evalue)
    return (found[2], found[1]) if found else ("", "")


def _origin(step: Step, variable: str, path: str) -> tuple[Cell, int] | None:
    """Cell and line of the statement that is to blame.

    That is the last one, in the order of the code, that puts something in the way to the
    culprit: if possible deeper inside of the variable, else by binding it, and if nothing
    does either, the last that mentions it.
    """
    found: dict[int, tuple[Cell, int]] = {}
    for cell in step.code:
        nodes = sorted(_nodes(parse(cell.source)), key=lambda node: node.lineno)
        found |= {_rank(node, variable, path): (cell, node.lineno) for node in nodes}
    surest = max(found, default=0)
    return found[surest] if surest else None


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
