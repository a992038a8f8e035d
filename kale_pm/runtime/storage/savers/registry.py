"""Who takes objects apart where plain pickle would copy, fail, or change their meaning.

A saver gets an object and returns what ``__reduce__`` would: a function and its arguments
that make the object again.  It is found by the names of the classes that the object's type
inherits from, wherever in a structure the object stands.  Libraries are imported only when
one of their objects turns up.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from typing import Any, TypeVar

Reduced = Any  # what __reduce__ returns (a tuple, or the name of a global), or NotImplemented
Saver = Callable[[Any], Reduced]
_SaverType = TypeVar("_SaverType", bound=Callable[[Any], Any])

_savers: dict[str, Saver] = {}


class SaverError(pickle.PicklingError):
    """A saver of the notebook has failed; the text names it."""


def saver(*type_names: str) -> Callable[[_SaverType], _SaverType]:
    """Register a function that saves objects of the named types and their subclasses.

    The names are written ``"package.module.Type"``, as ``type(x).__module__`` and
    ``__qualname__`` give them.  The function takes the object and returns
    ``(rebuild, arguments)``, or NotImplemented to leave the object to pickle.  Define it in a
    cell tagged ``functions``, so that every step knows it.  It takes the place of another one
    for the same type.

    >>> @saver("shop.client.Client")
    ... def save_client(client):
    ...     return Client, (client.address,)
    """

    def register(function: _SaverType) -> _SaverType:
        is_ours = function.__module__.partition(".")[0] == __name__.partition(".")[0]
        for name in type_names:
            _savers[name] = function if is_ours else functools.partial(_checked, function)
        return function

    return register


def find(kind: type) -> Saver | None:
    """The saver of the nearest class that has one, if any."""
    for base in kind.__mro__:
        found = _savers.get(f"{base.__module__}.{base.__qualname__}")
        if found is not None:
            return found
    return None


def _checked(function: Saver, obj: Any) -> Reduced:
    """What the saver returns, if that can be right; SaverError otherwise."""
    name = getattr(function, "__qualname__", repr(function))
    try:
        reduced = function(obj)
    except Exception as error:
        raise SaverError(f"its saver {name} raised {type(error).__name__}: {error}") from error
    if reduced is NotImplemented:
        return reduced
    if not (isinstance(reduced, tuple) and 2 <= len(reduced) <= 6):
        kind = type(reduced).__name__
        raise SaverError(f"its saver {name} returned {kind}, not (function, arguments)")
    rebuild, arguments = reduced[:2]
    if not callable(rebuild) or not isinstance(arguments, tuple):
        raise SaverError(f"its saver {name} must return a function and a tuple of arguments")
    if any(argument is obj for argument in arguments):
        raise SaverError(f"its saver {name} returned the object itself among the arguments")
    return reduced
