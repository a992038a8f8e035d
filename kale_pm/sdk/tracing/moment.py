"""What a step's function finds at the moment of its call, before the body goes on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_PLAIN = (bool, int, float, str, type(None))
_FEW = 100  # entries of a list that is looked at for changes
_LONG = 1000  # characters


def as_it_is_now(thing: Any) -> Any:
    """The argument, whatever the body of the pipeline does to its lists and tables later.

    All else stays the very thing that it is: a module may have a name for it.
    """
    if type(thing) is dict:
        return {key: as_it_is_now(entry) for key, entry in thing.items()}
    if type(thing) in (list, tuple, set):
        return type(thing)(map(as_it_is_now, thing))
    return thing


def plain_constants(function: Callable[..., Any]) -> dict[str, str]:
    """The plain variables of a function's module as texts, which tell whether they change."""
    found = {}
    for name, value in list(inspect.unwrap(function).__globals__.items()):
        entries = value if type(value) in (list, tuple, dict, set) else [value]
        if len(entries) <= _FEW and all(type(entry) in _PLAIN for entry in entries):
            with suppress(ValueError):  # an integer of very many digits
                found[name] = _told(value)
    return found


def _told(value: object) -> str:
    return str(hash(value)) if isinstance(value, str) and len(value) > _LONG else repr(value)


def enclosing(function: Callable[..., Any]) -> dict[str, Any]:
    """The variables of a function around this one, as far as they have values."""
    inner = inspect.unwrap(function)
    found = {}
    for name, cell in zip(inner.__code__.co_freevars, inner.__closure__ or (), strict=True):
        with suppress(ValueError):  # it is empty
            found[name] = cell.cell_contents
    return found
