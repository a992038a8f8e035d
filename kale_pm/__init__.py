"""kale-pm: one tagged notebook in, a pipeline of executed notebooks out.

>>> import kale_pm
>>> pipeline = kale_pm.load("wine.ipynb")
>>> run = pipeline.run(trees=200)
>>> run["accuracy"]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kale_pm.face import Pipeline, Run, Sweep, compile, fetch, find_sweep, load, run
    from kale_pm.runtime.metrics import metric
    from kale_pm.runtime.storage.savers.registry import saver
    from kale_pm.sweep import Range

__version__ = "0.1.0"
__all__ = [
    "Pipeline",
    "Range",
    "Run",
    "Sweep",
    "compile",
    "fetch",
    "find_sweep",
    "load",
    "metric",
    "run",
    "saver",
]

# Everything is looked up on first use: every kernel and every completion of the command line
# imports this package, and most of them need next to nothing of it.
_HOMES = {
    "Pipeline": "kale_pm.face",
    "Range": "kale_pm.sweep",
    "Run": "kale_pm.face",
    "Sweep": "kale_pm.face",
    "compile": "kale_pm.face",
    "fetch": "kale_pm.face",
    "find_sweep": "kale_pm.face",
    "load": "kale_pm.face",
    "run": "kale_pm.face",
    "metric": "kale_pm.runtime.metrics",
    "saver": "kale_pm.runtime.storage.savers.registry",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'kale_pm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
