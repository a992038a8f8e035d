"""Literal assignments: which of them may move to the top, and the type that each gives."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kale_pm.model import Cell, Parameter, ParameterType
from kale_pm.notebook.source import syntax_tree
from kale_pm.notebook.values import is_json

_TYPES: dict[str, ParameterType] = {
    "bool": "bool", "int": "int", "float": "float", "str": "str", "list": "list", "dict": "dict",
    "List": "list", "Dict": "dict", "Any": "any", "object": "any",
}  # fmt: skip
_NEVER = object()


@dataclass(frozen=True)
class LiteralAssignment:
    """A literal assignment that may move to the top."""

    name: str
    value: Any
    cell: Cell
    statement: ast.Assign | ast.AnnAssign

    def parameter(self) -> Parameter:
        noted: ParameterType | None = None
        optional = self.value is None
        if isinstance(self.statement, ast.AnnAssign):
            noted, may_be_none = _annotated(self.statement.annotation)
            optional = optional or may_be_none
        type_ = noted or _TYPES.get(type(self.value).__name__, "any")
        line = self.statement.lineno
        return Parameter(self.name, type_, self.value, optional, self.cell.number, line)


def movable(prelude: Sequence[Cell], cells: Sequence[Cell]) -> Iterator[LiteralAssignment]:
    """The assignments that are parameters.

    ``prelude`` may hold other cells between ``cells``: what they mention does not move either.
    """
    numbers_of_cells = {cell.number for cell in cells}
    passed: set[str] = set()
    started = False
    for cell in prelude:
        ours = cell.number in numbers_of_cells
        started = started or ours
        if not started or not cell.is_code:
            continue
        for statement in _statements(cell):
            name, value = _literal_assignment(statement) if ours else (None, None)
            if name is None or name in passed or "*" in passed:
                passed |= _mentions(statement)
            else:
                assert isinstance(statement, (ast.Assign, ast.AnnAssign))
                yield LiteralAssignment(name, value, cell, statement)


def literal_assignments(cell: Cell) -> list[tuple[str, int]]:
    """(name, line) of every top-level assignment of a literal to one name."""
    found = ((_literal_assignment(part)[0], part.lineno) for part in _statements(cell))
    return [(name, line) for name, line in found if name is not None]


def _statements(cell: Cell) -> list[ast.stmt]:
    try:
        return syntax_tree(cell).body
    except SyntaxError:
        # The cell stays as it is; the analysis of the prelude reports it.
        return []


def _literal_assignment(statement: ast.stmt) -> tuple[str | None, Any]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    else:
        return None, None
    result = _literal(value)
    if not isinstance(target, ast.Name) or result is _NEVER:
        return None, None
    return target.id, result


def _literal(node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
        return value if is_json(value) else _NEVER
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return _NEVER


def _mentions(statement: ast.stmt) -> set[str]:
    """The names that a statement binds or reads as it runs; ``*`` for a star import.

    The bodies of functions run later, when they are called, and are left out.
    """
    names: set[str] = set()
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
            waiting += [*node.decorator_list, node.args]
            continue
        elif isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Lambda):
            waiting.append(node.args)
            continue
        waiting += ast.iter_child_nodes(node)
    return names


def _annotated(node: ast.expr) -> tuple[ParameterType | None, bool]:
    """The type that an annotation names (None for one we do not know), and whether None may be."""
    match node:
        case ast.Constant(value=None):
            return None, True
        case ast.Constant(value=str(text)):
            try:
                return _annotated(ast.parse(text.strip(), mode="eval").body)
            except (SyntaxError, ValueError):
                return None, False
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _TYPES.get(name), name in ("Any", "object")
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union([left, right])
        case ast.Subscript(value=value, slice=inner):
            arguments = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            match value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", ""):
                case "Optional":
                    return _annotated(inner)[0], True
                case "Union":
                    return _union(arguments)
                case "Annotated" | "Final":
                    return _annotated(arguments[0])
            return _annotated(value)
    return None, False


def _union(members: list[ast.expr]) -> tuple[ParameterType | None, bool]:
    read = [_annotated(member) for member in members]
    optional = any(may_be_none for _, may_be_none in read)
    values = {
        type_
        for member, (type_, _) in zip(members, read, strict=True)
        if not (isinstance(member, ast.Constant) and member.value is None)
    }
    return (values.pop() if len(values) == 1 else "any"), optional
