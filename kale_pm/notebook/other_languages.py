"""What can be read of a cell that is not Python: its parameters, where they stand plainly.

Papermill writes given values into a cell below; here only their names and defaults are found,
a line at a time: ``name=value`` in bash, ``name <- value`` or ``name = value`` elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kale_pm.model import Cell, Parameter, ParameterType

# The languages in which papermill can write a value, as it spells them.
_PAPERMILL = {"bash": "bash", "julia": "julia", "matlab": "matlab", "r": "R", "scala": "scala"}
# Every number is a double there, and a text may stand in single quotes.
_OF_STATISTICIANS = frozenset({"matlab", "r"})
_TYPES: dict[type, ParameterType] = {bool: "bool", int: "int", float: "float", str: "str"}

_BASH = re.compile(
    r"""(?:export\s+)?(?P<name>[A-Za-z_]\w*)=
        (?:'(?P<single>[^']*)' | "(?P<double>[^"\\$`]*)" | (?P<word>[\w.,:/@%+=-]*))
        \s*;?\s*(?:\#.*)?""",
    re.VERBOSE | re.ASCII,
)
_OTHER = re.compile(
    r"""(?:va[lr]\s+)?(?P<name>[^\W\d]\w*(?:\.\w+)*)(?:\s*::?\s*\w+)?\s*(?:<-|=)\s*
        (?P<value>
            (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?L?)
            | true | false | TRUE | FALSE
            | (?P<double>"[^"\\$]*") | (?P<single>'[^'\\$]*')
        )
        \s*;?\s*(?:(?:\#|//|%).*)?""",
    re.VERBOSE,
)


def spelled(language: str) -> str:
    """The language, which is in lower case, as people and papermill spell it."""
    return _PAPERMILL.get(language, language)


def takes_values(language: str) -> bool:
    """Whether the parameters of a notebook of this language, however spelled, can be set."""
    return language.lower() in {"python", *_PAPERMILL}


def plain_parameters(cell: Cell) -> Iterator[Parameter]:
    """The parameters of a cell tagged ``parameters``; nothing where it is Python.

    That are the lines which set a name to a literal and begin with it.  In bash all values
    are texts.
    """
    if cell.language not in _PAPERMILL:
        return
    for number, line in enumerate(cell.source.split("\n"), 1):
        read = _of_bash(line) if cell.language == "bash" else _of_other(line, cell.language)
        if read is not None:
            name, value = read
            type_ = _TYPES[type(value)]
            yield Parameter(name, type_, value, cell=cell.number, line=number)


def _of_bash(line: str) -> tuple[str, object] | None:
    found = _BASH.fullmatch(line.rstrip())
    if found is None:
        return None
    return found["name"], found["single"] or found["double"] or found["word"] or ""


def _of_other(line: str, language: str) -> tuple[str, object] | None:
    found = _OTHER.fullmatch(line.rstrip())
    if found is None or (found["single"] and language not in _OF_STATISTICIANS):
        return None
    name, text = found["name"], found["value"]
    if found["number"] is None:
        quoted = found["double"] or found["single"]
        return name, quoted[1:-1] if quoted else text.lower() == "true"
    if text.endswith("L"):
        return name, int(float(text[:-1]))
    is_whole = re.fullmatch(r"[-+]?\d+", text) and language not in _OF_STATISTICIANS
    return name, int(text) if is_whole else float(text)
