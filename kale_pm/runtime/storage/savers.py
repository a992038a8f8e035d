"""How objects are taken apart where plain pickle would copy, fail, or change their meaning.

A saver gets an object and returns what ``__reduce__`` would: a function and its arguments
that make the object again.  It is found by the names of the classes that the object's type
inherits from, wherever in a structure the object stands.  Libraries are imported only when
one of their objects turns up.
"""

from __future__ import annotations

import functools
import pickle
import sys
import threading
import types
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

Reduced = Any  # what __reduce__ returns (a tuple, or the name of a global), or NotImplemented
Saver = Callable[[Any], Reduced]
_SaverType = TypeVar("_SaverType", bound=Callable[[Any], Any])

_savers: dict[str, Saver] = {}


def saver(*type_names: str) -> Callable[[_SaverType], _SaverType]:
    """Register a function that saves objects of the named types and their subclasses.

    The names are written ``"package.module.Type"``, as ``type(x).__module__`` and
    ``__qualname__`` give them.  The function takes the object and returns
    ``(rebuild, arguments)``, or NotImplemented to leave the object to pickle.  Define it in a
    cell tagged ``functions``, so that every step knows it.

    >>> @saver("shop.client.Client")
    ... def save_client(client):
    ...     return Client, (client.address,)
    """

    def register(function: _SaverType) -> _SaverType:
        for name in type_names:
            _savers[name] = function
        return function

    return register


def find(kind: type) -> Saver | None:
    """The saver of the nearest class that has one, if any."""
    for base in kind.__mro__:
        found = _savers.get(f"{base.__module__}.{base.__qualname__}")
        if found is not None:
            return found
    return None


@saver("builtins.BaseException")
def _save_exception(error: BaseException) -> Reduced:
    """Skip ``__init__``: pickle would call it with ``args``, which may not be its parameters."""
    kind = type(error)
    own_reduction = kind.__reduce_ex__ is not object.__reduce_ex__ or _is_python(kind, "__reduce__")
    if own_reduction or not _is_python(kind, "__init__"):
        return NotImplemented
    _, arguments, *state = tuple(error.__reduce__())
    return (rebuild_exception, (kind, arguments), *state)


def rebuild_exception(kind: type[BaseException], arguments: tuple[Any, ...]) -> BaseException:
    native: Any = next(base for base in kind.__mro__ if not _is_python(base, "__init__"))
    error: BaseException = native.__new__(kind, *arguments)
    native.__init__(error, *arguments)
    return error


def _is_python(kind: type, method: str) -> bool:
    return isinstance(getattr(kind, method), types.FunctionType)


@saver("collections.Counter")
def _save_counter(counter: Counter[Any]) -> Reduced:
    """Item by item: pickle hands over all at once, which never ends for one that holds itself."""
    if type(counter) is not Counter:
        return NotImplemented
    return Counter, (), None, None, iter(counter.items())


@saver("_thread.lock")
def _save_lock(lock: Any) -> Reduced:
    return rebuild_lock, (lock.locked(),)


def rebuild_lock(locked: bool) -> Any:
    lock = threading.Lock()
    if locked:
        lock.acquire()
    return lock


@saver("_thread.RLock")
def _save_reentrant_lock(_: Any) -> Reduced:
    return threading.RLock, ()


@saver("weakref.ReferenceType", "weakref.ProxyType", "weakref.CallableProxyType")
def _save_weak_reference(reference: Any) -> Reduced:
    if isinstance(reference, weakref.ReferenceType):
        if type(reference) is not weakref.ReferenceType:
            return NotImplemented
        return rebuild_reference, (reference(),)
    # A proxy hides its object, but the bound methods that it hands out do not.
    return weakref.proxy, (reference.__reduce_ex__.__self__,)


def rebuild_reference(target: Any) -> Any:
    return weakref.ref(_Gone() if target is None else target)


class _Gone:
    """Dies at once, and so makes a dead reference."""


@saver("functools._lru_cache_wrapper")
def _save_cached_function(function: Any) -> Reduced:
    if function.__module__ != "__main__":
        return NotImplemented
    options = function.cache_parameters()
    return rebuild_cached_function, (function.__wrapped__, options["maxsize"], options["typed"])


def rebuild_cached_function(function: Any, maxsize: int | None, typed: bool) -> Any:
    return functools.lru_cache(maxsize, typed)(function)


@saver("dataclasses._MISSING_TYPE")
def _save_missing(_: Any) -> Reduced:
    return "MISSING"


@saver("_io.TextIOWrapper")
def _save_text_file(file: Any) -> Reduced:
    if file not in (sys.stdout, sys.stderr) and not file.closed and file.writable():
        raise pickle.PicklingError("the file is open for writing")
    return NotImplemented


@saver("ipykernel.iostream.OutStream")
def _save_output_stream(stream: Any) -> Reduced:
    return getattr, (sys, stream.name)


@saver("builtins.super")
def _save_super(proxy: Any) -> Reduced:
    return super, (proxy.__thisclass__, proxy.__self__)


@saver("_contextvars.Context", "builtins.classmethod_descriptor", "builtins.PyCapsule")
def _save_with_dill(obj: Any) -> Reduced:
    import dill

    return load_with_dill, (dill.dumps(obj),)


def load_with_dill(data: bytes) -> Any:
    import dill

    return dill.loads(data)
