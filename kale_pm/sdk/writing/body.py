"""The body of a step's function as the cells of a notebook, where that means the same."""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from kale_pm.sdk.source.functions import FunctionSource
from kale_pm.sdk.source.statements import first_line
from kale_pm.sdk.source.texts import dedented, function_table

_OWN_VARIABLES = frozenset(
    {"locals", "vars", "eval", "exec", "globals", "dir", "UnboundLocalError"}
)


@dataclass(frozen=True)
class Chunk:
    """Statements that stand together; ``line`` is where they begin in the function's text."""

    text: str
    line: int


@dataclass(frozen=True)
class Body:
    """A function without its ``def``: the chunks between its blank lines, and what it returns.

    ``returned`` are the expressions of ``return a, b``, which stands in line ``line`` of the
    function's text; ``is_tuple`` tells ``return a,`` from ``return a``.
    """

    chunks: tuple[Chunk, ...]
    returned: tuple[str, ...] = ()
    is_tuple: bool = False
    line: int = 0


def whole_because(source: FunctionSource) -> str:
    """Why the function cannot be taken apart into cells; empty if it can."""
    returns = source.returns
    if source.kept:
        return "it is decorated"
    if len(returns) > 1 or (returns and returns[0] is not source.node.body[-1]):
        return "it returns in the middle"
    if source.is_recursive:
        return "it calls itself"
    if source.reads & _OWN_VARIABLES:
        return "it looks at its own variables"
    if any(isinstance(each, ast.Nonlocal) for each in ast.walk(source.node)):
        return "a function inside of it changes its variables"
    notes = [
        each.annotation
        for each in ast.walk(source.node)
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    ]
    named = {each.id for note in notes for each in ast.walk(note) if isinstance(each, ast.Name)}
    if not all(hasattr(builtins, name) for name in named):
        return "its hints would be read"  # in a function they are not
    lines = [each.lineno for each in source.node.body]
    if returns and lines.count(lines[-1]) > 1:
        return "it is written on one line"
    return ""


def body_of(text: str) -> Body:
    """The body of the function that ``text`` defines; ``whole_because`` had nothing against it."""
    (node,) = ast.parse(text).body
    assert isinstance(node, ast.FunctionDef)
    first = _first_line_of_body(node, text)
    if node.body[0].lineno == node.lineno:  # def f(x): print(x)
        body = "\n".join(map(ast.unparse, node.body))
    else:
        body = dedented(text, first, node.end_lineno or first, node.body[0].col_offset)
    statements = ast.parse(body).body  # a return on its own is refused only later, if at all
    if ast.get_docstring(node, clean=False) is not None:
        statements = statements[1:]
    last = statements[-1] if statements else None
    if not isinstance(last, ast.Return):
        return Body(_chunks(body, first, statements))
    chunks = _chunks(body, first, statements[:-1], before=last.lineno)
    if last.value is None:
        return Body(chunks)
    if isinstance(last.value, ast.Tuple) and not any(
        isinstance(each, ast.Starred) for each in last.value.elts
    ):
        parts = tuple(_segment(body, each) for each in last.value.elts)
        return Body(chunks, parts, True, first + last.lineno - 1)
    part = _segment(body, last.value)
    return Body(chunks, (part,), line=first + last.lineno - 1)


def _segment(text: str, node: ast.expr) -> str:
    segment = ast.get_source_segment(text, node) or ast.unparse(node)
    # Within the parentheses of the return it may go over several lines.
    return segment if _is_whole(segment) else f"({segment})"


def _is_whole(segment: str) -> bool:
    try:
        ast.parse(segment)
    except SyntaxError:
        return False
    return True


def _first_line_of_body(node: ast.FunctionDef, text: str) -> int:
    """Below ``def ...:``; the comments above the first statement belong to the body."""
    lines = text.split("\n")
    line = first_line(node.body[0])
    while line - 1 > node.lineno and lines[line - 2].strip().startswith("#"):
        line -= 1
    return line


def _chunks(
    body: str, first: int, statements: Sequence[ast.stmt], before: int | None = None
) -> tuple[Chunk, ...]:
    """The pieces between blank lines; the return stands in line ``before``, and is left out."""
    if not statements:
        return ()
    lines = body.split("\n")
    starts = [first_line(statements[0])]
    while starts[0] > 1 and lines[starts[0] - 2].startswith("#"):
        starts[0] -= 1
    for above, below in pairwise(statements):
        gap = range((above.end_lineno or above.lineno) + 1, first_line(below))
        blank = next((line for line in gap if not lines[line - 1].strip()), None)
        if blank is not None:
            starts.append(blank)
    end = len(lines) if before is None else before - 1
    stops = [*(start - 1 for start in starts[1:]), end]
    found = []
    for start, stop in zip(starts, stops, strict=True):
        piece = lines[start - 1 : stop]
        lead = next((index for index, line in enumerate(piece) if line.strip()), 0)
        text = "\n".join(piece[lead:]).rstrip()
        found.append(Chunk(text, first + start - 1 + lead))
    return tuple(found)


def renamed(text: str, old: str, new: str) -> str | None:
    """The function with its variable ``old`` called ``new``; None where that is not certain."""
    if any(_rebinds(child, old) for child in function_table(text).get_children()):
        return None
    (node,) = ast.parse(text).body
    assert isinstance(node, ast.FunctionDef)
    lines = [line.encode() for line in text.split("\n")]
    word = old.encode()
    places = [
        (each.lineno, each.col_offset)
        for each in ast.walk(ast.Module(node.body, []))
        if isinstance(each, ast.Name) and each.id == old
    ]
    for line, column in sorted(places, reverse=True):
        was = lines[line - 1]
        if was[column : column + len(word)] != word:
            return None  # some Pythons do not say where a name stands inside of an f-string
        lines[line - 1] = was[:column] + new.encode() + was[column + len(word) :]
    result = b"\n".join(lines).decode()
    for each in ast.walk(ast.Module(node.body, [])):
        if isinstance(each, ast.Name) and each.id == old:
            each.id = new
    # What binds it by other means than its name (an import, an except clause) is left alone.
    (check,) = ast.parse(result).body
    assert isinstance(check, ast.FunctionDef)
    same = ast.dump(ast.Module(check.body, [])) == ast.dump(ast.Module(node.body, []))
    binds = function_table(result).get_locals()
    parameters = function_table(result).get_parameters()
    return result if same and (old not in binds or old in parameters) else None


def _rebinds(table: symtable.SymbolTable, name: str) -> bool:
    own = [each for each in table.get_symbols() if each.get_name() == name]
    if any(each.is_local() or each.is_parameter() or each.is_assigned() for each in own):
        return True
    if any(each.is_declared_global() for each in own):
        return True  # there it is the module's
    return any(_rebinds(child, name) for child in table.get_children())
