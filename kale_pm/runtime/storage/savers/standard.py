"""Savers for what Python itself brings along.

Importing this module registers them.
"""

from __future__ import annotations

import functools
import os
import pickle
import sys
import threading
import types
import weakref
from collections import Counter
from typing import Any

from kale_pm.runtime.storage.savers.registry import Reduced, saver


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


@saver("threading.Thread")
def _refuse_thread(_: Any) -> Reduced:
    """It could be copied, but nothing would run in the copy."""
    raise pickle.PicklingError("a thread belongs to a process")


@saver("_thread.RLock")
def _save_reentrant_lock(_: Any) -> Reduced:
    return threading.RLock, ()


@saver("weakref.WeakMethod")
def _save_weak_method(reference: Any) -> Reduced:
    return weakref.WeakMethod, (reference(),)


@saver("weakref.WeakValueDictionary", "weakref.WeakKeyDictionary")
def _save_weak_dictionary(dictionary: Any) -> Reduced:
    """Filled anew, so that its references know what to do when an object dies."""
    kind = type(dictionary)
    if kind.__module__ != "weakref":
        return NotImplemented
    return kind, (), None, None, iter(list(dictionary.items()))


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
    if _is_imported(function):
        return NotImplemented
    options = function.cache_parameters()
    return rebuild_cached_function, (function.__wrapped__, options["maxsize"], options["typed"])


def rebuild_cached_function(function: Any, maxsize: int | None, typed: bool) -> Any:
    return functools.lru_cache(maxsize, typed)(function)


def _is_imported(obj: Any) -> bool:
    """Whether every process finds the object in its module."""
    module = sys.modules.get(obj.__module__)
    found = getattr(module, getattr(obj, "__qualname__", obj.__name__), None)
    return found is obj and obj.__module__ != "__main__"


@saver("typing.ParamSpec", "typing.TypeVarTuple", "typing.NewType")
def _save_type_parameter(parameter: Any) -> Reduced:
    if _is_imported(parameter):
        return NotImplemented
    base = getattr(parameter, "__supertype__", None)
    return type(parameter), (parameter.__name__,) if base is None else (parameter.__name__, base)


@saver("builtins.classmethod_descriptor", "builtins.getset_descriptor")
def _save_descriptor(descriptor: Any) -> Reduced:
    return rebuild_descriptor, (descriptor.__objclass__, descriptor.__name__)


def rebuild_descriptor(kind: type, name: str) -> Any:
    return vars(kind)[name]


@saver("re.Match")
def _save_match(match: Any) -> Reduced:
    """The search is made again; it has to find the same."""
    where = (match.string, match.pos, match.endpos)
    for method in ("match", "search", "fullmatch"):
        again = getattr(match.re, method)(*where)
        if again is not None and again.regs == match.regs:
            return rebuild_match, (match.re, method, *where)
    return NotImplemented


def rebuild_match(pattern: Any, method: str, *where: Any) -> Any:
    return getattr(pattern, method)(*where)


@saver("_struct.Struct")
def _save_struct(layout: Any) -> Reduced:
    return type(layout), (layout.format,)


@saver("random.SystemRandom")
def _save_system_random(source: Any) -> Reduced:
    return type(source), ()


@saver(
    *(f"sys.{name}" for name in ("version_info", "flags", "float_info", "int_info", "hash_info"))
)
def _save_system_information(information: Any) -> Reduced:
    return getattr, (sys, type(information).__name__)


@saver("os._Environ")
def _save_environment(environment: Any) -> Reduced:
    """It belongs to the process, and may hold what must not be written to disk."""
    if environment is os.environ:
        return getattr, (os, "environ")
    return NotImplemented


@saver("dataclasses._MISSING_TYPE")
def _save_missing(_: Any) -> Reduced:
    return "MISSING"


@saver("dataclasses._KW_ONLY_TYPE")
def _save_keywords_only(_: Any) -> Reduced:
    return "KW_ONLY"


@saver("builtins.super")
def _save_super(proxy: Any) -> Reduced:
    return super, (proxy.__thisclass__, proxy.__self__)


@saver("_contextvars.Context", "builtins.PyCapsule")
def _save_with_dill(obj: Any) -> Reduced:
    import dill

    return load_with_dill, (dill.dumps(obj),)


def load_with_dill(data: bytes) -> Any:
    import dill

    return dill.loads(data)
