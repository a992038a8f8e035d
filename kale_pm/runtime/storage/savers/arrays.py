"""Savers for numpy: memory is lent, not copied, and views stay views of it."""

from __future__ import annotations

from typing import Any, Literal

from kale_pm.runtime.storage.memory import SMALL, Span
from kale_pm.runtime.storage.savers.registry import Reduced, saver

_RAW_KINDS = frozenset("?biufcmMSUV")
_REDUCTION = ("__reduce__", "__reduce_ex__", "__setstate__")


@saver("numpy.ndarray")
def _save_array(array: Any) -> Reduced:
    import numpy

    if array.dtype.kind not in _RAW_KINDS or array.dtype.hasobject:
        return NotImplemented
    if type(array) is not numpy.ndarray:
        return _reduce_subclass(array)
    owner = _owner(array)
    if owner is None and is_small(array):
        order: Literal["C", "F"] = "C" if array.flags.c_contiguous else "F"
        content = (array.tobytes(order), array.dtype, array.shape, order)
        return rebuild_small_array, (*content, array.flags.writeable)
    if type(owner) is numpy.ndarray and owner.base is None and is_small(owner):
        offset = _address(array) - _address(owner)
        layout = (array.shape, array.strides, offset)
        return rebuild_view, (owner, array.dtype, layout, array.flags.writeable)
    return reduce_memory(array) if array.size else NotImplemented


def _owner(array: Any) -> Any:
    """The array whose memory this one shows, or what else it comes from; None for its own."""
    import numpy

    owner = array.base
    while isinstance(owner, numpy.ndarray) and owner.base is not None:
        owner = owner.base
    return owner


@saver("numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray")
def _save_masked(array: Any) -> Reduced:
    """By its two arrays: its own reduction copies both, and forgets what they are views of."""
    import numpy

    if type(array) is not numpy.ma.MaskedArray or array.dtype.hasobject:
        return NotImplemented
    _ = array.fill_value  # made when somebody asks, which would look like a change
    own = vars(array)
    mask = None if own["_mask"] is numpy.ma.nomask else own["_mask"]
    settings = {name: own[name] for name in _MASKED_SETTINGS if name in own}
    return rebuild_masked, (array.data, mask, settings)


_MASKED_SETTINGS = ("_fill_value", "_hardmask", "_sharedmask", "_optinfo")


def rebuild_masked(data: Any, mask: Any, settings: dict[str, Any]) -> Any:
    import numpy

    array: Any = data.view(numpy.ma.MaskedArray)
    if mask is not None:
        array._mask = mask
    vars(array).update(settings)
    return array


def _reduce_subclass(array: Any) -> Reduced:
    """As an array of numpy's own class, and what the class adds; nothing is copied."""
    import numpy

    kind = type(array)
    if any(getattr(kind, name) is not getattr(numpy.ndarray, name) for name in _REDUCTION):
        return NotImplemented
    # The attributes of a memmap are its file, which does not follow.
    attributes = {} if isinstance(array, numpy.memmap) else getattr(array, "__dict__", {})
    made = rebuild_subclass, (array.view(numpy.ndarray), kind, array.dtype)
    return (*made, attributes, None, None, fill_subclass) if attributes else made


def rebuild_subclass(array: Any, kind: type, dtype: Any) -> Any:
    return array.view(dtype, kind)


def fill_subclass(array: Any, attributes: dict[str, Any]) -> None:
    vars(array).update(attributes)


def is_small(array: Any) -> bool:
    """Whether the array travels inside the stream; its views then refer to it."""
    return bool(
        array.nbytes < SMALL
        and array.dtype.kind in _RAW_KINDS
        and not array.dtype.hasobject
        and (array.flags.c_contiguous or array.flags.f_contiguous)
    )


def reduce_memory(array: Any, *, apart: bool = False) -> Reduced:
    """The stretch of memory that the array covers; ``apart`` from all others, if so."""
    start, readonly = array.__array_interface__["data"]
    low, high = bounds(start, array.shape, array.strides, array.itemsize)
    buffer = Span(array, low, high, readonly=readonly, apart=apart).buffer()
    return rebuild_array, (buffer, array.dtype, array.shape, array.strides, start - low)


def bounds(
    start: int, shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int
) -> tuple[int, int]:
    """The addresses where the elements begin and end; strides and item size are in bytes."""
    reach = [(count - 1) * stride for count, stride in zip(shape, strides, strict=True)]
    low = start + sum(step for step in reach if step < 0)
    return low, start + sum(step for step in reach if step > 0) + itemsize


def _address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def rebuild_array(buffer: Any, dtype: Any, shape: Any, strides: Any, offset: int) -> Any:
    import numpy

    return numpy.ndarray(shape, dtype, buffer, offset, strides)


def rebuild_small_array(data: bytes, dtype: Any, shape: Any, order: Any, writeable: bool) -> Any:
    import numpy

    array = numpy.ndarray(shape, dtype, data, order=order).copy(order)
    array.flags.writeable = writeable
    return array


def rebuild_view(owner: Any, dtype: Any, layout: tuple[Any, Any, int], writeable: bool) -> Any:
    import numpy

    shape, strides, offset = layout
    memory = owner if owner.flags.c_contiguous else owner.T
    view = numpy.ndarray(shape, dtype, memory, offset, strides)
    view.flags.writeable = writeable and owner.flags.writeable
    return view
