"""The values that simple statements give, found by executing them here."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable

from kale_pm.sdk.source.modules import ModuleSource
from kale_pm.sdk.source.statements import Statement

# They ask nobody, and change nothing.
_CALLS = {
    each.__name__: each
    for each in (
        *(abs, bool, bytes, dict, divmod, enumerate, float, frozenset, int, len, list, max, min),
        *(pow, range, reversed, round, set, sorted, str, sum, tuple, zip),
    )
}
_UNKNOWN = (ast.Lambda, ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)


def given_by(statements: Iterable[Statement], module: ModuleSource) -> dict[str, object]:
    """The values that statements give which use nothing but literals and each other."""
    values: dict[str, object] = {"__builtins__": _CALLS}
    calls = _CALLS.keys() - module.names.keys()
    for each in statements:
        if not (_is_simple(each, values.keys() | calls) and _has_run(each, values)):
            for name in each.binds | each.sets_up:
                values.pop(name, None)
    del values["__builtins__"]
    return values


def _has_run(statement: Statement, values: dict[str, object]) -> bool:
    bare = ast.Module([_bare(node) for node in statement.nodes], [])
    try:
        exec(compile(bare, "<constants>", "exec"), values)
    except Exception:  # noqa: BLE001 - whatever it raises, it gives nothing
        return False
    return True


def _is_simple(statement: Statement, known: Collection[str]) -> bool:
    kinds = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)
    if not all(isinstance(node, kinds) for node in statement.nodes):
        return False
    nodes = [inner for node in statement.nodes for inner in ast.walk(_bare(node))]
    names = [each for each in nodes if isinstance(each, ast.Name)]
    bound = {each.id for each in names if isinstance(each.ctx, ast.Store)}
    reads = {each.id for each in names if isinstance(each.ctx, ast.Load)}
    return reads <= {*known, *bound} and not any(isinstance(each, _UNKNOWN) for each in nodes)


def _bare(node: ast.stmt) -> ast.stmt:
    """Without a type hint, which gives no value."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return ast.copy_location(ast.Assign([node.target], node.value), node)
    return node
