"""The values that a call gives to its function, as code.

Where a value has neither a name nor a literal that says it, it is a UsageError.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import chain, cycle
from typing import Any

from kale_pm.errors import UsageError
from kale_pm.sdk.source.expressions import LONGEST, NotPlain, expression, not_plain
from kale_pm.sdk.source.functions import shown
from kale_pm.sdk.tracing.call import Call
from kale_pm.sdk.tracing.proxies import Value

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

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
            found[name] = each.step.source.defaults[name]
    return found


def call_arguments(each: Call, named: Naming) -> list[str]:
    """What stands between the parentheses where the function is called."""
    if each.step.source.kept:
        return _as_given(each, named)
    found = []
    for name, value in each.arguments.items():
        kind = each.step.signature.parameters[name].kind
        text = _expression(each, named, name, value)
        if kind is inspect.Parameter.VAR_POSITIONAL:
            found += [_expression(each, named, name, entry) for entry in value]
        elif kind is inspect.Parameter.VAR_KEYWORD:
            found += [f"{k}={_expression(each, named, k, entry)}" for k, entry in value.items()]
        elif kind is inspect.Parameter.POSITIONAL_ONLY or (
            kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and _has_many(each)
        ):
            found.append(text)
        else:
            found.append(f"{name}={text}")
    return found


def _as_given(each: Call, named: Naming) -> list[str]:
    """The same for a decorator below @step: it sees which arguments come by position."""
    kinds = {name: one.kind for name, one in each.step.signature.parameters.items()}
    names = [name for name, kind in kinds.items() if kind in _BY_POSITION]
    many = [name for name, kind in kinds.items() if kind is inspect.Parameter.VAR_POSITIONAL]
    told = chain(names, cycle(many))
    positional = zip(told, each.positional, strict=False)
    return [
        *(_expression(each, named, name, value) for name, value in positional),
        *(f"{name}={_expression(each, named, name, value)}" for name, value in each.named.items()),
    ]


def enclosing_variables(each: Call, named: Naming) -> dict[str, str]:
    """Variables of a function around the step's function, which the step has to have by value."""

    def passed(thing: object) -> str | None:
        return named(thing) if isinstance(thing, Value) else None

    function = inspect.unwrap(each.step.function)
    source = each.step.source
    found = {}
    for name in function.__code__.co_freevars:
        what = f"'{name}', which step '{each.step.title}' takes from the function around it,"
        if name not in each.enclosing:
            raise UsageError(f"{source.place}: {what} has no value yet", hint="set it first")
        try:
            text = expression(each.enclosing[name], passed)
        except NotPlain as error:
            kind = type(error.args[0]).__name__
            raise UsageError(
                f"{source.place}: {what} is of type {kind}: it cannot go along",
                hint=f"make '{name}' a parameter of the step, or define the step at the top of "
                f"{shown(source.file)}",
            ) from None
        _refuse_if_long(text, what, source.place)
        found[name] = text
    return found


def _expression(each: Call, named: Naming, name: str, value: Any) -> str:
    what = f"the argument '{name}' of step '{each.step.title}'"
    try:
        text = expression(value, named)
    except NotPlain as error:
        raise not_plain(error, what, each.place) from None
    _refuse_if_long(text, what, each.place)
    return text


def _refuse_if_long(text: str, what: str, place: str) -> None:
    if len(text) > LONGEST:
        raise UsageError(
            f"{place}: {what} is {len(text):,} characters of code; {LONGEST:,} are the most",
            hint="let a step make it and pass on what that step gives, or load it inside of the "
            "step",
        )


def _has_many(each: Call) -> bool:
    """Whether what comes in by position goes on into ``*args``: nothing before it has a name."""
    kinds = {name: each.step.signature.parameters[name].kind for name in each.arguments}
    return inspect.Parameter.VAR_POSITIONAL in kinds.values()
