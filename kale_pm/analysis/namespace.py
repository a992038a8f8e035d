"""The notebook's namespace while code is followed: binding, reading, changing, calling.

:class:`Namespace` is the lowest part of the flow; expressions and statements are built on
it.  Only names of the notebook's namespace are noted: names local to a function, a class
body or a comprehension are known here but leave no trace outside.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kale_pm.analysis.effects import Code, Effects, Knowledge, Notice, Place, Read
from kale_pm.analysis.sharing import Shared, bind_arguments, code_of, dotted, is_plain, shared


@dataclass
class State:
    """Which names are bound at one point: for certain, possibly, and certainly not.

    ``dead`` code cannot be reached: it follows a return, raise, break or continue.
    """

    bound: set[str] = field(default_factory=set)
    maybe: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    dead: bool = False

    def fork(self) -> State:
        return State(set(self.bound), set(self.maybe), set(self.gone), self.dead)


def join(states: Iterable[State]) -> State:
    """Where several ways come together; ways that ended before do not count."""
    every = list(states)
    living = [state for state in every if not state.dead]
    if not living:
        return State(dead=True, maybe=set().union(*(state.maybe for state in every)))
    return State(
        bound=set.intersection(*(state.bound for state in living)),
        maybe=set().union(*(state.maybe for state in every)),
        gone=set.intersection(*(state.gone for state in living)),
    )


class Namespace:
    """What the code read so far did to the namespace, in the order of execution."""

    def __init__(self, known: Knowledge, *, in_function: bool = False) -> None:
        self.known = known
        self.effects = Effects()
        self.state = State()
        self.in_function = in_function
        self.conditional = 0
        self.cell = 0
        self.line = 0
        self.scopes: list[set[str]] = []
        self._active: set[Code] = set()
        self._applied: set[Code] = set()

    # -- places and scopes ----------------------------------------------------------------

    @property
    def place(self) -> Place:
        return Place(self.cell, self.line)

    def at(self, node: ast.AST) -> None:
        self.line = getattr(node, "lineno", self.line)

    def is_local(self, name: str) -> bool:
        return any(name in scope for scope in self.scopes)

    @contextmanager
    def scope(self, names: set[str]) -> Iterator[None]:
        """Names that are local to what is read inside, a comprehension for instance.

        What is known of a name outside is set aside: inside it means another variable.
        """
        hidden = {
            name: (self.known.code.pop(name, None), self.known.plain.pop(name, None))
            for name in names
        }
        aliases = {name: self.known.aliases.pop(name, None) for name in names}
        modules = {name: self.known.modules.pop(name, None) for name in names}
        self.scopes.append(names)
        try:
            yield
        finally:
            self.scopes.pop()
            for name, (code, plain) in hidden.items():
                _restore(self.known.code, name, code)
                _restore(self.known.plain, name, plain)
                _restore(self.known.aliases, name, aliases[name])
                _restore(self.known.modules, name, modules[name])

    @contextmanager
    def maybe(self) -> Iterator[None]:
        """Code that may run or not."""
        self.conditional += 1
        try:
            yield
        finally:
            self.conditional -= 1

    # -- names ----------------------------------------------------------------------------

    def read(self, name: str, *, soft: bool = False, call: bool = False) -> None:
        """The name is read here; functions that it leads to may be called by whoever gets it."""
        self._expose(name, soft=soft, certain=not self.conditional and not self.in_function)
        if not call:
            for code in self.known.code.get(name, ()):
                self.refer(code)

    def _expose(self, name: str, *, soft: bool, certain: bool) -> None:
        state = self.state
        if self.is_local(name) or name in state.bound or state.dead:
            return
        if name in state.gone and not self.in_function:
            return
        earlier = self.effects.reads.get(name)
        if earlier is None or (certain and not earlier.certain) or (earlier.soft and not soft):
            self.effects.reads[name] = Read(self.place, certain and not soft, soft)

    def bind(self, name: str, value: ast.expr | None = None) -> None:
        """The name is bound here, to the value of ``value`` if that is known."""
        if not self.is_local(name):
            # Whatever shared objects with the old value travels without it from now on.
            self.touch(dict.fromkeys(self.known.aliases.get(name, ()), False))
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
            self.known.forget(name)
        self.known.plain[name] = plain and self.known.plain.get(name, True)
        self.known.modules.pop(name, None)
        for other, strong in share.items():
            self.known.link(name, other, strong)
        if share and not self.is_local(name):
            self.touch(share)
        self.learn_code(name, code)

    def learn_code(self, name: str, code: frozenset[Code]) -> None:
        if code:
            self.known.code[name] = self.known.code.get(name, frozenset()) | code
            self.known.plain[name] = False
            self._applied.clear()

    def delete(self, name: str) -> None:
        self.read(name)
        if self.is_local(name):
            return
        self.touch(dict.fromkeys(self.known.aliases.get(name, ()), False))
        self.state.bound.discard(name)
        self.state.gone.add(name)
        self.effects.may_delete.add(name)
        self._applied.clear()
        if not self.conditional:
            self.known.forget(name)

    # -- changes --------------------------------------------------------------------------

    def mutate(self, share: Shared) -> None:
        """Objects of these variables change in place."""
        for name, strong in share.items():
            if self.known.plain.get(name, False):
                continue
            (self.effects.mutates if strong else self.effects.touches).add(name)
            for mate, surely in self.known.aliases.get(name, {}).items():
                (self.effects.mutates if strong and surely else self.effects.touches).add(mate)

    def touch(self, share: Shared) -> None:
        """Objects of these variables may change: only the run can tell."""
        for name in share:
            if not self.known.plain.get(name, False):
                self.effects.touches.add(name)
                self.effects.touches.update(self.known.aliases.get(name, ()))

    def notice(self, code: str, text: str, name: str = "") -> None:
        self.effects.notices.append(Notice(code, text, self.place, name))

    # -- calls ----------------------------------------------------------------------------

    def refer(self, code: Code) -> None:
        """Somebody gets hold of ``code`` and may call it."""
        if code in self._active or code in self._applied:
            return
        self._active.add(code)
        with self.maybe():
            self._run(code, certain=False)
        self._active.discard(code)
        self._applied.add(code)

    def call(self, code: Code, node: ast.Call, *, certain: bool) -> None:
        """``code`` is called here with the arguments of ``node``."""
        if code in self._active:
            return
        self._active.add(code)
        self._run(code, certain=certain and not self.conditional)
        bound = bind_arguments(code, node)
        if code.receiver is not None and isinstance(node.func, ast.Attribute):
            bound[code.receiver] = [node.func.value]
        everything: Shared = {}
        for arguments in bound.values():
            for argument in arguments:
                everything.update(shared(argument, self.known))
        for parameter, arguments in bound.items():
            for argument in arguments:
                share = shared(argument, self.known)
                if parameter in code.mutates_parameters:
                    self.mutate(share)
                    self._store(share, everything, arguments, bound)
                elif parameter in code.touches_parameters:
                    self.touch(share)
        self._active.discard(code)

    def _store(
        self,
        receivers: Shared,
        everything: Shared,
        own: list[ast.expr],
        bound: dict[str, list[ast.expr]],
    ) -> None:
        """A call that changes one argument may keep the other arguments in it."""
        others: frozenset[Code] = frozenset()
        for arguments in bound.values():
            if arguments is not own:
                for argument in arguments:
                    others |= code_of(argument, self.known)
        for name in receivers:
            for other in everything:
                self.known.link(name, other, False)
            self.learn_code(name, others)

    def _run(self, code: Code, *, certain: bool) -> None:
        """The deferred effects of ``code``: its free names are looked up here and now."""
        with self.maybe():
            for name in sorted(code.reads):
                self.read(name)
        for name in sorted(code.mutates):
            self.mutate({name: True})
        self.touch(dict.fromkeys(code.touches, False))
        for name in sorted(code.binds | code.may_bind):
            if self.is_local(name):
                continue
            if certain and name in code.binds:
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
        if isinstance(root, ast.Name) and self.is_local(root.id):
            return None
        return dotted(node, self.known)


def _restore(mapping: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        mapping.pop(name, None)
    else:
        mapping[name] = value
