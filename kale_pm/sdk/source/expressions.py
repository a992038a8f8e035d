"""Values that are known already, as the code that makes them again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from kale_pm.errors import UsageError

WIDTH = 88  # characters, as formatters of notebooks have it
LONGEST = 100_000  # characters: what is longer than this is data and no code


class NotPlain(Exception):
    """A value that no literal can say: ``args[0]``."""


def expression(value: object, named: Callable[[object], str | None]) -> str:
    """The code of ``value``; ``named`` gives that of proxies and of what a module holds.

    Raises NotPlain where there is none.
    """
    if value is None or (isinstance(value, (bool, int, str, bytes)) and _is_exact(value)):
        return repr(value)
    if isinstance(value, float) and _is_exact(value):
        return repr(value) if math.isfinite(value) else f'float("{value}")'
    if type(value) in (list, set, tuple, frozenset):
        return _of_many(value, named)
    if type(value) is dict:
        pairs = (f"{expression(k, named)}: {expression(v, named)}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    name = named(value)
    if name is None:
        raise NotPlain(value)
    return name


def _is_exact(value: object) -> bool:
    return type(value) in (bool, int, str, bytes, float)


def _of_many(value: object, named: Callable[[object], str | None]) -> str:
    assert isinstance(value, (list, set, tuple, frozenset))
    inner = [expression(entry, named) for entry in value]
    if isinstance(value, (set, frozenset)):
        inner.sort()  # their order differs from process to process
    text = ", ".join(inner)
    if isinstance(value, list):
        return f"[{text}]"
    if isinstance(value, tuple):
        return f"({text},)" if len(inner) == 1 else f"({text})"
    made = f"{{{text}}}" if inner else "()"
    if isinstance(value, frozenset):
        return f"frozenset({made})"
    return made if inner else "set()"


def call(function: str, arguments: Mapping[str, str] | list[str]) -> str:
    """A call on one line, or on a line for each argument if that is too long."""
    if isinstance(arguments, Mapping):
        arguments = [f"{name}={text}" for name, text in arguments.items()]
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= WIDTH - 8:
        return line
    return "\n".join([f"{function}(", *(f"    {text}," for text in arguments), ")"])


def not_plain(error: NotPlain, what: str, place: str) -> UsageError:
    value = error.args[0]
    hint = (
        "give numbers, texts, lists, tables, what steps gave, or a function or class of the "
        "script; or make it inside of the step"
    )
    if hasattr(value, "tolist"):  # an array of numpy's, or one of its numbers
        hint = "write .tolist() behind it, which makes plain numbers of it"
    return UsageError(
        f"{place}: {what} is of type {type(value).__name__}, which no code can say", hint=hint
    )
