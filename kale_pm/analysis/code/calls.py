"""Calls: what they do to their arguments, to the notebook's variables, and to the process."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from kale_pm.analysis.code import magics
from kale_pm.analysis.code.catalogue import (
    CONTAINER_METHODS,
    FILLED_ARGUMENTS,
    FILLING_CALLS,
    GLOBAL_STATE_CALLS,
    KEEPING_CALLS,
    MUTATING_FUNCTIONS,
    MUTATING_METHODS,
    PURE_BUILTINS,
    PURE_METHODS,
    STAYING_CALLS,
    STAYING_METHODS,
    is_pure,
    matches,
)
from kale_pm.analysis.code.expressions import Expressions
from kale_pm.analysis.code.sharing import Shared, callees, code_of, shared
from kale_pm.notebook.source import parse

_AT_NAME = re.compile(r"@([A-Za-z_]\w*)")


class Calls(Expressions):
    """Follows calls."""

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
            if method in STAYING_METHODS:
                self.notice("stays-behind", f"what {method}() changes")
            share = shared(receiver, self.known)
            if method in MUTATING_METHODS or _has_inplace(node):
                self.mutate(share)
                self.hold(share, _arguments(node))
                return
            if not self._leaves_alone(receiver, method):
                self.touch(share)
                self.hold(share, _arguments(node))
            else:
                self._fill(node, method)
                return
        else:
            self.touch(shared(node.func, self.known))
        self._touch_arguments(node)

    def _leaves_alone(self, receiver: ast.expr, method: str) -> bool:
        """Is ``method`` known to change nothing?

        Not if the notebook has a class where the name may mean anything.
        """
        known = self.known
        foreign = isinstance(receiver, ast.Name) and receiver.id in known.foreign
        return method in PURE_METHODS and method not in known.own_methods and not foreign

    def _library_call(self, node: ast.Call, library: str) -> None:
        owner, _, method = library.rpartition(".")
        if (matches(library, GLOBAL_STATE_CALLS) and method not in PURE_METHODS) or (
            library.startswith("logging.") and method == "setLevel"
        ):
            self.notice("global-state", library.removeprefix("builtins."))
        elif matches(library, STAYING_CALLS) or method in STAYING_METHODS:
            self.notice("stays-behind", f"what {library}() changes")
        elif method in CONTAINER_METHODS and "." in owner and _is_thing(node.func):
            self.notice("stays-behind", f"the change of {owner}")
        if library in MUTATING_FUNCTIONS and node.args:
            thing = self.library_name(node.args[0])
            if thing and _is_thing(node.args[0]):
                self.notice("stays-behind", f"the change of {thing}")
            share = shared(node.args[0], self.known)
            self.mutate(share)
            self.hold(share, node.args[1:])
        elif library.removeprefix("builtins.") in PURE_BUILTINS or is_pure(library):
            self._fill(node, method)
            if library.startswith("numpy."):
                # The third argument of numpy's functions is mostly the one for the result.
                for argument in node.args[2:]:
                    self.touch(shared(argument, self.known))
        else:
            self._touch_arguments(node)

    def _fill(self, node: ast.Call, name: str) -> None:
        """A call that changes nothing else may put something into an argument made for it."""
        if name in FILLING_CALLS:
            self._touch_arguments(node)
        for keyword in node.keywords:
            if keyword.arg in FILLED_ARGUMENTS:
                self.touch(shared(keyword.value, self.known))
            elif keyword.arg == "copy" and _is_false(keyword.value):
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

    def _run_text(self, text: str) -> None:
        try:
            tree = parse(text)
        except SyntaxError:
            return
        line = self.line
        self.follow(tree.body)
        self.line = line

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


def _arguments(node: ast.Call) -> list[ast.expr]:
    return [*node.args, *(keyword.value for keyword in node.keywords)]


def _is_thing(node: ast.expr) -> bool:
    """Does the library have this under a name, so that it is no result of a call?"""
    return not any(isinstance(inner, ast.Call) for inner in ast.walk(node))


def _has_inplace(node: ast.Call) -> bool:
    return any(k.arg == "inplace" and not _is_false(k.value) for k in node.keywords)


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
