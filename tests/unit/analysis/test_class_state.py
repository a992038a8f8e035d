"""Changes of a class of the prelude, which every step defines anew: a warning says so."""

from __future__ import annotations

from typing import Any

import pytest

BOX = """
from collections import deque
from dataclasses import dataclass, field

class Box:
    seen = []
    recent: deque = deque()
    made = 0
    own = []

    def __init__(self):
        self.own = []

    def add(self, item):
        self.seen.append(item)

    def add_recent(self, item):
        self.recent[0] = item

    def extend(self, items):
        self.seen += items

    def count(self):
        type(self).made += 1

    def count_too(self):
        self.__class__.made += 1

    @classmethod
    def register(cls, item):
        cls.seen.append(item)

    def keep(self, item):
        self.own.append(item)

    def resize(self):
        self.made += 1

    def look(self):
        return self.seen[0]

class Counted:
    made = 0

    def __init__(self):
        type(self).made += 1

@dataclass
class Row:
    cells: list = field(default_factory=list)

    def add(self, cell):
        self.cells.append(cell)

def put(item):
    Box().add(item)

box = Box()
"""


def warnings(notebook: Any, change: str, look: str) -> list[str]:
    found = notebook(("functions", BOX), ("block:a", change), ("block:b prev:a", look))
    return [problem.message for problem in found.pipeline.problems]


@pytest.mark.parametrize(
    "change",
    [
        "Box.seen.append(1)",
        "Box.made = 1",
        "type(box).made = 1",
        "box.__class__.made += 1",
        "box.add(1)",
        "Box().add(1)",
        "mine = Box()\nmine.add(1)",
        "box.add_recent(1)",
        "box.extend([1])",
        "box.count()",
        "box.count_too()",
        "Box.register(1)",
        "put(1)",
        "list(map(box.add, [1]))",
    ],
)
def test_a_change_of_what_all_instances_share(notebook: Any, change: str) -> None:
    assert any("'Box' itself changes" in text for text in warnings(notebook, change, "Box.seen"))


def test_a_constructor_that_counts(notebook: Any) -> None:
    (message,) = warnings(notebook, "Counted()", "print(Counted.made)")
    assert message.startswith("'Counted' itself changes")


def test_an_instance_shows_the_class_too(notebook: Any) -> None:
    change = "def greet(self): return 'new'\nBox.look = greet"
    (message,) = warnings(notebook, change, "print(box.look())")
    assert message.startswith("'Box' itself changes")


@pytest.mark.parametrize(
    "source",
    [
        "class Only:\n    made = None\n    def __new__(cls):\n        cls.made = 1",
        "class Only:\n    numbers = count(1)\n    def __init__(self):\n        next(self.numbers)",
        "class Only:\n    log = LOG\n    def __init__(self):\n        self.log.append(1)",
    ],
)
def test_other_ways_to_change_what_all_share(notebook: Any, source: str) -> None:
    functions = f"from itertools import count\nLOG = []\n{source}"
    found = notebook(
        ("functions", functions), ("block:a", "Only()"), ("block:b prev:a", "print(Only, LOG)")
    )
    assert "'Only' itself changes" in found.problem("not-serialisable").message


@pytest.mark.parametrize(
    "change",
    [
        "box.keep(1)",
        "box.resize()",
        "box.look()",
        "print(box, Box)",
        "mine = Box()",
        "row = Row()\nrow.add(1)",
    ],
)
def test_what_belongs_to_one_instance_is_no_change_of_the_class(notebook: Any, change: str) -> None:
    assert warnings(notebook, change, "print(box.own, Box, Row)") == []


def test_a_class_that_a_step_defines_goes_with_its_changes(chain: Any) -> None:
    found = chain(
        "class Tally:\n    seen = []\n    def add(self, item): self.seen.append(item)\nt = Tally()",
        "t.add(1)",
        "print(Tally.seen)",
    )
    assert found.codes == []
    assert found.needs("c")["Tally"].startswith("b")
