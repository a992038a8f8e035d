"""papermill, without importing pyarrow in case that a notebook lies on HDFS.

pyarrow brings numpy with it: together they take as long to import as all else of papermill,
and as much memory.  Whoever opens such a notebook still gets both.
"""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import Any

_MODULE = "pyarrow.fs"
_NAMES = ("FileSelector", "HadoopFileSystem")
_lock = threading.Lock()


def import_papermill() -> ModuleType:
    """The module ``papermill``."""
    with _lock:
        if "papermill" in sys.modules or _MODULE in sys.modules:
            return importlib.import_module("papermill")
        sys.modules[_MODULE] = None  # type: ignore[assignment]  # says that it is not there
        try:
            papermill = importlib.import_module("papermill")
        finally:
            del sys.modules[_MODULE]
        handlers = sys.modules["papermill.iorw"]
        for name in _NAMES:
            setattr(handlers, name, _later(name))
        return papermill


def _later(name: str) -> Any:
    def make(*arguments: Any, **options: Any) -> Any:
        return getattr(importlib.import_module(_MODULE), name)(*arguments, **options)

    return make
