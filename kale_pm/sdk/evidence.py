"""What the source of a module tells of its variables: who binds, changes and reads them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

from kale_pm.sdk.changes import Effects, changed_by, executed, global_names, mentions
from kale_pm.sdk.modules import ModuleSource
from kale_pm.sdk.statements import Statement

# What gives another value each time that it is asked.
_MOMENTARY = frozenset(
    {
        *("choice", "choices", "ctime", "default_rng", "gauss", "getpass", "getpid", "input"),
        *("integers", "mkdtemp", "mkstemp", "monotonic", "normal", "now", "perf_counter", "rand"),
        *("randint", "randn", "random", "randrange", "sample", "shuffle", "strftime", "time"),
        *("time_ns", "today", "token_hex", "token_urlsafe", "uniform", "urandom", "utcnow"),
        *("uuid1", "uuid4"),
    }
)
# What is the step's machine's to say, and may be a secret.
_ENVIRONMENT = frozenset({"environ", "environb", "getenv"})


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
        return mentions(self.carried_out(self.own(name)), _MOMENTARY)

    def is_of_the_environment(self, name: str) -> bool:
        return mentions(self.carried_out(self.own(name)), _ENVIRONMENT)

    def carried_out(self, statements: Iterable[Statement]) -> list[ast.stmt]:
        """The nodes of statements and of the functions that they call."""
        statements = list(statements)
        called = union(map(_called, statements))
        helpers = self._helpers(self.reached(called))
        return [node for each in [*statements, *helpers] for node in each.nodes]

    def reached(self, names: Collection[str]) -> frozenset[str]:
        """The names, and those that the functions among them read, and theirs."""
        found = frozenset(names)
        while True:
            more = union(each.reads for each in self._helpers(found))
            if more <= found:
                return found
            found |= more

    def read_at_once(self, statement: Statement) -> frozenset[str]:
        """What a statement reads when it runs: a function its defaults, a class its body."""
        read = {
            each.id
            for each in executed(statement.nodes)
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)
        }
        return self.reached(_called(statement)).union(read)

    def _helpers(self, names: Collection[str]) -> list[Statement]:
        return [
            each
            for each in self.module.statements
            if each.is_definition and not each.binds.isdisjoint(names)
        ]


def _called(statement: Statement) -> frozenset[str]:
    calls = (each for each in executed(statement.nodes) if isinstance(each, ast.Call))
    return frozenset(each.func.id for each in calls if isinstance(each.func, ast.Name))


def union(parts: Iterable[Iterable[str]]) -> frozenset[str]:
    return frozenset().union(*parts)
