"""The defaults of a step's parameters: their values since the function was defined.

A step is made of source text, which is read again elsewhere and later: what ``n=N`` means may
have changed by then.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from kale_pm.errors import UsageError
from kale_pm.sdk.source.changes import root
from kale_pm.sdk.source.expressions import LONGEST, NotPlain, expression
from kale_pm.sdk.source.functions import FunctionSource, meant
from kale_pm.sdk.tracing.call import values_in


def settled_defaults(
    function: Callable[..., Any], source: FunctionSource
) -> tuple[tuple[str, str], ...]:
    """Names of parameters, and the code of their defaults' values.

    Left out is what the source says as well: literals, names at the top of a module that still
    have that value, what the environment holds (it may be a secret, and is that of the step's
    machine), and what a call made that no code can say.  Raises UsageError for a name that means
    something else now, where no code can say what it meant.
    """
    return tuple(_settled(inspect.unwrap(function), source)) if source.computed_defaults else ()


def _settled(function: Callable[..., Any], source: FunctionSource) -> Iterator[tuple[str, str]]:
    parameters = inspect.signature(function).parameters
    is_at_the_top = source.node.col_offset == 0
    for name, node in source.computed_defaults.items():
        value = parameters[name].default
        names = function.__globals__ if is_at_the_top else {}
        if _is_same(meant(node, names), value) or _reads_the_environment(node):
            continue
        code = _code(value)
        if code is not None:
            yield name, code
        elif isinstance(node, (ast.Name, ast.Attribute)) and root(node) in names:
            raise UsageError(
                f"{source.place}: the default of '{name}' was {ast.unparse(node)} as it was then, "
                f"which is something else now, and no code can say it (of type "
                f"{type(value).__name__})",
                hint="give the two different names, or make it inside of the step",
            )


def _is_same(now: object, then: object) -> bool:
    try:
        return now is then or (type(now) is type(then) and bool(now == then))
    except Exception:  # noqa: BLE001 - whatever their classes raise, as arrays do
        return False


def _reads_the_environment(node: ast.expr) -> bool:
    names = {getattr(each, "attr", None) or getattr(each, "id", None) for each in ast.walk(node)}
    return not names.isdisjoint({"environ", "getenv"})


def _code(value: object) -> str | None:
    try:
        if any(True for _ in values_in(value)):
            return None  # what a step gives has no value yet, but perhaps a name
        code = expression(value, lambda _: None)
    except (NotPlain, RecursionError):
        return None
    return code if len(code) <= LONGEST else None
