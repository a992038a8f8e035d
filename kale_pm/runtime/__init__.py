"""What runs beside the user's code, in a kernel on this machine or in a pod.

A slice calls :func:`load` before the step's own cells and :func:`save` after them; both work
on the namespace of the notebook.  This package travels to the cluster by itself, so it
imports nothing of kale-pm but ``errors``, ``events``, ``record`` and ``strict_json``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kale_pm.runtime.step import load, save

__all__ = ["load", "save"]


def __getattr__(name: str) -> Any:
    # On first use: what reads manifests and records here needs nothing of what stores variables.
    if name in __all__:
        return getattr(import_module("kale_pm.runtime.step"), name)
    raise AttributeError(f"module 'kale_pm.runtime' has no attribute {name!r}")
