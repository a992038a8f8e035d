"""What somebody may have meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Below this, short names of which every second one differs would pass for each other.
_LIKENESS = 0.75


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The one of ``candidates`` that is most like ``name``, or None if none is like it.

    >>> nearest("tabel", ["table", "rows"]), nearest("Table", ["table"]), nearest("x", ["y"])
    ('table', 'table', None)
    """
    others = sorted({*candidates} - {name})
    for other in others:
        if other.casefold() == name.casefold():
            return other
    return next(iter(difflib.get_close_matches(name, others, n=1, cutoff=_LIKENESS)), None)
