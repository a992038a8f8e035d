"""The nouns of the analysis: what a piece of code does to the notebook's namespace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Place:
    """Where in the notebook: cell number and line, both from 1."""

    cell: int = 0
    line: int = 0


@dataclass(frozen=True)
class Read:
    """A name that may be read before the code itself binds it.

    ``certain`` reads stand unconditionally at the top level; ``soft`` ones (``!echo $x``)
    count only if there is such a variable.
    """

    place: Place
    certain: bool = False
    soft: bool = False


@dataclass(frozen=True)
class Notice:
    """Something worth a warning that was seen on the way."""

    code: str
    text: str
    place: Place
    name: str = ""


@dataclass(frozen=True, eq=False)
class Code:
    """A function, lambda or class: what happens when it is called, not when it is made.

    Names are those of the notebook's namespace.  ``receiver`` is the first parameter of a
    method; ``mutates_parameters`` and ``touches_parameters`` may hold it.  ``returns`` are
    the names (parameters included) that the result may share objects with,
    ``returns_code`` what the result may call later.
    """

    name: str
    place: Place
    parameters: tuple[str, ...] = ()
    receiver: str | None = None
    reads: frozenset[str] = frozenset()
    binds: frozenset[str] = frozenset()
    may_bind: frozenset[str] = frozenset()
    mutates: frozenset[str] = frozenset()
    touches: frozenset[str] = frozenset()
    mutates_parameters: frozenset[str] = frozenset()
    touches_parameters: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    returns_code: frozenset[Code] = frozenset()
    methods: dict[str, Code] = field(default_factory=dict)
    is_class: bool = False
    dynamic: bool = False
    notices: tuple[Notice, ...] = ()


@dataclass
class Knowledge:
    """What is known of the variables at one point of the notebook.

    ``code``: the functions and classes that a variable may lead to.  ``aliases``: the
    variables it may share objects with, True where it is certain enough to call a change of
    one a change of the other.  ``modules``: dotted names of imported things.  ``plain``:
    every variable bound so far, True where it holds an immutable value.  ``unserialisable``: what kind, by name.
    """

    code: dict[str, frozenset[Code]] = field(default_factory=dict)
    aliases: dict[str, dict[str, bool]] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    plain: dict[str, bool] = field(default_factory=dict)
    unserialisable: dict[str, tuple[str, Place]] = field(default_factory=dict)
    unknown_star: bool = False
    future_annotations: bool = False

    def copy(self) -> Knowledge:
        return Knowledge(
            dict(self.code),
            {name: dict(mates) for name, mates in self.aliases.items()},
            dict(self.modules),
            dict(self.plain),
            dict(self.unserialisable),
            self.unknown_star,
            self.future_annotations,
        )

    def forget(self, name: str) -> None:
        """``name`` is bound anew: nothing that was known of it holds any more."""
        self.code.pop(name, None)
        self.modules.pop(name, None)
        self.plain.pop(name, None)
        self.unserialisable.pop(name, None)
        for mate in self.aliases.pop(name, ()):
            if mate in self.aliases:
                self.aliases[mate].pop(name, None)

    def link(self, name: str, other: str, strong: bool) -> None:
        """``name`` and ``other`` may share objects from now on, and so may their mates."""
        if name == other:
            return
        mates = {other: True, **self.aliases.get(other, {})}
        for mate, certain in mates.items():
            if mate != name:
                mine = self.aliases.setdefault(name, {})
                mine[mate] = mine.get(mate, False) or (strong and certain)
                theirs = self.aliases.setdefault(mate, {})
                theirs[name] = theirs.get(name, False) or (strong and certain)


def merge(all_known: Iterable[Knowledge]) -> Knowledge:
    """What may hold after several branches have come together."""
    branches = list(all_known)
    if len(branches) == 1:
        return branches[0].copy()
    merged = Knowledge()
    for known in branches:
        for name, code in known.code.items():
            merged.code[name] = merged.code.get(name, frozenset()) | code
        for name, mates in known.aliases.items():
            mine = merged.aliases.setdefault(name, {})
            for mate, strong in mates.items():
                mine[mate] = mine.get(mate, False) or strong
        for name, plain in known.plain.items():
            merged.plain[name] = merged.plain.get(name, True) and plain
        merged.modules.update(known.modules)
        merged.unserialisable.update(known.unserialisable)
        merged.unknown_star |= known.unknown_star
        merged.future_annotations |= known.future_annotations
    return merged


@dataclass
class Effects:
    """What one block of code does to the namespace, seen from outside.

    ``binds`` holds for certain at the end, ``may_bind`` possibly; ``deletes`` are certainly
    gone.  ``mutates`` are changed in place, ``touches`` handed to code that may change them.
    """

    reads: dict[str, Read] = field(default_factory=dict)
    binds: set[str] = field(default_factory=set)
    may_bind: set[str] = field(default_factory=set)
    deletes: set[str] = field(default_factory=set)
    may_delete: set[str] = field(default_factory=set)
    mutates: set[str] = field(default_factory=set)
    touches: set[str] = field(default_factory=set)
    notices: list[Notice] = field(default_factory=list)
    dynamic: bool = False
    places: dict[str, Place] = field(default_factory=dict)
    strings: set[str] = field(default_factory=set)
    imports: dict[str, Place] = field(default_factory=dict)
