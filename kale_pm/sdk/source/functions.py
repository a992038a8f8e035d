"""A step's function as it was written: its text, its names, and what it returns."""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from kale_pm.errors import UsageError
from kale_pm.notebook.source import parse, python_text
from kale_pm.sdk.source.texts import (
    dedented,
    function_table,
    global_reads,
    with_absolute_imports,
    with_other_code,
)

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@dataclass(frozen=True)
class FunctionSource:
    """Where a function was written.

    ``source`` is the text of the whole file (or of the session's cell), ``node`` the function
    in it; ``kept`` are the decorators that belong to the function when it is a step.  ``package``
    is where its relative imports begin.  ``settled`` are names of parameters with the code that
    takes the place of their defaults.
    """

    file: str
    source: str
    node: ast.FunctionDef
    kept: tuple[ast.expr, ...] = ()
    package: str = ""
    settled: tuple[tuple[str, str], ...] = ()

    @property
    def place(self) -> str:
        """The file and the line of ``def``, for people."""
        return f"{shown(self.file)}:{self.node.lineno}"

    @property
    def first_line(self) -> int:
        """Where its text begins in the file: with the decorators that are kept."""
        return min([self.node.lineno, *(each.lineno for each in self.kept)])

    @cached_property
    def written(self) -> str:
        """The definition on its own, without the decorators that are not kept."""
        return self._cut_out(self.source)

    @cached_property
    def text(self) -> str:
        """The same with the defaults that are settled; it has as many lines."""
        if not self.settled:
            return self.written
        nodes, codes = default_nodes(self.node), dict(self.settled)
        return self._cut_out(with_other_code(self.source, {nodes[n]: codes[n] for n in codes}))

    @cached_property
    def defaults(self) -> dict[str, str]:
        """Parameter -> the code of its default."""
        nodes = default_nodes(self.node)
        return {name: ast.unparse(node) for name, node in nodes.items()} | dict(self.settled)

    @cached_property
    def computed_defaults(self) -> dict[str, ast.expr]:
        """Parameter -> its default, of those whose default is no literal."""
        nodes = default_nodes(self.node)
        return {name: node for name, node in nodes.items() if not _is_literal(node)}

    def _cut_out(self, source: str) -> str:
        last = self.node.end_lineno or self.first_line
        text = dedented(source, self.first_line, last, self.node.col_offset)
        return with_absolute_imports(text, self.package)

    @property
    def documentation(self) -> str:
        return ast.get_docstring(self.node) or ""

    @cached_property
    def body(self) -> tuple[ast.stmt, ...]:
        """The statements but for the docstring."""
        has_docstring = ast.get_docstring(self.node, clean=False) is not None
        return tuple(self.node.body[1:] if has_docstring else self.node.body)

    @cached_property
    def locals(self) -> frozenset[str]:
        """Its own variables, parameters included."""
        return frozenset(function_table(self.text).get_locals())

    @cached_property
    def reads(self) -> frozenset[str]:
        """What it looks up in its module: for its defaults, hints and decorators as well."""
        return global_reads(self.text)

    @property
    def is_recursive(self) -> bool:
        return self.node.name in self.reads

    @cached_property
    def returns(self) -> tuple[ast.Return, ...]:
        """Its own return statements, not those of functions inside of it."""
        return tuple(each for each in _own_nodes(self.node) if isinstance(each, ast.Return))

    @cached_property
    def lengths(self) -> dict[int, int]:
        """Line of ``return a, b`` -> how many values that gives; ``return a`` is left out."""
        return {
            each.lineno: len(each.value.elts)
            for each in self.returns
            if isinstance(each.value, ast.Tuple)
            and not any(isinstance(element, ast.Starred) for element in each.value.elts)
        }

    @property
    def gives_nothing(self) -> bool:
        return all(each.value is None for each in self.returns)

    def holds(self, *kinds: type[ast.AST]) -> bool:
        """Whether a node of such a kind is its own, not that of a function inside of it."""
        return any(isinstance(each, kinds) for each in _own_nodes(self.node))


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def default_nodes(node: ast.FunctionDef) -> dict[str, ast.expr]:
    """Parameter -> its default, of those that have one."""
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    with_default = positional[len(positional) - len(arguments.defaults) :]
    pairs = [
        *zip(with_default, arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return {parameter.arg: default for parameter, default in pairs if default is not None}


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, _SCOPES):
            yield from _own_nodes(child)


def function_source(function: Callable[..., Any], ours: Sequence[object] = ()) -> FunctionSource:
    """The source of ``function``; ``ours`` are decorators that end what belongs to it.

    Raises UsageError where there is none to be had.
    """
    inner = inspect.unwrap(function)
    code = getattr(inner, "__code__", None)
    if code is None:
        kind = type(inner).__name__
        raise UsageError(
            f"{function!r} cannot be a step: it is no function written in Python, but a {kind}",
            hint="write a function that calls it",
        )
    file = _file(code.co_filename, inner.__globals__)
    linecache.checkcache(file)
    raw = "".join(linecache.getlines(file, inner.__globals__))
    node = _found(raw, code.co_name, code.co_firstlineno) if raw else None
    if isinstance(node, ast.AsyncFunctionDef):
        raise UsageError(
            f"{shown(file)}:{node.lineno}: {node.name} is an async function: a step is called once",
            hint="write an ordinary function: of async def work(), "
            "ThreadPoolExecutor().submit(asyncio.run, work()).result() gives what it returns; "
            "asyncio.run alone cannot, since a kernel runs an event loop already",
        )
    if node is None:
        what = "a lambda" if code.co_name == "<lambda>" else f"'{code.co_name}'"
        raise UsageError(
            f"the source of {what} cannot be found ({file}): a step is made of its source",
            hint="define it with def in a file, or in a cell of a notebook, one without %%time",
        )
    kept = _kept(node.decorator_list, ours, inner.__globals__)
    package = str(inner.__globals__.get("__package__") or "")
    return FunctionSource(file, _python(raw), node, kept, package)


def _file(named: str, names: Mapping[str, Any]) -> str:
    """The file of a function; of a script it may be named from a folder that it has left."""
    own = str(names.get("__file__") or "")
    return own if Path(own).name == Path(named).name else named


def shown(file: str) -> str:
    """A file as messages name it."""
    path = Path(file)
    if "ipykernel" in path.parent.name or file.startswith("<"):
        return "a cell"
    return path.name


@lru_cache(maxsize=64)
def _python(raw: str) -> str:
    return python_text(raw)


@lru_cache(maxsize=64)
def tree_of(raw: str) -> ast.Module:
    return parse(raw)


def _found(raw: str, name: str, line: int) -> _Function | None:
    return _functions_in(raw).get((name, line))


@lru_cache(maxsize=64)
def _functions_in(raw: str) -> dict[tuple[str, int], _Function]:
    """The functions of a file by their names and first lines."""
    try:
        nodes = ast.walk(tree_of(raw))
    except SyntaxError:
        return {}  # the file was saved again since it was imported
    functions = (each for each in nodes if isinstance(each, _Function))
    return {
        (each.name, min([each.lineno, *(above.lineno for above in each.decorator_list)])): each
        for each in functions
    }


def _kept(
    decorators: Sequence[ast.expr], ours: Sequence[object], names: dict[str, Any]
) -> tuple[ast.expr, ...]:
    """What stands below the last of our decorators: what stands above never saw the function."""
    places = [
        index
        for index, decorator in enumerate(decorators)
        if any(meant(decorator, names) is each for each in ours)
    ]
    return tuple(decorators[max(places, default=-1) + 1 :])


def meant(decorator: ast.expr, names: dict[str, Any]) -> object:
    """What a decorator is, called or not; None where its expression is no plain name."""
    match decorator:
        case ast.Call(func=function):
            return meant(function, names)
        case ast.Name(id=name):
            return names.get(name)
        case ast.Attribute(value=owner, attr=name):
            return getattr(meant(owner, names), name, None)
    return None
