"""The nouns of the analysis: what a piece of code does to the notebook's namespace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

# Stands among the parameters of a function for the function itself, with its closure.
ITSELF = "<itself>"


@dataclass(frozen=True)
class Place:
    """Where in the notebook: cell number and line, both from 1."""

    cell: int = 0
    line: int = 0


@dataclass(frozen=True)
class Read:
    """A name that may be read before the code itself binds it.

    ``certain`` reads stand unconditionally at the top level; ``soft`` ones (``!echo $x``)
    count only if there is such a variable; at ``possible`` ones the code may have bound it
    itself.  ``through`` names the function that reads it, when the place is where it is called.
    """

    place: Place
    certain: bool = False
    soft: bool = False
    possible: bool = False
    through: str = ""

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """Of two reads of one name the higher one matters."""
        return not self.soft, not self.possible, self.certain


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
    method.  ``mutates_parameters``, ``touches_parameters``, ``returns``, ``keeps`` and
    ``gains`` may also hold it, and ``ITSELF``.

    ``returns`` are the names that the result may share objects with, ``returns_code`` what
    the result may call later.  ``keeps`` are groups of names that may share objects after a
    call, ``gains`` what code a name may lead to then.  ``captures`` are variables of the
    functions around it.  ``is_lazy`` says that a call only makes a generator or coroutine,
    ``is_generator`` that it makes the former.
    ``is_property``: reading the attribute calls it.  ``is_restless``: instances of the class
    may change by being used at all: ``len(x)`` or ``x.total`` changes x.
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
    keeps: frozenset[frozenset[str]] = frozenset()
    gains: Mapping[str, frozenset[Code]] = field(default_factory=dict)
    captures: frozenset[str] = frozenset()
    methods: Mapping[str, Code] = field(default_factory=dict)
    is_class: bool = False
    is_lazy: bool = False
    is_generator: bool = False
    is_property: bool = False
    is_restless: bool = False
    dynamic: bool = False
    notices: tuple[Notice, ...] = ()

    @cached_property
    def names(self) -> frozenset[str]:
        """All variables of the namespace that it may have to do with, sooner or later."""
        later = [*self.returns_code, *self.methods.values()]
        later += [code for gained in self.gains.values() for code in gained]
        own = self.reads | self.binds | self.may_bind | self.mutates | self.touches
        return own.union(*(code.names for code in later))

    @property
    def changes_receiver(self) -> bool:
        """May a call as a method change the object that it is a method of?"""
        changed = self.mutates_parameters | self.touches_parameters
        return self.receiver is not None and self.receiver in changed

    def is_own(self, name: str) -> bool:
        """Is ``name`` a matter of the call (a parameter, say) and not of the namespace?"""
        return name in self.parameters or name in (self.receiver, ITSELF)


@dataclass
class Effects:
    """What one block of code does to the namespace, seen from outside.

    ``binds`` holds for certain at the end, ``may_bind`` possibly; ``deletes`` are certainly
    gone.  ``mutates`` are changed in place, those of ``changes`` for certain; ``touches`` were
    handed to code that may change them, ``shares`` only became parts of one another.
    ``code_changes`` are variables whose very function or class changes: an attribute, a
    default, a closure.  ``places`` say where a name is first bound.
    """

    reads: dict[str, Read] = field(default_factory=dict)
    binds: set[str] = field(default_factory=set)
    may_bind: set[str] = field(default_factory=set)
    deletes: set[str] = field(default_factory=set)
    may_delete: dict[str, Place] = field(default_factory=dict)
    mutates: dict[str, Place] = field(default_factory=dict)
    changes: set[str] = field(default_factory=set)
    touches: set[str] = field(default_factory=set)
    shares: set[str] = field(default_factory=set)
    code_changes: dict[str, Place] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    dynamic: bool = False
    places: dict[str, Place] = field(default_factory=dict)
