"""Savers for matplotlib: figures with all that belongs to them."""

from __future__ import annotations

import itertools
from typing import Any

from kale_pm.runtime.storage.savers.registry import Reduced, saver


@saver("matplotlib.cbook.CallbackRegistry")
def _save_callbacks(registry: Any) -> Reduced:
    """Its own reduction counts up, so that a figure would change by being stored."""
    reduced = registry.__reduce_ex__(4)
    registry._cid_gen = itertools.count(reduced[2]["_cid_gen"])
    return reduced
