"""Which objects a variable holds, found by the pickler on its way through them."""

from __future__ import annotations

import dataclasses
import logging
import pickle
import re
import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kale_pm.runtime.storage import memory
from kale_pm.runtime.storage.culprit import explain
from kale_pm.runtime.storage.dump import collector
from kale_pm.runtime.storage.pickler import IN_EVERY_MEMO, Pickler

ATOMS = (type(None), bool, int, float, complex, str, bytes)
# What is found again by its name, or is nothing but its value, is not shared by two variables.
_NEVER_SHARED = (
    *ATOMS,
    tuple,
    frozenset,
    range,
    slice,
    type,
    Enum,
    logging.Logger,
    types.CodeType,
    types.ModuleType,
)
_VALUES = frozenset(
    {
        "dataclasses._FIELD_BASE",
        "dataclasses._KW_ONLY_TYPE",
        "dataclasses._MISSING_TYPE",
        "numpy.ufunc",
        "pandas._libs.tslibs.offsets.BaseOffset",
        "pandas.api.extensions.ExtensionDtype",
        "pandas.core.dtypes.base.ExtensionDtype",
        "pandas.core.indexes.base.Index",
        "pandas.Index",
        "pyarrow.lib._Weakrefable",
        "torch.device",
        "torch.dtype",
        "typing.TypeVar",
        "typing._Final",
    }
)


# Who holds this much of the pickler's memory holds a hundred thousand objects and more.
_MANY = 4 << 20  # bytes
# A reference to the object with this number, or one of the next 65,535, as pickle writes it.
_MARK = 0x7F3A << 16
_MARKED = re.compile(rb"j(..)\x3a\x7f", re.DOTALL)


@dataclass(frozen=True)
class Trace:
    """What one variable holds: objects by their ids, memory, and classes that a step made.

    What a class holds is left out, unless the variable is the class: two objects of one class
    share nothing by that.  The objects live as long as the trace: without that an id would
    soon be another's.
    """

    objects: Mapping[int, object]
    extents: tuple[memory.Extent, ...]
    tracer: Tracer

    @property
    def classes(self) -> set[type]:
        return self.tracer.classes

    @property
    def enters_classes(self) -> bool:
        return self.tracer.enters_classes

    def shared(self, identities: Iterable[int]) -> list[int]:
        """Those of the objects that it matters to have in common with another variable."""
        return [it for it in identities if self.tracer.is_shareable(self.objects[it])]


class Tracer(Pickler):
    """Goes through the objects of one variable only to see which they are."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.enters_classes = False
        self._value_kinds: dict[type, bool] = {}
        self._common = _common_to_all()
        self.classes: set[type] = set()

    def dump(self, obj: Any) -> None:
        self.enters_classes = isinstance(obj, type | types.FunctionType)
        super().dump(obj)

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type):
            if self._is_of_step(obj):
                self.classes.add(obj)
            if not self.enters_classes:
                return _nothing, ()
        if self._is_value(obj):  # such as the index that two frames have
            return _nothing, ()
        return super().reducer_override(obj)

    def _changes(self, _: type) -> int:
        return 0

    def _is_value(self, obj: object) -> bool:
        kind = type(obj)
        try:
            return self._value_kinds[kind]
        except KeyError:
            names = (f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__)
            found = self._value_kinds[kind] = any(name in _VALUES for name in names)
            return found

    def is_shareable(self, obj: object) -> bool:
        """Whether it matters if two variables hold this very object, or equal ones."""
        if isinstance(obj, _NEVER_SHARED) or self._is_value(obj):
            return False
        if id(obj) in self._prelude_names or id(obj) in self._common:
            return False
        if isinstance(obj, types.FunctionType) and obj.__globals__ is self._namespace:
            return self.prelude_name(obj) is None
        if _is_imported(obj):
            return False
        # Objects that compare by value and have no attributes, such as dates.
        own_hash = type(obj).__hash__ not in (None, object.__hash__)
        return not own_hash or hasattr(obj, "__dict__")


def _nothing() -> None:
    """Stands for an object that the tracer does not go into."""


def _is_imported(obj: object) -> bool:
    """Whether every process finds the object in its module, such as ``numpy.log``."""
    module = sys.modules.get(getattr(obj, "__module__", None) or "")
    name = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None)
    return isinstance(name, str) and getattr(module, name, None) is obj


def _common_to_all() -> set[int]:
    """The ids of what libraries give to all of their objects, and to all dataclasses."""
    pandas = sys.modules.get("pandas")
    kinds = (getattr(pandas, "DataFrame", None), getattr(pandas, "Series", None))
    frames = {id(kind._metadata) for kind in kinds if kind is not None}
    return {*frames, id(dataclasses.field().metadata), *IN_EVERY_MEMO}


def trace(name: str, value: object, prelude: frozenset[str]) -> Trace | None:
    """All that the variable holds; None if listing it would take longer than storing it.

    Raises SaveError when an object cannot be pickled.
    """
    stream = _Limited()
    buffers: list[pickle.PickleBuffer] = []
    tracer = stream.tracer = Tracer(stream, prelude, collector(buffers))
    try:
        tracer.dump(value)
    except _TooManyError:
        return None
    except Exception as error:
        raise explain({name: value}, error, prelude) from error
    memo: dict[int, tuple[int, object]] = tracer.memo.copy()
    objects = {identity: obj for identity, (_, obj) in memo.items()}
    return Trace(objects, tuple(memory.extent(buffer) for buffer in buffers), tracer)


def search(
    name: str, value: object, prelude: frozenset[str], traces: Sequence[Trace]
) -> tuple[list[int], Trace]:
    """The numbers of the traces that have an object of this variable, and a trace without any.

    The pickler writes a reference where it meets an object that it has met before.  So it is
    made to believe that it has met those of the traces, each under a number that stands for
    the trace, and these references are looked for in what it writes.  That takes hardly
    longer than to pickle.  Raises SaveError when an object cannot be pickled.
    """
    stream = _Marks()
    buffers: list[pickle.PickleBuffer] = []
    tracer = Tracer(stream, prelude, collector(buffers))
    tracer.memo = {
        identity: (_MARK + number, known.objects[identity])
        for number, known in enumerate(traces)
        for identity in known.shared(known.objects)
    }
    try:
        tracer.dump(value)
    except Exception as error:
        raise explain({name: value}, error, prelude) from error
    extents = tuple(memory.extent(buffer) for buffer in buffers)
    return sorted(stream.found), Trace({}, extents, tracer)


class _TooManyError(Exception):
    pass


class _Limited:
    """Stops a tracer that has met too many objects."""

    tracer: Tracer

    def write(self, _: Any) -> None:
        if sys.getsizeof(self.tracer) > _MANY:
            raise _TooManyError


class _Marks:
    """Finds the references of pickles to marked objects; ``found`` are their marks."""

    def __init__(self) -> None:
        self.found: set[int] = set()

    def write(self, data: Any) -> None:
        self.found.update(int.from_bytes(mark, "little") for mark in _MARKED.findall(data))
