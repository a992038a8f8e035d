"""The imports with which every slice begins: what a kernel may import before it has a step."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from kale_pm.model import Cell
from kale_pm.notebook.source import syntax_tree


def first_imports(prelude: Iterable[Cell]) -> tuple[str, ...]:
    """The imports at the top of the prelude, a statement each, in their order.

    They end at the first statement that may change what the imports below it do, as a filter
    for warnings or an entry of ``sys.path`` does: only literals may stand between them.
    """
    return tuple(_imports(prelude))


def _imports(prelude: Iterable[Cell]) -> Iterator[str]:
    for cell in prelude:
        if not cell.is_code:
            continue
        try:
            statements = syntax_tree(cell).body
        except SyntaxError:
            return
        for statement in statements:
            match statement:
                case ast.ImportFrom(module="__future__"):
                    continue
                case ast.Import() | ast.ImportFrom(level=0):
                    yield ast.unparse(statement)
                case ast.Expr(value=ast.Constant()):
                    continue
                case ast.Assign(targets=[ast.Name()], value=value) if _is_literal(value):
                    continue
                case _:
                    return


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True
