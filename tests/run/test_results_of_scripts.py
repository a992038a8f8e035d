"""What ``run[...]`` gives of a script's pipeline is made of the script's own classes."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

STEPS = """
from dataclasses import dataclass
from enum import Enum

from kale_pm.sdk import pipeline, step


class Color(Enum):
    RED = "red"


@dataclass
class House:
    size: int


@step
def build(size):
    return House(size), Color.RED


@step
def planner():
    return lambda size: House(size)
"""
MAIN = """
import steps

from kale_pm.sdk import pipeline, step


class House:
    '''Of no step.'''


class Owner:
    def __init__(self, house):
        self.house = house


@step
def sell(house):
    return Owner(house)


@pipeline
def small(size: int = 3):
    house, color = steps.build(size)
    return house, color, sell(house), steps.planner()
"""


@pytest.fixture
def main(tmp_path, monkeypatch):
    """The module ``main``, whose pipeline has steps of its own, and of the module ``steps``."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, text in {"steps": STEPS, "main": MAIN}.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield import_module("main")
    for name in ("steps", "main"):
        sys.modules.pop(name, None)


def test_each_is_of_the_module_that_its_class_was_written_in(main):
    run = main.small.run()

    assert "build_1" in run
    assert "build" not in run
    assert run["build_1"] == main.steps.House(3)
    assert run.steps["build"]["build_2"] is main.steps.Color.RED
    owner = run["sell_result"]
    assert type(owner) is main.Owner
    assert owner.house == main.steps.House(3)
    assert run["planner_result"](4) == main.steps.House(4)


def test_those_of_a_trial_too(main):
    sweep = main.small.sweep(size=[1, 2])

    assert [trial.run["build_1"] for trial in sweep.trials] == [
        main.steps.House(1),
        main.steps.House(2),
    ]
