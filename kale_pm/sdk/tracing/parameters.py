"""The parameters of a pipeline: those of its function, with their hints and defaults."""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from kale_pm.errors import UsageError
from kale_pm.model import Cell, Parameter
from kale_pm.notebook import bind, read_parameters
from kale_pm.notebook.values import is_json
from kale_pm.sdk.source.functions import FunctionSource

if TYPE_CHECKING:
    from kale_pm.sdk.decorators import PipelineFunction


def assignments_of(
    function: PipelineFunction,
    source: FunctionSource,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> dict[str, str]:
    """Parameter -> its assignment, with the value that the call gave it, if it did."""
    signature = inspect.signature(function.function)
    where = f"{source.place}: the pipeline '{function.title}'"
    try:
        given = signature.bind_partial(*args, **kwargs).arguments
    except TypeError as error:
        raise UsageError(f"{where}: {error}", hint=f"its parameters: {signature}") from None
    notes = {
        each.arg: each.annotation
        for each in ast.walk(source.node.args)
        if isinstance(each, ast.arg)
    }
    texts: dict[str, str] = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise UsageError(
                f"{where} takes any number of arguments",
                hint="name its parameters, each with a default",
            )
        default = parameter.default
        if default is inspect.Parameter.empty:
            if name not in given:
                raise UsageError(
                    f"{where}: the parameter '{name}' has no value",
                    hint=f"give it a default, or a value: {function.title}({name}=...)",
                )
            default = given[name]
        default = list(default) if type(default) is tuple else default
        _refuse_member(where, name, default)
        _refuse_member(where, name, given.get(name))
        _check(where, name, default)
        texts[name] = _assignment(name, notes.get(name), default)
    if not given:
        return texts
    known = _read_back(texts)
    values = bind(known, given)
    for name, value in values.items():
        _check(where, name, value)
    return {
        parameter.name: _assignment(
            parameter.name, notes.get(parameter.name), values[parameter.name]
        )
        for parameter in known
    }


def _refuse_member(where: str, name: str, value: object) -> None:
    """Raise UsageError for a member of an enumeration: a step would get something else."""
    if isinstance(value, Enum):
        kind = type(value).__name__
        raise UsageError(
            f"{where}: the parameter '{name}' is {kind}.{value.name}, and a step would get its "
            f"value alone",
            hint=f"give {kind}.{value.name}.value, and write {kind}({name}) inside of the steps",
        )


def _check(where: str, name: str, value: object) -> None:
    """Raise UsageError for a value that no literal of JSON's types can say."""
    if not is_json(value) or not _is_literal(value):
        raise UsageError(
            f"{where}: the parameter '{name}' is {value!r}, of type {type(value).__name__}",
            hint="parameters are finite numbers, texts, True, False, None, lists and tables, "
            "and tuples with no other tuple inside",
        )


def codes_of(
    function: PipelineFunction,
    assignments: Mapping[str, str],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> dict[str, str]:
    """Parameter -> the code that gives its value to a step.

    Notebooks, command lines and Kubeflow know lists where Python has tuples, too.
    """
    signature = inspect.signature(function.function)
    given = signature.bind_partial(*args, **kwargs).arguments
    may_be_none = {each.name for each in _read_back(assignments) if each.optional}
    codes = {}
    for name, parameter in signature.parameters.items():
        is_required = parameter.default is inspect.Parameter.empty
        default = given[name] if is_required else parameter.default
        code = f"tuple({name})" if type(default) is tuple else name
        is_either = code != name and name in may_be_none
        codes[name] = f"{code} if {name} is not None else None" if is_either else code
    return codes


def _assignment(name: str, note: ast.expr | None, value: Any) -> str:
    hint = f": {_hint(note)}" if note is not None else ""
    return f"{name}{hint} = {value!r}"


def _hint(note: ast.expr) -> str:
    """The hint as a notebook can have it, where nothing but builtins is there before it."""
    text = ast.unparse(note)
    names = {each.id for each in ast.walk(note) if isinstance(each, ast.Name)}
    return text if all(hasattr(builtins, name) for name in names) else repr(text)


def _read_back(texts: Mapping[str, str]) -> tuple[Parameter, ...]:
    cell = Cell(1, "parameters", "code", "\n".join(texts.values()), ("parameters",))
    return read_parameters([cell])


def _is_literal(value: object) -> bool:
    try:
        ast.literal_eval(repr(value))
    except (ValueError, SyntaxError):
        return False  # nan and inf are names, and others are no Python at all
    return True
