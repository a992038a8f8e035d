"""Expressions, in the order in which Python evaluates them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kale_pm.analysis import magics
from kale_pm.analysis.effects import Code
from kale_pm.analysis.known import (
    GLOBAL_STATE_CALLS,
    GLOBAL_STATE_TARGETS,
    KEEPING_CALLS,
    MUTATING_FUNCTIONS,
    MUTATING_METHODS,
    PURE_BUILTINS,
    PURE_METHODS,
    SHELL_NAMESPACE,
    UNSERIALISABLE_CALLS,
    is_pure,
    matches,
)
from kale_pm.analysis.namespace import ClassBody, Namespace, join
from kale_pm.analysis.sharing import (
    LAMBDA_CODE,
    Shared,
    callees,
    code_of,
    names_of,
    operands,
    shared,
)
from kale_pm.notebook.source import parse

_AT_NAME = re.compile(r"@([A-Za-z_]\w*)")


class Expressions(Namespace):
    """Follows expressions: what they read, call and change."""

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

    def summarise(
        self,
        name: str,
        node: ast.AST,
        arguments: ast.arguments,
        body: Sequence[ast.stmt],
        *,
        bases: frozenset[Code] | None = None,
    ) -> Code:
        raise NotImplementedError  # statements know how to follow a body

    # -- parts that may not run -----------------------------------------------------------

    def on_boolop(self, node: ast.BoolOp) -> None:
        self._first_for_certain(node.values)

    def on_compare(self, node: ast.Compare) -> None:
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
        return _text(node.slice) if _is_namespace(node.value) else None

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
            self._hand_over(_arguments(node), library not in KEEPING_CALLS)
        self._text_reads(function, library, node)
        self.changes(node)

    def _hand_over(self, arguments: Sequence[ast.expr], may_call: bool) -> None:
        """Evaluate what somebody gets: who gets a lambda may call it."""
        before, self.handing_over = self.handing_over, may_call
        self.evaluate_all(arguments)
        self.handing_over = before

    def changes(self, node: ast.Call) -> None:
        """What the call does to its arguments, and to the object it is a method of."""
        library = self.library_name(node.func)
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
                self.hold(share, _arguments(node))
                return
            if method in PURE_METHODS:
                return
            self.touch(share)
            self.hold(share, _arguments(node))
        self._touch_arguments(node)

    def _library_call(self, node: ast.Call, library: str) -> None:
        if matches(library, GLOBAL_STATE_CALLS) or (
            library.startswith("logging.") and library.endswith(".setLevel")
        ):
            self.notice("global-state", library.removeprefix("builtins."))
        if library in MUTATING_FUNCTIONS and node.args:
            share = shared(node.args[0], self.known)
            self.mutate(share)
            self.hold(share, node.args[1:])
        elif library.removeprefix("builtins.") in PURE_BUILTINS or is_pure(library):
            if any(keyword.arg == "out" for keyword in node.keywords):
                self._touch_arguments(node)
        else:
            self._touch_arguments(node)

    def _touch_arguments(self, node: ast.Call) -> None:
        """Code that nobody knows may change its arguments, and put one into another."""
        share: Shared = {}
        for argument in _arguments(node):
            share |= shared(argument, self.known)
        self.link_all(share)
        self.touch(share)

    def hold(self, receivers: Shared, values: Sequence[ast.expr]) -> None:
        """``bag.append(x)``: the bag holds x from now on, and what x leads to."""
        for value in values:
            share, code = shared(value, self.known), code_of(value, self.known)
            for name in receivers:
                for other, surely in share.items():
                    self.known.link(name, other, surely=surely)
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
            self.anything(f"{name}() of a computed text")
            return True
        own = name in ("locals", "vars", "dir") and not self.in_function
        if (own or name == "globals") and not node.args:
            self.anything(f"{name}()")
        return False

    def anything(self, what: str) -> None:
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

    def follow(self, body: Sequence[ast.stmt]) -> None:
        raise NotImplementedError  # statements know how

    def _text_reads(self, function: ast.expr, library: str | None, node: ast.Call) -> None:
        """``df.query('a > @limit')`` and ``pd.eval('a + b')`` read names in their text."""
        text = node.args[0] if node.args else None
        if not (isinstance(text, ast.Constant) and isinstance(text.value, str)):
            return
        if library == "pandas.eval":
            self._run_text(text.value)
        elif (
            library is None
            and isinstance(function, ast.Attribute)
            and function.attr
            in (
                "query",
                "eval",
            )
        ):
            for name in _AT_NAME.findall(text.value):
                self.read(name)

    # -- targets --------------------------------------------------------------------------

    def assign(self, target: ast.expr, value: ast.expr | None) -> None:
        """``target`` gets the value of ``value``, or a part of it."""
        self.at(target)
        match target:
            case ast.Name(id=name):
                self.bind(name, value)
                self._unserialisable(name, value)
            case ast.Starred(value=inner):
                self.assign(inner, value)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                self._unpack(targets, value)
            case ast.Attribute() | ast.Subscript():
                self._assign_part(target, value)

    def _unpack(self, targets: list[ast.expr], value: ast.expr | None) -> None:
        parts: list[ast.expr | None] = [value] * len(targets)
        if (
            isinstance(value, (ast.Tuple, ast.List))
            and len(value.elts) == len(targets)
            and not any(isinstance(e, ast.Starred) for e in (*value.elts, *targets))
        ):
            parts = [*value.elts]
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        # In a, b = b, a both sides mean other objects: what shared with the old, may with the new.
        crossed = names & shared(value, self.known).keys()
        mates = [mate for name in crossed for mate in self.known.groups.of(name)]
        for target, part in zip(targets, parts, strict=True):
            self.assign(target, part)
        if crossed:
            self.link_all([*sorted(names), *mates])

    def _assign_part(self, target: ast.Attribute | ast.Subscript, value: ast.expr | None) -> None:
        if isinstance(target, ast.Subscript) and _is_namespace(target.value):
            name = self.namespace_key(target)
            if name is not None:
                self.bind(name, value)
            else:
                self.anything("globals()[...] = ...")
            return
        self.change_part(target)
        self.hold(shared(target.value, self.known), [value] if value else [])

    def change_part(self, target: ast.Attribute | ast.Subscript) -> None:
        """An attribute or an item is set or deleted: its owner changes in place."""
        self.evaluate(target.value)
        if isinstance(target, ast.Subscript):
            self.evaluate(target.slice)
        library = self.library_name(target) or self.library_name(target.value)
        if library is None:
            self.mutate(shared(target.value, self.known))
        elif any(library == t or library.startswith(t + ".") for t in GLOBAL_STATE_TARGETS):
            self.notice("global-state", library)
        elif isinstance(target, ast.Attribute) or not isinstance(target.value, ast.Call):
            self.notice("stays-behind", library)

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


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _arguments(node: ast.Call) -> list[ast.expr]:
    return [*node.args, *(keyword.value for keyword in node.keywords)]


def _has_inplace(node: ast.Call) -> bool:
    return any(
        keyword.arg == "inplace"
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
        for keyword in node.keywords
    )
