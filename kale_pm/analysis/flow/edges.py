"""Edges that the notebook does not say but its data does.

Two cases: steps that fill one object in parallel branches are put one after the other, as in
the notebook; and a notebook without any ``prev:`` gets its edges from its variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from kale_pm.analysis.flow.graph import bits
from kale_pm.analysis.flow.sources import Flows, Prelude, Write, resolve
from kale_pm.model import Problem, Step

Edges = tuple[tuple[str, str], ...]


def infer_edges(steps: Sequence[Step], prelude: Prelude) -> Edges:
    """Each step depends on the last step above that writes a variable which it reads.

    The steps are followed as one chain first, which tells who reads and writes what.
    """
    names = [step.name for step in steps]
    chain = tuple(pairwise(names))
    flows = resolve(steps, chain, prelude)
    edges: dict[tuple[str, str], None] = {}
    for place, sources in enumerate(flows.sources):
        for name, asked in sources.items():
            for source in bits(asked & ~flows.writers(name, (Write.SHARES,))):
                edges[flows.graph.order[source], flows.graph.order[place]] = None
    return tuple(edges)


def serialise(flows: Flows) -> tuple[Edges, list[Problem]]:
    """Edges between parallel steps that change one variable, and the warnings about it.

    Parallel steps that bind a variable anew need no edge: the last one in the notebook is
    the source, with the warning ``ambiguous-source``.
    """
    edges: dict[tuple[str, str], None] = {}
    problems: dict[tuple[str, ...], Problem] = {}
    order = flows.graph.order
    for name, rivals, reader in flows.conflicts:
        steps = [order[place] for place in rivals]
        listing = f"{', '.join(steps[:-1])} and {steps[-1]}"
        if all(flows.writes[place][name] is Write.BINDS for place in rivals):
            where = flows.effects[reader].reads[name].place
            problems.setdefault(
                ("ambiguous-source", name, *steps),
                Problem(
                    "ambiguous-source",
                    "warning",
                    f"'{name}' is set in the parallel steps {listing}; "
                    f"{order[reader]} gets that of {steps[-1]}, the last in the notebook",
                    hint="give the variable another name in each branch",
                    step=order[reader],
                    cell=where.cell,
                    line=where.line,
                ),
            )
            continue
        edges |= dict.fromkeys(pairwise(steps))
        last = flows.effects[rivals[-1]]
        changed = last.mutates.get(name) or last.places.get(name) or last.may_delete.get(name)
        problems.setdefault(
            ("serialised", name, *steps),
            Problem(
                "serialised",
                "warning",
                f"the parallel steps {listing} change '{name}', each of them: "
                f"they run one after the other, in the order of the notebook",
                hint="use one variable per branch, and join them in a later step",
                step=steps[-1],
                cell=changed.cell if changed else None,
                line=changed.line if changed else None,
            ),
        )
    return tuple(edges), list(problems.values())
