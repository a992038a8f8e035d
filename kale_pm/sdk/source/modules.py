"""A module that steps were written in, and which of its statements a step needs."""

from __future__ import annotations

import ast
import builtins
import linecache
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import FrameType
from typing import Any

from kale_pm.sdk.source.changes import (
    DEFINITIONS,
    Doubt,
    Effects,
    changed_by,
    effects_of,
    executed,
    mentions,
)
from kale_pm.sdk.source.functions import FunctionSource, meant
from kale_pm.sdk.source.statements import Statement, set_up_by, statements_of

SDK = "kale_pm.sdk"
_REACHING_OUT = frozenset(
    {
        *("Popen", "call", "check_call", "check_output", "copy2", "copyfile", "copytree", "delete"),
        *("dump", "move", "open", "post", "put", "remove", "removedirs", "rename", "request"),
        *("rmdir", "rmtree", "run", "savefig", "send", "sleep", "system", "to_csv", "to_json"),
        *("to_parquet", "to_pickle", "to_sql", "touch", "unlink", "urlopen", "urlretrieve"),
        *("write", "write_bytes", "write_text"),
    }
)


def _is_of_the_sdk(thing: object) -> bool:
    return str(getattr(thing, "__module__", "")).startswith(f"{SDK}.")


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
                        and not self._reaches_out(each)
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
            or self._runs_steps(each)
        )

    def _runs_steps(self, statement: Statement) -> bool:
        """Whether it executes one of the module's steps alone, as ``load.run(3)`` does."""
        return any(
            isinstance(each, ast.Call)
            and isinstance(each.func, ast.Attribute)
            and isinstance(each.func.value, ast.Name)
            and _is_of_the_sdk(type(self.names.get(each.func.value.id)))
            for each in executed(statement.nodes)
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
            new = {inner for each in functions for inner in set_up_by(each.body)} - found
            found |= new
            waiting |= new
        return frozenset(found)

    def _reaches_out(self, statement: Statement) -> bool:
        """Whether a statement, or a function that it calls, does something outside of Python.

        Files are written and removed, messages sent and programs run once, and not in every step.
        """
        names = [statement.nodes]
        waiting, seen = {*statement.reads}, set()
        while waiting:
            name = waiting.pop()
            seen.add(name)
            if name in self._functions:
                names.append((self._functions[name],))
                waiting |= self._function_reads[name] - seen
        return any(mentions(nodes, _REACHING_OUT) for nodes in names)

    @cached_property
    def _function_reads(self) -> dict[str, frozenset[str]]:
        return {name: each.reads for each in self.statements for name in each.binds}

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
    line = _line_of(names)
    have_run = tuple(each for each in statements_of(text) if not line or each.line <= line)
    return ModuleSource(name, source.file, package, have_run, names)


def _line_of(names: Mapping[str, Any]) -> int:
    """The line at which a module is being executed, below which nothing has run; 0 if it is not."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals is names and frame.f_code.co_name == "<module>":
            return frame.f_lineno
        frame = frame.f_back
    return 0


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
