"""Pipelines as plain Python: decorated functions, run here or on Kubeflow Pipelines.

>>> from kale_pm.sdk import pipeline, step
>>> @step(name="load")
... def load(rows): ...
>>> @pipeline(name="small")
... def small(rows=10):
...     load(rows)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kale_pm.runtime.metrics import metric
    from kale_pm.sdk.decorators import PipelineFunction, StepFunction, artifact, pipeline, step

__all__ = ["PipelineFunction", "StepFunction", "artifact", "metric", "pipeline", "step"]

_HOMES = {
    "PipelineFunction": "kale_pm.sdk.decorators",
    "StepFunction": "kale_pm.sdk.decorators",
    "artifact": "kale_pm.sdk.decorators",
    "metric": "kale_pm.runtime.metrics",
    "pipeline": "kale_pm.sdk.decorators",
    "step": "kale_pm.sdk.decorators",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kale_pm.sdk' has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        # In a pod only the runtime is there.  A module of helpers may define steps as well:
        # there they are the functions that they were.
        if error.name != _HOMES[name]:
            raise
        return _unchanged


def _unchanged(*args: Any, **_: Any) -> Any:
    """A decorator, with options or without, that changes nothing."""
    if len(args) == 1 and callable(args[0]):
        return args[0]
    return lambda function: function


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
