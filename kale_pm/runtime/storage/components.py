"""Which variables belong together, and whether they changed.

Variables that share objects form one component: it is stored, loaded and compared as a
whole, so that ``a is b`` and ``a.part is b.part`` stay true in every later step.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import logging
import pickle
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kale_pm.runtime.storage import memory
from kale_pm.runtime.storage.culprit import explain
from kale_pm.runtime.storage.pickler import IN_EVERY_MEMO, Pickler, Writer

_ATOMS = (type(None), bool, int, float, complex, str, bytes)
# What is found again by its name, or is nothing but its value, is not shared by two variables.
_NEVER_SHARED = (
    *_ATOMS,
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


@dataclass(frozen=True)
class Dump:
    """One component, taken apart: a stream, its hash, and the memory that it refers to."""

    names: tuple[str, ...]
    stream_size: int
    stream_digest: str
    layout: memory.Layout

    def id(self, digests: Sequence[str]) -> str:
        """A hash of the names, the stream and the memory, whose segments have these hashes."""
        content = json.dumps([self.names, self.stream_digest, digests, self.layout.references])
        return memory.digest(content.encode())


def dump(
    variables: Mapping[str, object], prelude: frozenset[str], file: Writer | None = None
) -> Dump:
    """Pickle the variables as one graph, writing the stream to ``file`` if there is one.

    Raises SaveError when an object cannot be pickled, OSError when the file cannot be written.
    """
    names = tuple(sorted(variables))
    stream = _Stream(file)
    buffers: list[pickle.PickleBuffer] = []
    values = tuple(variables[name] for name in names)
    pickler = Pickler(stream, prelude, _collector(buffers), values)
    try:
        with _collection_paused():
            # Without their names, which may be the same strings as attributes further down.
            pickler.dump(list(values))
    except Exception as error:
        if stream.error is not None:
            raise stream.error from None
        raise explain(variables, error, prelude) from error
    return Dump(names, stream.size, stream.digest(), memory.arrange(buffers))


def fingerprint(variables: Mapping[str, object], prelude: frozenset[str]) -> str:
    """A hash of all that the variables hold, 32 hexadecimal digits.

    As long as nothing changes it stays the same inside one process; it is also the id that
    the component would get in a pack.  Raises SaveError when an object cannot be pickled.
    """
    dumped = dump(variables, prelude)
    segments = dumped.layout.segments
    return dumped.id(memory.digests(segments, memory.untouched() if segments else {}))


def components(variables: Mapping[str, object], prelude: frozenset[str]) -> list[dict[str, object]]:
    """Group the variables that share mutable objects or memory.

    Groups and their members keep the order of ``variables``.  Raises SaveError when an
    object cannot be pickled.
    """
    leader = {name: name for name in variables}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = name = leader[leader[name]]
        return name

    holder: dict[int, str] = {}
    extents: list[memory.Extent] = []
    extent_holders: list[str] = []
    tracers = []  # the ids in a memo are those of living objects only as long as it lives
    candidates = [name for name, value in variables.items() if not isinstance(value, _ATOMS)]
    common = _common_to_all()
    with _collection_paused():
        for name in candidates if len(candidates) > 1 else ():
            tracer, buffers = _trace(name, variables[name], prelude)
            tracers.append(tracer)
            memo = tracer.memo.copy()
            for identity in (memo.keys() & holder.keys()) - common:
                if tracer.is_shareable(memo[identity][1]):
                    leader[find(name)] = find(holder[identity])
            if name != candidates[-1]:
                holder.update(dict.fromkeys(memo, name))
            extents += [memory.extent(buffer) for buffer in buffers]
            extent_holders += [name] * len(buffers)
    for cluster in memory.clusters(extents):
        if not all(extents[index].readonly for index in cluster):
            for index in cluster[1:]:
                leader[find(extent_holders[index])] = find(extent_holders[cluster[0]])
    groups: dict[str, dict[str, object]] = {}
    for name, value in variables.items():
        groups.setdefault(find(name), {})[name] = value
    return list(groups.values())


class _Tracer(Pickler):
    """Goes through the objects of one variable only to see which they are."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._enters_classes = False
        self._value_kinds: dict[type, bool] = {}

    def dump(self, obj: Any) -> None:
        # Two objects of one class share nothing by that, but a class and its parts do.
        self._enters_classes = isinstance(obj, type | types.FunctionType)
        super().dump(obj)

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type) and not self._enters_classes:
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
        if isinstance(obj, _NEVER_SHARED) or self._is_value(obj) or id(obj) in self._prelude_names:
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


def _trace(
    name: str, value: object, prelude: frozenset[str]
) -> tuple[_Tracer, list[pickle.PickleBuffer]]:
    buffers: list[pickle.PickleBuffer] = []
    tracer = _Tracer(_Stream(None), prelude, _collector(buffers))
    try:
        tracer.dump(value)
    except Exception as error:
        raise explain({name: value}, error, prelude) from error
    return tracer, buffers


def _collector(buffers: list[pickle.PickleBuffer]) -> Any:
    def collect(buffer: pickle.PickleBuffer) -> bool:
        if memory.keeps_in_stream(buffer):
            return True
        buffers.append(buffer)
        return False

    return collect


class _Stream:
    """Counts and hashes what the pickler writes on its way to the file."""

    def __init__(self, file: Writer | None) -> None:
        import xxhash

        self._file = file
        self._hash = xxhash.xxh3_128()
        self.size = 0
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self._hash.update(data)
        self.size += size
        if self._file is not None:
            try:
                self._file.write(data)
            except OSError as error:
                self.error = error
                raise
        return size

    def digest(self) -> str:
        digest: str = self._hash.hexdigest()
        return digest


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Pickling makes millions of small objects that live: collecting garbage finds nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
