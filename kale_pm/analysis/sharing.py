"""What the value of an expression may share, lead to, or be.

Plain questions about one expression, answered from what is known so far; nothing here
changes anything.
"""

from __future__ import annotations

import ast
import builtins

from kale_pm.analysis.effects import Code, Knowledge
from kale_pm.analysis.known import FRESH_METHODS, PLAIN_BUILTINS, is_pure

Shared = dict[str, bool]
_NOTHING: frozenset[Code] = frozenset()
_FRESH_CALLS = ("copy.deepcopy", "builtins.id")


def dotted(node: ast.expr, known: Knowledge) -> str | None:
    """The full name of a library thing, as in ``numpy.random.seed``; None for anything else.

    Calls on the way are looked through: ``decimal.getcontext().prec``.
    """
    match node:
        case ast.Name(id=name):
            if name in known.modules:
                return known.modules[name]
            if name not in known.plain and hasattr(builtins, name):
                return f"builtins.{name}"
            return None
        case ast.Attribute(value=value, attr=attribute):
            base = dotted(value, known)
            return f"{base}.{attribute}" if base else None
        case ast.Call(func=function):
            return dotted(function, known)
    return None


def shared(node: ast.expr | None, known: Knowledge) -> Shared:
    """The variables that the value of ``node`` may share objects with; True where surely."""
    found: Shared = {}
    _collect(node, known, True, found)
    return found


def _collect(node: ast.AST | None, known: Knowledge, strong: bool, found: Shared) -> None:
    match node:
        case ast.Name(id=name):
            if not known.plain.get(name, False) and name not in known.modules:
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
        case ast.BinOp(left=left, right=right, op=ast.Add() | ast.BitOr() | ast.Mult()):
            # Lists and dicts that are joined keep their elements; numbers and arrays do not.
            _collect(left, known, False, found)
            _collect(right, known, False, found)
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            element = node.value if isinstance(node, ast.DictComp) else node.elt
            inner: Shared = {}
            _collect(element, known, strong, inner)
            targets = {
                name.id
                for generator in node.generators
                for name in ast.walk(generator.target)
                if isinstance(name, ast.Name)
            }
            if inner.keys() & targets:
                for generator in node.generators:
                    _collect(generator.iter, known, strong, inner)
            found.update({name: s for name, s in inner.items() if name not in targets})
        case ast.Call():
            _collect_call(node, known, found)


def _collect_call(node: ast.Call, known: Knowledge, found: Shared) -> None:
    name = dotted(node.func, known)
    if name is not None:
        if name.removeprefix("builtins.") in PLAIN_BUILTINS or name in _FRESH_CALLS:
            return
        if name.startswith("sklearn.metrics.") or name.startswith("math."):
            return
    elif isinstance(node.func, ast.Attribute):
        if node.func.attr in FRESH_METHODS and not _methods(node.func, known):
            return
        if not _methods(node.func, known):
            _collect(node.func.value, known, False, found)
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    codes = callees(node.func, known)
    if codes:
        for code in codes:
            bound = bind_arguments(code, node)
            for returned in code.returns:
                if returned == code.receiver and isinstance(node.func, ast.Attribute):
                    _collect(node.func.value, known, True, found)
                elif returned in bound:
                    for argument in bound[returned]:
                        _collect(argument, known, True, found)
                elif returned not in code.parameters:
                    found.setdefault(returned, False)
        return
    for argument in arguments:
        _collect(argument, known, False, found)


def callees(function: ast.expr, known: Knowledge) -> frozenset[Code]:
    """The notebook's own functions and classes that a call may reach."""
    match function:
        case ast.Name(id=name):
            return known.code.get(name, _NOTHING)
        case ast.Lambda():
            return _NOTHING
        case ast.Attribute():
            return _methods(function, known)
        case ast.Call() | ast.Subscript() | ast.IfExp():
            return code_of(function, known)
    return _NOTHING


def _methods(function: ast.Attribute, known: Knowledge) -> frozenset[Code]:
    return frozenset(
        code.methods[function.attr]
        for code in code_of(function.value, known)
        if function.attr in code.methods
    )


def code_of(node: ast.AST | None, known: Knowledge) -> frozenset[Code]:
    """The functions and classes of the notebook that the value of ``node`` may lead to."""
    match node:
        case None | ast.Constant() | ast.JoinedStr() | ast.Compare():
            return _NOTHING
        case ast.Name(id=name):
            return known.code.get(name, _NOTHING)
        case ast.Call(func=function):
            name = dotted(function, known)
            if name is not None and name.removeprefix("builtins.") in PLAIN_BUILTINS:
                return _NOTHING
            codes = callees(function, known)
            found: set[Code] = set()
            for code in codes:
                if code.is_class:
                    found.add(code)
                found |= code.returns_code
                bound = bind_arguments(code, node)
                for returned in code.returns:
                    for argument in bound.get(returned, ()):
                        found |= code_of(argument, known)
                    if returned not in bound and returned not in code.parameters:
                        found |= known.code.get(returned, _NOTHING)
                if code.is_class:
                    found |= _code_of_all(_arguments(node), known)
            if not codes:
                if isinstance(function, ast.Attribute) and function.attr in FRESH_METHODS:
                    return _NOTHING
                found |= _code_of_all(_arguments(node), known)
                if isinstance(function, ast.Attribute) and name is None:
                    found |= code_of(function.value, known)
            return frozenset(found)
        case ast.Attribute(value=value):
            whole = code_of(value, known)
            methods = {c.methods[node.attr] for c in whole if node.attr in c.methods}
            return whole | methods
        case ast.Lambda():
            return _NOTHING  # the flow makes its Code when it meets it
        case ast.ListComp(elt=element) | ast.SetComp(elt=element) | ast.GeneratorExp(elt=element):
            return code_of(element, known) | _code_of_all([g.iter for g in node.generators], known)
        case ast.expr():
            return _code_of_all(list(ast.iter_child_nodes(node)), known)
        case ast.keyword(value=value) | ast.comprehension(iter=value):
            return code_of(value, known)
    return _NOTHING


def _code_of_all(nodes: list[ast.expr] | list[ast.AST], known: Knowledge) -> frozenset[Code]:
    found: frozenset[Code] = _NOTHING
    for node in nodes:
        found |= code_of(node, known)
    return found


def _arguments(node: ast.Call) -> list[ast.expr]:
    return [*node.args, *(keyword.value for keyword in node.keywords)]


def bind_arguments(code: Code, node: ast.Call) -> dict[str, list[ast.expr]]:
    """Parameter name -> the arguments that a call may pass for it.

    A starred argument may end in any parameter; the receiver of a method is not an argument.
    """
    names = list(code.parameters)
    bound: dict[str, list[ast.expr]] = {}
    for index, argument in enumerate(node.args):
        if isinstance(argument, ast.Starred):
            for name in names[index:]:
                bound.setdefault(name, []).append(argument.value)
        elif index < len(names):
            bound.setdefault(names[index], []).append(argument)
        elif names:
            bound.setdefault(names[-1], []).append(argument)
    for keyword in node.keywords:
        if keyword.arg is None:
            for name in names:
                bound.setdefault(name, []).append(keyword.value)
        elif keyword.arg in names:
            bound.setdefault(keyword.arg, []).append(keyword.value)
        elif names:
            bound.setdefault(names[-1], []).append(keyword.value)
    return bound


def is_plain(node: ast.expr | None, known: Knowledge) -> bool:
    """Is the value of ``node`` immutable for certain?"""
    match node:
        case ast.Constant() | ast.JoinedStr():
            return True
        case ast.Name(id=name):
            return known.plain.get(name, False)
        case ast.UnaryOp(operand=operand):
            return is_plain(operand, known)
        case ast.BinOp(left=left, right=right):
            return is_plain(left, known) and is_plain(right, known)
        case ast.BoolOp(values=values) | ast.Tuple(elts=values):
            return all(is_plain(value, known) for value in values)
        case ast.IfExp(body=body, orelse=other):
            return is_plain(body, known) and is_plain(other, known)
        case ast.Call(func=function):
            name = dotted(function, known)
            if name is None:
                return False
            if name == "builtins.round":
                return all(is_plain(argument, known) for argument in node.args)
            return name.removeprefix("builtins.") in PLAIN_BUILTINS or (
                name.startswith("math.") and is_pure(name)
            )
    return False
