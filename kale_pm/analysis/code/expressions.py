"""Expressions, in the order in which Python evaluates them."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kale_pm.analysis.code import magics
from kale_pm.analysis.code.bindings import join
from kale_pm.analysis.code.catalogue import FILLING_METHODS, SHELL_NAMESPACE
from kale_pm.analysis.code.effects import Code
from kale_pm.analysis.code.namespace import ClassBody, Namespace
from kale_pm.analysis.code.sharing import LAMBDA_CODE, callees, code_of, names_of, operands, shared


class Expressions(Namespace, ABC):
    """Follows expressions: what they read, and in which order."""

    handing_over = False

    def evaluate(self, node: ast.AST | None) -> None:
        if node is None:
            return
        method = getattr(self, f"on_{type(node).__name__.lower()}", None)
        if method is not None:
            method(node)
        else:
            self.evaluate_all(ast.iter_child_nodes(node))

    def evaluate_all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            self.evaluate(node)

    # -- names and constants --------------------------------------------------------------

    def on_name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.at(node)
            self.read(node.id)

    def on_namedexpr(self, node: ast.NamedExpr) -> None:
        self.evaluate(node.value)
        # A walrus binds outside of the comprehension in which it stands.
        inner, self.scopes = self.scopes, [s for s in self.scopes if not isinstance(s, _Loop)]
        self.bind(node.target.id, node.value)
        self.scopes = inner

    def on_binop(self, node: ast.BinOp) -> None:
        self.evaluate_all(operands(node))

    # -- code that runs later -------------------------------------------------------------

    def on_lambda(self, node: ast.Lambda) -> None:
        self.evaluate_all([*node.args.defaults, *node.args.kw_defaults])
        # The variable it is bound to leads to it from now on.
        if not hasattr(node, LAMBDA_CODE):
            body = [ast.Return(value=node.body)]
            setattr(node, LAMBDA_CODE, self.summarise("<lambda>", node, node.args, body))
        if self.handing_over:
            self.refer(getattr(node, LAMBDA_CODE))

    @abstractmethod
    def summarise(
        self,
        name: str,
        node: ast.AST,
        arguments: ast.arguments,
        body: Sequence[ast.stmt],
        *,
        bases: frozenset[Code] | None = None,
    ) -> Code:
        """The deferred effects of a function whose body is ``body``: definitions know how."""

    @abstractmethod
    def follow(self, body: Sequence[ast.stmt]) -> None:
        """Follow the statements, one after another: statements know how."""

    # -- parts that may not run -----------------------------------------------------------

    def on_boolop(self, node: ast.BoolOp) -> None:
        # 'x' in globals() and x > 1
        looked = {looked_up(value) for value in node.values} if isinstance(node.op, ast.And) else ()
        with self.guarded(frozenset(name for name in looked if name)):
            self._first_for_certain(node.values)

    def on_compare(self, node: ast.Compare) -> None:
        name = looked_up(node)
        if name is not None:
            self.read(name, soft=True)
            return
        self.evaluate(node.left)
        self._first_for_certain(node.comparators)

    def _first_for_certain(self, values: list[ast.expr]) -> None:
        self.evaluate(values[0])
        bound = set(self.state.bound)
        with self.maybe():
            self.evaluate_all(values[1:])
        self.state.bound &= bound

    def on_ifexp(self, node: ast.IfExp) -> None:
        self.evaluate(node.test)
        before = self.state
        with self.maybe():
            self.state = before.fork()
            self.evaluate(node.body)
            after_body, self.state = self.state, before
            self.evaluate(node.orelse)
        self.state = join([after_body, self.state])

    def _comprehension(self, node: Any, elements: list[ast.expr]) -> None:
        targets = _Loop(name for g in node.generators for name in names_of(g.target))
        # The first iterable is evaluated outside, where the targets mean other variables.
        self.evaluate(node.generators[0].iter)
        bound = set(self.state.bound)
        with self.inside(), self.scope(targets), self.maybe():
            for index, generator in enumerate(node.generators):
                if index:
                    self.evaluate(generator.iter)
                self.assign_element(generator.target, generator.iter)
                self.evaluate_all(generator.ifs)
            self.evaluate_all(elements)
        self.state.bound &= bound

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Code inside of a class body does not see the names of that body."""
        scopes, self.scopes = self.scopes, [s for s in self.scopes if not isinstance(s, ClassBody)]
        yield
        self.scopes = scopes

    def assign_element(self, target: ast.expr, container: ast.expr) -> None:
        """An element of ``container`` is bound: changing it changes the container."""
        names = names_of(target)
        share, code = shared(container, self.known), code_of(container, self.known)
        for name in names:
            self.known.plain.setdefault(name, False)
            for other, surely in share.items():
                self.known.link(name, other, surely=surely)
            self.learn_code(name, code)

    def on_listcomp(self, node: ast.ListComp) -> None:
        self._comprehension(node, [node.elt])

    on_setcomp = on_generatorexp = on_listcomp

    def on_dictcomp(self, node: ast.DictComp) -> None:
        self._comprehension(node, [node.key, node.value])

    # -- namespaces as dicts --------------------------------------------------------------

    def on_attribute(self, node: ast.Attribute) -> None:
        self.evaluate(node.value)
        for method in callees(node, self.known):
            self.refer(method)
            if method.changes_receiver:
                self.touch(shared(node.value, self.known))
        if node.attr in FILLING_METHODS:
            self.touch(shared(node.value, self.known))
        if node.attr in SHELL_NAMESPACE and magics.is_shell(node.value):
            self.anything(f"get_ipython().{node.attr}")

    def on_subscript(self, node: ast.Subscript) -> None:
        name = self.namespace_key(node)
        if name is None:
            self.evaluate(node.value)
            self.evaluate(node.slice)
            if self.library_name(node.value) == "sys.modules" and _text(node.slice) == "__main__":
                self.anything("sys.modules['__main__']")
        elif isinstance(node.ctx, ast.Load):
            self.read(name)

    def namespace_key(self, node: ast.Subscript) -> str | None:
        """``x`` of ``globals()['x']``; None for any other subscript."""
        return _text(node.slice) if is_namespace(node.value) else None


class _Loop(set[str]):
    """The variables of a comprehension."""


def is_namespace(node: ast.expr) -> bool:
    """Is this ``globals()`` or the like?"""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("globals", "locals", "vars", "dir")
        and not node.args
    )


def looked_up(node: ast.expr) -> str | None:
    """``x`` of ``'x' in globals()``; None for anything else."""
    match node:
        case ast.Compare(
            left=ast.Constant(value=str(name)), ops=[ast.In() | ast.NotIn()], comparators=[names]
        ) if is_namespace(names):
            return name
    return None


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
