"""Expressions, in the order in which Python evaluates them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any

from kale_pm.analysis import magics
from kale_pm.analysis.effects import Code
from kale_pm.analysis.known import (
    GLOBAL_STATE_CALLS,
    GLOBAL_STATE_TARGETS,
    MUTATING_FUNCTIONS,
    MUTATING_METHODS,
    PURE_BUILTINS,
    PURE_METHODS,
    UNSERIALISABLE_CALLS,
    is_pure,
    matches,
)
from kale_pm.analysis.namespace import Namespace
from kale_pm.analysis.sharing import callees, code_of, shared
from kale_pm.notebook.source import parse

_AT_NAME = re.compile(r"@([A-Za-z_]\w*)")


class Expressions(Namespace):
    """Follows expressions: what they read, call and change."""

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

    def on_constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and 0 < len(node.value) < 300:
            self.effects.strings.add(node.value)

    def on_namedexpr(self, node: ast.NamedExpr) -> None:
        self.evaluate(node.value)
        # A walrus binds outside of the comprehension in which it stands.
        inner, self.scopes = self.scopes, [s for s in self.scopes if not isinstance(s, _Loop)]
        self.bind(node.target.id, node.value)
        self.scopes = inner

    # -- code that runs later -------------------------------------------------------------

    def on_lambda(self, node: ast.Lambda) -> None:
        self.evaluate_all([*node.args.defaults, *node.args.kw_defaults])
        # Whoever holds the lambda may call it; the variable it is bound to leads to it.
        self.lambda_code(node)

    def lambda_code(self, node: ast.Lambda) -> Code:
        code: Code | None = getattr(node, "_code", None)
        if code is None:
            code = self.summarise("<lambda>", node, node.args, [ast.Return(value=node.body)])
            node._code = code  # type: ignore[attr-defined]
        return code

    def summarise(
        self, name: str, node: ast.AST, arguments: ast.arguments, body: list[Any], **_: Any
    ) -> Code:
        raise NotImplementedError  # statements know how to follow a body

    def lambdas(self, node: ast.AST | None) -> frozenset[Code]:
        """The lambdas inside of an expression: they travel with its value."""
        if node is None:
            return frozenset()
        found = [n for n in ast.walk(node) if isinstance(n, ast.Lambda)]
        return frozenset(self.lambda_code(n) for n in found)

    # -- parts that may not run -----------------------------------------------------------

    def on_boolop(self, node: ast.BoolOp) -> None:
        self.evaluate(node.values[0])
        before = self.state.fork()
        with self.maybe():
            self.evaluate_all(node.values[1:])
        self.state.bound &= before.bound | self._bound_for_certain(node.values[:1])

    def _bound_for_certain(self, _: list[ast.expr]) -> set[str]:
        return set()

    def on_ifexp(self, node: ast.IfExp) -> None:
        self.evaluate(node.test)
        before = self.state.fork()
        with self.maybe():
            self.evaluate(node.body)
            after_body, self.state = self.state, before.fork()
            self.evaluate(node.orelse)
        self.state.bound &= after_body.bound
        self.state.maybe |= after_body.maybe

    def _comprehension(self, node: Any, elements: list[ast.expr]) -> None:
        targets = {
            name.id
            for generator in node.generators
            for name in ast.walk(generator.target)
            if isinstance(name, ast.Name)
        }
        # The first iterable is evaluated outside, where the targets mean other variables.
        self.evaluate(node.generators[0].iter)
        with self.scope(_Loop(targets)), self.maybe():
            for index, generator in enumerate(node.generators):
                if index:
                    self.evaluate(generator.iter)
                self.assign_element(generator.target, generator.iter)
                self.evaluate_all(generator.ifs)
            self.evaluate_all(elements)

    def assign_element(self, target: ast.expr, container: ast.expr) -> None:
        """An element of ``container`` is bound: changing it changes the container."""
        names = [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]
        share, code = shared(container, self.known), code_of(container, self.known)
        for name in names:
            for other, strong in share.items():
                self.known.link(name, other, strong)
            self.learn_code(name, code)

    def on_listcomp(self, node: ast.ListComp) -> None:
        self._comprehension(node, [node.elt])

    on_setcomp = on_generatorexp = on_listcomp

    def on_dictcomp(self, node: ast.DictComp) -> None:
        self._comprehension(node, [node.key, node.value])

    # -- namespaces as dicts --------------------------------------------------------------

    def on_subscript(self, node: ast.Subscript) -> None:
        name = self._namespace_key(node)
        if name is None:
            self.evaluate(node.value)
            self.evaluate(node.slice)
        elif isinstance(node.ctx, ast.Load):
            self.read(name)

    def _namespace_key(self, node: ast.Subscript) -> str | None:
        """``x`` of ``globals()['x']``; None for any other subscript."""
        if not _is_namespace(node.value):
            return None
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            return node.slice.value
        return None

    # -- calls ----------------------------------------------------------------------------

    def on_call(self, node: ast.Call) -> None:
        self.at(node)
        if magics.follow(self, node):
            return
        function = node.func
        if isinstance(function, ast.Name):
            self.read(function.id, call=True)
        elif isinstance(function, ast.Attribute):
            self.evaluate(function.value)
        else:
            self.evaluate(function)
        library = self.library_name(function)
        if library is None or not self._dynamic(library, node):
            self.evaluate_all(node.args)
            self.evaluate_all(keyword.value for keyword in node.keywords)
        self._text_reads(function, library, node)
        self._changes(node, library)

    def _changes(self, node: ast.Call, library: str | None) -> None:
        """What the call does to its arguments, and to the object it is a method of."""
        codes = callees(node.func, self.known)
        if codes:
            for code in codes:
                self.call(code, node, certain=len(codes) == 1)
            return
        if library is not None:
            self._library_call(node, library)
            return
        if isinstance(node.func, ast.Attribute):
            receiver, method = node.func.value, node.func.attr
            share = shared(receiver, self.known)
            if method in MUTATING_METHODS or _has_inplace(node):
                self.mutate(share)
                self._keep(share, node)
                return
            if method in PURE_METHODS:
                return
            self.touch(share)
            self._keep(share, node)
        self._touch_arguments(node)

    def _library_call(self, node: ast.Call, library: str) -> None:
        if matches(library, GLOBAL_STATE_CALLS) or (
            library.startswith("logging.") and library.endswith(".setLevel")
        ):
            self.notice("global-state", library.removeprefix("builtins."))
        first = shared(node.args[0], self.known) if node.args else {}
        if library in MUTATING_FUNCTIONS:
            self.mutate(first)
        elif library.removeprefix("builtins.") in PURE_BUILTINS or is_pure(library):
            if any(keyword.arg == "out" for keyword in node.keywords):
                self._touch_arguments(node)
        else:
            self._touch_arguments(node)

    def _touch_arguments(self, node: ast.Call) -> None:
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            self.touch(shared(argument, self.known))

    def _keep(self, receivers: dict[str, bool], node: ast.Call) -> None:
        """``bag.append(x)``: the bag holds x from now on, and what x leads to."""
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        for argument in arguments:
            share = shared(argument, self.known)
            code = code_of(argument, self.known) | self.lambdas(argument)
            for name in receivers:
                for other, strong in share.items():
                    self.known.link(name, other, strong)
                self.learn_code(name, code)

    # -- names inside of strings ----------------------------------------------------------

    def _dynamic(self, library: str, node: ast.Call) -> bool:
        """eval, exec and namespaces by name; True if the arguments are dealt with."""
        name = library.removeprefix("builtins.")
        if name in ("eval", "exec") and node.args:
            if len(node.args) > 1 or node.keywords:
                return False  # namespaces of its own
            text = node.args[0]
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                self._run_text(text.value)
                return True
            self.evaluate(text)
            self._anything(f"{name}() of a computed text")
            return True
        if name in ("locals", "globals", "vars", "dir") and not node.args and not self.in_function:
            self._anything(f"{name}()")
        elif name in ("globals",) and not node.args:
            self._anything(f"{name}()")
        return False

    def _anything(self, what: str) -> None:
        self.effects.dynamic = True
        self.notice("dynamic-access", what)

    def _run_text(self, text: str) -> None:
        try:
            tree = parse(text)
        except SyntaxError:
            return
        line = self.line
        self.follow(tree.body)
        self.line = line

    def follow(self, body: list[ast.stmt]) -> None:
        raise NotImplementedError  # statements know how

    def _text_reads(self, function: ast.expr, library: str | None, node: ast.Call) -> None:
        """``df.query('a > @limit')`` and ``pd.eval('a + b')`` read names in their text."""
        text = node.args[0] if node.args else None
        if not (isinstance(text, ast.Constant) and isinstance(text.value, str)):
            return
        if library == "pandas.eval":
            self._run_text(text.value)
        elif library is None and isinstance(function, ast.Attribute):
            if function.attr in ("query", "eval"):
                for name in _AT_NAME.findall(text.value):
                    self.read(name)

    # -- targets --------------------------------------------------------------------------

    def assign(self, target: ast.expr, value: ast.expr | None, *, element: bool = False) -> None:
        """``target`` gets the value of ``value`` (or, for ``element``, of one of its elements)."""
        self.at(target)
        match target:
            case ast.Name(id=name):
                self.bind(name, value)
                self.learn_code(name, self.lambdas(value))
                self._unserialisable(name, value)
            case ast.Starred(value=inner):
                self.assign(inner, value, element=element)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                self._unpack(targets, value)
            case ast.Attribute() | ast.Subscript():
                self._assign_part(target, value)

    def _unpack(self, targets: list[ast.expr], value: ast.expr | None) -> None:
        if (
            isinstance(value, (ast.Tuple, ast.List))
            and len(value.elts) == len(targets)
            and not any(isinstance(e, ast.Starred) for e in (*value.elts, *targets))
        ):
            for target, part in zip(targets, value.elts, strict=True):
                self.assign(target, part)
        else:
            for target in targets:
                self.assign(target, value)

    def _assign_part(self, target: ast.Attribute | ast.Subscript, value: ast.expr | None) -> None:
        if isinstance(target, ast.Subscript) and _is_namespace(target.value):
            name = self._namespace_key(target)
            if name is not None:
                self.bind(name, value)
            else:
                self._anything("globals()[...] = ...")
            return
        self.change_part(target)
        receivers = shared(target.value, self.known)
        share = shared(value, self.known)
        code = code_of(value, self.known) | self.lambdas(value)
        for name in receivers:
            for other, strong in share.items():
                self.known.link(name, other, strong)
            self.learn_code(name, code)

    def change_part(self, target: ast.Attribute | ast.Subscript) -> None:
        """An attribute or an item is set or deleted: its owner changes in place."""
        self.evaluate(target.value)
        if isinstance(target, ast.Subscript):
            self.evaluate(target.slice)
        library = self.library_name(target)
        if library is None:
            owner = self.library_name(target.value)
            library = owner if owner else None
        if library is not None:
            if any(library == t or library.startswith(t + ".") for t in GLOBAL_STATE_TARGETS):
                self.notice("global-state", library)
            return
        self.mutate(shared(target.value, self.known))

    def _unserialisable(self, name: str, value: ast.expr | None) -> None:
        if isinstance(value, ast.GeneratorExp):
            self.known.unserialisable[name] = ("a generator", self.place)
        elif isinstance(value, ast.Call):
            library = self.library_name(value.func)
            if library in UNSERIALISABLE_CALLS:
                self.known.unserialisable[name] = (UNSERIALISABLE_CALLS[library], self.place)


class _Loop(set[str]):
    """The variables of a comprehension."""


def _is_namespace(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("globals", "locals", "vars")
        and not node.args
    )


def _has_inplace(node: ast.Call) -> bool:
    return any(
        keyword.arg == "inplace"
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
        for keyword in node.keywords
    )
