"""A notebook as the text of a file: what nbformat writes, without its copies and checks.

A notebook of many megabytes is written again and again while it runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

_SPLIT = ("image/svg+xml", "application/javascript")
_TRANSIENT = ("orig_nbformat", "orig_nbformat_minor", "signature")


def _ascii(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii")
    raise TypeError(f"a notebook cannot hold {type(value).__name__}")


# What ends a line for nbformat besides a newline, and the backslash, which JSON writes as two.
_UNUSUAL = "\\\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_ascii).encode


def notebook_text(notebook: Mapping[str, Any]) -> list[str]:
    """The text of a notebook's file, in pieces.  Raises ValueError where a number is not finite."""
    metadata = _without(notebook["metadata"], _TRANSIENT)
    cells = [_cell(cell) for cell in notebook["cells"]]
    pieces: list[str] = []
    _write({**notebook, "metadata": metadata, "cells": cells}, 0, pieces.append)
    pieces.append("\n")
    return pieces


def _write(value: Any, level: int, add: Callable[[str], None]) -> None:
    """Add ``value`` as JSON, each entry on a line of its own, ``level`` deep in the whole."""
    between, end = "\n" + " " * (level + 1), "\n" + " " * level
    if isinstance(value, _Lines):
        add("[" + between)
        add(_lines_text(value, '",' + between + '"'))
        add(end + "]")
    elif isinstance(value, dict) and value:
        for number, name in enumerate(sorted(value)):
            add(("," if number else "{") + between + _encode(name) + ": ")
            _write(value[name], level + 1, add)
        add(end + "}")
    elif isinstance(value, (list, tuple)) and value:
        for number, entry in enumerate(value):
            add(("," if number else "[") + between)
            _write(entry, level + 1, add)
        add(end + "]")
    else:
        add(_encode(value))


class _Lines(str):
    """A text that is written line by line."""

    __slots__ = ()


def _lines_text(text: str, between: str) -> str:
    """The lines of a text as JSON strings, without a list of them: there may be millions."""
    if any(character in text for character in _UNUSUAL):
        return between[1:-1].join(map(_encode, text.splitlines(keepends=True)))
    lines = _encode(text).replace("\\n", "\\n" + between)
    return lines.removesuffix(between + '"') + ('"' if text.endswith("\n") else "")


def _cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    found = {**cell, "metadata": _without(cell["metadata"], ("trusted",))}
    found["source"] = _lines(cell["source"])
    if "attachments" in cell:
        found["attachments"] = {name: _bundle(data) for name, data in cell["attachments"].items()}
    if "outputs" in cell:
        found["outputs"] = [_output(output) for output in cell["outputs"]]
    return found


def _output(output: Mapping[str, Any]) -> Mapping[str, Any]:
    if output["output_type"] == "stream":
        text = output["text"]
        return {**output, "text": _lines(text if isinstance(text, str) else "".join(text))}
    return {**output, "data": _bundle(output["data"])} if "data" in output else output


def _bundle(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        kind: _lines(value) if kind.startswith("text/") or kind in _SPLIT else value
        for kind, value in data.items()
    }


def _lines(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    return _Lines(text) if text else []


def _without(metadata: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in metadata.items() if name not in names}
