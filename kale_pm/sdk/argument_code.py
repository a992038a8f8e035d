"""The values that a call gives to its function, as code.

Where a value has neither a name nor a literal that says it, it is a UsageError.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

from kale_pm.errors import UsageError
from kale_pm.sdk.expressions import NotPlain, expression, not_plain
from kale_pm.sdk.functions import shown
from kale_pm.sdk.tracing import Call

Naming = Callable[[object], str | None]
"""Gives the name of a thing that no literal can say, where it has one."""


def parameter_values(each: Call, named: Naming) -> dict[str, str]:
    """Parameter of the function -> the code of its value; of what was not given, the default's."""
    found = {}
    for name, parameter in each.step.signature.parameters.items():
        if name in each.arguments:
            found[name] = _expression(each, named, name, each.arguments[name])
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            found[name] = "()"
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            found[name] = "{}"
        else:
            found[name] = _default(each, name)
    return found


def call_arguments(each: Call, named: Naming) -> list[str]:
    """What stands between the parentheses where the function is called."""
    found = []
    for name, value in each.arguments.items():
        kind = each.step.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            found += [_expression(each, named, name, entry) for entry in value]
        elif kind is inspect.Parameter.VAR_KEYWORD:
            found += [f"{k}={_expression(each, named, k, entry)}" for k, entry in value.items()]
        elif kind is inspect.Parameter.POSITIONAL_ONLY or (
            kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and _has_many(each)
        ):
            found.append(_expression(each, named, name, value))
        else:
            found.append(f"{name}={_expression(each, named, name, value)}")
    return found


def enclosing_variables(each: Call) -> dict[str, str]:
    """Variables of a function around the step's function, which the step has to have by value."""
    function = inspect.unwrap(each.step.function)
    names = function.__code__.co_freevars
    found = {}
    for name, cell in zip(names, function.__closure__ or (), strict=True):
        source = each.step.source
        what = f"'{name}', which step '{each.step.title}' takes from the function around it,"
        try:
            found[name] = expression(cell.cell_contents, lambda _: None)
        except NotPlain as error:
            kind = type(error.args[0]).__name__
            raise UsageError(
                f"{source.place}: {what} is of type {kind}: it cannot go along",
                hint=f"make '{name}' a parameter of the step, or define the step at the top of "
                f"{shown(source.file)}",
            ) from None
        except ValueError:
            raise UsageError(
                f"{source.place}: {what} has no value yet", hint="set it first"
            ) from None
    return found


def _expression(each: Call, named: Naming, name: str, value: Any) -> str:
    try:
        return expression(value, named)
    except NotPlain as error:
        what = f"the argument '{name}' of step '{each.step.title}'"
        raise not_plain(error, what, each.place) from None


def _default(each: Call, name: str) -> str:
    arguments = each.step.source.node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    with_default = positional[len(positional) - len(arguments.defaults) :]
    pairs = [
        *zip(with_default, arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return next(ast.unparse(value) for one, value in pairs if one.arg == name and value is not None)


def _has_many(each: Call) -> bool:
    """Whether what comes in by position goes on into ``*args``: nothing before it has a name."""
    kinds = {name: each.step.signature.parameters[name].kind for name in each.arguments}
    return inspect.Parameter.VAR_POSITIONAL in kinds.values()
