"""kfp, without importing its client.

The client brings the client of Kubernetes, Google's sign-in and more with it: together they take
longer to import than what a pipeline is compiled by.  Whoever asks for it still gets it.
"""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import Any

_MODULE = "kfp.client"
_NAME = "Client"
_lock = threading.Lock()


def import_kfp() -> ModuleType:
    """The module ``kfp``."""
    with _lock:
        if "kfp" in sys.modules or _MODULE in sys.modules:
            return importlib.import_module("kfp")
        stand_in = ModuleType(_MODULE)
        setattr(stand_in, _NAME, None)
        sys.modules[_MODULE] = stand_in
        try:
            kfp = importlib.import_module("kfp")
        finally:
            del sys.modules[_MODULE]
        # As ``from kfp.client import Client`` would have left them.
        vars(kfp).pop(_NAME, None)
        vars(kfp).pop("client", None)
        kfp.__getattr__ = _later  # type: ignore[method-assign]
        return kfp


def _later(name: str) -> Any:
    """What ``kfp`` lacks so far."""
    if name == _NAME:
        return getattr(importlib.import_module(_MODULE), _NAME)
    if name == "client":
        return importlib.import_module(_MODULE)
    raise AttributeError(f"module 'kfp' has no attribute {name!r}")
