"""The pickler: cloudpickle's, taught what a notebook means by its names.

Functions, classes and sentinels of the prelude travel by name, because every step makes them
itself.  What a step made travels by value, and lives in the namespace of the step that loads
it: its functions look their globals up there when they are called, as in one kernel.
"""

from __future__ import annotations

import builtins
import hashlib
import pickle
import sys
import types
from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

import cloudpickle

from kale_pm.runtime.storage import classes, instances
from kale_pm.runtime.storage.prelude import CACHED_FUNCTION, definitions, find, is_sentinel
from kale_pm.runtime.storage.savers import registry
from kale_pm.runtime.storage.savers.registry import Reduced, Saver

_FUNCTION_NAMES = ("__name__", "__qualname__", "__module__", "__doc__")


class Writer(Protocol):
    """All that a pickler asks of a file."""

    def write(self, data: Any, /) -> object: ...


class _Root:
    """What is dumped, behind objects that the stream can then refer to."""

    def __init__(self, value: object) -> None:
        self.value = value


class _Builtins:
    """Stands for the dictionary of the builtins, which ``exec`` puts into namespaces."""


class _Exchange:
    """Where the pickler meets this, it has the dictionary of the builtins in its memory."""


_BUILTINS = _Builtins()
_EXCHANGE = _Exchange()
# These are in the memory of every pickler; that two have them means nothing.
IN_EVERY_MEMO = frozenset({id(vars(builtins)), id(_BUILTINS), id(_EXCHANGE)})


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Writes objects as a stream of pickle protocol 5 at the speed of the C pickler.

    ``prelude`` holds the names that the prelude bound in ``__main__`` (those that no step has
    bound to something else since, where :func:`prelude.remember` was not asked before).
    Large buffers are handed to ``buffer_callback``; where it returns a true value, or is
    None, they are copied into the stream.  ``variables`` are those that the stream is for.
    """

    def __init__(
        self,
        file: Writer,
        prelude: frozenset[str] = frozenset(),
        buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None,
        variables: tuple[object, ...] = (),
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self._prelude = prelude
        self._namespace = sys.modules["__main__"].__dict__
        self._variables = {id(value) for value in variables}
        self._prelude_names: dict[int, str] = {}
        self._savers: dict[type, Saver | None] = {
            _Root: _save_root,
            _Builtins: _save_builtins,
            _Exchange: self._save_exchange,
        }
        for name, value in definitions(prelude).items():
            self._prelude_names[id(value)] = name
            if is_sentinel(value):
                self._savers[type(value)] = self._save_sentinel

    def dump(self, obj: Any) -> None:
        """Write the object; ``pickle.load`` gives it again."""
        super().dump(_Root(obj))

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        is_class = issubclass(kind, type)
        if is_class or kind is types.FunctionType or kind is CACHED_FUNCTION:
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
                save = self._savers[kind] = _saver_of(kind)
            if save is not None:
                reduced = save(obj)
                if reduced is not NotImplemented:
                    return reduced
        reduced = super().reducer_override(obj)
        if is_class and reduced is not NotImplemented and len(reduced) > 2:
            return self._reduce_class(obj, reduced)
        return reduced

    def prelude_name(self, obj: Any) -> str | None:
        """The name under which every step finds this very object, if any."""
        name = self._prelude_names.get(id(obj))
        if name is not None:
            return name
        qualname = getattr(obj, "__qualname__", None)
        if type(qualname) is not str:
            return None
        outer = qualname.partition(".")[0]
        if outer == qualname or outer not in self._prelude:
            return None
        try:
            return qualname if prelude_object(qualname) is obj else None
        except AttributeError:
            return None

    def _save_sentinel(self, obj: Any) -> Reduced:
        name = self._prelude_names.get(id(obj))
        if name is not None and is_sentinel(obj):
            return prelude_object, (name,)
        save = _saver_of(type(obj))
        return NotImplemented if save is None else save(obj)

    def _save_exchange(self, _: _Exchange) -> Reduced:
        # The pickler asks nobody about a dictionary, but it looks into its memory first.
        memo: dict[int, tuple[int, object]] = self.memo.copy()  # type: ignore[has-type]
        place, _builtins = memo.pop(id(_BUILTINS))
        memo[id(vars(builtins))] = (place, vars(builtins))
        self.memo = memo
        return tuple, ()

    def _reduce_class(self, kind: type, reduced: Any) -> Reduced:
        make, arguments, state, _, _, fill = reduced
        # A cache that pickling an instance leaves in the class: not a change of the class.
        state[0].pop("__slotnames__", None)
        rank = (self._changes(kind), id(kind) in self._variables)
        if not issubclass(kind, Enum):
            native = next(base for base in type(kind).__mro__ if not self._is_of_step(base))
            metaclass, name, bases, namespace, *rest = arguments
            namespace = {**namespace, **_made_with(kind)}
            arguments = (make, native, metaclass, name, bases, namespace, *rest)
            make = classes.make_class
        else:
            fill, state = classes.fill_enum, (fill, state, classes.member_attributes(kind))
        return make, arguments, (rank, fill, state), None, None, classes.fill_class

    def _is_of_step(self, kind: type) -> bool:
        return kind.__module__ == "__main__" and self.prelude_name(kind) is None

    def _changes(self, kind: type) -> int:
        return classes.changes(kind, lambda it: class_digest(it, self._prelude))

    def _reduce_code(self, code: types.CodeType) -> Reduced:
        # A kernel puts its process id into the name of the file, which would make
        # the same function a different one in every run.
        folder, _, name = code.co_filename.rpartition("/")
        if folder.rpartition("/")[2].startswith("ipykernel_"):
            code = code.replace(co_filename=name)
        reduced: Reduced = self.dispatch_table[types.CodeType](code)
        return reduced


def _made_with(kind: type) -> dict[str, Any]:
    """What cloudpickle leaves out, and what a class takes only when it is made."""
    own = vars(kind)
    # A tuple has no room for slots; their absence is all that it can declare.
    slots = "__slots__" in own and not issubclass(kind, tuple)
    names = {"__slots__": own["__slots__"]} if slots else {}
    return {"__qualname__": "".join(kind.__qualname__), **names}


def class_digest(kind: type, prelude: frozenset[str]) -> str:
    """A hash of all that the class holds; the error of pickle where it cannot be pickled."""
    stream = _Hash()
    _Unranked(stream, prelude, stream.add).dump(kind)
    return stream.content.hexdigest()


class _Unranked(Pickler):
    """Looks at classes as they are, wherever their state comes from."""

    def _changes(self, _: type) -> int:
        return 0


class _Hash:
    def __init__(self) -> None:
        self.content = hashlib.sha256()

    def write(self, data: Any) -> None:
        self.content.update(data)

    def add(self, buffer: pickle.PickleBuffer) -> None:
        self.content.update(buffer.raw())


def _saver_of(kind: type) -> Saver | None:
    return registry.find(kind) or (instances.reduce if instances.needs_help(kind) else None)


def _save_root(root: _Root) -> Reduced:
    return rebuild_root, (_BUILTINS, _EXCHANGE, root.value)


def rebuild_root(_builtins: object, _exchange: object, value: Any) -> Any:
    """What was dumped, once the objects before it have been read."""
    return value


def _save_builtins(_: _Builtins) -> Reduced:
    return vars, (builtins,)


def prelude_object(qualname: str) -> Any:
    """What the prelude of this process calls so; ``qualname`` may be dotted."""
    return find(qualname)


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
