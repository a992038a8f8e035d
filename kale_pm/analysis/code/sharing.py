"""What the value of an expression may share, lead to, or be.

Plain questions about one expression, answered from what is known so far; nothing here
changes anything.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable

from kale_pm.analysis.code.catalogue import FRESH_METHODS, PLAIN_BUILTINS, PURE_METHODS, is_pure
from kale_pm.analysis.code.effects import ITSELF, Code
from kale_pm.analysis.code.knowledge import Knowledge

Shared = dict[str, bool]
_NOTHING: frozenset[Code] = frozenset()
# Where the flow leaves the Code of a lambda that it has met: on the node itself.
LAMBDA_CODE = "_kale_pm_code"
_FRESH_CALLS = ("copy.deepcopy", "builtins.id")


def dotted(node: ast.expr, known: Knowledge) -> str | None:
    """The full name of a library thing, as in ``numpy.random.seed``; None for anything else.

    Calls on the way are looked through: ``decimal.getcontext().prec``.
    """
    match node:
        case ast.Name(id=name):
            if name in known.modules:
                return known.modules[name]
            return f"builtins.{name}" if is_untouched_builtin(name, known) else None
        case ast.Attribute(value=value, attr=attribute):
            base = dotted(value, known)
            return f"{base}.{attribute}" if base else None
        case ast.Call(func=function):
            return dotted(function, known)
    return None


def is_untouched_builtin(name: str, known: Knowledge) -> bool:
    """Does ``name`` mean a builtin, as far as the notebook has not bound it itself?"""
    return name not in known.plain and hasattr(builtins, name)


def shared(node: ast.expr | None, known: Knowledge) -> Shared:
    """The variables that the value of ``node`` may share objects with; True where surely."""
    found: Shared = {}
    _collect(node, known, True, found)
    return found


def _collect(node: ast.AST | None, known: Knowledge, strong: bool, found: Shared) -> None:
    match node:
        case ast.Name(id=name):
            is_library = name in known.modules or is_untouched_builtin(name, known)
            if not is_library and not known.plain.get(name, False):
                found[name] = found.get(name, False) or strong
        case ast.Attribute(value=value) | ast.Subscript(value=value) | ast.Starred(value=value):
            _collect(value, known, strong, found)
        case ast.Await(value=value) | ast.NamedExpr(value=value) | ast.YieldFrom(value=value):
            _collect(value, known, strong, found)
        case ast.IfExp(body=body, orelse=other):
            _collect(body, known, strong, found)
            _collect(other, known, strong, found)
        case ast.BoolOp(values=values) | ast.List(elts=values) | ast.Tuple(elts=values):
            for value in values:
                _collect(value, known, strong, found)
        case ast.Set(elts=values):
            for value in values:
                _collect(value, known, strong, found)
        case ast.Dict(values=values):
            for value in values:
                _collect(value, known, strong, found)
        case ast.BinOp(op=ast.Add() | ast.BitOr() | ast.Mult()):
            # Lists and dicts that are joined keep their elements; numbers and arrays do not.
            for value in operands(node):
                _collect(value, known, False, found)
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            element = node.value if isinstance(node, ast.DictComp) else node.elt
            inner: Shared = {}
            _collect(element, known, strong, inner)
            targets = {name for g in node.generators for name in names_of(g.target)}
            if inner.keys() & targets:
                for generator in node.generators:
                    _collect(generator.iter, known, strong, inner)
            found.update({name: s for name, s in inner.items() if name not in targets})
        case ast.Call():
            _collect_call(node, known, found)


def _collect_call(node: ast.Call, known: Knowledge, found: Shared) -> None:
    if known.receiver is not None and isinstance(node.func, ast.Name) and node.func.id == "super":
        found[known.receiver] = True
        return
    name = dotted(node.func, known)
    if name is not None:
        if name.removeprefix("builtins.") in PLAIN_BUILTINS or name in _FRESH_CALLS:
            return
        if name.startswith(("sklearn.metrics.", "math.")):
            return
    codes = callees(node.func, known)
    for code in codes:
        bound = bind_arguments(code, node)
        for returned in code.returns:
            if not code.is_own(returned):
                found.setdefault(returned, False)
            for argument in bound.get(returned, ()):
                _collect(argument, known, True, found)
    if codes:
        return
    if name is None and isinstance(node.func, ast.Attribute):
        if node.func.attr in FRESH_METHODS:
            return
        _collect(node.func.value, known, False, found)
    for argument in _arguments(node):
        _collect(argument, known, False, found)


def callees(function: ast.expr, known: Knowledge) -> frozenset[Code]:
    """The notebook's own functions and classes that a call may reach."""
    match function:
        case ast.Attribute(value=value, attr=attribute):
            return _methods(code_of(value, known), attribute)
        case ast.Name() | ast.Lambda() | ast.Call() | ast.Subscript() | ast.IfExp():
            return code_of(function, known)
    return _NOTHING


def _methods(codes: frozenset[Code], name: str) -> frozenset[Code]:
    return frozenset(code.methods[name] for code in codes if name in code.methods)


def code_of(node: ast.AST | None, known: Knowledge) -> frozenset[Code]:
    """The functions and classes of the notebook that the value of ``node`` may lead to."""
    match node:
        case None | ast.Constant() | ast.JoinedStr() | ast.Compare():
            return _NOTHING
        case ast.Name(id=name):
            return known.code.get(name, _NOTHING)
        case ast.Lambda():
            code: Code | None = getattr(node, LAMBDA_CODE, None)
            return frozenset({code}) if code else _NOTHING
        case ast.Call():
            return _code_of_call(node, known)
        case ast.Attribute(value=value, attr=attribute):
            whole = code_of(value, known)
            return whole | _methods(whole, attribute)
        case ast.ListComp(elt=element) | ast.SetComp(elt=element) | ast.GeneratorExp(elt=element):
            return code_of_all([element, *(g.iter for g in node.generators)], known)
        case ast.keyword(value=value) | ast.comprehension(iter=value):
            return code_of(value, known)
        case ast.BinOp():
            return code_of_all(operands(node), known)
        case ast.expr():
            return code_of_all(ast.iter_child_nodes(node), known)
    return _NOTHING


def _code_of_call(node: ast.Call, known: Knowledge) -> frozenset[Code]:
    function = node.func
    name = dotted(function, known)
    if name is not None and name.removeprefix("builtins.") in PLAIN_BUILTINS:
        return _NOTHING
    if isinstance(function, ast.Attribute):
        owner = code_of(function.value, known)
        codes = _methods(owner, function.attr)
    else:
        owner = _NOTHING
        codes = callees(function, known)
    if not codes:
        if isinstance(function, ast.Attribute) and name is None:
            if function.attr in FRESH_METHODS:
                return _NOTHING
            if function.attr in PURE_METHODS:
                return owner
        return owner | code_of_all(_kept_arguments(node), known)
    found: set[Code] = set()
    for code in codes:
        found |= code.returns_code
        if code.is_class:
            found |= {code, *code_of_all(_arguments(node), known)}
        if code.is_lazy:
            found.add(code)
        bound = bind_arguments(code, node)
        for returned in code.returns:
            if code.is_own(returned):
                found |= code_of_all(bound.get(returned, ()), known)
            else:
                found |= known.code.get(returned, _NOTHING)
    return frozenset(found)


def code_of_all(nodes: Iterable[ast.AST], known: Knowledge) -> frozenset[Code]:
    """All that :func:`code_of` gives for one of ``nodes``."""
    return _NOTHING.union(*(code_of(node, known) for node in nodes))


def _arguments(node: ast.Call) -> list[ast.expr]:
    return [*node.args, *(keyword.value for keyword in node.keywords)]


def _kept_arguments(node: ast.Call) -> list[ast.expr]:
    """The arguments that a result may hold; what sorts by ``key`` is done with it."""
    return [*node.args, *(k.value for k in node.keywords if k.arg != "key")]


def bind_arguments(code: Code, node: ast.Call) -> dict[str, list[ast.expr]]:
    """Parameter name -> what a call may pass for it, receiver and function itself included.

    A starred argument may end in any parameter.
    """
    names = list(code.parameters)
    bound: dict[str, list[ast.expr]] = {ITSELF: [node.func]}
    if code.receiver is not None:
        # A bound method that has another name leads to its object all the same.
        owner = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        bound[code.receiver] = [owner]
    for index, argument in enumerate(node.args):
        if isinstance(argument, ast.Starred):
            for name in names[index:]:
                bound.setdefault(name, []).append(argument.value)
        elif names:
            bound.setdefault(names[min(index, len(names) - 1)], []).append(argument)
    for keyword in node.keywords:
        if keyword.arg is None:
            for name in names:
                bound.setdefault(name, []).append(keyword.value)
        elif names:
            name = keyword.arg if keyword.arg in names else names[-1]
            bound.setdefault(name, []).append(keyword.value)
    return bound


def operands(node: ast.BinOp) -> list[ast.expr]:
    """The operands of ``a + b + c``, however many: a recursion would end at some hundred."""
    found: list[ast.expr] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp):
        found.append(left.right)
        left = left.left
    return [left, *reversed(found)]


def names_of(target: ast.expr) -> list[str]:
    """The names in an assignment's target."""
    return [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]


def is_plain(node: ast.expr | None, known: Knowledge) -> bool:
    """Is the value of ``node`` immutable for certain?"""
    match node:
        case ast.Constant() | ast.JoinedStr():
            return True
        case ast.Name(id=name):
            return known.plain.get(name, False)
        case ast.UnaryOp(operand=operand):
            return is_plain(operand, known)
        case ast.BinOp():
            return all(is_plain(value, known) for value in operands(node))
        case ast.BoolOp(values=values) | ast.Tuple(elts=values):
            return all(is_plain(value, known) for value in values)
        case ast.IfExp(body=body, orelse=other):
            return is_plain(body, known) and is_plain(other, known)
        case ast.Call(func=function):
            called = dotted(function, known)
            if called is None:
                return False
            if called == "builtins.round":
                return all(is_plain(argument, known) for argument in node.args)
            return called.removeprefix("builtins.") in PLAIN_BUILTINS or (
                called.startswith("math.") and is_pure(called)
            )
    return False
