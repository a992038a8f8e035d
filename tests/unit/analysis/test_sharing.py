"""Variables that share objects: a change through one name is a change of the others."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("made", "change"),
    [
        ("y = x", "y.append(1)"),
        ("y = z = x", "z.append(1)"),
        ("y, z = x, 1", "y.append(1)"),
        ("(y, [z]) = 1, [x]", "z.append(1)"),
        ("y, *z = x", "z[0].append(1)"),
        ("y = [x]", "y[0].append(1)"),
        ("y = {'k': (x,)}", "y['k'][0].append(1)"),
        ("y = {**{'k': x}}", "y['k'].append(1)"),
        ("y = x if 1 else []", "y.append(1)"),
        ("y = x or []", "y.append(1)"),
        ("y = (z := x)", "z.append(1)"),
        ("y = [v for v in x]", "y[0].append(1)"),
        ("for y in x: pass", "y.append(1)"),
        ("for i, y in enumerate(x): pass", "y.append(1)"),
        ("y = x[0]", "y.append(1)"),
        ("y = x[:]", "y[0].append(1)"),
        ("y = x + []", "y[0].append(1)"),
        ("y = [x] * 2", "y[0].append(1)"),
        ("y = list(x)", "y[0].append(1)"),
        ("y = max(x)", "y.append(1)"),
        ("y = next(iter(x))", "y.append(1)"),
        ("y = x.pop()", "y.append(1)"),
        ("y = []\ny.append(x)", "y[0].append(1)"),
        ("y = {}\ny['k'] = x", "y['k'].append(1)"),
        ("y = K()\ny.part = x", "y.part.append(1)"),
        ("y = K()\nsetattr(y, 'part', x)", "y.part.append(1)"),
        ("y = K()\ny.keep(x)", "y.part.append(1)"),
        ("y = K()\nput(y, x)", "y.part.append(1)"),
        ("y = K()\nput_later(y, x)", "y.part.append(1)"),
        ("y = Holder(x)", "y.part.append(1)"),
        ("y = same(x)", "y.append(1)"),
        ("y = through(x)", "y.append(1)"),
        ("y = make(x)", "y()"),
        ("y = get()", "y.append(1)"),
        ("import other\ny = K()\nother.join(y, x)", "y.part.append(1)"),
        ("m = [1]\ny = [m]\nm.append(x)", "y[0][1].append(1)"),
        ("y = x\nz = [y]\ny = 1", "z[0].append(1)"),
        ("y = x\ny = y[:]", "y[0].append(1)"),
        ("a, b = [x], []\na, b = b, a\ny = b", "y[0].append(1)"),
        ("match [x]:\n    case [y]: pass", "y.append(1)"),
        ("with x as y: pass", "y.append(1)"),
        ("y = x\nif 0: y = []", "y.append(1)"),
        ("y = x.T", "y[0] = 1"),
        ("y = x.reshape(2, 2)", "y[0, 0] = 1"),
    ],
)
def test_a_change_reaches_all_names(chain: Any, made: str, change: str) -> None:
    functions = (
        "class K:\n    def keep(self, v): self.part = v\n"
        "class Holder:\n    def __init__(self, v): self.part = v\n"
        "def put(k, v): k.part = v\n"
        "def put_later(k, v): helper(k, v)\n"
        "def helper(k, v): k.part = v\n"
        "def same(v): return v\n"
        "def through(v):\n    w = v\n    return w\n"
        "def make(v): return lambda: v.append(1)\n"
    )
    found = chain(
        f"x = [[1]]\ndef get(): return x\n{made}", change, "print(x)", functions=functions
    )
    assert found.needs("c")["x"] == "b a"


@pytest.mark.parametrize(
    "made",
    [
        "y = len(x)",
        "y = str(x)",
        "y = f'{x}'",
        "y = x == 1",
        "y = not x",
        "y = x.count(1)",
        "import copy\ny = copy.deepcopy(x)",
        "y = id(x)",
        "y = isinstance(x, list)",
    ],
)
def test_what_is_made_new_shares_nothing(chain: Any, made: str) -> None:
    assert chain(f"x = [1]\n{made}\ny = [y]", "y.append(1)", "print(x)").needs("c") == {"x": "a"}


def test_plain_values_share_nothing(chain: Any) -> None:
    found = chain("x = 1\ny = x", "y += 1", "print(x, y)")
    assert found.needs("c") == {"x": "a", "y": "b"}


def test_who_binds_anew_leaves_the_group(chain: Any) -> None:
    found = chain("x = [1]\ny = x", "y = []\ny.append(1)", "print(x)")
    assert found.needs("c") == {"x": "a"} or found.needs("c") == {"x": "b a"}
    assert "x" not in found.pipeline.step("b").gives


def test_sure_groups_are_told(chain: Any) -> None:
    assert chain("x = y = []\nz = [1]").pipeline.aliases == (("x", "y"),)


@pytest.mark.parametrize(
    ("first", "change"),
    [
        ("x = iter([1, 2])", "next(x)"),
        ("import random\nx = [1]", "random.shuffle(x)"),
        ("import heapq\nx = [1]", "heapq.heappush(x, 2)"),
        ("import operator\nx = [1]", "operator.setitem(x, 0, 2)"),
        ("x = table()", "x.sort_values('a', inplace=True)"),
        ("x = model()", "x.fit([1], [2])"),
        ("x = thing()", "x.unheard_of(1)"),
        ("x = [1]\nimport lib", "lib.unheard_of(x)"),
        ("x = [1]\nimport numpy as np", "np.add(x, 1, out=x)"),
        ("x = {}", "vars(x)['a'] = 1"),
        ("x = {}", "for v in x.values(): v.append(1)"),
        ("x = {}", "for k, x[k] in []: pass"),
        ("x = {}", "x.a.b[0].c = 1"),
        ("x = {}", "x.n += 1"),
        ("x = {}", "del x.a"),
    ],
)
def test_changes_in_place(chain: Any, first: str, change: str) -> None:
    functions = "def table(): return []\nmodel = thing = table"
    assert chain(first, change, "print(x)", functions=functions).needs("c")["x"] in ("b", "b a")


@pytest.mark.parametrize("change", ["x.append(1)", "x[0] = 1", "x += [1]", "del x[0]", "x.a.b = 1"])
def test_after_a_certain_change_nobody_asks_for_older_versions(chain: Any, change: str) -> None:
    assert chain("x = []", change, "print(x)").needs("c")["x"] == "b"


@pytest.mark.parametrize(
    "change", ["if x: x.append(1)", "for i in x: x.append(i)", "y = x\ny.append(1)", "grow(x)"]
)
def test_where_a_change_is_not_certain_older_versions_are_asked_too(
    chain: Any, change: str
) -> None:
    found = chain("x = []", change, "print(x)", functions="def grow(l): l.append(1)")
    assert found.needs("c")["x"] == "b a"


@pytest.mark.parametrize("use", ["print(x)", "x.predict([1])", "x.head()", "len(x)", "x[0] + 1"])
def test_what_is_known_to_only_read(chain: Any, use: str) -> None:
    assert chain("x = [1]", use, "print(x)").needs("c") == {"x": "a"}
