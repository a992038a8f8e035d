"""``step.run(...)`` with classes of the script: on both sides they are the reader's own."""

from __future__ import annotations

import re
import sys
from importlib import import_module

import numpy as np
import pytest

STEPS = """
from dataclasses import dataclass
from enum import Enum

from kale_pm.sdk import pipeline, step

from models import Garden


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class House:
    size: int
    color: Color = Color.RED


class Building:
    pass


class Tower(Building):
    def __init__(self, floors):
        self.floors = floors

    def height(self):
        return self.floors * METERS


METERS = 3
MISSING = object()


@step
def compare(things, color, missing=None):
    seen = {
        "house": isinstance(things["house"], House) and things["house"] == House(3, Color.BLUE),
        "color": color is Color.RED,
        "array": [type(each) is House for each in things["array"]] == [True, True],
        "key": things["keys"][Color.BLUE],
        "garden": isinstance(things["garden"], Garden),
        "missing": missing is MISSING,
    }
    return seen, House(7), Color.BLUE, things


@step
def look(building):
    assert isinstance(building, Building)
    return building.height(), building


@step
def count(*houses, **others):
    return sum(each.size for each in [*houses, *others.values()])


@step
def height_of():
    return lambda floors: Tower(floors).height()
"""
MODELS = "class Garden:\n    pass\n"


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """The module ``steps``, and ``models`` beside it, imported as a project does."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "steps.py").write_text(STEPS, encoding="utf-8")
    (tmp_path / "models.py").write_text(MODELS, encoding="utf-8")
    for name in ("steps", "models"):
        sys.modules.pop(name, None)
    yield import_module("steps")
    for name in ("steps", "models"):
        sys.modules.pop(name, None)


def test_instances_are_those_of_the_step_s_own_classes_and_come_back_as_the_caller_s(steps):
    array = np.array([steps.House(1), steps.House(2)], dtype=object)
    things = {
        "house": steps.House(3, steps.Color.BLUE),
        "array": array,
        "keys": {steps.Color.BLUE: True},
        "garden": steps.Garden(),
    }

    alone = steps.compare.run(things, color=steps.Color.RED, missing=steps.MISSING)
    seen, house, color, back = alone.value

    assert all(seen.values()), seen
    assert house == steps.House(7)
    assert color is steps.Color.BLUE
    assert type(back["garden"]) is steps.Garden
    assert list(back["array"]) == list(array)
    assert {**back, "array": 0, "garden": 0} == {**things, "array": 0, "garden": 0}
    name = next(name for name, each in alone.run.variables.items() if each.given_by == "compare")
    assert alone.run[name][1] == steps.House(7), "as it is asked of the run"


def test_classes_that_the_step_does_not_name_go_along(steps):
    tower = steps.Tower(4)

    height, back = steps.look.run(tower).value

    assert height == 12
    assert type(back) is steps.Tower


def test_so_do_classes_that_only_the_caller_has(steps, monkeypatch):
    class Lighthouse(steps.Tower):
        def height(self):
            return super().height() + 1

    height, back = steps.look.run(Lighthouse(4)).value

    assert height == 13
    assert type(back) is Lighthouse
    assert Lighthouse.height.__globals__ is globals(), "the caller's class stays as it is"


def test_each_has_a_file_of_its_own_while_others_have_the_same_arguments(steps):
    runs = [steps.look.run(steps.Tower(4)).run for _ in range(2)]

    texts = [run.steps["given_arguments"].notebook.read_text(encoding="utf-8") for run in runs]
    first, second = (re.findall(r"[^\"\\]+\.pickle", text)[0] for text in texts)
    assert first != second


def test_any_number_of_arguments(steps):
    assert steps.count.run(steps.House(1), steps.House(2), more=steps.House(3)).value == 6


def test_functions_that_a_step_makes_find_what_its_module_has(steps):
    assert steps.height_of.run().value(2) == 6
