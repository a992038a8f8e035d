"""Savers for torch: tensors share memory as before, and come back to their device.

Where the device is missing they come back on the CPU.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from kale_pm.runtime.storage.memory import Span
from kale_pm.runtime.storage.savers.arrays import bounds
from kale_pm.runtime.storage.savers.registry import Reduced, saver


@saver("torch.Tensor")
def _save_tensor(tensor: Any) -> Reduced:
    import torch

    if type(tensor) is torch.nn.Parameter:
        made: Reduced = rebuild_parameter, (tensor.data, tensor.requires_grad)
    elif type(tensor) is torch.Tensor and _is_plain(tensor):
        # The history of a result stays behind; without it no gradient can go through it.
        requires_grad = tensor.requires_grad and tensor.is_leaf
        reduce = _reduce_memory if tensor.device.type == "cpu" else _reduce_on_device
        rebuild, arguments = reduce(tensor)
        made = rebuild, (*arguments, requires_grad)
    else:
        return NotImplemented
    gradient = tensor.grad if tensor.is_leaf else None
    if gradient is None and not tensor.__dict__:
        return made
    return *made, (gradient, tensor.__dict__), None, None, fill_tensor


def _is_plain(tensor: Any) -> bool:
    import torch

    return bool(
        tensor.layout == torch.strided
        and tensor.numel()
        and tensor.device.type != "meta"
        and not (tensor.is_quantized or tensor.is_conj() or tensor.is_neg())
    )


def _reduce_memory(tensor: Any) -> Reduced:
    tensor = tensor.detach()
    itemsize = tensor.element_size()
    strides = tuple(stride * itemsize for stride in tensor.stride())
    low, high = bounds(tensor.data_ptr(), tuple(tensor.shape), strides, itemsize)
    layout = (tensor.dtype, tuple(tensor.shape), tuple(tensor.stride()))
    return rebuild_tensor, (Span(tensor, low, high).buffer(), *layout)


def rebuild_tensor(buffer: Any, dtype: Any, shape: Any, strides: Any, requires_grad: bool) -> Any:
    import torch

    with _unheard() if memoryview(buffer).readonly else contextlib.nullcontext():
        tensor = torch.frombuffer(buffer, dtype=dtype).as_strided(shape, strides)
    return tensor.requires_grad_(requires_grad)


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Torch warns of memory that cannot be written, in the midst of somebody's notebook."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given buffer is not writable")
        yield


def _reduce_on_device(tensor: Any) -> Reduced:
    """The whole storage, which keeps its identity, so that views of it stay views."""
    layout = (tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride()))
    return rebuild_on_device, (tensor.untyped_storage(), tensor.dtype, layout)


def rebuild_on_device(storage: Any, dtype: Any, layout: Any, requires_grad: bool) -> Any:
    import torch

    tensor = torch.empty(0, dtype=dtype, device=storage.device)
    return tensor.set_(storage, *layout).requires_grad_(requires_grad)


@saver("torch.storage.UntypedStorage")
def _save_storage(storage: Any) -> Reduced:
    import torch

    if storage.device.type == "meta":
        return NotImplemented
    here = torch.empty(0, dtype=torch.uint8).set_(storage.cpu()) if storage.nbytes() else None
    return rebuild_storage, (here, str(storage.device))


def rebuild_storage(here: Any, device: str) -> Any:
    import torch

    if here is None:
        here = torch.empty(0, dtype=torch.uint8)
    try:
        return here.to(device).untyped_storage()
    except (AssertionError, RuntimeError):  # this machine has no such device
        return here.untyped_storage()


@saver("torch.storage.TypedStorage")
def _save_typed_storage(storage: Any) -> Reduced:
    """What torch itself writes of a storage holds its address."""
    return rebuild_typed_storage, (storage.untyped(), storage.dtype)


def rebuild_typed_storage(storage: Any, dtype: Any) -> Any:
    import torch

    return torch.storage.TypedStorage(wrap_storage=storage, dtype=dtype, _internal=True)


def rebuild_parameter(data: Any, requires_grad: bool) -> Any:
    import torch

    return torch.nn.Parameter(data, requires_grad)


def fill_tensor(tensor: Any, state: tuple[Any, dict[str, Any]]) -> None:
    gradient, attributes = state
    tensor.grad = gradient
    tensor.__dict__.update(attributes)
