"""Values that the notebook, run from top to bottom, would have shown differently."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from kale_pm.analysis.code.catalogue import AMBIENT_NAMES
from kale_pm.analysis.code.effects import Read
from kale_pm.analysis.flow.sources import REAL, Flows, Prelude, Write, is_builtin, resolve
from kale_pm.model import Pipeline, Problem


@dataclass(frozen=True)
class Piece:
    """Cells of one step that stand together: steps whose cells are scattered have several.

    ``index`` counts them from the top of the notebook, ``cell`` is the number of the first.
    """

    index: int
    step: str
    cell: int
    reads: Mapping[str, Read]
    writes: Mapping[str, Write]


def order_differs(pipeline: Pipeline, flows: Flows, prelude: Prelude) -> Iterator[Problem]:
    """A warning for each value of the notebook's order that the order of the steps replaces.

    Compared is who changed a variable last: above in the notebook, and in the pipeline, where
    a step sees nothing but what comes before it and runs as a whole.
    """
    pieces = _pieces(pipeline, flows, prelude)
    changes = _Changes(pieces, flows)
    failing: set[tuple[str, str]] = set()
    for piece in pieces:
        for name in sorted(piece.reads.keys() & changes.names):
            above, before = changes.above(piece, name), changes.before(piece, name)
            python_has_it = _is_public_builtin(name) and name not in prelude.names
            if python_has_it:
                above, before = _unless_deleted(above, name), _unless_deleted(before, name)
            is_given = python_has_it or name in prelude.names
            # What may be missing by the code's own account, nobody reports as missing.
            may_miss = is_given or piece.reads[name].soft or piece.reads[name].possible
            is_there = before.writes[name] is not Write.DELETES if before else may_miss
            if not is_there or above is before:
                continue
            if above or is_given:
                yield from _problem(name, piece, above, before, flows)
            elif before and _surely_fails(piece, name, flows, prelude):
                pair = piece.step, before.step
                if pair not in failing:
                    yield _stands_above(name, piece, before)
                failing.add(pair)


def _is_public_builtin(name: str) -> bool:
    """Does Python have ``name``, always the same one?  What IPython sets anew is none."""
    return is_builtin(name) and name not in AMBIENT_NAMES


def _unless_deleted(piece: Piece | None, name: str) -> Piece | None:
    """Where a variable is gone that hid a builtin, the builtin is there as ever."""
    return None if piece and piece.writes[name] is Write.DELETES else piece


def _surely_fails(piece: Piece, name: str, flows: Flows, prelude: Prelude) -> bool:
    """Is there nothing by this name where ``piece`` stands in the notebook?"""
    unknown = (
        prelude.known.open_ended
        or any(effects.dynamic for effects in flows.effects)
        or any(known.open_ended for known in flows.known)
    )
    return piece.reads[name].certain and not is_builtin(name) and not unknown


def _stands_above(name: str, piece: Piece, before: Piece) -> Problem:
    read = piece.reads[name]
    return Problem(
        "order-differs",
        "warning",
        f"step {piece.step} reads '{name}' above the cells of step {before.step} that set it: "
        f"run from top to bottom, the notebook would fail",
        hint="move those cells above this one",
        step=piece.step,
        cell=read.place.cell,
        line=read.place.line,
    )


class _Changes:
    """Which pieces change a variable, in the order of the notebook."""

    def __init__(self, pieces: list[Piece], flows: Flows) -> None:
        self._flows = flows
        self._pieces: dict[str, list[Piece]] = {}
        self._of_step: dict[tuple[str, str], list[Piece]] = {}
        for piece in pieces:
            for name, write in piece.writes.items():
                if write in REAL:
                    self._pieces.setdefault(name, []).append(piece)
                    self._of_step.setdefault((name, piece.step), []).append(piece)

    @property
    def names(self) -> Set[str]:
        return self._pieces.keys()

    def above(self, piece: Piece, name: str) -> Piece | None:
        """The last change of ``name`` above ``piece`` in the notebook."""
        pieces = self._pieces[name]
        place = bisect_left(pieces, piece.index, key=lambda other: other.index)
        return pieces[place - 1] if place else None

    def before(self, piece: Piece, name: str) -> Piece | None:
        """The last change of ``name`` when the pipeline comes to ``piece``."""
        own = [p for p in self._of_step.get((name, piece.step), ()) if p.index < piece.index]
        if own:
            return own[-1]
        graph = self._flows.graph
        writers = self._flows.writers(name, REAL) & graph.ancestors[graph.place[piece.step]]
        last = graph.order[writers.bit_length() - 1] if writers else ""
        return self._of_step.get((name, last), [None])[-1]


def _pieces(pipeline: Pipeline, flows: Flows, prelude: Prelude) -> list[Piece]:
    """All pieces of all steps, from the top of the notebook to its end."""
    cells = sorted(
        ((cell, step) for step in pipeline.steps for cell in step.code),
        key=lambda found: found[0].number,
    )
    runs = [
        (step, tuple(cell for cell, _ in run))
        for step, run in groupby(cells, key=lambda found: found[1])
    ]
    found = flows
    places = [flows.graph.place[step.name] for step, _ in runs]
    if len({step.name for step, _ in runs}) < len(runs):
        parts = [
            replace(step, name=f"{step.name} {number}", cells=cells)
            for number, (step, cells) in enumerate(runs)
        ]
        found = resolve(parts, tuple(pairwise(part.name for part in parts)), prelude)
        places = list(range(len(runs)))
    return [
        Piece(index, step.name, cells[0].number, found.effects[place].reads, found.writes[place])
        for index, (place, (step, cells)) in enumerate(zip(places, runs, strict=True))
    ]


def _problem(
    name: str, piece: Piece, above: Piece | None, before: Piece | None, flows: Flows
) -> Iterator[Problem]:
    place = flows.graph.place
    read = piece.reads[name]
    seen = f"as step {above.step} leaves it" if above else "as it was before the first step"
    if above and not flows.graph.is_before(place[above.step], place[piece.step]):
        instead = f"step {piece.step} does not follow that step"
        hint = f"add the tag prev:{above.step} if that value is meant"
    elif before:
        instead = f"here step {before.step} changes it in between, in cell {before.cell}"
        hint = "a step runs as a whole, after all that it follows: give those cells another step"
    else:
        return
    yield Problem(
        "order-differs",
        "warning",
        f"run from top to bottom, the notebook would read '{name}' {seen}; {instead}",
        hint=hint,
        step=piece.step,
        cell=read.place.cell,
        line=read.place.line,
    )
