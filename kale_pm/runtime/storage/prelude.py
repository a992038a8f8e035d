"""What the prelude made, and every step finds again under the same name.

Every step runs the prelude before anything else, so its functions, its classes and its
sentinels need not travel: their names do.  A step may bind such a name to something else,
and the step that loads this does too; the names are therefore those that held right after
the prelude had run.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Mapping
from typing import Any

from kale_pm.runtime.storage import instances

CACHED_FUNCTION = type(functools.cache(len))
_CODE = (types.FunctionType, CACHED_FUNCTION)

_definitions: Mapping[str, object] | None = None


def remember(namespace: Mapping[str, object]) -> frozenset[str]:
    """Note what the prelude has made, before any step has bound anything; the names of it."""
    global _definitions  # noqa: PLW0603 - one process runs one prelude
    _definitions = {
        name: value
        for name, value in namespace.items()
        if _is_code(value, namespace) or is_sentinel(value)
    }
    return frozenset(_definitions)


def definitions(names: frozenset[str]) -> dict[str, object]:
    """Those of ``names`` that the prelude has bound, and what to."""
    known = vars(sys.modules["__main__"]) if _definitions is None else _definitions
    return {name: value for name, value in known.items() if name in names}


def find(qualname: str) -> Any:
    """What the prelude of this process calls so; ``qualname`` may be dotted.

    Raises AttributeError if it calls nothing so.
    """
    name, *inner = qualname.split(".")
    main = sys.modules["__main__"]
    known = _definitions or {}
    found = known[name] if name in known else getattr(main, name)
    return functools.reduce(getattr, inner, found)


def is_sentinel(value: object) -> bool:
    """Whether the object is nothing but itself: it can only be told apart by ``is``."""
    kind = type(value)
    return kind is object or (
        kind.__module__ == "__main__"
        and not issubclass(kind, type)
        and instances.base_of(kind) is object
        and not instances.has_own_reduction(kind)
        and instances.state_of(value) == (None, {})
    )


def _is_code(value: object, namespace: Mapping[str, object]) -> bool:
    kind = type(value)
    if not issubclass(kind, type) and kind not in _CODE:
        return False
    module = getattr(value, "__module__", None)
    return module == "__main__" or getattr(value, "__globals__", None) is namespace
