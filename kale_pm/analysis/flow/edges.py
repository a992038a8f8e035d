"""Edges that the notebook does not say but its data does.

Two cases: steps that fill one object in parallel branches are put one after the other, as in
the notebook; and a notebook without any ``prev:`` gets its edges from its variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from kale_pm.analysis.flow.graph import bits, make_graph
from kale_pm.analysis.flow.sources import (
    REAL,
    Flows,
    Prelude,
    Write,
    is_builtin,
    is_deleted,
    resolve,
)
from kale_pm.model import Problem, Step

Edges = tuple[tuple[str, str], ...]


def infer_edges(steps: Sequence[Step], prelude: Prelude) -> Edges:
    """Each step depends on the last step above that writes a variable which it reads.

    The steps are followed as one chain first, which tells who reads and writes what.  A
    step that may leave a variable alone does not hide who wrote it before; one that deletes
    it does, and whoever reads it comes after that.
    """
    names = [step.name for step in steps]
    chain = tuple(pairwise(names))
    flows = resolve(steps, chain, prelude)
    edges: dict[tuple[str, str], None] = {}
    for place, sources in enumerate(flows.sources):
        for name, asked in sources.items():
            for source in bits(asked & ~flows.writers(name, (Write.SHARES,))):
                edges[flows.graph.order[source], flows.graph.order[place]] = None
        for name in flows.effects[place].reads:
            if is_deleted(flows, place, name) and not is_builtin(name):
                writers = flows.writers(name, REAL) & flows.graph.ancestors[place]
                deleter = flows.graph.maximal(writers)[0]
                edges[flows.graph.order[deleter], flows.graph.order[place]] = None
    return tuple(edges)


@dataclass(frozen=True)
class Rivalry:
    """Parallel steps that write one variable: what the user is told, and edges that settle it."""

    problem: Problem
    edges: Edges = ()


def rivalries(steps: Sequence[Step], flows: Flows) -> list[Rivalry]:
    """What to do about each variable that several parallel steps hand to a later one.

    Steps that change one variable run one after the other, in the order of the notebook.
    Of steps that bind it anew the last one in the notebook is the source; they need no edges,
    unless the edges of the notebook point upwards somewhere, so that it might run first.
    """
    found: dict[Rivalry, None] = {}
    position = {step.name: index for index, step in enumerate(steps)}
    for name, parallel, reader in flows.conflicts:
        rivals = sorted(parallel, key=lambda place: position[flows.graph.order[place]])
        edges = tuple(pairwise(flows.graph.order[place] for place in rivals))
        if all(flows.writes[place][name] is Write.BINDS for place in rivals):
            problem = _ambiguous(flows, name, rivals, reader)
            found[Rivalry(problem, edges if rivals != parallel else ())] = None
        else:
            found[Rivalry(_serialised(flows, name, rivals), edges)] = None
    return list(found)


def _ambiguous(flows: Flows, name: str, rivals: list[int], reader: int) -> Problem:
    listing, last = _listing(flows, rivals)
    where = flows.effects[reader].reads[name].place
    step = flows.graph.order[reader]
    return Problem(
        "ambiguous-source",
        "warning",
        f"'{name}' is set in the parallel steps {listing}; "
        f"{step} gets that of {last}, the last in the notebook",
        hint="give the variable another name in each branch",
        step=step,
        cell=where.cell,
        line=where.line,
    )


def _serialised(flows: Flows, name: str, rivals: list[int]) -> Problem:
    listing, last = _listing(flows, rivals)
    effects = flows.effects[rivals[-1]]
    where = effects.mutates.get(name) or effects.places.get(name) or effects.may_delete.get(name)
    return Problem(
        "serialised",
        "warning",
        f"the parallel steps {listing} change '{name}', each of them: "
        f"they run one after the other, in the order of the notebook",
        hint="use one variable per branch, and join them in a later step",
        step=last,
        cell=where.cell if where else None,
        line=where.line if where else None,
    )


def _listing(flows: Flows, rivals: list[int]) -> tuple[str, str]:
    """The names of the steps as a text, and the last of them."""
    *names, last = (flows.graph.order[place] for place in rivals)
    return f"{', '.join(names)} and {last}", last


def without_cycles(steps: Sequence[Step], edges: Edges, more: Edges) -> Edges:
    """As many of the edges ``more`` as are new and close no cycle with ``edges``."""
    names = [step.name for step in steps]
    found: list[tuple[str, str]] = []
    for edge in more:
        if edge in edges:
            continue
        graph = make_graph(names, (*edges, *found))
        if not graph.is_before(graph.place[edge[1]], graph.place[edge[0]]):
            found.append(edge)
    return tuple(found)
