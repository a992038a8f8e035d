"""The steps as a graph: who comes before whom.

Sets of steps are bits of one integer (bit i: the step at place i of the topological order),
so that questions about ancestors cost next to nothing for hundreds of steps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kale_pm.model import topological_order


@dataclass(frozen=True)
class Graph:
    """Steps in topological order; ``ancestors[i]`` holds a bit for each ancestor of step i.

    ``descendants`` are the same, seen from the other end.
    """

    order: tuple[str, ...]
    place: Mapping[str, int]
    parents: tuple[tuple[int, ...], ...]
    ancestors: tuple[int, ...]
    descendants: tuple[int, ...]

    def is_before(self, first: int, second: int) -> bool:
        return bool(self.ancestors[second] >> first & 1)

    def maximal(self, steps: int) -> list[int]:
        """Those of ``steps`` that come before none of the others, last one first."""
        found = []
        while steps:
            last = steps.bit_length() - 1
            found.append(last)
            steps &= ~(self.ancestors[last] | 1 << last)
        return found


def make_graph(names: Sequence[str], edges: Collection[tuple[str, str]]) -> Graph:
    """The graph of an acyclic set of edges over ``names`` (in notebook order)."""
    parents: dict[str, set[str]] = {name: set() for name in names}
    for parent, child in edges:
        if parent in parents and child in parents:
            parents[child].add(parent)
    order = topological_order(list(names), {k: tuple(sorted(v)) for k, v in parents.items()})
    place = {name: index for index, name in enumerate(order)}
    ancestors: list[int] = []
    for name in order:
        bits = 0
        for parent in parents[name]:
            bits |= ancestors[place[parent]] | 1 << place[parent]
        ancestors.append(bits)
    descendants = [0] * len(order)
    for name in reversed(order):
        for parent in parents[name]:
            descendants[place[parent]] |= descendants[place[name]] | 1 << place[name]
    return Graph(
        order,
        place,
        tuple(tuple(sorted(place[p] for p in parents[name])) for name in order),
        tuple(ancestors),
        tuple(descendants),
    )


def bits(steps: int) -> Iterator[int]:
    """The places in ``steps``, last one first."""
    while steps:
        last = steps.bit_length() - 1
        yield last
        steps &= ~(1 << last)
