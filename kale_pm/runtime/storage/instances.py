"""Instances of the notebook's classes whose own code stands in pickle's way.

Pickle asks an instance for its methods, makes the new one by ``__new__`` and fills it by
``__setattr__``.  A class that answers every attribute, delegates to a part that is not there
yet, is frozen, or makes its instances from other values, breaks that.  Such an instance is
made by the built-in type that it derives from, and filled past the methods of its class.
"""

from __future__ import annotations

import copyreg
import inspect
import sys
import types
from typing import Any

_VALUE_BASES = (int, float, complex, str, bytes, tuple, frozenset)
_BASES = (*_VALUE_BASES, object, list, dict, set)
_REDUCTION = ("__reduce_ex__", "__reduce__", "__getstate__", "__setstate__")
_ARGUMENTS = ("__getnewargs_ex__", "__getnewargs__")
# What pickle calls, by which methods of the class itself, for a list or a dictionary.
_FILLING: dict[Any, tuple[str, ...]] = {
    list: ("__iter__", "append", "extend"),
    dict: ("__setitem__", "items"),
    set: ("__iter__", "__init__"),
    frozenset: ("__iter__", "__init__"),
}

State = tuple[dict[str, Any] | None, dict[str, Any]]


def base_of(kind: type) -> type | None:
    """The built-in type that makes up the instances of ``kind``; None if a library's does."""
    for base in kind.__mro__:
        if base in _BASES:
            return base
        if "__new__" in vars(base) and not isinstance(vars(base)["__new__"], staticmethod):
            return None
    return None


def has_own_reduction(kind: type) -> bool:
    """Whether the class says itself how its instances are stored."""
    base = base_of(kind) or object
    if any(getattr(kind, name, None) is not getattr(base, name, None) for name in _REDUCTION):
        return True
    return not issubclass(kind, tuple) and any(
        getattr(kind, name, None) is not getattr(base, name, None) for name in _ARGUMENTS
    )


def needs_help(kind: type) -> bool:
    """Whether pickle would stumble over the methods of this class of the notebook."""
    base = base_of(kind)
    if kind.__module__ != "__main__" or base is None or has_own_reduction(kind):
        return False
    slots = bool(copyreg._slotnames(kind))  # type: ignore[attr-defined]
    return (
        _is_own(kind, "__getattr__")
        or _is_own(kind, "__getattribute__")
        or (slots and _is_own(kind, "__setattr__"))
        or (_is_own(kind, "__new__") and not _takes_nothing(kind, base))
        or any(_is_own(kind, name) for name in _FILLING.get(base, ()))
    )


def state_of(instance: object) -> State:
    """Attributes and slots; None where there are no attributes, or none are set."""
    try:
        attributes = object.__getattribute__(instance, "__dict__")
    except AttributeError:
        attributes = None
    slots = {}
    for name in copyreg._slotnames(type(instance)):  # type: ignore[attr-defined]
        try:
            slots[name] = object.__getattribute__(instance, name)
        except AttributeError:
            continue
    return attributes or None, slots


def reduce(instance: Any) -> tuple[Any, ...]:
    """What ``__reduce__`` would return, without asking the instance anything."""
    kind = type(instance)
    base: Any = base_of(kind)
    content: Any = None
    arguments: tuple[Any, ...] = ()
    if base in (list, set):
        content = list(base.__iter__(instance))
    elif base is dict:
        content = list(dict.items(instance))
    elif base is not object:
        arguments = (_plain(base, instance),)
    maker = kind if base not in _VALUE_BASES and _takes_nothing(kind, base) else base
    state = (*state_of(instance), content)
    return make_instance, (kind, maker, arguments), state, None, None, fill_instance


def make_instance(kind: Any, maker: Any, arguments: tuple[Any, ...]) -> Any:
    return maker.__new__(kind, *arguments)


def fill_instance(instance: Any, state: tuple[dict[str, Any] | None, dict[str, Any], Any]) -> None:
    attributes, slots, content = state
    if isinstance(instance, dict):
        dict.update(instance, content)
    elif isinstance(instance, list):
        list.extend(instance, content)
    elif isinstance(instance, set):
        set.update(instance, content)
    if attributes:
        own = object.__getattribute__(instance, "__dict__")
        own.update((_interned(name), value) for name, value in attributes.items())
    for name, value in slots.items():
        object.__setattr__(instance, name, value)


def _plain(base: Any, instance: Any) -> Any:
    """The value of an instance of a subclass of ``base``, as ``base`` itself has it."""
    if base is tuple:
        return tuple(tuple.__iter__(instance))
    if base is frozenset:
        return tuple(frozenset.__iter__(instance))
    (value, *rest) = base.__getnewargs__(instance)
    return complex(value, *rest) if base is complex else value


def _is_own(kind: type, method: str) -> bool:
    return isinstance(inspect.getattr_static(kind, method, None), _PYTHON)


_PYTHON = (types.FunctionType, staticmethod, classmethod)


def _takes_nothing(kind: Any, base: type) -> bool:
    """Whether the class makes an instance from nothing, as pickle asks it to."""
    if base in _VALUE_BASES:
        return False
    try:
        inspect.signature(kind.__new__).bind(kind)
    except (TypeError, ValueError):
        return False
    return True


def _interned(name: Any) -> Any:
    return sys.intern(name) if type(name) is str else name
