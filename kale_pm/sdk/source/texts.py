"""Source texts: moved to another indentation, and the names in them."""

from __future__ import annotations

import ast
import importlib.util
import io
import re
import symtable
import tokenize
from collections.abc import Iterator, Mapping
from functools import lru_cache

_RELATIVE = re.compile(rb"from\s*\.[.\s]*[\w.]*\s*import\b")
# pandas looks such names up by itself: df.query("age > @limit").
_NAMED_IN_TEXT = re.compile(r"@([A-Za-z_]\w*)")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@lru_cache(maxsize=64)
def lines_inside_texts(source: str) -> frozenset[int]:
    """The lines (from 1) that begin inside of a text literal: their blanks belong to it."""
    if not any(map(_is_long_text, ast.walk(ast.parse(source)))):
        return frozenset()  # most have none, and to take code to its tokens takes long
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return frozenset(
        line for token in tokens for line in range(token.start[0] + 1, token.end[0] + 1)
    )


def _is_long_text(node: ast.AST) -> bool:
    # No other constant goes over several lines.
    return isinstance(node, (ast.JoinedStr, ast.Constant)) and node.end_lineno != node.lineno


def dedented(source: str, first: int, last: int, width: int) -> str:
    """Lines ``first`` to ``last`` (from 1) of ``source``, without ``width`` columns of blanks."""
    kept = lines_inside_texts(source)
    lines = source.split("\n")[first - 1 : last]
    return "\n".join(
        line if number in kept else _without_blanks(line, width)
        for number, line in enumerate(lines, first)
    )


def _without_blanks(line: str, width: int) -> str:
    # A comment may stand further to the left than the code around it.
    return line[width:] if not line[:width].strip() else line.lstrip()


def indented(text: str) -> str:
    """The same code as the body of something, four columns to the right."""
    kept = lines_inside_texts(text + "\n")
    return "\n".join(
        line if number in kept or not line.strip() else f"    {line}"
        for number, line in enumerate(text.split("\n"), 1)
    )


def with_absolute_imports(text: str, package: str) -> str:
    """The same code where no package is around it: ``from .a import b`` names the package.

    What leads nowhere from ``package`` is left as it is: it fails there, too.
    """
    if not _RELATIVE.search(text.encode()):
        return text
    lines = [line.encode() for line in text.split("\n")]
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        try:
            name = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
        except (ImportError, ValueError):
            continue
        line, start = lines[node.lineno - 1], node.col_offset
        made = _RELATIVE.sub(f"from {name} import".encode(), line[start:], count=1)
        lines[node.lineno - 1] = line[:start] + made
    return b"\n".join(lines).decode()


def with_other_code(source: str, codes: Mapping[ast.expr, str]) -> str:
    """``source`` with other code where these expressions stand, between parentheses.

    Everything else stays on its line.
    """
    lines = [line.encode() for line in source.split("\n")]
    for node in sorted(codes, key=lambda each: (each.lineno, each.col_offset), reverse=True):
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        after = lines[last][node.end_col_offset :]
        made = lines[first][: node.col_offset] + codes[node].encode()
        lines[first : last + 1] = [made, *[b""] * (last - first)]
        lines[last] += after
    return b"\n".join(lines).decode()


def global_reads(text: str) -> frozenset[str]:
    """The names that the code looks up in its module, in its functions, classes and texts too."""
    return code_reads(text).union(_NAMED_IN_TEXT.findall(text))


def code_reads(text: str) -> frozenset[str]:
    """The same without those in its texts, which may as well be variables of a function."""
    names = set(_reads(symtable.symtable(text, "<cell>", "exec")))
    if "class" in text:
        names.update(_class_reads(ast.parse(text)))
    return frozenset(names)


def _reads(table: symtable.SymbolTable) -> Iterator[str]:
    is_module = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() if is_module else symbol.is_global():
            yield symbol.get_name()
    for child in table.get_children():
        yield from _reads(child)


def _class_reads(tree: ast.Module) -> Iterator[str]:
    """The names that the body of a class reads before it binds them, as in ``size = size``.

    Wherever the class stands, that is the module's; to the compiler it is the class's own.
    """
    for each in ast.walk(tree):
        read: set[str] = set()
        bound: set[str] = set()
        for statement in each.body if isinstance(each, ast.ClassDef) else ():
            names = [node for node in _at_its_level(statement) if isinstance(node, ast.Name)]
            read |= {node.id for node in names if isinstance(node.ctx, ast.Load)} - bound
            bound |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
            if isinstance(statement, _DEFINITIONS):
                bound.add(statement.name)
        yield from read & bound


def _at_its_level(node: ast.AST) -> Iterator[ast.AST]:
    """The node and those inside of it, but for the bodies of functions and classes."""
    yield node
    for each in ast.iter_child_nodes(node):
        is_body = isinstance(node, _DEFINITIONS) and each in node.body
        if not is_body and not isinstance(each, ast.Lambda):
            yield from _at_its_level(each)


def bound_names(text: str) -> frozenset[str]:
    """The names that the code binds at its top level."""
    table = symtable.symtable(text, "<cell>", "exec")
    return frozenset(
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    )


def function_table(text: str) -> symtable.Function:
    """The names of the one function that ``text`` defines, by the compiler's own rules."""
    tables = symtable.symtable(text, "<cell>", "exec").get_children()
    return next(table for table in tables if isinstance(table, symtable.Function))
