"""No text makes the analysis fail, and no size makes it stop."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PIECES = """
x; x=1; y=x; x,y=y,x; x.append(y); x[0]=y; x.a=y; x+=[1]; del x; print(x); f(x); f(x)(y);
[f for f in x]; {x: y for x, y in y}; def f(x,y=x):; async def f():; class K(f):; if x:; else:;
elif y:; for x in y:; while True:; try:; except E as x:; finally:; with x as y:; match x:;
case [x,*y]:; return x; yield x; global x; nonlocal x; break; continue; raise x; import x;
from x import *; from m import y; lambda x:y; (x:=y); await x; @f; %time x; !ls {x}; x?; %%time;
globals()[x]; eval(x); pass; super().f(); self.x=y; f'{x}'; x:y; type X=int; %run x; y=x if y else x
""".replace("\n", " ").split("; ")

lines = st.builds(
    lambda indent, piece: "    " * indent + piece.strip(),
    st.integers(0, 3),
    st.sampled_from(PIECES),
)
cells = st.one_of(st.lists(lines, max_size=12).map("\n".join), st.text(max_size=60))
quickly = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@quickly
@given(st.lists(cells, min_size=1, max_size=4), st.booleans())
def test_any_text(notebook: Any, sources: list[str], prelude: bool) -> None:
    tagged = [(f"block:s{i}", source) for i, source in enumerate(sources)]
    if prelude:
        tagged.insert(0, ("functions", sources[-1]))
    found = notebook(*tagged)
    assert all(problem.message for problem in found.pipeline.problems)


@pytest.mark.parametrize(
    "source",
    [
        "y = " + " + ".join(["x"] * 2000),
        "y = x" + ".m(1)" * 40,
        "y = " + "f(" * 60 + "x" + ")" * 60,
        "y = " + "[" * 80 + "x" + "]" * 80,
        "y = " + "(lambda: " * 40 + "x" + ")()" * 40,
        "if x == 0: y = 0\n" + "\n".join(f"elif x == {i}: y = {i}" for i in range(800)),
        "\n".join(" " * i + "for i in x:" for i in range(18)) + "\n" + " " * 18 + "y = x",
        "\n".join(" " * i + "def f(a):" for i in range(40)) + "\n" + " " * 40 + "return x\nf(x)",
        "\n".join(" " * i + "class A:" for i in range(40)) + "\n" + " " * 40 + "y = x",
    ],
    ids=lambda source: re.sub(r"\s+", " ", source[:16]),
)
def test_deep_nesting(chain: Any, source: str) -> None:
    found = chain("x = [1]\ndef f(a): return a", source)
    assert found.errors == []
    assert found.needs("b")["x"] == "a"


def test_what_is_too_deep_to_follow_needs_all(chain: Any, monkeypatch: Any) -> None:
    def follow(*_: Any) -> None:
        raise RecursionError

    monkeypatch.setattr("kale_pm.analysis.code.statements.Flow.on_assert", follow, raising=False)
    found = chain("x = 1\nz = 2", "assert x")
    assert found.errors == []
    assert found.needs("b").keys() >= {"x", "z"}


def test_a_long_cell(chain: Any) -> None:
    source = "\n".join(f"v{i} = x + {i}" for i in range(5000)) + "\ny = [" + "x, " * 20000 + "]"
    assert chain("x = [1]", source).needs("b") == {"x": "a"}


def test_many_names_of_one_object(chain: Any) -> None:
    made = "\n".join(f"v{i} = x[{i}]" for i in range(600))
    changed = "\n".join(f"v{i}.append(1)" for i in range(600))
    found = chain(f"x = [1]\n{made}", changed, "print(x, v7)")
    assert found.needs("c") == {"v7": "b", "x": "b a"}
