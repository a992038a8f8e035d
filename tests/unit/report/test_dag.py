"""Pictures of a DAG: readable rails, legal Mermaid, and an SVG in which nothing collides."""

from __future__ import annotations

import random
import re
import xml.etree.ElementTree as ElementTree

import pytest

from kale_pm.record import State
from kale_pm.report.dag import GLYPHS, as_mermaid, as_svg, as_text
from kale_pm.report.layout import Box, Layout, arrange

SVG = "{http://www.w3.org/2000/svg}"
DIAMOND = {"load": (), "left": ("load",), "right": ("load",), "join": ("left", "right")}
CHAIN = {f"step_{i}": ((f"step_{i - 1}",) if i else ()) for i in range(12)}
FAN = {
    "load": (),
    **{f"model_{i}": ("load",) for i in range(10)},
    "best": tuple(f"model_{i}" for i in range(10)),
}


def random_dag(steps: int, seed: int) -> dict[str, tuple[str, ...]]:
    choose = random.Random(seed)
    names = [f"{'step' * choose.randint(1, 4)}_{i}" for i in range(steps)]
    parents = {}
    for index, name in enumerate(names):
        count = min(index, choose.choice([0, 1, 1, 2, 3]))
        parents[name] = tuple(sorted(choose.sample(names[max(0, index - 12) : index], count)))
    return parents


GRAPHS = {
    "nothing": {},
    "one": {"train": ()},
    "islands": {"a": (), "b": (), "c": ()},
    "diamond": DIAMOND,
    "chain": CHAIN,
    "fan": FAN,
    "shortcut": {"a": (), "b": ("a",), "c": ("b",), "d": ("c", "a")},
    **{f"random {seed}": random_dag(50, seed) for seed in range(4)},
}


def layouts():
    return [
        pytest.param(parents, rightwards, id=f"{name}, {'right' if rightwards else 'down'}")
        for name, parents in GRAPHS.items()
        for rightwards in (True, False)
    ]


def laid_out(parents: dict[str, tuple[str, ...]], rightwards: bool) -> Layout:
    sizes = {name: (40.0 + 8 * len(name), 46.0) for name in parents}
    return arrange(parents, sizes, rightwards=rightwards, between_layers=40)


def overlap(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


class TestLayout:
    @pytest.mark.parametrize(("parents", "rightwards"), layouts())
    def test_no_two_boxes_overlap(self, parents, rightwards):
        boxes = list(laid_out(parents, rightwards).boxes.values())
        assert len(boxes) == len(parents)
        for index, box in enumerate(boxes):
            assert not any(overlap(box, other) for other in boxes[:index])

    @pytest.mark.parametrize(("parents", "rightwards"), layouts())
    def test_everything_lies_inside_the_picture(self, parents, rightwards):
        layout = laid_out(parents, rightwards)
        for box in layout.boxes.values():
            assert 0 <= box.x <= box.x + box.width <= layout.width
            assert 0 <= box.y <= box.y + box.height <= layout.height
        for points in layout.edges.values():
            assert all(0 <= x <= layout.width and 0 <= y <= layout.height for x, y in points)

    @pytest.mark.parametrize(("parents", "rightwards"), layouts())
    def test_every_edge_only_goes_forwards(self, parents, rightwards):
        layout = laid_out(parents, rightwards)
        assert set(layout.edges) == {(p, child) for child in parents for p in parents[child]}
        for points in layout.edges.values():
            progress = [x if rightwards else y for x, y in points]
            assert progress == sorted(progress)
            assert progress[0] < progress[-1]

    @pytest.mark.parametrize(("parents", "rightwards"), layouts())
    def test_no_edge_runs_through_a_box(self, parents, rightwards):
        layout = laid_out(parents, rightwards)
        for points in layout.edges.values():
            straight = list(zip(points[1::2], points[2::2], strict=False))
            for (x1, y1), (x2, y2) in straight:
                passing = Box(min(x1, x2), min(y1, y2), abs(x2 - x1) + 0.1, abs(y2 - y1) + 0.1)
                assert not any(overlap(passing, box) for box in layout.boxes.values())

    def test_edges_touch_the_middle_of_their_boxes(self):
        layout = laid_out(DIAMOND, rightwards=False)
        start, end = layout.edges["load", "left"][0], layout.edges["load", "left"][-1]
        load, left = layout.boxes["load"], layout.boxes["left"]
        assert start == pytest.approx((load.x + load.width / 2, load.y + load.height))
        assert end == pytest.approx((left.x + left.width / 2, left.y))

    def test_a_chain_is_straight(self):
        boxes = laid_out(CHAIN, rightwards=False).boxes.values()
        assert {round(box.x + box.width / 2) for box in boxes} == {
            round(next(iter(boxes)).x + next(iter(boxes)).width / 2)
        }

    def test_crossings_are_taken_out(self):
        parents = {"a": (), "b": (), "of_b": ("b",), "of_a": ("a",)}
        boxes = laid_out(parents, rightwards=False).boxes
        assert (boxes["a"].x < boxes["b"].x) == (boxes["of_a"].x < boxes["of_b"].x)

    def test_the_same_graph_gives_the_same_picture(self):
        parents = GRAPHS["random 1"]
        assert laid_out(parents, rightwards=False) == laid_out(parents, rightwards=False)

    def test_a_cycle_is_refused(self):
        with pytest.raises(ValueError, match=r"cycle.*: a, b"):
            laid_out({"a": ("b",), "b": ("a",)}, rightwards=False)


class TestText:
    def test_branches_part_and_join(self):
        assert as_text(DIAMOND, notes={"join": "3.2 s"}).splitlines() == [
            "●    load",
            "├─╮",
            "● │  left",
            "│ ●  right",
            "├─╯",
            "●    join   3.2 s",
        ]

    def test_a_chain_needs_one_line_a_step(self):
        assert [line.split() for line in as_text(CHAIN).splitlines()] == [
            ["●", name] for name in CHAIN
        ]

    def test_steps_without_edges_do_not_look_like_a_chain(self):
        assert as_text({"a": (), "b": ()}).splitlines() == ["●  a", "", "●  b"]

    def test_a_shortcut_passes_by(self):
        parents = {"a": (), "b": ("a",), "c": ("a", "b")}
        assert as_text(parents).splitlines() == [
            "●    a",
            "├─╮",
            "● │  b",
            "╰─┤",
            "  ●  c",
        ]

    @pytest.mark.parametrize("parents", GRAPHS.values(), ids=GRAPHS)
    def test_every_step_stands_once_after_its_parents(self, parents):
        lines = [line for line in as_text(parents).splitlines() if "●" in line]
        order = [line.split()[-1] for line in lines]
        assert sorted(order) == sorted(parents)
        for name, above in parents.items():
            assert all(order.index(parent) < order.index(name) for parent in above)

    def test_parents_that_did_not_take_part_are_left_out(self):
        assert as_text({"train": ("load",)}) == "●  train"


class TestMermaid:
    def test_edges_labels_and_implied_edges(self):
        text = as_mermaid(
            {"load": (), "end": ("load",), "plot": ("end",)},
            implied={("end", "plot")},
            labels={("load", "end"): "x, y"},
        )
        assert text.splitlines() == [
            "flowchart TD",
            '    step_load["load"]',
            '    step_end["end"]',
            '    step_plot["plot"]',
            '    step_load -->|"x, y"| step_end',
            "    step_end -.-> step_plot",
        ]

    def test_labels_cannot_break_out(self):
        text = as_mermaid({"a": (), "b": ("a",)}, labels={("a", "b"): 'x"]; click'})
        assert '-->|"x#34;#93;#59; click"|' in text


class TestSvg:
    def drawing(self, *args, **options):
        return ElementTree.fromstring(as_svg(*args, **options))

    @pytest.mark.parametrize("parents", GRAPHS.values(), ids=GRAPHS)
    def test_every_step_has_a_box_and_every_edge_an_arrow(self, parents):
        drawing = self.drawing(parents)
        edges = sum(len(above) for above in parents.values())
        assert len(list(drawing.iter(f"{SVG}rect"))) == len(parents)
        assert len(drawing.findall(f"{SVG}path[@class='edge']")) == edges
        assert len(drawing.findall(f"{SVG}path[@class='head']")) == edges

    def test_states_colour_the_boxes_and_are_also_said_in_words(self):
        states = dict(zip(CHAIN, State, strict=False))
        drawing = self.drawing(CHAIN, states=states)
        words = {text.text for text in drawing.iter(f"{SVG}text") if text.get("class") == "note"}
        assert words == {f"{GLYPHS[state]} {state.value}" for state in State}
        classes = {group.get("class") for group in drawing.iter(f"{SVG}g")}
        assert {f"step {state.value}" for state in State} <= classes

    def test_notes_stand_in_place_of_the_state(self):
        svg = as_svg({"a": ()}, states={"a": State.DONE}, notes={"a": "3.2 s"})
        assert "✓ 3.2 s" in svg
        assert "✓ done" not in svg

    def test_implied_edges_are_dashed(self):
        drawing = self.drawing(DIAMOND, implied={("load", "left")})
        assert len(drawing.findall(f"{SVG}path[@class='edge implied']")) == 1

    def test_links_lead_to_the_steps(self):
        assert "<a " not in as_svg(DIAMOND)
        links = [a.get("href") for a in self.drawing(DIAMOND, links=True).iter(f"{SVG}a")]
        assert links == ["#step-load", "#step-left", "#step-right", "#step-join"]

    def test_text_is_escaped(self):
        svg = as_svg({"a<b": ()}, notes={"a<b": "<script>"}, links=True)
        ElementTree.fromstring(svg)
        assert "<script>" not in svg

    def test_a_long_name_is_shortened_but_kept_as_title(self):
        name = "a_very_long_name_" * 5
        drawing = self.drawing({name: ()})
        assert [title.text for title in drawing.iter(f"{SVG}title")] == [name]
        assert len(next(drawing.iter(f"{SVG}text")).text) == 31

    def test_it_goes_right_where_that_fits_and_down_otherwise(self):
        short = self.drawing({"a": (), "b": ("a",)})
        assert float(short.get("width")) > float(short.get("height"))
        long = self.drawing(CHAIN)
        assert float(long.get("width")) < float(long.get("height"))

    def test_it_refers_to_nothing_outside(self):
        svg = as_svg(DIAMOND, links=True, states=dict.fromkeys(DIAMOND, State.DONE))
        assert not re.search(r"url\(|@import|src=", svg)
        assert re.findall(r"https?://[^\"]*", svg) == ["http://www.w3.org/2000/svg"]
