"""The statements at the top of a module, with the names that each binds, reads and sets up."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from kale_pm.sdk.source.changes import DEFINITIONS, added_to, root
from kale_pm.sdk.source.functions import tree_of
from kale_pm.sdk.source.texts import bound_names, global_reads

_COMPOUND = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)


@dataclass(frozen=True, eq=False)
class Statement:
    """One statement at the top of a module, or several that share a line.

    ``line`` is where ``text`` begins in the file; comments right above belong to it.
    """

    text: str
    line: int
    nodes: tuple[ast.stmt, ...]

    @cached_property
    def binds(self) -> frozenset[str]:
        return bound_names(self.text)

    @cached_property
    def reads(self) -> frozenset[str]:
        return global_reads(self.text) | added_to(self.nodes)

    @property
    def is_import(self) -> bool:
        return all(isinstance(node, ast.Import | ast.ImportFrom) for node in self.nodes)

    @property
    def is_definition(self) -> bool:
        return all(isinstance(node, ast.FunctionDef) for node in self.nodes)

    @property
    def is_class(self) -> bool:
        return all(isinstance(node, ast.ClassDef) for node in self.nodes)

    @property
    def always_runs(self) -> bool:
        """Whether nobody need name it: it says how code is read, or binds nobody knows what."""
        return any(
            isinstance(node, ast.ImportFrom)
            and (node.module == "__future__" or node.names[0].name == "*")
            for node in self.nodes
        )

    @cached_property
    def sets_up(self) -> frozenset[str]:
        """The names of what it sets up, as in ``np.random.seed(0)``."""
        return frozenset(set_up_by(self.nodes))

    def defines(self, name: str) -> bool:
        """Whether ``name`` is a function or a class of it, perhaps one among several."""
        return any(
            isinstance(each, DEFINITIONS) and each.name == name
            for node in self.nodes
            for each in ast.walk(node)
        )

    @property
    def is_for_scripts(self) -> bool:
        """``if __name__ == "__main__":``, which a step is never."""
        return any(
            isinstance(node, ast.If) and "__name__" in ast.unparse(node.test) for node in self.nodes
        )

    @property
    def is_compound(self) -> bool:
        """Whether it holds other statements that run at once."""
        return any(isinstance(node, _COMPOUND) for node in self.nodes)


def set_up_by(nodes: Iterable[ast.stmt]) -> Iterator[str]:
    """The names with which the calls and assignments begin that may set something up."""
    for node in nodes:
        match node:
            case ast.Expr(value=ast.Call() as target):
                yield root(target)
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript() as target]):
                yield root(target)
            case ast.AugAssign(target=ast.Attribute() | ast.Subscript() as target):
                yield root(target)
            case _ if isinstance(node, _COMPOUND):
                inner = (each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt))
                yield from set_up_by(inner)


@lru_cache(maxsize=64)
def statements_of(text: str) -> tuple[Statement, ...]:
    """The statements of a module; none where it is no Python (a cell that only failed)."""
    try:
        body = tree_of(text).body
    except SyntaxError:
        return ()
    lines = text.split("\n")
    groups: list[list[ast.stmt]] = []
    for node in body:
        if groups and first_line(node) <= (groups[-1][-1].end_lineno or 0):
            groups[-1].append(node)
        else:
            groups.append([node])
    found = []
    done = 0
    for group in groups:
        first, last = first_line(group[0]), group[-1].end_lineno or group[-1].lineno
        while first - 1 > done and lines[first - 2].startswith("#"):
            first -= 1
        is_text = isinstance(group[0], ast.Expr) and isinstance(group[0].value, ast.Constant)
        if not is_text:
            found.append(Statement("\n".join(lines[first - 1 : last]), first, tuple(group)))
        done = last
    return tuple(found)


def first_line(node: ast.stmt) -> int:
    """The line at which a statement begins, decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def definition_text(
    statement: Statement, ours: Callable[[ast.expr], bool]
) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A helper without decorators of ours: a step that another step calls is a function there.

    The others stay, above them too: they may have put the function where a helper looks for it.
    With it come pairs of lines, of the text and of the file, from which on the two go together.
    """
    (node, *others) = statement.nodes
    dropped: set[int] = set()
    if not others and isinstance(node, ast.FunctionDef):
        for each in filter(ours, node.decorator_list):
            dropped.update(range(each.lineno, (each.end_lineno or each.lineno) + 1))
    if not dropped:
        return statement.text, ((1, statement.line),)
    lines = statement.text.split("\n")
    kept = [
        (number, line)
        for number, line in enumerate(lines, statement.line)
        if number >= first_line(node) and number not in dropped
    ]
    marks = [(place, number) for place, (number, _) in enumerate(kept, 1)]
    starts = [mark for mark in marks if (mark[0] - 1, mark[1] - 1) not in marks]
    return "\n".join(line for _, line in kept), tuple(starts)
