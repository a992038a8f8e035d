"""Savers for arrays, frames and models, where plain pickle copies or forgets what is shared.

Importing this module registers them; the libraries are imported when an object needs them.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

from kale_pm.runtime.storage.memory import SMALL, Span
from kale_pm.runtime.storage.savers import Reduced, saver

_RAW_KINDS = frozenset("?biufcmMSUV")


@saver("numpy.ndarray")
def _save_array(array: Any) -> Reduced:
    import numpy

    if type(array) is not numpy.ndarray or array.dtype.kind not in _RAW_KINDS:
        return NotImplemented
    if array.dtype.hasobject:
        return NotImplemented
    owner = array.base
    if owner is None and _is_small(array):
        order: Literal["C", "F"] = "C" if array.flags.c_contiguous else "F"
        content = (array.tobytes(order), array.dtype, array.shape, order)
        return rebuild_small_array, (*content, array.flags.writeable)
    if type(owner) is numpy.ndarray and owner.base is None and _is_small(owner):
        offset = _address(array) - _address(owner)
        layout = (array.shape, array.strides, offset)
        return rebuild_view, (owner, array.dtype, layout, array.flags.writeable)
    return _reduce_memory(array) if array.size else NotImplemented


def _is_small(array: Any) -> bool:
    """Whether the array travels inside the stream; its views then refer to it."""
    return bool(
        array.nbytes < SMALL
        and array.dtype.kind in _RAW_KINDS
        and not array.dtype.hasobject
        and (array.flags.c_contiguous or array.flags.f_contiguous)
    )


def _reduce_memory(array: Any, *, apart: bool = False) -> Reduced:
    start, readonly = array.__array_interface__["data"]
    low, high = _bounds(start, array.shape, array.strides, array.itemsize)
    buffer = Span(array, low, high, readonly=readonly, apart=apart).buffer()
    return rebuild_array, (buffer, array.dtype, array.shape, array.strides, start - low)


def _bounds(
    start: int, shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int
) -> tuple[int, int]:
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


@saver("torch.Tensor")
def _save_tensor(tensor: Any) -> Reduced:
    import torch

    plain = (
        type(tensor) is torch.Tensor
        and tensor.layout == torch.strided
        and tensor.numel()
        and tensor.grad_fn is None
        and not (tensor.is_quantized or tensor.is_conj() or tensor.is_neg() or tensor.__dict__)
    )
    if not plain or tensor.device.type == "meta":
        return NotImplemented
    here = tensor.detach().cpu()
    itemsize = here.element_size()
    strides = tuple(stride * itemsize for stride in here.stride())
    low, high = _bounds(here.data_ptr(), tuple(here.shape), strides, itemsize)
    layout = (here.dtype, tuple(here.shape), tuple(here.stride()))
    return rebuild_tensor, (Span(here, low, high).buffer(), *layout, tensor.requires_grad)


def rebuild_tensor(buffer: Any, dtype: Any, shape: Any, strides: Any, requires_grad: bool) -> Any:
    import torch

    tensor = torch.frombuffer(buffer, dtype=dtype).as_strided(shape, strides)
    return tensor.requires_grad_(requires_grad)


@saver("pandas.core.internals.blocks.Block")
def _save_block(block: Any) -> Reduced:
    """Frames that share a block until one of them writes are independent of each other.

    Loaded as views of one segment they would lose that: pandas no longer knows who shares.
    """
    rebuild, (values, *rest) = block.__reduce__()
    if _copies_on_write() and block.refs.has_reference():
        import numpy

        is_large_array = type(values) is numpy.ndarray and not _is_small(values)
        if is_large_array and not values.dtype.hasobject and values.size:
            values = _Independent(values)
        else:
            values = values.copy()
    return rebuild, (values, *rest)


class _Independent:
    """Stands for an array in the stream; its memory is stored for itself."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __reduce__(self) -> Reduced:
        return _reduce_memory(self.array, apart=True)


@functools.cache
def _pandas_generation() -> int:
    import pandas

    return int(pandas.__version__.partition(".")[0])


def _copies_on_write() -> bool:
    if _pandas_generation() >= 3:
        return True
    import pandas

    return pandas.get_option("mode.copy_on_write") is True


@saver("polars.dataframe.frame.DataFrame")
def _save_polars_frame(frame: Any) -> Reduced:
    import polars

    try:
        table = frame.to_arrow()
        if polars.from_arrow(table).schema != frame.schema:
            return NotImplemented
    except (ImportError, TypeError, ValueError, polars.exceptions.PolarsError):
        return NotImplemented  # pyarrow is missing, or has no such type
    return rebuild_polars_frame, (table,)


def rebuild_polars_frame(table: Any) -> Any:
    import polars

    return polars.from_arrow(table)


@saver("keras.src.models.model.Model", "keras.src.engine.training.Model")
def _save_keras_model(model: Any) -> Reduced:
    import json
    import tempfile
    import zipfile
    from pathlib import Path

    layers = [model, *model._flatten_layers(include_self=False)]
    own_classes = {
        type(layer).__name__: type(layer)
        for layer in layers
        if type(layer).__module__ == "__main__"
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    # The time of saving would make an unchanged model look changed.
    metadata = json.loads(members["metadata.json"])
    metadata.pop("date_saved", None)
    members["metadata.json"] = json.dumps(metadata).encode()
    return rebuild_keras_model, (members, own_classes)


def rebuild_keras_model(members: dict[str, bytes], own_classes: dict[str, type]) -> Any:
    import tempfile
    import zipfile
    from pathlib import Path

    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return keras.models.load_model(path, custom_objects=own_classes, safe_mode=False)
