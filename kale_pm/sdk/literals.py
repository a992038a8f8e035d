"""Values of a module's variables as literals, as they stand in a notebook."""

from __future__ import annotations

import argparse
import ast
import pathlib
import sys
from keyword import iskeyword

from kale_pm.sdk.expressions import WIDTH, NotPlain, call, expression
from kale_pm.sdk.modules import ModuleSource

LARGEST = 10_000  # characters
_NOTE = "as it was when the pipeline was called"


def literal(value: object, module: ModuleSource) -> str | None:
    """The code of a value; None where none can say it, or where it is too long."""

    def named(thing: object) -> str | None:
        if type(thing) is type(pathlib.Path()) and _is_free("pathlib", module):
            return f"pathlib.Path({str(thing)!r})"
        if type(thing) is argparse.Namespace and _is_free("argparse", module):
            words = vars(thing)
            if all(name.isidentifier() and not iskeyword(name) for name in words):
                pairs = (f"{name}={expression(entry, named)}" for name, entry in words.items())
                return f"argparse.Namespace({', '.join(pairs)})"
        return None

    if not _is_small(value):
        return None
    try:
        text = expression(value, named)
    except (NotPlain, RecursionError, ValueError):  # ValueError: an integer of many digits
        return None
    return text if 0 < len(text) <= LARGEST else None


def _is_small(value: object) -> bool:
    """Whether to write it down is worth a try; what holds itself is not small."""
    size, waiting = 0, [value]
    while waiting and size <= LARGEST:
        each = waiting.pop()
        size += 1
        if isinstance(each, (str, bytes, list, tuple, set, frozenset, dict)):
            size += len(each)
        if size <= LARGEST and isinstance(each, (list, tuple, set, frozenset)):
            waiting += each
        if size <= LARGEST and isinstance(each, dict):
            waiting += [*each, *each.values()]
    return size <= LARGEST


def _is_free(name: str, module: ModuleSource) -> bool:
    return module.names.get(name, sys.modules[name]) is sys.modules[name]


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
