"""Definitions: functions, lambdas and classes are followed once, and summed up for their calls."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace

from kale_pm.analysis.code.bindings import State
from kale_pm.analysis.code.class_state import changes_class, decorators, shared_attributes
from kale_pm.analysis.code.effects import ITSELF, Code
from kale_pm.analysis.code.knowledge import Knowledge
from kale_pm.analysis.code.namespace import ClassBody
from kale_pm.analysis.code.sharing import code_of, code_of_all, is_plain, shared
from kale_pm.analysis.code.summary import Summary, class_code
from kale_pm.analysis.code.targets import Targets

Function = ast.FunctionDef | ast.AsyncFunctionDef
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Definitions(Targets):
    """Follows definitions, and in functions what they give back."""

    def __init__(self, known: Knowledge, around: Iterable[set[str]] = ()) -> None:
        super().__init__(known, around)
        self.returned: set[str] = set()
        self.returned_code: frozenset[Code] = frozenset()
        self.exits: list[State] = []

    def give_back(self, value: ast.expr | None) -> None:
        """A function returns or yields ``value``."""
        code = code_of(value, self.known)
        names = {n for c in code for n in c.captures} | shared(value, self.known).keys()
        for name in names:
            self.returned.update(self.known.groups.of(name))
            code |= self.known.code.get(name, frozenset())
        self.returned_code |= code

    def on_yield(self, node: ast.Yield | ast.YieldFrom) -> None:
        self.evaluate(node.value)
        self.give_back(node.value)

    on_yieldfrom = on_yield

    # -- functions ------------------------------------------------------------------------

    def on_functiondef(self, node: Function) -> None:
        self._evaluate_signature(node)
        code = self.summarise(node.name, node, node.args, node.body)
        self.bind(node.name)
        self.learn_code(node.name, frozenset({code}))
        self._decorate(node)

    on_asyncfunctiondef = on_functiondef

    def _evaluate_signature(self, node: Function) -> None:
        self.evaluate_all(node.decorator_list)
        self.evaluate_all([*node.args.defaults, *node.args.kw_defaults])
        if not self.known.future_annotations and sys.version_info < (3, 14):
            self.evaluate_all(argument.annotation for argument in _parameters(node.args))
            self.evaluate(node.returns)

    def _decorate(self, node: Function | ast.ClassDef) -> None:
        """``@decorator`` calls the decorator with what was just defined."""
        for decorator in reversed(node.decorator_list):
            call = ast.Call(decorator, [ast.Name(node.name, ast.Load())], [])
            code = code_of(call, self.known)
            for name, surely in shared(call, self.known).items():
                self.known.link(node.name, name, surely=surely)
            self.changes(call)
            self.learn_code(node.name, code)

    def summarise(
        self,
        name: str,
        node: ast.AST,
        arguments: ast.arguments,
        body: Sequence[ast.stmt],
        *,
        bases: frozenset[Code] | None = None,
    ) -> Code:
        """The deferred effects of a function whose body is ``body``.

        ``bases`` are the classes that ``super()`` leads to; not None makes it a method.
        """
        parameters = [parameter.arg for parameter in _parameters(arguments)]
        receiver = parameters[0] if bases is not None and parameters else None
        declared: set[str] = set()
        local = (set(parameters) | assigned(body, declared)) - declared
        inner = type(self)(self.known.copy(), [*self.around, *self.scopes])
        inner.in_function = True
        inner.cell, inner.line = self.cell, getattr(node, "lineno", self.line)
        place = inner.place
        for own in local:
            inner.known.forget(own)
        inner.known.plain.update(dict.fromkeys(parameters, False))
        if receiver is not None:
            inner.known.receiver = receiver
            inner.learn_code("super", bases or frozenset())
        defaults = _defaults(arguments)
        for parameter, default in defaults.items():
            inner.learn_code(parameter, code_of(default, self.known))
        inner.scopes.append(local)
        before = dict(inner.known.code)
        inner.follow(body)
        mutated = inner.effects.mutates.keys()
        if any(p in mutated and not is_plain(d, self.known) for p, d in defaults.items()):
            inner.effects.mutates[ITSELF] = place
        is_async, is_generator = isinstance(node, ast.AsyncFunctionDef), _yields(body)
        summary = Summary(inner, parameters, receiver, local)
        code = summary.code(name, place, is_async or is_generator, self.known, before)
        return replace(code, is_generator=is_generator and not is_async)

    # -- classes --------------------------------------------------------------------------

    def on_classdef(self, node: ast.ClassDef) -> None:
        self.evaluate_all(node.decorator_list)
        parts = [*node.bases, *(keyword.value for keyword in node.keywords)]
        self.evaluate_all(parts)
        bases = frozenset(c for c in code_of_all(parts, self.known) if c.is_class)
        methods = {name: method for base in bases for name, method in base.methods.items()}
        shared_here = shared_attributes(node.body)
        shared_by_class = shared(ast.List(_values(node.body), ast.Load()), self.known)
        names = ClassBody()
        facts = {name: self.known.take(name) for name in assigned(node.body)}
        self.scopes.append(names)
        for statement in node.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                method = self._method(statement, bases)
                if changes_class(statement, shared_here):
                    method = replace(method, mutates=method.mutates | {node.name})
                methods[statement.name] = _as_property(method, decorators(statement))
                names.add(statement.name)
            else:
                # Names become the class's own in the order of the body: x = x reads outside.
                names |= assigned([statement]) - _read_first(statement)
                self.follow([statement])
                names |= assigned([statement])
        self.scopes.pop()
        for base in bases:
            if "__init_subclass__" in base.methods:
                self.refer(base.methods["__init_subclass__"])
        held = frozenset[Code]().union(*(self.known.code.get(name, ()) for name in names))
        for name, fact in facts.items():
            self.known.put(name, fact)
        self.bind(node.name)
        for other, surely in shared_by_class.items():
            self.known.link(node.name, other, surely=surely)
        self.known.own_methods |= methods.keys()
        code = class_code(node.name, self.place, methods, bases | held)
        self.learn_code(node.name, frozenset({code}))
        self._decorate(node)

    def _method(self, node: Function, bases: frozenset[Code]) -> Code:
        self._evaluate_signature(node)
        static = any(
            isinstance(decorator, ast.Name) and decorator.id == "staticmethod"
            for decorator in node.decorator_list
        )
        return self.summarise(
            node.name, node, node.args, node.body, bases=None if static else bases
        )


def _parameters(arguments: ast.arguments) -> list[ast.arg]:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return every + [a for a in (arguments.vararg, arguments.kwarg) if a is not None]


def _defaults(arguments: ast.arguments) -> dict[str, ast.expr]:
    """The default values by parameter."""
    positional = [*arguments.posonlyargs, *arguments.args]
    with_default = positional[len(positional) - len(arguments.defaults) :]
    pairs = [
        *zip(with_default, arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return {parameter.arg: default for parameter, default in pairs if default is not None}


def _yields(body: Sequence[ast.AST]) -> bool:
    """Does a function with this body make a generator when it is called?"""
    pending = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (*_DEFINITIONS, ast.Lambda)):
            pending.extend(ast.iter_child_nodes(node))
    return False


def assigned(body: Sequence[ast.AST], declared: set[str] | None = None) -> set[str]:
    """Names that the statements bind in their own scope; ``global`` ones go to ``declared``."""
    found: set[str] = set()
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
                pending += [*node.decorator_list, *node.args.defaults]
                continue
            case ast.ClassDef(name=name):
                found.add(name)
                continue
            case ast.Lambda():
                continue
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                (set() if declared is None else declared).update(names)
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.Import() | ast.ImportFrom():
                found.update((a.asname or a.name.split(".")[0]) for a in node.names)
            case ast.ExceptHandler(name=str(name)):
                found.add(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.add(name)
            case ast.MatchMapping(rest=str(name)):
                found.add(name)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                pending += [n for n in ast.walk(node) if isinstance(n, ast.NamedExpr)]
                continue
        pending.extend(ast.iter_child_nodes(node))
    return found


def _as_property(method: Code, decorators: set[str]) -> Code:
    """The method as it is if one of the decorators makes it a property."""
    if decorators.isdisjoint({"property", "cached_property", "getter"}):
        return method
    kept = {method.receiver} if method.receiver and "cached_property" in decorators else set()
    touched = method.touches_parameters | kept
    return replace(method, is_property=True, touches_parameters=touched)


def _values(body: Sequence[ast.stmt]) -> list[ast.expr]:
    """What a class body assigns: all instances share it."""
    return [s.value for s in body if isinstance(s, (ast.Assign, ast.AnnAssign)) and s.value]


def _read_first(statement: ast.stmt) -> set[str]:
    """Names that a class-level statement reads: ``x = x`` reads the x outside."""
    value = getattr(statement, "value", None)
    if value is None:
        return set()
    return {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
