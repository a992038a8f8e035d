"""What the steps of a pipeline use of their modules, as the cells that run first in every step.

The steps of several modules share one notebook.  Where two modules use one name for different
things, the code of the later one goes into a function of its own, where its names are its own.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from kale_pm.errors import UsageError
from kale_pm.sdk.source.constants import statements_for
from kale_pm.sdk.source.functions import meant, shown
from kale_pm.sdk.source.imports import import_text
from kale_pm.sdk.source.modules import ModuleSource
from kale_pm.sdk.source.statements import Statement, definition_text
from kale_pm.sdk.source.texts import (
    bound_names,
    code_reads,
    global_reads,
    indented,
    with_absolute_imports,
)

_BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True)
class Piece:
    """Code of the prelude, and where it was written.

    ``marks`` are pairs of a line of ``text`` and the line of ``file`` that it comes from.
    """

    role: str
    text: str
    file: str
    marks: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Prelude:
    """The code that every step runs first.

    ``texts`` has the code that binds each of its names, ``owners`` the modules that this was
    written in; ``late_reads`` are the names that its functions look up when they are called.
    ``homes`` says of which function a module's code is the body, if it is.
    """

    pieces: tuple[Piece, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    owners: Mapping[str, ModuleSource] = field(default_factory=dict)
    late_reads: frozenset[str] = frozenset()
    homes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Use:
    """What is used of one module: names, and the functions of steps that may move in there.

    ``steps`` has the definitions of each such function, ``lines`` where in the file it begins.
    """

    module: ModuleSource
    names: frozenset[str]
    steps: Mapping[str, frozenset[str]]
    lines: Mapping[str, int] = field(default_factory=dict)


def prelude_of(
    uses: Sequence[Use],
    *,
    ours: Sequence[object],
    is_pipeline: Callable[[object], bool],
    taken: frozenset[str],
) -> Prelude:
    """The prelude of steps that use all this; ``taken`` are the pipeline's parameters.

    Raises UsageError where a parameter has the name of something that a step uses, a builtin too.
    """
    pieces: list[Piece] = []
    texts: dict[str, str] = {}
    owners: dict[str, ModuleSource] = {}
    homes: dict[str, str] = {}
    for use in uses:
        found = _pieces(use, ours, is_pipeline)
        bound = {name: piece.text for piece in found for name in bound_names(piece.text)}
        clash = taken & bound.keys() - texts.keys()
        if clash:
            name = min(clash)
            raise UsageError(
                f"the pipeline's parameter '{name}' has the name of something that a step uses "
                f"({shown(use.module.file)})",
                hint="rename one of them",
            )
        _refuse_hiding(use, found, taken & _BUILTINS)
        different = {name for name, text in bound.items() if texts.get(name, text) != text}
        if different:
            _refuse_enclosing(use, found, {name: owners[name].file for name in sorted(different)})
            home = _free_name(f"module_{_plain(use.module.name)}", {*texts, *taken})
            homes[use.module.name] = home
            pieces += (piece for piece in found if _is_future(piece))
            pieces.append(_enclosed(use, found, home))
            texts[home] = pieces[-1].text
            owners[home] = use.module
            continue
        pieces += (piece for piece in found if piece.text not in {p.text for p in pieces})
        texts |= bound
        owners = dict.fromkeys(bound, use.module) | owners
    pieces = _future_first(pieces)
    # Nothing but functions and classes looks anything up later.
    late = [piece.text for piece in pieces if "def " in piece.text or "lambda" in piece.text]
    reads = frozenset().union(*map(global_reads, late)) if late else frozenset()
    return Prelude(_merged(pieces), texts, owners, reads, homes)


def _pieces(use: Use, ours: Sequence[object], is_pipeline: Callable[[object], bool]) -> list[Piece]:
    module = use.module
    statements = statements_for(module, use.names, is_pipeline)
    _refuse_pipelines(use, statements, is_pipeline)
    names = use.names.union(*(each.reads for each in statements))

    def is_ours(decorator: ast.expr) -> bool:
        found = meant(decorator, dict(module.names))
        return any(found is each for each in ours)

    found = []
    for each in statements:
        if each.is_import:
            text, role = import_text(each, names, module), "imports"
            marks: tuple[tuple[int, int], ...] = ((1, each.line),)
        else:
            text, marks = definition_text(each, is_ours)
            text, role = with_absolute_imports(text, module.package), "functions"
        if text:
            found.append(Piece(role, text, module.file, marks))
    if any("__file__" in each.reads for each in statements) or "__file__" in use.names:
        # A kernel has none; steps work in the script's folder.
        text = f'__file__ = "{shown(module.file)}"'
        found.insert(0, Piece("functions", text, module.file, ()))
    return found


def _refuse_hiding(use: Use, pieces: Iterable[Piece], taken: frozenset[str]) -> None:
    """Raise UsageError where the module uses builtins that parameters of these names would hide."""
    if not taken:
        return
    readers = [
        (f"line {piece.marks[0][1]}" if piece.marks else "the top", piece.text) for piece in pieces
    ]
    readers += [(f"'{step}'", text) for step, texts in use.steps.items() for text in texts]
    for reader, text in readers:
        for name in sorted(taken & code_reads(text)):
            raise UsageError(
                f"the pipeline's parameter '{name}' has the name of a builtin of Python's that "
                f"{reader} of {shown(use.module.file)} uses",
                hint="rename the parameter",
            )


def _refuse_pipelines(
    use: Use, statements: Iterable[Statement], is_pipeline: Callable[[object], bool]
) -> None:
    for each in statements:
        for name in each.binds:
            if is_pipeline(use.module.names.get(name)) and not each.is_import:
                raise UsageError(
                    f"{shown(use.module.file)}:{each.line}: a step uses the pipeline '{name}': "
                    f"a step cannot run a pipeline",
                    hint="call the pipeline outside of the steps",
                )


def _refuse_enclosing(use: Use, pieces: Sequence[Piece], clashes: Mapping[str, str]) -> None:
    """Raise UsageError where the module means something else inside of a function.

    ``clashes`` are the names that it shares, with the files that use them for something else.
    """
    file = shown(use.module.file)
    name, other = next(iter(clashes.items()))
    names = ", ".join(f"'{each}'" for each in clashes)
    because = f"{file} and {shown(other)} use the name '{name}' for different things"
    hint = f"rename {names} in one of the two modules"
    if any("import *" in piece.text for piece in pieces):
        raise UsageError(
            f"{file}: there is an 'import *', and {because}",
            hint=f"import by name what its steps use, or {hint}",
        )
    for piece in pieces:
        above = piece.marks[0][1] - 1 if piece.marks else 0
        for line, what in _bound_to_the_module(ast.parse(piece.text)):
            raise UsageError(f"{file}:{above + line}: {what}, but {because}", hint=hint)
        for each in sorted(bound_names(piece.text)):
            made = use.module.names.get(each)
            if isinstance(made, type) and made.__module__ == use.module.name:
                what = _is_one_class(each)  # made by a call, as named tuples are
                raise UsageError(f"{file}:{above + 1}: {what}, but {because}", hint=hint)
    for step, definitions in use.steps.items():
        if len(definitions) > 1:
            raise UsageError(
                f"{file}: several steps are functions of the name '{step}', and {because}",
                hint=f"{hint}, or give each function a name of its own",
            )
        for _, what in _bound_to_the_module(ast.parse(min(definitions))):
            raise UsageError(f"{file}: step function '{step}': {what}, but {because}", hint=hint)


def _bound_to_the_module(tree: ast.AST, *, is_inside: bool = False) -> Iterator[tuple[int, str]]:
    """What only a module can have, with its line: variables, and classes made but once."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Global):
            yield node.lineno, f"'global {', '.join(node.names)}' changes the module"
        elif isinstance(node, ast.ClassDef) and not is_inside:
            yield node.lineno, _is_one_class(node.name)
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _bound_to_the_module(node, is_inside=is_inside or is_function)


def _is_one_class(name: str) -> str:
    return f"class '{name}' has to be the same one in every step"


def _enclosed(use: Use, pieces: Sequence[Piece], home: str) -> Piece:
    """All of a module in one function, which gives the functions of its steps."""
    about = f"{shown(use.module.file)}: other modules use some of its names for other things."
    given = ", ".join(f'"{name}": {name}' for name in use.steps)
    moving = use.steps.keys() - all_names(pieces)
    body = [
        (f'"""{about}"""', ()),
        *((piece.text, piece.marks) for piece in pieces if not _is_future(piece)),
        *((min(use.steps[name]), ((1, use.lines[name]),)) for name in use.steps if name in moving),
        (f"return {{{given}}}", ()),
    ]
    marks, above = [], 1
    for text, own in body:
        marks += [(above + line, there) for line, there in own]
        above += text.count("\n") + 2
    inner = indented("\n\n".join(text for text, _ in body))
    return Piece("functions", f"def {home}():\n{inner}", use.module.file, tuple(marks))


def all_names(pieces: Iterable[Piece]) -> frozenset[str]:
    return frozenset().union(*(bound_names(piece.text) for piece in pieces))


def _future_first(pieces: Sequence[Piece]) -> list[Piece]:
    future = [piece for piece in pieces if _is_future(piece)]
    first = {piece.text: piece for piece in reversed(future)}.values()
    return [*first, *(piece for piece in pieces if piece not in future)]


def _is_future(piece: Piece) -> bool:
    return piece.text.startswith("from __future__ import")


def _merged(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Neighbours of one kind in one cell: short ones close together, the others apart."""
    found = []
    for (role, file), group in groupby(pieces, lambda piece: (piece.role, piece.file)):
        text, marks, before = "", [], ""
        for piece in group:
            if text:
                is_close = role == "imports" or not {"\n"} & {*before, *piece.text}
                text += "\n" if is_close else "\n\n\n"
            above = text.count("\n")
            marks += [(line + above, there) for line, there in piece.marks]
            text, before = text + piece.text, piece.text
        found.append(Piece(role, text, file, tuple(marks)))
    return tuple(found)


def _plain(name: str) -> str:
    return name.replace(".", "_").strip("_") or "script"


def _free_name(name: str, taken: Iterable[str]) -> str:
    known = set(taken)
    while name in known:
        name += "_"
    return name
