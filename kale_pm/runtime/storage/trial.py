"""What was pickled is made again at once: what would fail in a later step fails here.

The objects are made as that step would make them, but the classes of this process stay as
they are.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import cloudpickle.cloudpickle

from kale_pm.runtime.storage import classes
from kale_pm.runtime.storage.pickler import Pickler


def loads(stream: bytes | memoryview, *, buffers: Sequence[Any] = ()) -> Any:
    """As ``pickle.loads``, for a stream that this process has written."""
    return _Unpickler(io.BytesIO(stream), buffers=buffers).load()


def attempt(value: object, prelude: frozenset[str]) -> None:
    """Pickle the value and make it again; raises whatever that raises."""
    stream, buffers = _pickled(value, prelude)
    loads(stream, buffers=[bytearray(buffer) for buffer in buffers])


def copy(variables: Mapping[str, object], prelude: frozenset[str]) -> dict[str, object]:
    """The variables pickled and made again, but for the memory of arrays, which is lent.

    Nobody can write to that memory through the copy.  Raises whatever this raises.
    """
    stream, buffers = _pickled(dict(variables), prelude)
    copies: dict[str, object] = loads(stream, buffers=[buffer.toreadonly() for buffer in buffers])
    return copies


def _pickled(value: object, prelude: frozenset[str]) -> tuple[bytes, list[memoryview]]:
    stream = io.BytesIO()
    buffers: list[pickle.PickleBuffer] = []
    Pickler(stream, prelude, buffers.append).dump(value)
    return stream.getvalue(), [buffer.raw() for buffer in buffers]


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        found = super().find_class(module, name)
        try:
            return _INSTEAD.get(found, found)
        except TypeError:  # something that has no hash
            return found


def _living_class(
    _make: Any, _native: Any, _metaclass: Any, _name: str, _bases: Any, *rest: Any
) -> Any:
    _namespace, identity, _extra = rest
    return cloudpickle.cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID[identity]


def _living_enum(*arguments: Any) -> Any:
    *_description, identity, _extra = arguments
    return cloudpickle.cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID[identity]


def _left(_kind: type, _state: Any) -> None:
    """A living class has its state."""


_INSTEAD = {
    classes.make_class: _living_class,
    classes.fill_class: _left,
    cloudpickle.cloudpickle._make_skeleton_enum: _living_enum,
}
