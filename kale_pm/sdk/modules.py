"""What a step uses of the module that it was written in: imports, helpers, constants."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import linecache
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from kale_pm.errors import UsageError
from kale_pm.sdk.changes import (
    DEFINITIONS,
    Doubt,
    Effects,
    added_to,
    changed_by,
    effects_of,
    root,
)
from kale_pm.sdk.functions import FunctionSource, meant, shown, tree_of
from kale_pm.sdk.texts import bound_names, global_reads

SDK = "kale_pm.sdk"
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
        return frozenset(_set_up_by(self.nodes))

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


def _is_of_the_sdk(thing: object) -> bool:
    return str(getattr(thing, "__module__", "")).startswith(f"{SDK}.")


def _set_up_by(nodes: Iterable[ast.stmt]) -> Iterator[str]:
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
                yield from _set_up_by(inner)


@dataclass(frozen=True, eq=False)
class ModuleSource:
    """The statements of a module; ``names`` are what it holds now."""

    name: str
    file: str
    package: str
    statements: tuple[Statement, ...]
    names: Mapping[str, Any] = field(repr=False)

    @cached_property
    def effects(self) -> Effects:
        """What its definitions may change, by methods and other people's functions as well."""
        return self._effects(Doubt.ARGUMENTS)

    @cached_property
    def likely_effects(self) -> Effects:
        return self._effects(Doubt.METHODS)

    @cached_property
    def sure_effects(self) -> Effects:
        return self._effects(Doubt.SURE)

    def _effects(self, doubt: Doubt) -> Effects:
        nodes = [node for each in self.statements for node in each.nodes]
        reads = {
            node.name: each.reads
            for each in self.statements
            for node in each.nodes
            if isinstance(node, DEFINITIONS)
        }
        return effects_of(nodes, reads, doubt)

    def needed(
        self,
        wanted: Collection[str],
        is_pipeline: Callable[[object], bool],
        settled: Collection[str] = (),
        changing: Collection[str] = (),
    ) -> list[Statement]:
        """The statements that bind ``wanted``, and all that these need, in their order.

        So are those that set up what these bind, or what the module imports, and any that may
        change one of ``changing``.  What only binds ``settled`` is left out, and so is what
        drives the pipelines of the module: it runs here, not in a step.
        """
        drivers, here = self._drivers(is_pipeline), self.only_here(is_pipeline)
        imports = frozenset().union(*(each.binds for each in self.statements if each.is_import))
        # What calls print sets nothing up, whatever a step prints.
        python_s_own = set(dir(builtins)).difference(*(each.binds for each in self.statements))
        names = set(wanted)
        chosen: set[Statement] = set()
        while True:
            new = {
                each
                for each in self.statements
                if each not in chosen
                and each not in here
                and (
                    each.always_runs
                    or each.binds & names.difference(settled)
                    or (
                        self._set_up_by(each) & (imports | names).difference(settled, python_s_own)
                        and not each.reads & drivers
                    )
                    or (
                        changed_by(each.nodes, self.effects) & names.intersection(changing)
                        and not (each.reads | each.binds) & drivers
                    )
                )
            }
            if not new:
                return [each for each in self.statements if each in chosen]
            chosen |= new
            names |= frozenset().union(*(each.reads for each in new))

    def only_here(self, is_pipeline: Callable[[object], bool]) -> frozenset[Statement]:
        """The statements that no step runs: they run pipelines, or make steps in a loop."""
        drivers = self._drivers(is_pipeline)
        return frozenset(
            each
            for each in self.statements
            if each.is_for_scripts
            or (each.is_compound and (each.reads & drivers or self._makes_steps(each)))
        )

    def _makes_steps(self, statement: Statement) -> bool:
        return any(
            isinstance(each, ast.FunctionDef)
            and any(_is_of_the_sdk(meant(d, dict(self.names))) for d in each.decorator_list)
            for node in statement.nodes
            for each in ast.walk(node)
        )

    def _set_up_by(self, statement: Statement) -> frozenset[str]:
        """What a statement sets up, itself or by a function of the module that it calls."""
        found = set(statement.sets_up)
        waiting = set(found)
        while waiting:
            name = waiting.pop()
            functions = (self._functions[name],) if name in self._functions else ()
            new = {inner for each in functions for inner in _set_up_by(each.body)} - found
            found |= new
            waiting |= new
        return frozenset(found)

    @cached_property
    def _functions(self) -> dict[str, ast.FunctionDef]:
        nodes = (node for each in self.statements for node in each.nodes)
        return {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}

    def _drivers(self, is_pipeline: Callable[[object], bool]) -> set[str]:
        found = {name for name, thing in self.names.items() if is_pipeline(thing)}
        while True:
            more = {
                name
                for each in self.statements
                if each.reads & found and not each.is_for_scripts
                for name in each.binds
            }
            if more <= found:
                return found
            found |= more


def module_of(function: Callable[..., Any], source: FunctionSource) -> ModuleSource:
    """The module in which ``function`` was written, or the session whose cell defined it."""
    names: Mapping[str, Any] = function.__globals__
    name = str(names.get("__name__", ""))
    cells = names.get("In")
    if name == "__main__" and isinstance(cells, list) and source.file != names.get("__file__"):
        statements = [each for text in cells for each in statements_of(str(text))]
        return ModuleSource(name, source.file, "", _in_force(statements), names)
    text = "".join(linecache.getlines(source.file, dict(names)))
    package = str(names.get("__package__") or "")
    return ModuleSource(name, source.file, package, statements_of(text), names)


def _in_force(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    """What cells of a session say that no later cell has said anew."""
    last = {each.text: each for each in statements}
    kept = [each for each in statements if last[each.text] is each]
    return tuple(each for index, each in enumerate(kept) if not _is_replaced(each, kept[index:]))


def _is_replaced(statement: Statement, following: Sequence[Statement]) -> bool:
    left = set(statement.binds)
    for later in following[1:]:
        # A function looks names up when it is called, everything else at once.
        if left & later.reads and not later.is_definition:
            return False
        left -= later.binds
        if statement.binds and not left:
            return True
    return False


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


def imported(statement: Statement, name: str, module: ModuleSource) -> object:
    """What an import gives for ``name`` now; None if that is not known."""
    for node in statement.nodes:
        if isinstance(node, ast.ImportFrom):
            source = _absolute(node, module) if node.level else node.module or ""
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return getattr(sys.modules.get(source), alias.name, None)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if (alias.asname or alias.name.partition(".")[0]) == name:
                    return sys.modules.get(alias.name if alias.asname else name)
    return None


def import_text(statement: Statement, names: Collection[str], module: ModuleSource) -> str:
    """The import as it stands in a notebook: absolute, and of what is needed only.

    Empty where nothing of it is.  Raises UsageError where the SDK itself is needed in a step.
    """
    texts = [_import(node, names, module) for node in statement.nodes]
    if texts == [ast.unparse(node) for node in statement.nodes]:
        return statement.text
    return "\n".join(filter(None, texts))


def _import(node: ast.stmt, names: Collection[str], module: ModuleSource) -> str:
    assert isinstance(node, ast.Import | ast.ImportFrom)
    kept = [
        alias
        for alias in node.names
        if alias.name == "*"
        or (alias.asname or alias.name).partition(".")[0] in names
        or (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    ]
    if isinstance(node, ast.Import):
        if any(alias.name.startswith(SDK) for alias in kept):
            raise _sdk_in_a_step(node, module)
        return ast.unparse(ast.Import(kept)) if kept else ""
    source = node.module or ""
    if node.level:
        source = _absolute(node, module)
    if source == "kale_pm" and any(alias.name == "sdk" for alias in kept):
        raise _sdk_in_a_step(node, module)
    if source == SDK or source.startswith(f"{SDK}."):
        # Of the SDK only this one belongs into a step; the runtime, which goes along, has it.
        source, kept = "kale_pm", [alias for alias in kept if alias.name == "metric"]
    return ast.unparse(ast.ImportFrom(source, kept, 0)) if kept else ""


def _absolute(node: ast.ImportFrom, module: ModuleSource) -> str:
    name = "." * node.level + (node.module or "")
    try:
        return importlib.util.resolve_name(name, module.package or None)
    except (ImportError, ValueError):
        raise UsageError(
            f"{shown(module.file)}:{node.lineno}: the relative import of '{name}' leads nowhere",
            hint="write the import without the dot, and keep the module beside the script",
        ) from None


def _sdk_in_a_step(node: ast.stmt, module: ModuleSource) -> UsageError:
    return UsageError(
        f"{shown(module.file)}:{node.lineno}: a step uses kale_pm.sdk itself, which does not "
        f"travel to the cluster",
        hint="import what it uses by its name: from kale_pm.sdk import metric",
    )


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
