"""An edited function or class wakes the steps that it can reach, by whatever way, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Runner


def test_a_function_with_a_short_name_wakes_just_the_steps_that_use_it(run: Runner) -> None:
    cells = [
        ("functions", "def f(x):\n    return x + 1\n\ndef g(x):\n    return 2 * x"),
        ("block:a", "x = f(1)"),
        ("block:b", "y = g(2)"),
        ("block:c prev:a prev:b", "z = x + y"),
        ("block:d prev:c", "print(z)"),
    ]
    run(cells).raise_for_failures()
    cells[0] = ("functions", cells[0][1].replace("2 * x", "x + x"))
    assert run(cells).executed == ["b"]


def test_a_function_that_gives_the_same_wakes_nobody_further_down(run: Runner) -> None:
    cells = [
        ("functions", "def clean(x):\n    return 2 * x"),
        ("block:a", "rows = [clean(x) for x in range(3)]"),
        ("block:b prev:a", "print(rows)"),
        ("block:c prev:b", "print(len(rows))"),
    ]
    run(cells).raise_for_failures()
    cells[0] = ("functions", "def clean(x):\n    return x + x")
    ran = run(cells)
    assert ran.executed == ["a"]
    assert ran.why("a") == "the function clean changed"


def test_a_function_that_travels_inside_a_variable_is_not_forgotten(run: Runner) -> None:
    cells = [
        ("functions", "def rule(x):\n    return x + 1"),
        ("block:a", "chosen = [rule]"),
        ("block:b prev:a", "print(chosen[0](1))"),
    ]
    assert run(cells).printed("b") == "2\n"
    cells[0] = ("functions", "def rule(x):\n    return x + 10")
    assert run(cells).printed("b") == "11\n"


TRAVELLING = {
    "itself": "chosen = rule",
    "deep inside": "chosen = {'a': [(1, rule)]}['a'][0][1]\nbox = [chosen]",
    "inside of another function": "chosen = lambda x: rule(x)",
    "inside of a closure": "def make(f):\n    return lambda x: f(x)\nchosen = make(rule)",
    "as a partial": "import functools\nchosen = functools.partial(rule)",
    "as a method": "chosen = Rule().apply",
    "in an instance": "chosen = Rule(rule)",
}


@pytest.mark.parametrize("way", TRAVELLING)
def test_a_function_that_travels_in_any_way_is_not_forgotten(run: Runner, way: str) -> None:
    functions = (
        "def deeper(x):\n    return x + 1\n"
        "def rule(x):\n    return deeper(x)\n"
        "class Rule:\n"
        "    def __init__(self, f=None):\n        self.f = f\n"
        "    def apply(self, x):\n        return rule(x)\n"
        "    def __call__(self, x):\n        return self.f(x)"
    )
    cells = [
        ("functions", functions),
        ("block:a", TRAVELLING[way]),
        ("block:b prev:a", "print(chosen(1))"),
    ]
    assert run(cells).raise_for_failures().printed("b") == "2\n"
    cells[0] = ("functions", functions.replace("x + 1", "x + 10"))
    assert run(cells).printed("b") == "11\n"


def test_a_function_found_by_a_computed_name_is_not_forgotten(run: Runner) -> None:
    cells = [
        ("functions", "def rule_one(x):\n    return x + 1"),
        ("block:a", "print(globals()['rule' + '_one'](1))"),
    ]
    assert run(cells).printed("a") == "2\n"
    cells[0] = ("functions", "def rule_one(x):\n    return x + 10")
    assert run(cells).printed("a") == "11\n"


def test_an_edited_class_wakes_the_steps_it_can_reach(run: Runner) -> None:
    cells = [
        ("functions", "class Point:\n    def __init__(self, x):\n        self.x = x\n"),
        ("block:a", "print(Point(1).x)"),
        ("block:b", "points = []"),
        ("block:c prev:b", "print(len(points))"),
    ]
    run(cells).raise_for_failures()
    edited = [(tags, source.replace("self.x = x", "self.x = x + 1")) for tags, source in cells]
    ran = run(edited)
    assert ran.executed == ["a"]
    assert ran.printed("a") == "2\n"
    assert ran.why("a") == "the class Point changed"
