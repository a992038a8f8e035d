"""Values of a module's variables as literals, as they stand in a notebook."""

from __future__ import annotations

import argparse
import ast
import pathlib
import re
import sys
from collections.abc import Callable
from keyword import iskeyword

from kale_pm.sdk.source.expressions import WIDTH, NotPlain, call, expression
from kale_pm.sdk.source.modules import ModuleSource

LARGEST = 10_000  # characters
_SECRETS = frozenset(
    {"apikey", "credential", "credentials", "key", "passwd", "password", "pwd", "secret", "token"}
)
_FIXED = (str, bytes, int, float, complex, tuple, frozenset, range, type(None), pathlib.PurePath)
_MANY = (str, bytes, list, tuple, set, frozenset, dict)
_WORDS = ("complex", "float", "frozenset", "range", "set")
_CALLS = {
    ("argparse", "Namespace"),
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "time"),
    ("datetime", "timedelta"),
    ("decimal", "Decimal"),
    ("fractions", "Fraction"),
    ("pathlib", type(pathlib.Path()).__name__),
    ("uuid", "UUID"),
}
_NOTE = "as it was when the pipeline was called"


def literal(value: object, module: ModuleSource) -> str | None:
    """The code of a value; None where none can say it, or where it is too long."""

    def named(thing: object) -> str | None:
        return _call_of(thing, module, named)

    if not _is_small(value):
        return None
    try:
        text = expression(value, named)
    except (NotPlain, RecursionError, ValueError):  # ValueError: an integer of many digits
        return None
    if any(name in module.names and f"{name}(" in text for name in _WORDS):
        return None  # it means something else there
    return text if 0 < len(text) <= LARGEST else None


def is_fixed(value: object) -> bool:
    """Whether nobody who holds the value can change it."""
    kind = (type(value).__module__, type(value).__name__)
    return isinstance(value, _FIXED) or (kind in _CALLS and kind[0] != "argparse")


def looks_secret(name: str, value: object) -> bool:
    """Whether a text has a name that secrets have, as in ``{"db": {"password": "..."}}``."""
    if isinstance(value, dict):
        return any(looks_secret(str(key), entry) for key, entry in value.items())
    last = re.split(r"[^a-z]+", name.lower())[-1]
    return last in _SECRETS and isinstance(value, (str, bytes)) and bool(value)


def modules_of(text: str) -> frozenset[str]:
    """The modules that a literal needs."""
    nodes = ast.walk(ast.parse(text, mode="eval"))
    owners = (each.value for each in nodes if isinstance(each, ast.Attribute))
    return frozenset(each.id for each in owners if isinstance(each, ast.Name))


def _call_of(
    thing: object, module: ModuleSource, named: Callable[[object], str | None]
) -> str | None:
    """The call that makes an object of Python's own again; None of what is none of these."""
    kind = type(thing)
    if kind in (complex, range) or thing is ...:
        return "..." if thing is ... else repr(thing)
    owner = "pathlib" if isinstance(thing, pathlib.PurePath) else kind.__module__
    if (owner, kind.__name__) not in _CALLS:
        return None
    alias = owner if _is_free(owner, module) else f"_{owner}"
    if isinstance(thing, pathlib.PurePath):
        return f"{alias}.Path({str(thing)!r})"
    if isinstance(thing, argparse.Namespace):
        words = vars(thing)
        if not all(name.isidentifier() and not iskeyword(name) for name in words):
            return None
        pairs = (f"{name}={expression(entry, named)}" for name, entry in words.items())
        return f"{alias}.Namespace({', '.join(pairs)})"
    if getattr(thing, "tzinfo", None) is not None:
        return None
    return f"{alias}.{repr(thing).removeprefix(f'{owner}.')}"


def _is_small(value: object) -> bool:
    """Whether to write it down is worth a try; what holds itself is not small."""
    size, waiting = 0, [value]
    while waiting and size <= LARGEST:
        each = waiting.pop()
        size += 1
        if type(each) not in _MANY:  # others may do anything where they are gone through
            continue
        assert isinstance(each, (str, bytes, list, tuple, set, frozenset, dict))
        size += len(each)
        if size <= LARGEST and isinstance(each, (list, tuple, set, frozenset)):
            waiting += each
        if size <= LARGEST and isinstance(each, dict):
            waiting += [*each, *each.values()]
    return size <= LARGEST


def _is_free(name: str, module: ModuleSource) -> bool:
    return module.names.get(name, sys.modules.get(name)) is sys.modules.get(name)


def binding(name: str, text: str) -> str:
    """The statement that gives a variable this literal, and says why it stands there."""
    line = f"{name} = {text}  # {_NOTE}"
    if len(line) <= WIDTH:
        return line
    match ast.parse(text, mode="eval").body:
        case ast.Dict(keys=[*keys], values=values):
            pairs = zip(keys, values, strict=True)
            inner = [f"{ast.unparse(key)}: {ast.unparse(value)}" for key, value in pairs if key]
            text = "\n".join(["{", *(f"    {each}," for each in inner), "}"])
        case ast.Call(func=ast.Attribute() as function, keywords=[_, *_] as keywords):
            text = call(ast.unparse(function), [ast.unparse(each) for each in keywords])
    return f"# {_NOTE[0].upper()}{_NOTE[1:]}.\n{name} = {text}"
