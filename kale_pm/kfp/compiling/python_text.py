"""Values and texts as Python source."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping, Sequence

WIDTH = 96  # characters on a line of the generated file


def literal(value: object) -> str:
    """``value`` as a Python literal; strings in double quotes where that needs no escapes."""
    text = repr(value)
    if isinstance(value, str) and text.startswith("'") and '"' not in value:
        return f'"{text[1:-1]}"'
    return text


def table(pairs: Mapping[str, str]) -> str:
    """A dict on one line."""
    return "{" + ", ".join(f"{literal(key)}: {literal(text)}" for key, text in pairs.items()) + "}"


def call(function: str, arguments: Sequence[str], indent: str = "") -> str:
    """A call on one line, or with one argument a line if that is too long."""
    line = f"{function}({', '.join(arguments)})"
    if len(indent + line) <= WIDTH:
        return line
    body = "".join(f"{indent}    {argument},\n" for argument in arguments)
    return f"{function}(\n{body}{indent})"


def docstring(text: str) -> str:
    """``text`` where a docstring holds it, on one line: nothing of it may end the string."""
    return " ".join(text.replace("\\", "\\\\").replace('"', "'").split())


def block(text: str) -> str:
    """A long text without spaces, broken into lines."""
    return "\n".join(textwrap.wrap(text, WIDTH))


def printable(text: str) -> str:
    """``text`` without control characters and lone surrogates, which no YAML file can hold."""
    return "".join(
        letter
        for letter in text
        if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cs")
    )
