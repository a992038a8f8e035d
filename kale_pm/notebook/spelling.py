"""What somebody may have meant by a name or a word that does not exist."""

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


def slip_of(word: str, words: Iterable[str]) -> str | None:
    """The one of ``words`` that ``word`` is most likely a slip of; None if it is near to none.

    One letter may be wrong, missing, doubled or swapped with its neighbour; from eight letters
    on two.  That is stricter than :func:`nearest`: a word far off may be somebody else's.
    """
    lowered = word.lower()
    distances = [(_distance(lowered, other), other) for other in words]
    near = [pair for pair in distances if pair[0] <= (2 if len(pair[1]) >= 8 else 1)]
    return min(near)[1] if near else None


def _distance(one: str, other: str) -> int:
    """How many letters differ, counting swapped neighbours as one."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        above, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
    return row[-1]
