"""The code that may run in a step: its own cells, and what they can reach of the prelude.

Code is read once, however often it is asked for: a sweep asks for that of each step again in
every trial.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from kale_pm.local.cache.parts import short
from kale_pm.model import Cell, Pipeline, Step
from kale_pm.notebook import split_prelude, syntax_tree

_ENVIRONMENT_NAME = re.compile(r"[A-Z_][A-Z0-9_]+")
_CELLS = 1024  # cells whose trees are kept
_STEPS = 256  # steps whose code is kept

# With one of these any function of the prelude may be found by a computed name.
_DYNAMIC = frozenset({"eval", "exec", "globals", "locals", "vars", "__main__", "__dict__"})

Numbered = tuple[int, ast.Module]
"""The number of a cell, and its syntax tree."""


@dataclass(frozen=True, eq=False)
class Code:
    """The syntax trees of all that may run in a step, parameters' literals left out.

    Nobody may change them.
    """

    prelude: Sequence[Numbered]
    own: Sequence[Numbered]

    @cached_property
    def trees(self) -> tuple[ast.Module, ...]:
        return tuple(tree for _, tree in (*self.prelude, *self.own))

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The trees as texts, in which neither comments nor formatting show."""
        return tuple(map(ast.dump, self.trees))

    @cached_property
    def imports(self) -> frozenset[str]:
        """The top-level names of all modules that it imports, but for the standard library's."""
        return frozenset(imported_names(self.trees))

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """What may be the names of environment variables."""
        nodes = (node for tree in self.trees for node in ast.walk(tree))
        texts = (node.value for node in nodes if isinstance(node, ast.Constant))
        names = {t for t in texts if isinstance(t, str) and _ENVIRONMENT_NAME.fullmatch(t)}
        return tuple(sorted(names))

    @cached_property
    def parts(self) -> Mapping[str, Mapping[str, str]]:
        """Hashes of its own cells, and of the prelude's definitions and other statements."""
        definitions: dict[str, str] = {}
        others: dict[str, str] = {}
        for number, tree in self.prelude:
            for index, statement in enumerate(tree.body):
                text = ast.dump(statement)
                names = sorted(_bound(statement))
                for name in names:
                    named = f"{_kind(statement)} {name}"
                    definitions[named] = short(definitions.get(named, "") + text)
                if not names:
                    others[f"{number}:{index}"] = short(text)
        own = {str(number): short(ast.dump(tree)) for number, tree in self.own}
        return {"cells": own, "definitions": definitions, "prelude": others}


def running_code(pipeline: Pipeline, step: Step, arriving: Collection[str] | None = None) -> Code:
    """The code that may run in the step.

    Of the prelude's imports and definitions only those that can be reached from what runs: by
    name, from the step itself or from another statement of the prelude, or inside of a variable
    that the step receives.  ``arriving`` are the names that may come so; None stands for all
    that the steps above use.
    """
    above: tuple[Cell, ...] = ()
    if arriving is None and step.needs:
        names = pipeline.ancestors[step.name]
        above = tuple(cell for each in pipeline.steps if each.name in names for cell in each.code)
    return _code(pipeline.prelude, step.code, above, frozenset(arriving or ()))


def definitions(pipeline: Pipeline) -> frozenset[str]:
    """The names that the prelude's imports, functions and classes bind."""
    return _definitions(pipeline.prelude)


def trees_of(cells: Iterable[Cell]) -> list[ast.Module]:
    """The syntax trees of those cells that hold code."""
    return [tree for _, tree in _numbered(cells)]


def imported_names(trees: Iterable[ast.AST]) -> set[str]:
    """The top-level names of all modules that the code imports, but for the standard library's."""
    names: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - sys.stdlib_module_names


@lru_cache(maxsize=_STEPS)
def _code(
    prelude: tuple[Cell, ...],
    own: tuple[Cell, ...],
    above: tuple[Cell, ...],
    arriving: frozenset[str],
) -> Code:
    mine = _numbered(own)
    running = [*(tree for _, tree in mine), *trees_of(above)]
    return Code(_reachable(_numbered(_without_parameters(prelude)), running, arriving), mine)


@lru_cache(maxsize=4)
def _definitions(prelude: tuple[Cell, ...]) -> frozenset[str]:
    trees = trees_of(_without_parameters(prelude))
    return frozenset().union(*(_bound(statement) for tree in trees for statement in tree.body))


@lru_cache(maxsize=4)
def _without_parameters(prelude: tuple[Cell, ...]) -> tuple[Cell, ...]:
    return split_prelude(prelude)[1]


_tree = lru_cache(maxsize=_CELLS)(syntax_tree)


def _numbered(cells: Iterable[Cell]) -> list[Numbered]:
    """Without cells that hold nothing but comments."""
    found = [(cell.number, _tree(cell)) for cell in cells if cell.is_code]
    return [(number, tree) for number, tree in found if tree.body]


def _reachable(
    prelude: Iterable[Numbered], running: Iterable[ast.Module], arriving: Collection[str]
) -> list[Numbered]:
    """The prelude without the imports and definitions that nothing can reach."""
    waiting = [statement for _, tree in prelude for statement in tree.body]
    names = set(arriving).union(*(_mentioned(tree) for tree in running))
    kept: set[ast.stmt] = set()
    while True:
        reached = [s for s in waiting if _runs(s) or names & ({*_bound(s)} | _DYNAMIC)]
        if not reached:
            break
        waiting = [s for s in waiting if s not in reached]
        kept |= {*reached}
        names |= set().union(*(_mentioned(statement) for statement in reached))
    found = [(number, [s for s in tree.body if s in kept]) for number, tree in prelude]
    return [(number, ast.Module(body, [])) for number, body in found if body]


def _runs(statement: ast.stmt) -> bool:
    """Whether a statement of the prelude does more than to bind names."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return bool(statement.decorator_list)
        case ast.ClassDef():
            return not _is_plain(statement)
        case ast.Import():
            return False
        case ast.ImportFrom():
            return statement.module == "__future__" or statement.names[0].name == "*"
    return True


def _is_plain(definition: ast.ClassDef) -> bool:
    """Whether nobody but those who name the class can notice it.

    A base may register its subclasses, a decorator what it decorates, and anything may happen
    in the body; ``dataclass`` alone is well known and everywhere.
    """
    decorators = {ast.unparse(each).partition("(")[0] for each in definition.decorator_list}
    return (
        not definition.bases
        and not definition.keywords
        and decorators <= {"dataclass", "dataclasses.dataclass"}
        and all(_only_defines(statement) for statement in definition.body)
    )


def _only_defines(statement: ast.stmt) -> bool:
    match statement:
        case ast.FunctionDef(decorator_list=decorators):
            names = {ast.unparse(each) for each in decorators}
            return names <= {"property", "staticmethod", "classmethod"}
        case ast.Pass() | ast.Expr(value=ast.Constant()) | ast.Assign(value=ast.Constant()):
            return True
        case ast.AnnAssign(value=None | ast.Constant()):
            return True
    return False


def _bound(statement: ast.stmt) -> set[str]:
    """The names that an import, a function or a class binds."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {statement.name}
        case ast.Import() | ast.ImportFrom():
            return {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    return set()


def _kind(statement: ast.stmt) -> str:
    match statement:
        case ast.Import() | ast.ImportFrom():
            return "import"
        case ast.ClassDef():
            return "class"
    return "function"


def _mentioned(tree: ast.AST) -> set[str]:
    """All names in the code, and the words of its texts: queries and magics hold names too."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= set(re.findall(r"\w+", node.value))
    return names
