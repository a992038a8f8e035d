"""What ``@step``, ``@pipeline`` and ``@artifact`` refuse, before anything is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MappingProxyType
from typing import NoReturn

from kale_pm.errors import UsageError
from kale_pm.sdk.artifacts import Artifact
from kale_pm.sdk.tracing.proxies import place


def check_name(decorator: str, name: object, more: tuple[object, ...]) -> None:
    """Raise UsageError for what ``@decorator`` is given by position, but for a name."""
    if more or not isinstance(name, str | None):
        raise UsageError(
            f"{place()}: @{decorator} takes a text, its name, and all else by name",
            hint=f'write @{decorator}(name="...", option=value), and the function below it',
        )
    if name is not None and not name.strip():
        raise UsageError(
            f"{place()}: the {decorator}'s name is {name!r}",
            hint=f'give it a text: @{decorator}(name="..."), or leave it out',
        )


def check_function(decorator: str, function: object, made: str | None = None) -> None:
    """Raise UsageError for what ``@decorator`` cannot stand above.

    ``made`` says what a decorator has made of it already: a "step", a "pipeline".
    """
    if made == decorator:
        raise UsageError(
            f"{place()}: {function!r} is a {decorator} already",
            hint=f"write @{decorator} once, with everything that it should say",
        )
    if made is not None:
        raise UsageError(
            f"{place()}: {function!r} cannot be a step and a pipeline at once",
            hint="a pipeline may be called by another one, and its steps become steps there",
        )
    if not callable(function):
        raise UsageError(
            f"{place()}: @{decorator} stands above {function!r}, which is no function",
            hint=f"write def below @{decorator}; a decorator between them has to give a function",
        )
    if _is_method(function):
        name = inspect.unwrap(function).__qualname__
        raise UsageError(
            f"{place()}: @{decorator} stands above the method {name}",
            hint="steps and pipelines are functions at the top of a module: hand over what the "
            "method takes from its object as parameters",
        )


def check_body(pipeline: str, function: Callable[..., object]) -> None:
    """Raise UsageError where calling the pipeline's ``function`` does not carry out its body."""
    kinds: dict[str, Callable[[object], bool]] = {
        "generator": inspect.isgeneratorfunction,
        "async function": inspect.iscoroutinefunction,
        "async generator": inspect.isasyncgenfunction,
        "class": inspect.isclass,
    }
    for kind, is_such in kinds.items():
        if is_such(function):
            raise UsageError(
                f"the pipeline '{pipeline}' is of the wrong kind: {kind}, not function",
                hint="write an ordinary function that calls the steps",
            )


def check_registry(where: str, function: Callable[..., object]) -> None:
    """Raise UsageError where ``functools.singledispatch`` knows more than the function itself."""
    registry = getattr(function, "registry", None)
    if isinstance(registry, MappingProxyType) and len(registry) > 1:
        raise UsageError(
            f"{where}: other functions were registered with it, and they would not go along",
            hint="write a step that calls such a function, which stands at the top of the script",
        )


def refuse_artifact(which: str) -> NoReturn:
    """Raise UsageError: ``which``, a pipeline, keeps no files."""
    raise UsageError(
        f"{place()}: {which} keeps no artifact: a step does", hint="write @artifact above a @step"
    )


def with_artifact(one: Artifact, others: tuple[Artifact, ...]) -> tuple[Artifact, ...]:
    """One file more that a step keeps.  Raises UsageError where its name is another file's."""
    for each in others:
        if each.name == one.name and each.path != one.path:
            raise UsageError(
                f"{place()}: two files are kept as the artifact '{one.name}': {one.path} and "
                f"{each.path}",
                hint="give each a name of its own",
            )
    return others if one in others else (one, *others)


def _is_method(function: Callable[..., object]) -> bool:
    """Whether it is written in a class, and gets the object; static methods do not."""
    inner = inspect.unwrap(function)
    if not inspect.isfunction(inner):
        return False
    home = inner.__qualname__.rpartition(".")[0]
    is_in_class = bool(home) and not home.endswith("<locals>")
    return is_in_class and inner.__code__.co_varnames[:1] in (("self",), ("cls",))
