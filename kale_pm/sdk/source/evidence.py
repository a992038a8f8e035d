"""What the source of a module tells of its variables: who binds, changes and reads them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from kale_pm.sdk.source.changes import Effects, changed_by, executed, global_names, root
from kale_pm.sdk.source.modules import ModuleSource
from kale_pm.sdk.source.statements import Statement

# What gives another number each time that it is asked, and what follows depends on that.
_RANDOM = frozenset(
    {
        *("choice", "choices", "gauss", "integers", "normal", "rand", "randint", "randn", "random"),
        *("randrange", "sample", "shuffle", "uniform"),
    }
)
# What gives another value each time that it is asked.
_MOMENTARY = _RANDOM | frozenset(
    {
        *("ctime", "getpass", "getpid", "input", "mkdtemp", "mkstemp", "monotonic", "now"),
        *("perf_counter", "strftime", "time", "time_ns", "today", "token_hex", "token_urlsafe"),
        *("urandom", "utcnow", "uuid1", "uuid4"),
    }
)
# What is the step's machine's to say; of the environment it may be a secret.
_ENVIRONMENT = frozenset({"environ", "environb", "getenv"})
_MACHINE = _ENVIRONMENT | frozenset(
    {
        *("__file__", "absolute", "abspath", "cpu_count", "current_device", "cwd", "device_count"),
        *("executable", "exists", "expanduser", "getcwd", "gethostname", "gettempdir", "getuser"),
        *("glob", "home", "is_available", "is_dir", "is_file", "isdir", "isfile", "iterdir"),
        *("listdir", "node", "platform", "resolve", "rglob", "scandir", "walk", "which"),
    }
)


class Words(NamedTuple):
    """The words in the code that gives a variable its value."""

    called: frozenset[str]
    all_of_them: frozenset[str]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the source of ``module`` tells; ``here`` are the statements that no step ever runs."""

    module: ModuleSource
    is_pipeline: Callable[[object], bool]

    @cached_property
    def here(self) -> frozenset[Statement]:
        return self.module.only_here(self.is_pipeline)

    @cached_property
    def rebound(self) -> frozenset[str]:
        """What functions of the module may bind in it, or what only the script itself binds."""
        return self.bound_at_any_time.union(*(each.binds for each in self.here))

    @cached_property
    def bound_at_any_time(self) -> frozenset[str]:
        return union(global_names(each.nodes) for each in self.module.statements)

    def own(self, name: str) -> list[Statement]:
        """The statements that bind a variable, and that a step may run."""
        return [
            each for each in self.module.statements if name in each.binds and each not in self.here
        ]

    def changes(self, statement: Statement, effects: Effects) -> frozenset[str]:
        """What a statement has changed, where no step runs it; the bodies of pipelines too."""
        changed = changed_by(statement.nodes, effects)
        if statement in self.here:
            changed |= statement.binds
        for name in statement.binds:
            if self.is_pipeline(self.module.names.get(name)):
                changed |= effects.changed.get(name, frozenset())
        return changed

    def is_momentary(self, name: str) -> bool:
        """Whether its statements may give another value each time: a moment, or by chance."""
        return not _MOMENTARY.isdisjoint(self._words(name).called)

    def is_random(self, name: str) -> bool:
        """Whether they draw numbers, so that those that are drawn next depend on them."""
        return not _RANDOM.isdisjoint(self._words(name).called)

    def is_of_the_environment(self, name: str) -> bool:
        """Whether its statements ask the environment, or variables that do."""
        return not _ENVIRONMENT.isdisjoint(self._words(name).all_of_them)

    def is_of_the_machine(self, name: str) -> bool:
        """Whether they ask the machine for anything that another one may answer otherwise."""
        return not _MACHINE.isdisjoint(self._words(name).all_of_them)

    def _words(self, name: str) -> Words:
        if name not in self._known_words:
            own = self.own(name)
            nodes = self.carried_out(own)
            behind = self._behind(union(each.reads for each in own))
            more = [node for each in behind for node in each.nodes]
            self._known_words[name] = Words(words_called(nodes), words_in([*nodes, *more]))
        return self._known_words[name]

    @cached_property
    def _known_words(self) -> dict[str, Words]:
        return {}

    def _behind(self, names: Collection[str]) -> set[Statement]:
        """The statements that bind these variables, and those that these read, and so on."""
        found: set[Statement] = set()
        waiting = list(names)
        seen = set(waiting)
        while waiting:
            for each in self._binding.get(waiting.pop(), ()):
                found.add(each)
                new = each.reads - seen
                seen |= new
                waiting += new
        return found

    @cached_property
    def _binding(self) -> dict[str, list[Statement]]:
        found: dict[str, list[Statement]] = {}
        for each in self.module.statements:
            for name in () if each in self.here or each.is_import else each.binds:
                found.setdefault(name, []).append(each)
        return found

    def carried_out(self, statements: Iterable[Statement]) -> list[ast.stmt]:
        """The nodes of statements and of the functions that they call."""
        statements = list(statements)
        called = union(map(_called, statements))
        helpers = self._helpers(self.reached(called))
        return [node for each in [*statements, *helpers] for node in each.nodes]

    def reached(self, names: Collection[str]) -> frozenset[str]:
        """The names, and those that the functions among them read, and theirs."""
        found = set(names)
        waiting = set(names)
        while waiting:
            waiting = set(union(each.reads for each in self._helpers(waiting))) - found
            found |= waiting
        return frozenset(found)

    def read_at_once(self, statement: Statement) -> frozenset[str]:
        """What a statement reads when it runs: a function its defaults, a class its body."""
        read = {
            each.id
            for each in executed(statement.nodes)
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)
        }
        return self.reached(_called(statement)).union(read)

    def _helpers(self, names: Collection[str]) -> list[Statement]:
        return [each for name in names for each in self._definitions.get(name, ())]

    @cached_property
    def _definitions(self) -> dict[str, list[Statement]]:
        found: dict[str, list[Statement]] = {}
        for each in self.module.statements:
            for name in each.binds if each.is_definition or each.is_class else ():
                found.setdefault(name, []).append(each)
        return found


def _called(statement: Statement) -> frozenset[str]:
    """The functions and classes that a statement calls, decorators included."""
    found = set()
    for each in executed(statement.nodes):
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name):
            found.add(each.func.id)
        decorators = getattr(each, "decorator_list", ())
        found.update(name for name in map(root, decorators) if name)
    return frozenset(found)


def words_called(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """The last names of what is called in the code: ``time`` of ``time.time()``."""
    calls = (each.func for node in nodes for each in ast.walk(node) if isinstance(each, ast.Call))
    return frozenset(map(_last_name, calls))


def words_in(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """The names and attributes in the code."""
    found = (each for node in nodes for each in ast.walk(node))
    return frozenset(map(_last_name, found))


def _last_name(node: ast.AST) -> str:
    return str(getattr(node, "attr", None) or getattr(node, "id", ""))


def union(parts: Iterable[Iterable[str]]) -> frozenset[str]:
    return frozenset().union(*parts)
