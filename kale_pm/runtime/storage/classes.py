"""Classes that a step made: how they are made again, and which version of their state holds.

A class that is made again must not enter itself into registries a second time: what it has
left there when the notebook made it is part of the state that travels.

A class travels with each variable that needs it, its instances among them.  A variable that
was stored before a step changed the class still carries the old state; loading it must not
undo the change.  So the state travels with a rank, and a class takes over only what ranks
higher than what it has.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary


class Rank(NamedTuple):
    """How many steps have changed the class, and whether it came as a variable itself.

    What a class shares with other variables, it shares where it is a variable.
    """

    changes: int
    is_variable: bool


@dataclass
class _Loaded:
    rank: Rank
    digest: str | None = None


_loaded: WeakKeyDictionary[type, _Loaded] = WeakKeyDictionary()


def observe(digest: Callable[[type], str]) -> None:
    """Note what the loaded classes are like, before the step's cells change them."""
    for kind, loaded in list(_loaded.items()):
        loaded.digest = _attempt(digest, kind)


def changes(kind: type, digest: Callable[[type], str]) -> int:
    """How many steps have changed the class, this one included."""
    loaded = _loaded.get(kind)
    if loaded is None:
        return 0
    is_changed = loaded.digest is not None and _attempt(digest, kind) != loaded.digest
    return loaded.rank.changes + is_changed


def is_any_changed(digest: Callable[[type], str]) -> bool:
    """Whether the step has changed a class that it has received."""
    return any(changes(kind, digest) > loaded.rank.changes for kind, loaded in [*_loaded.items()])


def make_class(
    make: Callable[..., type], native: Any, metaclass: Any, name: str, bases: Any, *rest: Any
) -> type:
    """Call ``make`` for the class, without the hooks of metaclasses and bases that steps made.

    ``native`` is the nearest of the metaclasses that no step made.
    """
    constructor = metaclass if native is metaclass else partial(_construct, native, metaclass)
    with _without_hook(types.resolve_bases(bases)):
        return make(constructor, name, bases, *rest)


def _construct(native: Any, metaclass: Any, name: str, bases: Any, namespace: Any) -> Any:
    kind = native.__new__(metaclass, name, bases, namespace)
    native.__init__(kind, name, bases, namespace)
    return kind


@contextmanager
def _without_hook(bases: tuple[Any, ...]) -> Iterator[None]:
    name = "__init_subclass__"
    owners = (owner for base in bases for owner in base.__mro__ if name in vars(owner))
    owner = next(owners, object)
    if owner not in _loaded:
        yield
        return
    hook = vars(owner)[name]
    type.__setattr__(owner, name, classmethod(_ignore))
    try:
        yield
    finally:
        type.__setattr__(owner, name, hook)


def _ignore(_: type) -> None:
    """Stands in the place of a hook that has done its work already."""


def fill_class(kind: type, ranked: tuple[tuple[int, bool], Callable[..., object], Any]) -> None:
    """Give the class its state, unless it has one of the same rank or a higher one."""
    rank, fill, state = Rank(*ranked[0]), *ranked[1:]
    if kind not in _loaded or rank > _loaded[kind].rank:
        _loaded[kind] = _Loaded(rank)
        fill(kind, state)


_OF_EVERY_MEMBER = {"_value_", "_name_", "__objclass__", "_sort_order_"}


def member_attributes(kind: type[Enum]) -> dict[str, dict[str, Any]]:
    """What the members of an enumeration have beside name and value, by their names."""
    return {
        name: {key: value for key, value in vars(member).items() if key not in _OF_EVERY_MEMBER}
        for name, member in kind.__members__.items()
    }


def fill_enum(
    kind: type[Enum], state: tuple[Callable[..., object], Any, dict[str, dict[str, Any]]]
) -> None:
    """Give an enumeration its state, and its members their attributes."""
    fill, content, attributes = state
    fill(kind, content)
    for name, own in attributes.items():
        vars(kind.__members__[name]).update(own)


def _attempt(digest: Callable[[type], str], kind: type) -> str | None:
    try:
        return digest(kind)
    except Exception:  # noqa: BLE001 - a class may hold anything, and then it counts as unchanged
        return None
