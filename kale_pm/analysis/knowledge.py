"""What is known of the variables at one point of the notebook."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from kale_pm.analysis.effects import Code, Place


@dataclass(frozen=True)
class Fact:
    """All that is known of one variable, to put it back later."""

    code: frozenset[Code]
    module: str | None
    plain: bool | None
    unserialisable: tuple[str, Place] | None
    mates: frozenset[str]
    sure_mates: frozenset[str]


@dataclass
class Knowledge:
    """What is known of the variables.

    ``code``: the functions and classes that a variable may lead to.  ``groups``: variables
    that may share objects, one set for all that it holds.  ``same``: those of them that
    share for certain, so that a change of one is a change of the other.  ``modules``: dotted
    names of imported things.  ``plain``: every variable bound so far, True where it holds an
    immutable value.  ``unserialisable``: what kind of thing, by name.  ``receiver``: in a
    method, the name of its first parameter.
    """

    code: dict[str, frozenset[Code]] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)
    same: dict[str, set[str]] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    plain: dict[str, bool] = field(default_factory=dict)
    unserialisable: dict[str, tuple[str, Place]] = field(default_factory=dict)
    unknown_star: bool = False
    future_annotations: bool = False
    receiver: str | None = None

    def copy(self) -> Knowledge:
        copies = {id(group): set(group) for group in self.distinct_groups()}
        return Knowledge(
            dict(self.code),
            {name: copies[id(group)] for name, group in self.groups.items()},
            {name: set(mates) for name, mates in self.same.items()},
            dict(self.modules),
            dict(self.plain),
            dict(self.unserialisable),
            self.unknown_star,
            self.future_annotations,
            self.receiver,
        )

    def distinct_groups(self) -> Collection[set[str]]:
        return {id(group): group for group in self.groups.values()}.values()

    # -- sharing --------------------------------------------------------------------------

    def mates(self, name: str) -> Collection[str]:
        """``name`` and all variables that may share objects with it."""
        return self.groups.get(name) or (name,)

    def sure_mates(self, name: str) -> set[str]:
        """``name`` and all variables that change when it changes, for certain."""
        found, waiting = {name}, [name]
        while waiting:
            new = self.same.get(waiting.pop(), set()) - found
            found |= new
            waiting += new
        return found

    def link(self, name: str, other: str, *, surely: bool = False) -> None:
        """``name`` and ``other`` may share objects from now on."""
        if name == other:
            return
        if surely:
            self.same.setdefault(name, set()).add(other)
            self.same.setdefault(other, set()).add(name)
        small = self.groups.setdefault(name, {name})
        large = self.groups.setdefault(other, {other})
        if small is large:
            return
        if len(small) > len(large):
            small, large = large, small
        large |= small
        self.groups.update(dict.fromkeys(small, large))

    def part(self, name: str) -> None:
        """``name`` shares nothing any more; what shared through it still does."""
        if group := self.groups.pop(name, None):
            group.discard(name)
        mates = sorted(self.same.pop(name, ()))
        for mate in mates:
            self.same[mate].discard(name)
            self.link(mate, mates[0], surely=True)

    # -- variables ------------------------------------------------------------------------

    def forget(self, name: str) -> None:
        """``name`` is bound anew: nothing that was known of it holds any more."""
        self.code.pop(name, None)
        self.modules.pop(name, None)
        self.plain.pop(name, None)
        self.unserialisable.pop(name, None)
        self.part(name)

    def retire(self, name: str) -> None:
        """Nobody will use ``name`` again: only that it was bound matters still."""
        self.code.pop(name, None)
        self.part(name)

    def take(self, name: str) -> Fact:
        """Forget ``name``, but give what was known of it."""
        fact = Fact(
            self.code.get(name, frozenset()),
            self.modules.get(name),
            self.plain.get(name),
            self.unserialisable.get(name),
            frozenset(self.groups.get(name, ())),
            frozenset(self.same.get(name, ())),
        )
        self.forget(name)
        return fact

    def put(self, name: str, fact: Fact) -> None:
        """What was taken of ``name`` holds again, and nothing else."""
        self.forget(name)
        if fact.code:
            self.code[name] = fact.code
        if fact.module is not None:
            self.modules[name] = fact.module
        if fact.plain is not None:
            self.plain[name] = fact.plain
        if fact.unserialisable is not None:
            self.unserialisable[name] = fact.unserialisable
        for mate in fact.mates:
            self.link(name, mate, surely=mate in fact.sure_mates)


def merge(all_known: Iterable[Knowledge]) -> Knowledge:
    """What may hold after several branches have come together."""
    first, *others = all_known
    merged = first.copy()
    for known in others:
        for name, code in known.code.items():
            merged.code[name] = merged.code.get(name, frozenset()) | code
        for group in known.distinct_groups():
            one = next(iter(group))
            for name in group:
                merged.link(name, one)
        for name, mates in known.same.items():
            for mate in mates:
                merged.link(name, mate, surely=True)
        for name, plain in known.plain.items():
            merged.plain[name] = merged.plain.get(name, True) and plain
        merged.modules.update(known.modules)
        merged.unserialisable.update(known.unserialisable)
        merged.unknown_star |= known.unknown_star
        merged.future_annotations |= known.future_annotations
    return merged
