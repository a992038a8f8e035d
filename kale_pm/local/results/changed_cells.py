"""Which code cells changed from one run to another, and how."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CodeCell:
    """A code cell as it ran; ``number`` is that in the source notebook, from 1."""

    number: int
    id: str
    source: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class CellChange:
    """A cell that is not the same in both runs; None where a run does not have it."""

    before: CodeCell | None
    after: CodeCell | None

    def diff(self, context: int = 3) -> list[str]:
        """The lines of a unified diff, with so many equal lines around each change."""
        before, after = (
            cell.source.split("\n") if cell else [] for cell in (self.before, self.after)
        )
        return list(difflib.unified_diff(before, after, n=context, lineterm=""))[2:]

    def to_dict(self) -> dict[str, Any]:
        return {
            "before": self.before.number if self.before else None,
            "after": self.after.number if self.after else None,
            "diff": self.diff(),
        }


def compare_cells(before: Sequence[CodeCell], after: Sequence[CodeCell]) -> Iterator[CellChange]:
    """The cells that differ, in their order; the numbers of the cells do not count.

    Where several follow one another, those of one id belong together, then the first of one
    side to the first of the other.
    """
    sources, other_sources = ([cell.source for cell in cells] for cells in (before, after))
    matcher = difflib.SequenceMatcher(None, sources, other_sources, autojunk=False)
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind != "equal":
            yield from _pairs(before[start:end], after[other_start:other_end])


def _pairs(before: Sequence[CodeCell], after: Sequence[CodeCell]) -> Iterator[CellChange]:
    by_id = {cell.id: cell for cell in after}
    partner = {cell.id: by_id[cell.id] for cell in before if cell.id in by_id}
    others = iter([cell for cell in after if cell.id not in partner])
    for cell in before:
        yield CellChange(cell, partner[cell.id] if cell.id in partner else next(others, None))
    for cell in others:
        yield CellChange(None, cell)
