"""Where the boxes and the edges of a DAG stand: a layered layout in plain Python.

Every step gets the layer of its longest way from a start; an edge that spans several layers
passes each one between at a place of its own, so that it never runs through a box.  The
order within a layer is chosen to cross few edges, the positions to keep edges straight.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kale_pm.model import topological_order

Point = tuple[float, float]
Edge = tuple[str, str]
Node = str | tuple[str, str, int]  # a step, or (parent, child, layer) where an edge passes
Rows = list[list[Node]]
Links = dict[Node, list[Node]]

_BETWEEN_BOXES = 20.0
_BETWEEN_EDGES = 14.0
_ORDERING_SWEEPS = 24
_POSITION_SWEEPS = 80


@dataclass(frozen=True)
class Box:
    """A rectangle by its upper left corner, in pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """A finished picture of ``width`` by ``height`` pixels.

    The points of an edge alternate between curves and straight lines: a curve leads from the
    first to the second, a line to the third, a curve to the fourth, and so on.
    """

    width: float
    height: float
    boxes: Mapping[str, Box]
    edges: Mapping[Edge, tuple[Point, ...]]


def known_parents(parents: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The same graph without parents that are no steps of it (a run of a part has such)."""
    return {
        name: tuple(dict.fromkeys(parent for parent in above if parent in parents))
        for name, above in parents.items()
    }


def sorted_steps(parents: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """All steps, parents first; ValueError if the edges run in a circle."""
    order = topological_order(list(parents), parents)
    if len(order) < len(parents):
        circle = ", ".join(name for name in parents if name not in set(order))
        raise ValueError(f"a graph with a cycle cannot be drawn: {circle}")
    return order


def arrange(
    parents: Mapping[str, tuple[str, ...]],
    sizes: Mapping[str, Point],
    *,
    rightwards: bool,
    between_layers: float,
    margin: float = 8.0,
) -> Layout:
    """Place boxes of the given ``sizes`` (width, height in pixels) so that all edges point one way.

    Edges point down, or to the right with ``rightwards``.  Raises ValueError on a cycle.
    """
    rows, above, below = _proper_layers(parents)
    rows = _untangled(rows, above, below)

    def across(node: Node) -> float:
        return sizes[node][1 if rightwards else 0] if isinstance(node, str) else 0.0

    def along(node: Node) -> float:
        return sizes[node][0 if rightwards else 1] if isinstance(node, str) else 0.0

    middle = _positions(rows, above, below, {node: across(node) for row in rows for node in row})
    first = min((middle[n] - across(n) / 2 for row in rows for n in row), default=0.0)
    last = max((middle[n] + across(n) / 2 for row in rows for n in row), default=0.0)

    spans: list[tuple[float, float]] = []
    begin = margin
    for row in rows:
        thickness = max(along(node) for node in row)
        spans.append((begin, begin + thickness))
        begin += thickness + between_layers
    extent = (spans[-1][1] if spans else margin) + margin

    def point(progress: float, side: float) -> Point:
        shifted = side - first + margin
        return (progress, shifted) if rightwards else (shifted, progress)

    boxes: dict[str, Box] = {}
    layer = {node: index for index, row in enumerate(rows) for node in row}
    for name in parents:
        start, end = spans[layer[name]]
        x, y = point(start, middle[name] - across(name) / 2)
        width, height = (end - start, across(name)) if rightwards else (across(name), end - start)
        boxes[name] = Box(x, y, width, height)

    edges: dict[Edge, tuple[Point, ...]] = {}
    for child, starts in parents.items():
        for parent in starts:
            points = [point(spans[layer[parent]][1], middle[parent])]
            for index in range(layer[parent] + 1, layer[child]):
                side = middle[(parent, child, index)]
                points += [point(spans[index][0], side), point(spans[index][1], side)]
            points.append(point(spans[layer[child]][0], middle[child]))
            edges[parent, child] = tuple(points)

    side_extent = last - first + 2 * margin
    width, height = (extent, side_extent) if rightwards else (side_extent, extent)
    return Layout(width, height, boxes, edges)


def _proper_layers(parents: Mapping[str, tuple[str, ...]]) -> tuple[Rows, Links, Links]:
    """Rows in which every edge joins neighbours, with what stands above and below each node."""
    layer: dict[str, int] = {}
    for name in sorted_steps(parents):
        layer[name] = 1 + max((layer[parent] for parent in parents[name]), default=-1)
    rows: Rows = [[] for _ in range(1 + max(layer.values(), default=-1))]
    for name in parents:
        rows[layer[name]].append(name)
    above: Links = {name: [] for name in parents}
    below: Links = {name: [] for name in parents}
    for child, starts in parents.items():
        for parent in starts:
            upper: Node = parent
            for index in range(layer[parent] + 1, layer[child] + 1):
                lower: Node = child if index == layer[child] else (parent, child, index)
                if not isinstance(lower, str):
                    rows[index].append(lower)
                    above[lower], below[lower] = [], []
                above[lower].append(upper)
                below[upper].append(lower)
                upper = lower
    return rows, above, below


def _untangled(rows: Rows, above: Links, below: Links) -> Rows:
    """Order each row by the mean place of its neighbours; the order with fewest crossings wins."""
    best, fewest = rows, _crossings(rows, below)
    for sweep in range(_ORDERING_SWEEPS):
        if not fewest:
            break
        downwards = sweep % 2 == 0
        neighbours = above if downwards else below
        rows = [list(row) for row in rows]
        indices = range(1, len(rows)) if downwards else range(len(rows) - 2, -1, -1)
        for index in indices:
            fixed = rows[index - 1] if downwards else rows[index + 1]
            place = {node: float(i) for i, node in enumerate(fixed)}
            own = {node: float(i) for i, node in enumerate(rows[index])}
            rows[index].sort(key=lambda n: _mean([place[m] for m in neighbours[n]], own[n]))
        crossings = _crossings(rows, below)
        if crossings < fewest:
            best, fewest = rows, crossings
    return best


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _crossings(rows: Rows, below: Links) -> int:
    total = 0
    for upper, lower in pairwise(rows):
        place = {node: index for index, node in enumerate(lower)}
        seen: list[int] = []
        for node in upper:
            ends = sorted(place[child] for child in below[node])
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _positions(
    rows: Rows, above: Links, below: Links, widths: Mapping[Node, float]
) -> dict[Node, float]:
    """The middle of every node across the layers.

    Each row in turn moves as near to its neighbours as the order and the gaps allow: first
    following the row before it in both directions, then weighing both sides.
    """
    gaps = {id(row): _gaps(row, widths) for row in rows}
    middle: dict[Node, float] = {}
    for row in rows:
        offsets = _offsets(gaps[id(row)])
        middle.update((n, o - offsets[-1] / 2) for n, o in zip(row, offsets, strict=True))
    both = {node: above[node] + below[node] for node in above}
    for sweep in range(_POSITION_SWEEPS):
        neighbours = both if sweep >= 8 else above if sweep % 2 == 0 else below
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted, weights = [], []
            for node in row:
                pulls = [
                    (_stiffness(node, other, middle[node] - middle[other]), middle[other])
                    for other in neighbours[node]
                ]
                weight = sum(stiffness for stiffness, _ in pulls)
                pulled = sum(stiffness * place for stiffness, place in pulls)
                wanted.append(pulled / weight if weight else middle[node])
                weights.append(weight or 0.01)
            middle.update(zip(row, _settled(wanted, weights, gaps[id(row)]), strict=True))
    return middle


def _stiffness(node: Node, other: Node, distance: float) -> float:
    """How hard an edge pulls its two ends in line."""
    # A chain of steps stays in line; long edges are straight and may bend at their ends.
    passing = (not isinstance(node, str)) + (not isinstance(other, str))
    # Springs that weaken with length leave one clear bend where equal ones skew every edge.
    return (3.0, 1.0, 8.0)[passing] / (abs(distance) + 0.5)


def _gaps(row: Sequence[Node], widths: Mapping[Node, float]) -> list[float]:
    """The least distance between the middles of each node and the next."""
    return [
        (widths[left] + widths[right]) / 2
        + (_BETWEEN_BOXES if isinstance(left, str) or isinstance(right, str) else _BETWEEN_EDGES)
        for left, right in pairwise(row)
    ]


def _offsets(gaps: Sequence[float]) -> list[float]:
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    return offsets


def _settled(
    wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]
) -> list[float]:
    """The places nearest to the wanted ones (least squares) that keep the gaps.

    Without the gaps this is a regression onto rising values, which merging neighbours that
    stand in the wrong order into blocks with one mean solves exactly.
    """
    offsets = _offsets(gaps)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, count
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, total, count = want - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            before, before_total, before_count = blocks.pop()
            mean = (before * before_total + mean * total) / (before_total + total)
            total += before_total
            count += before_count
        blocks.append((mean, total, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]
