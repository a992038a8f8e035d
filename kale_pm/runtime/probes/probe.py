"""One kind of global state: how it is read, and how it is set."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kale_pm.runtime.storage.pickler import Pickler

Values = dict[str, Any]

# Stands for a value that is gone.
REMOVED = "__kale_pm_removed__"


@dataclass(frozen=True)
class Probe:
    """How to read and write one kind of global state.

    ``module`` must be imported for the probe to look at anything; ``initial`` gives the
    values right after that import, for comparison when a step itself imports the module.
    What a secret probe reads stays in this process.
    """

    name: str
    read: Callable[[], Values]
    write: Callable[[Values], None]
    module: str = "sys"
    initial: Callable[[], Values] | None = None
    is_secret: bool = False


def encode(value: object, prelude: frozenset[str] = frozenset()) -> bytes:
    """``value`` as ``pickle.loads`` takes it; equal values give equal bytes."""
    if type(value) in (str, int, float, bool, type(None)):
        return pickle.dumps(value)
    stream = io.BytesIO()
    Pickler(stream, prelude).dump(value)
    return stream.getvalue()
