"""The trace that goes on in this thread."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kale_pm.sdk.tracing.trace import Trace

CURRENT: ContextVar[Trace | None] = ContextVar("kale_pm_trace", default=None)


def current_trace() -> Trace | None:
    """The trace that goes on, if a pipeline is being traced."""
    return CURRENT.get()
