"""The pickler: cloudpickle's, taught what a notebook means by its names.

Functions and classes of the prelude travel by name, because every step makes them itself.
What a step made travels by value, and lives in the namespace of the step that loads it: its
functions look their globals up there when they are called, as in one kernel.
"""

from __future__ import annotations

import functools
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any, Protocol

import cloudpickle

from kale_pm.runtime.storage import library_savers, savers  # noqa: F401 - the former registers itself
from kale_pm.runtime.storage.savers import Reduced, Saver

_CACHED_FUNCTION = type(functools.cache(len))
_FUNCTION_NAMES = ("__name__", "__qualname__", "__module__", "__doc__")


class Writer(Protocol):
    """All that a pickler asks of a file."""

    def write(self, data: Any, /) -> object: ...


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Writes objects as a stream of pickle protocol 5 at the speed of the C pickler.

    ``prelude`` holds the names that the prelude bound in ``__main__`` and that no step has
    bound to something else since.  Large buffers are handed to ``buffer_callback``; where it
    returns a true value, or is None, they are copied into the stream.
    """

    def __init__(
        self,
        file: Writer,
        prelude: frozenset[str] = frozenset(),
        buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None,
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self._prelude = prelude
        self._namespace = sys.modules["__main__"].__dict__
        self._prelude_names = {
            id(self._namespace[name]): name for name in prelude if name in self._namespace
        }
        self._savers: dict[type, Saver | None] = {}

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        is_class = issubclass(kind, type)
        if is_class or kind is types.FunctionType or kind is _CACHED_FUNCTION:
            name = self.prelude_name(obj)
            if name is not None:
                return prelude_object, (name,)
        if kind is types.FunctionType and obj.__globals__ is self._namespace:
            return _reduce_function(obj)
        if kind is types.CellType:
            return _reduce_cell(obj)
        if kind is types.CodeType:
            return self._reduce_code(obj)
        if not is_class:
            try:
                save = self._savers[kind]
            except KeyError:
                save = self._savers[kind] = savers.find(kind)
            if save is not None:
                reduced = save(obj)
                if reduced is not NotImplemented:
                    return reduced
        reduced = super().reducer_override(obj)
        if is_class and reduced is not NotImplemented and len(reduced) > 2:
            # A cache that pickling an instance leaves in the class: not a change of the class.
            reduced[2][0].pop("__slotnames__", None)
        return reduced

    def prelude_name(self, obj: Any) -> str | None:
        """The name under which every step finds this very function or class, if any."""
        name = self._prelude_names.get(id(obj))
        if name is not None:
            return name
        qualname = getattr(obj, "__qualname__", "")
        outer = qualname.partition(".")[0]
        if outer == qualname or outer not in self._prelude:
            return None
        try:
            return qualname if prelude_object(qualname) is obj else None
        except AttributeError:
            return None

    def _reduce_code(self, code: types.CodeType) -> Reduced:
        # A kernel puts its process id into the name of the file, which would make
        # the same function a different one in every run.
        folder, _, name = code.co_filename.rpartition("/")
        if folder.rpartition("/")[2].startswith("ipykernel_"):
            code = code.replace(co_filename=name)
        reduced: Reduced = self.dispatch_table[types.CodeType](code)
        return reduced


def prelude_object(qualname: str) -> Any:
    """What the prelude of this process calls so; ``qualname`` may be dotted."""
    return functools.reduce(getattr, qualname.split("."), sys.modules["__main__"])


def _reduce_function(function: types.FunctionType) -> Reduced:
    # Fresh strings: an interned one may or may not be the same object as an equal one
    # elsewhere in the stream, and then the bytes of equal objects would differ.
    names = tuple(_fresh(getattr(function, name)) for name in _FUNCTION_NAMES)
    details = (
        function.__defaults__,
        function.__kwdefaults__,
        function.__annotations__,
        getattr(function, "__type_params__", ()),
    )
    attributes = {_fresh(name): value for name, value in function.__dict__.items()}
    state = (names, details, attributes)
    arguments = (function.__code__, function.__closure__)
    return make_function, arguments, state, None, None, fill_function


def _fresh(text: Any) -> Any:
    return "".join(text) if type(text) is str else text


def make_function(code: types.CodeType, closure: tuple[types.CellType, ...] | None) -> Any:
    return types.FunctionType(code, sys.modules["__main__"].__dict__, closure=closure)


def fill_function(function: Any, state: tuple[Any, Any, dict[str, Any]]) -> None:
    names, (defaults, keyword_defaults, annotations, type_parameters), attributes = state
    for attribute, value in zip(_FUNCTION_NAMES, names, strict=True):
        setattr(function, attribute, value)
    function.__defaults__ = defaults
    function.__kwdefaults__ = keyword_defaults
    function.__annotations__ = annotations
    if type_parameters:
        function.__type_params__ = type_parameters
    function.__dict__.update(attributes)


def _reduce_cell(cell: types.CellType) -> Reduced:
    """Cells are objects of their own: closures that share a variable go on sharing it."""
    try:
        content = cell.cell_contents
    except ValueError:
        return types.CellType, ()
    # The content comes after the cell, since it may be the function that uses the cell.
    return types.CellType, (), (content,), None, None, fill_cell


def fill_cell(cell: types.CellType, state: tuple[Any]) -> None:
    (cell.cell_contents,) = state
