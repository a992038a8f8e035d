"""The defaults of a step's parameters: their values since the function was defined.

A step is made of source text, which is read again elsewhere and later: what ``n=N`` means may
have changed by then.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from kale_pm.sdk.expressions import LONGEST, NotPlain, expression
from kale_pm.sdk.functions import default_nodes
from kale_pm.sdk.tracing import values_in


def settled_defaults(
    function: Callable[..., Any], node: ast.FunctionDef
) -> tuple[tuple[str, str], ...]:
    """Names of parameters, and the code of their defaults' values.

    Left out are literals, which mean the same everywhere, and what no code can say.
    """
    return tuple(_settled(inspect.unwrap(function), node))


def _settled(function: Callable[..., Any], node: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    parameters = inspect.signature(function).parameters
    for name, written in default_nodes(node).items():
        code = None if _is_literal(written) else _code(parameters[name].default)
        if code is not None:
            yield name, code


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def _code(value: object) -> str | None:
    try:
        if any(True for _ in values_in(value)):
            return None  # what a step gives has no value yet, but perhaps a name
        code = expression(value, lambda _: None)
    except (NotPlain, RecursionError):
        return None
    return code if len(code) <= LONGEST else None
