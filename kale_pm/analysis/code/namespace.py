"""The notebook's namespace while code is followed: binding, reading, changing, calling.

:class:`Namespace` is the lowest part of the flow; expressions and statements are built on
it.  Only names of the notebook's namespace are noted: names local to a function, a class
body or a comprehension are known here but leave no trace outside.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from kale_pm.analysis.code.bindings import State
from kale_pm.analysis.code.catalogue import RESTLESS_CALLS, is_familiar
from kale_pm.analysis.code.effects import ITSELF, Code, Effects, Notice, Place, Read
from kale_pm.analysis.code.knowledge import Knowledge
from kale_pm.analysis.code.sharing import (
    Shared,
    bind_arguments,
    code_of,
    code_of_all,
    dotted,
    is_plain,
    shared,
)


class ClassBody(set[str]):
    """The names of a class body: code inside of it, such as a method, does not see them."""


class Namespace:
    """What the code read so far did to the namespace, in the order of execution.

    ``around`` are the scopes of the functions around the code that is followed.
    """

    def __init__(self, known: Knowledge, around: Iterable[set[str]] = ()) -> None:
        self.known = known
        self.effects = Effects()
        self.state = State()
        self.in_function = False
        self.conditional = 0
        self._guards: list[frozenset[str] | None] = []
        self.cell = 0
        self.line = 0
        self.scopes: list[set[str]] = []
        self.around = [scope for scope in around if not isinstance(scope, ClassBody)]
        self.captured: set[str] = set()
        self._active: set[Code] = set()
        self._running: list[str] = []
        self._spread_over: dict[int, tuple[Collection[str], int]] = {}

    # -- places and scopes ----------------------------------------------------------------

    @property
    def place(self) -> Place:
        return Place(self.cell, self.line)

    def at(self, node: ast.AST) -> None:
        self.line = getattr(node, "lineno", self.line)

    def is_local(self, name: str) -> bool:
        return any(name in scope for scope in self.scopes) or self.is_around(name)

    def is_around(self, name: str) -> bool:
        return any(name in scope for scope in self.around)

    @contextmanager
    def scope(self, names: set[str]) -> Iterator[None]:
        """Names that are local to what is read inside, a comprehension for instance.

        What is known of a name outside is set aside: inside it means another variable.
        """
        facts = {name: self.known.take(name) for name in names}
        self.scopes.append(names)
        try:
            yield
        finally:
            self.scopes.pop()
            for name, fact in facts.items():
                self.known.put(name, fact)

    @contextmanager
    def maybe(self) -> Iterator[None]:
        """Code that may run or not."""
        self.conditional += 1
        try:
            yield
        finally:
            self.conditional -= 1

    @contextmanager
    def guarded(self, names: frozenset[str] | None) -> Iterator[None]:
        """Code that takes care of ``names`` that are missing; None means of all names."""
        self._guards.append(names)
        try:
            yield
        finally:
            self._guards.pop()

    def forget_nesting(self) -> None:
        """Whatever was being followed was left in the middle: what comes next stands outside."""
        self.scopes.clear()
        self._guards.clear()
        self._running.clear()
        self._active.clear()
        self.conditional = 0

    # -- names ----------------------------------------------------------------------------

    def read(self, name: str, *, soft: bool = False, call: bool = False) -> None:
        """The name is read here; functions that it leads to may be called by whoever gets it."""
        self._expose(name, soft=soft, certain=not self.conditional and not self.in_function)
        for code in self.known.code.get(name, ()):
            if not call:
                self.refer(code)
            if code.is_restless:
                self.touch([name])
        if name in self.known.restless:
            self.touch([name])

    def _expose(self, name: str, *, soft: bool, certain: bool) -> None:
        if any(name in scope for scope in self.scopes):
            return
        if self.is_around(name):
            self.captured.add(name)
            return
        state = self.state
        if name in state.bound or state.dead:
            return
        if name in state.gone and not self.in_function:
            if certain and not soft and not self._guards:
                self.effects.notices.append(Notice("deleted-here", name, self.place))
            return
        possible = name in state.maybe
        read = Read(
            self.place,
            certain=certain and not soft and not possible,
            soft=soft or any(names is None or name in names for names in self._guards),
            possible=possible,
            through=self._running[-1] if self._running else "",
        )
        earlier = self.effects.reads.get(name)
        if earlier is None or earlier.rank < read.rank:
            self.effects.reads[name] = read

    def bind(self, name: str, value: ast.expr | None = None) -> None:
        """The name is bound here, to the value of ``value`` if that is known."""
        if not self.is_local(name):
            self._part(name)
            self.effects.places.setdefault(name, self.place)
            self.state.bound.add(name)
            self.state.maybe.add(name)
            self.state.gone.discard(name)
        self.learn(name, value)

    def learn(self, name: str, value: ast.expr | None) -> None:
        """Remember what the value of ``name`` shares, leads to and is."""
        share = shared(value, self.known)
        code = code_of(value, self.known)
        plain = value is not None and is_plain(value, self.known)
        if not self.conditional:
            if name in share:
                share |= self._through(name, share.pop(name))
            self.known.forget(name)
        self.known.plain[name] = plain and self.known.plain.get(name, True)
        self.known.modules.pop(name, None)
        if isinstance(value, ast.Call):
            maker = dotted(value.func, self.known)
            if not is_familiar(maker):
                self.known.foreign.add(name)
            if maker in RESTLESS_CALLS:
                self.known.restless.add(name)
        for other, surely in share.items():
            self.known.link(name, other, surely=surely)
        if share:
            self.effects.shares |= {name, *share}
        self.learn_code(name, code)

    def _through(self, name: str, surely: bool) -> Shared:
        """What the old value of ``name`` shares, for a new value made of it: x = x[1:]."""
        mates = [(self.known.groups, False), (self.known.same, surely)]
        return {mate: sure for groups, sure in mates for mate in _another(groups.of(name), name)}

    def _part(self, name: str) -> None:
        """Whatever shared objects with the old value of ``name`` goes without it from now on."""
        self.effects.shares.update(_another(self.known.groups.of(name), name))

    def learn_code(self, name: str, code: frozenset[Code]) -> None:
        if code:
            self.known.code[name] = self.known.code.get(name, frozenset()) | code
            self.known.plain[name] = False
            self.state.applied.clear()

    def delete(self, name: str) -> None:
        self.read(name)
        if self.is_local(name):
            return
        self._part(name)
        self.state.bound.discard(name)
        self.state.gone.add(name)
        self.effects.may_delete.setdefault(name, self.place)
        self.state.applied.clear()
        if not self.conditional:
            self.known.forget(name)

    # -- changes --------------------------------------------------------------------------

    def mutate(self, share: Shared) -> None:
        """Objects of these variables change in place."""
        for name, surely in share.items():
            if surely and not self.known.plain.get(name, False):
                mates = self.known.same.of(name)
                if self._is_new(name, mates, self.effects.mutates):
                    for mate in mates:
                        self.effects.mutates.setdefault(mate, self.place)
                if not self.conditional:
                    # Of its mates only the run can tell whether they really share.
                    self.effects.changes.add(name)
                if any(code.name == name for code in self.known.code.get(name, ())):
                    self.effects.code_changes.setdefault(name, self.place)
        self.touch(share)

    def touch(self, names: Iterable[str]) -> None:
        """Objects of these variables may change: only the run can tell."""
        for name in names:
            if not self.known.plain.get(name, False):
                group = self.known.groups.of(name)
                if self._is_new(name, group, self.effects.touches):
                    self.effects.touches.update(group)

    def _is_new(self, name: str, group: Collection[str], noted: Collection[str]) -> bool:
        """Is there anything in ``group`` that may not have been noted?

        Most changes are of variables that changed before, together with all their mates.
        """
        if (
            len(group) > 1
            and name in noted
            and self._spread_over.get(id(group))
            == (
                group,
                len(group),
            )
        ):
            return False
        self._spread_over[id(group)] = (group, len(group))
        return True

    def notice(self, code: str, text: str) -> None:
        self.effects.notices.append(Notice(code, text, self.place))

    def anything(self, what: str) -> None:
        """Code whose text nobody knows may read and write any variable."""
        self.effects.dynamic = True
        self.notice("dynamic-access", what)

    # -- calls ----------------------------------------------------------------------------

    def refer(self, code: Code) -> None:
        """Somebody gets hold of ``code`` and may call it."""
        if code in self._active or code in self.state.applied:
            return
        self._active.add(code)
        with self.maybe():
            self._run(code, certain=False)
            for inner in code.returns_code:
                self.refer(inner)
        self._active.discard(code)
        self.state.applied.add(code)

    def call(self, code: Code, node: ast.Call, *, certain: bool) -> None:
        """``code`` is called here with the arguments of ``node``."""
        if code in self._active:
            return
        self._active.add(code)
        self._run(code, certain=certain and not self.conditional)
        bound = bind_arguments(code, node)
        for parameter, arguments in bound.items():
            for argument in arguments:
                share = shared(argument, self.known)
                if parameter in code.mutates_parameters:
                    with self.maybe():
                        self.mutate(share)
                elif parameter in code.touches_parameters:
                    self.touch(share)
        if ITSELF in code.mutates_parameters and isinstance(node.func, ast.Name):
            self.effects.code_changes.setdefault(node.func.id, self.place)
        if "__call__" in code.methods and code.methods["__call__"].changes_receiver:
            self.touch(shared(node.func, self.known))
        self._keep(code, bound)
        self._active.discard(code)

    def _keep(self, code: Code, bound: dict[str, list[ast.expr]]) -> None:
        """What the call put into what, by the names that stand for it here."""

        def meant(name: str) -> Shared:
            if not code.is_own(name):
                return {name: False}
            found: Shared = {}
            for argument in bound.get(name, ()):
                found |= shared(argument, self.known)
            return found

        changed = code.mutates | code.touches | code.mutates_parameters | code.touches_parameters
        for group in code.keeps:
            names = [name for member in group for name in meant(member)]
            self.link_all(names)
            if len(names) > 1:
                self.effects.shares.update(names)
            inside = code_of_all([a for member in group for a in bound.get(member, ())], self.known)
            for holder in group & changed:
                for name in meant(holder):
                    self.learn_code(name, inside)
        for name, gained in code.gains.items():
            for holder in meant(name):
                self.learn_code(holder, gained)

    def link_all(self, names: Iterable[str]) -> None:
        """All of these variables may share objects with one another from now on."""
        every = list(names)
        for name in every[1:]:
            self.known.link(every[0], name)

    def _run(self, code: Code, *, certain: bool) -> None:
        """The deferred effects of ``code``: its free names are looked up here and now."""
        self._running.append(code.name)
        with self.maybe():
            for name in sorted(code.reads):
                self.read(name)
        self._running.pop()
        with self.maybe():
            self.mutate(dict.fromkeys(sorted(code.mutates), True))
        self.touch(code.touches)
        for name in sorted(code.binds | code.may_bind):
            if self.is_local(name):
                continue
            if certain and name in code.binds and not code.is_lazy:
                self.bind(name)
            else:
                self.effects.places.setdefault(name, self.place)
                self.state.maybe.add(name)
                self.state.gone.discard(name)
                self.known.plain[name] = False
        self.effects.dynamic |= code.dynamic
        for notice in code.notices:
            if notice not in self.effects.notices:
                self.effects.notices.append(notice)

    def library_name(self, node: ast.expr) -> str | None:
        """The full name of a library thing; None where the name is the notebook's own."""
        root = node
        while isinstance(root, (ast.Attribute, ast.Call)):
            root = root.value if isinstance(root, ast.Attribute) else root.func
        name = root.id if isinstance(root, ast.Name) else ""
        if self.is_local(name) and name not in self.known.modules:
            return None
        return dotted(node, self.known)


def _another(group: Collection[str], name: str) -> list[str]:
    """One member of the group that is not ``name``: it stands for all others."""
    return [mate for mate in islice(group, 2) if mate != name][:1]
