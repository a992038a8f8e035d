"""Pictures of a DAG: for a terminal, as Mermaid, and as SVG; no library needed.

All functions take ``parents``: step name -> the steps right before it.  They raise ValueError
if the edges run in a circle, which ``check`` reports long before anything is drawn.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from html import escape
from itertools import pairwise

from kale_pm.record import State
from kale_pm.report.layout import Box, Edge, Layout, Point, arrange, known_parents, sorted_steps

GLYPHS: Mapping[State, str] = {
    State.WAITING: "○",
    State.RUNNING: "▸",
    State.DONE: "✓",
    State.CACHED: "↺",
    State.FAILED: "✕",
    State.SKIPPED: "»",
    State.INTERRUPTED: "■",
}

_CORNERS = {  # (up, down, left, right) -> the box-drawing character with these arms
    (False, True, False, True): "╭",
    (False, True, True, False): "╮",
    (False, True, True, True): "┬",
    (True, False, False, True): "╰",
    (True, False, True, False): "╯",
    (True, False, True, True): "┴",
    (True, True, False, False): "│",
    (True, True, False, True): "├",
    (True, True, True, False): "┤",
    (True, True, True, True): "┼",
}


def as_text(parents: Mapping[str, tuple[str, ...]], *, notes: Mapping[str, str] = {}) -> str:
    """One line a step, parents first, beside rails that lead from each step to its children.

    Every rail leads to one child; rails to the same child join as soon as they can.  ``notes``
    stand right of the names.

    >>> parents = {"load": (), "left": ("load",), "right": ("load",), "join": ("left", "right")}
    >>> print(as_text(parents))
    ●    load
    ├─╮
    ● │  left
    │ ●  right
    ├─╯
    ●    join
    """
    graph = known_parents(parents)
    children: dict[str, list[str]] = {name: [] for name in graph}
    order = sorted_steps(graph)
    for child in order:
        for parent in graph[child]:
            children[parent].append(child)

    lanes: list[str | None] = []  # the child that each rail leads to
    lines: list[tuple[str, str]] = []
    ended: int | None = None  # where a step without children stood in the line before
    for name in order:
        lane = lanes.index(name) if name in lanes else _free_lane(lanes)
        if lane == ended:
            lines.append((_rails(lanes), ""))
        lanes[lane] = name
        lines.append((_rails(lanes, step=lane), name))
        lanes[lane] = None
        joined = {lanes.index(child) for child in children[name] if child in lanes}
        opened = set()
        for child in children[name]:
            if child not in lanes:
                free = _free_lane(lanes, prefer=lane)
                lanes[free] = child
                opened.add(free)
        if (joined | opened) - {lane}:
            lines.append((_connection(lanes, lane, joined, opened), ""))
        ended = None if joined | opened else lane

    rail_width = max((len(rail) for rail, _ in lines), default=0)
    name_width = max(map(len, graph), default=0)
    return "\n".join(
        f"{rail:<{rail_width}}  {name:<{name_width}}  {notes.get(name, '')}".rstrip()
        for rail, name in lines
    )


def _free_lane(lanes: list[str | None], prefer: int = 0) -> int:
    for lane in sorted(range(len(lanes)), key=lambda lane: (lane < prefer, lane)):
        if lanes[lane] is None:
            return lane
    lanes.append(None)
    return len(lanes) - 1


def _rails(lanes: list[str | None], step: int | None = None) -> str:
    signs = ["●" if i == step else "│" if lane else " " for i, lane in enumerate(lanes)]
    return " ".join(signs).rstrip()


def _connection(lanes: list[str | None], lane: int, joined: set[int], opened: set[int]) -> str:
    """The line that leads from the step in ``lane`` to the rails of its children."""
    ends = joined | opened | {lane}
    first, last = min(ends), max(ends)
    signs = []
    for index, target in enumerate(lanes):
        if index in ends:
            up = index == lane or index in joined
            down = index in joined or index in opened
            signs.append(_CORNERS[up, down, index > first, index < last])
        elif target:
            signs.append("│")
        else:
            signs.append("─" if first < index < last else " ")
        signs.append("─" if first <= index < last else " ")
    return "".join(signs).rstrip()


def as_mermaid(
    parents: Mapping[str, tuple[str, ...]],
    *,
    implied: Collection[Edge] = (),
    labels: Mapping[Edge, str] = {},
) -> str:
    """A Mermaid flowchart; implied edges are dotted, ``labels`` stand on the edges."""
    lines = ["flowchart TD"]
    # A bare name such as "end" would be a word of Mermaid, hence the prefix of the ids.
    lines += [f'    step_{name}["{_mermaid_text(name)}"]' for name in parents]
    for child, starts in known_parents(parents).items():
        for parent in starts:
            arrow = "-.->" if (parent, child) in implied else "-->"
            label = labels.get((parent, child), "")
            on_edge = f'|"{_mermaid_text(label)}"|' if label else ""
            lines.append(f"    step_{parent} {arrow}{on_edge} step_{child}")
    return "\n".join(lines) + "\n"


def _mermaid_text(text: str) -> str:
    return "".join(
        char if char.isalnum() or char in " _,.:-+()" else f"#{ord(char)};" for char in text
    )


def as_svg(
    parents: Mapping[str, tuple[str, ...]],
    *,
    implied: Collection[Edge] = (),
    states: Mapping[str, State] | None = None,
    notes: Mapping[str, str] = {},
    links: bool = False,
) -> str:
    """A drawing that suits light and dark pages and stands alone as a file.

    ``states`` colour the boxes, ``notes`` (or else the states) stand under the names, implied
    edges are dashed.  With ``links`` each box leads to ``#step-NAME``.  It runs to the right
    where that fits a page, else down.
    """
    graph = known_parents(parents)
    states = states or {}
    lower = {name: _lower_line(name, states, notes) for name in graph}
    height = 46.0 if any(lower.values()) else 34.0
    sizes = {name: (_box_width(name, lower[name]), height) for name in graph}
    layout, rightwards = _best_layout(graph, sizes)
    edges = (
        _draw_edge(points, edge in implied, rightwards) for edge, points in layout.edges.items()
    )
    boxes = (
        _draw_box(name, layout.boxes[name], states.get(name), lower[name], links) for name in graph
    )
    role = "group" if links else "img"
    count = f"{len(graph)} step{'' if len(graph) == 1 else 's'}"
    return (
        f'<svg class="kale-dag" xmlns="http://www.w3.org/2000/svg" role="{role}"'
        f' aria-label="The pipeline: {count}" width="{layout.width:.0f}"'
        f' height="{layout.height:.0f}" viewBox="0 0 {layout.width:.0f} {layout.height:.0f}">'
        f"<style>{_STYLE}</style>{''.join(edges)}{''.join(boxes)}</svg>\n"
    )


_PAGE_WIDTH = 1040.0
_LONGEST_NAME = 32


def _best_layout(
    graph: Mapping[str, tuple[str, ...]], sizes: Mapping[str, Point]
) -> tuple[Layout, bool]:
    right = arrange(graph, sizes, rightwards=True, between_layers=48)
    if right.width <= _PAGE_WIDTH:
        return right, True
    down = arrange(graph, sizes, rightwards=False, between_layers=38)
    return (right, True) if right.width <= down.width else (down, False)


def _lower_line(name: str, states: Mapping[str, State], notes: Mapping[str, str]) -> str:
    state = states.get(name)
    text = notes.get(name) or (state.value if state else "")
    return f"{GLYPHS[state]} {text}" if state else text


def _box_width(name: str, note: str) -> float:
    # Widths of characters are estimates: no font can be asked without a library.
    return max(88.0, 32 + 8.0 * len(_shortened(name)), 32 + 6.4 * len(note))


def _shortened(name: str) -> str:
    if len(name) <= _LONGEST_NAME:
        return name
    kept = (_LONGEST_NAME - 1) // 2
    return f"{name[:kept]}…{name[-kept:]}"


def _draw_box(name: str, box: Box, state: State | None, note: str, links: bool) -> str:
    middle = box.x + box.width / 2
    baseline = box.y + (20 if note else 21.5)
    title = escape(f"{name} {note}".strip())
    size = f'width="{box.width:.1f}" height="{box.height:.1f}"'
    parts = [
        f"<title>{title}</title>",
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" {size} rx="8"/>',
        f'<text class="name" x="{middle:.1f}" y="{baseline:.1f}">{escape(_shortened(name))}</text>',
    ]
    if note:
        below = box.y + 36
        parts.append(f'<text class="note" x="{middle:.1f}" y="{below:.1f}">{escape(note)}</text>')
    drawn = f'<g class="step {state.value if state else "plain"}">{"".join(parts)}</g>'
    return f'<a href="#step-{escape(name)}">{drawn}</a>' if links else drawn


def _draw_edge(points: tuple[Point, ...], implied: bool, rightwards: bool) -> str:
    """Curves through the gaps between layers, lines through the layers, and an arrow head."""
    tip = points[-1]
    end = (tip[0] - 6, tip[1]) if rightwards else (tip[0], tip[1] - 6)
    bends = [*points[:-1], end]
    commands = [f"M{_pair(bends[0])}"]
    for index, (start, stop) in enumerate(pairwise(bends)):
        if index % 2:
            commands.append(f"L{_pair(stop)}")
            continue
        if rightwards:
            half = (start[0] + stop[0]) / 2
            handles = (half, start[1]), (half, stop[1])
        else:
            half = (start[1] + stop[1]) / 2
            handles = (start[0], half), (stop[0], half)
        commands.append(f"C{_pair(handles[0])} {_pair(handles[1])} {_pair(stop)}")
    x, y = tip
    wings = [(x - 8, y - 4), (x - 8, y + 4)] if rightwards else [(x - 4, y - 8), (x + 4, y - 8)]
    head = f"M{_pair(tip)}L{_pair(wings[0])}L{_pair(wings[1])}Z"
    kind = "edge implied" if implied else "edge"
    return f'<path class="{kind}" d="{"".join(commands)}"/><path class="head" d="{head}"/>'


def _pair(point: Point) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"


# Plain rules without variables, so that viewers other than browsers draw the light colours.
_STYLE = """
.kale-dag text{text-anchor:middle;font-family:system-ui,-apple-system,"Segoe UI",sans-serif}
.kale-dag .name{font:600 13px ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;\
fill:#1f2430}
.kale-dag .note{font-size:11px;fill:#5c6370}
.kale-dag .edge{fill:none;stroke:#a3a9b6;stroke-width:1.4}
.kale-dag .implied{stroke-dasharray:5 4}
.kale-dag .head{fill:#a3a9b6}
.kale-dag rect{fill:#fff;stroke:#c3c8d2;stroke-width:1.3}
.kale-dag .waiting rect,.kale-dag .skipped rect{fill:#f6f7f9;stroke-dasharray:3 3}
.kale-dag .running rect{fill:#eaf2fe;stroke:#3b82d6}
.kale-dag .done rect{fill:#edf8f0;stroke:#5ea97b}
.kale-dag .cached rect{fill:#eef6f6;stroke:#86b3b4}
.kale-dag .failed rect{fill:#fdeeed;stroke:#d1453b;stroke-width:2}
.kale-dag .interrupted rect{fill:#fff5e2;stroke:#d39a2d}
.kale-dag .failed .note{fill:#b3261e}
.kale-dag a:hover rect,.kale-dag a:focus-visible rect{stroke-width:2.4}
.kale-dag a:focus-visible{outline:none}
@media (prefers-color-scheme:dark){
.kale-dag .name{fill:#e6e8ec}.kale-dag .note{fill:#9aa2b1}
.kale-dag .edge{stroke:#5d6675}.kale-dag .head{fill:#5d6675}
.kale-dag rect{fill:#20242c;stroke:#4a5260}
.kale-dag .waiting rect,.kale-dag .skipped rect{fill:#1b1e25}
.kale-dag .running rect{fill:#172a44;stroke:#5a9bea}
.kale-dag .done rect{fill:#17291f;stroke:#4f9a6c}
.kale-dag .cached rect{fill:#18282a;stroke:#4e8082}
.kale-dag .failed rect{fill:#3a1c1b;stroke:#e5645a}
.kale-dag .interrupted rect{fill:#33270f;stroke:#cf9a35}
.kale-dag .failed .note{fill:#ff9d94}
}
"""
