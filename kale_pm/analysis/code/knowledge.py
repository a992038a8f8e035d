"""What is known of the variables at one point of the notebook."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kale_pm.analysis.code.effects import Code, Place
from kale_pm.analysis.code.groups import Groups


@dataclass(frozen=True)
class Fact:
    """All that is known of one variable, to put it back later."""

    code: frozenset[Code]
    module: str | None
    plain: bool | None
    unserialisable: tuple[str, Place] | None
    mates: frozenset[str]
    same: frozenset[str]


@dataclass
class Knowledge:
    """What is known of the variables.

    ``code``: the functions and classes that a variable may lead to.  ``groups``: variables
    that may share objects.  ``same``: those of them that share for certain, so that a change
    of one is a change of the other.  ``modules``: dotted names of imported things.
    ``plain``: every variable bound so far, True where it holds an immutable value.
    ``unserialisable``: what kind of thing, by name.  ``receiver``: in a method, the name of
    its first parameter.  ``own_methods``: names that classes of the notebook give a meaning
    of their own.  ``foreign``: objects made by packages that the analysis knows nothing of.
    ``restless``: objects that may change by being looked at, such as iterators.
    """

    code: dict[str, frozenset[Code]] = field(default_factory=dict)
    groups: Groups = field(default_factory=Groups)
    same: Groups = field(default_factory=Groups)
    modules: dict[str, str] = field(default_factory=dict)
    plain: dict[str, bool] = field(default_factory=dict)
    unserialisable: dict[str, tuple[str, Place]] = field(default_factory=dict)
    open_ended: bool = False
    future_annotations: bool = False
    receiver: str | None = None
    own_methods: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    restless: set[str] = field(default_factory=set)

    def copy(self) -> Knowledge:
        return Knowledge(
            dict(self.code),
            self.groups.copy(),
            self.same.copy(),
            dict(self.modules),
            dict(self.plain),
            dict(self.unserialisable),
            self.open_ended,
            self.future_annotations,
            self.receiver,
            set(self.own_methods),
            set(self.foreign),
            set(self.restless),
        )

    def link(self, name: str, other: str, *, surely: bool = False) -> None:
        """``name`` and ``other`` may share objects from now on."""
        if name != other:
            self.groups.join(name, other)
            if surely:
                self.same.join(name, other)

    def part(self, name: str) -> None:
        """``name`` shares nothing any more; what shared through it still does."""
        self.groups.part(name)
        self.same.part(name)

    def forget(self, name: str) -> None:
        """``name`` is bound anew: nothing that was known of it holds any more."""
        self.code.pop(name, None)
        self.modules.pop(name, None)
        self.plain.pop(name, None)
        self.unserialisable.pop(name, None)
        self.foreign.discard(name)
        self.restless.discard(name)
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
            frozenset(self.groups.of(name)),
            frozenset(self.same.of(name)),
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
            self.link(name, mate, surely=mate in fact.same)


def merge(all_known: Iterable[Knowledge]) -> Knowledge:
    """What may hold after several branches have come together."""
    first, *others = all_known
    merged = first.copy()
    for known in others:
        for name, code in known.code.items():
            merged.code[name] = merged.code.get(name, frozenset()) | code
        for mine, theirs in ((merged.groups, known.groups), (merged.same, known.same)):
            for group in theirs.all():
                first_name, *names = group
                for name in names:
                    mine.join(first_name, name)
        for name, plain in known.plain.items():
            merged.plain[name] = merged.plain.get(name, True) and plain
        merged.modules.update(known.modules)
        merged.unserialisable.update(known.unserialisable)
        merged.own_methods |= known.own_methods
        merged.foreign |= known.foreign
        merged.restless |= known.restless
        merged.open_ended |= known.open_ended
        merged.future_annotations |= known.future_annotations
    return merged
