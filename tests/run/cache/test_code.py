"""What runs again, after an edit or with other parameters and options, and what does not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Runner

CHAIN = [
    ("imports", "import math"),
    ("parameters", "n = 3\nscale = 2.0"),
    ("functions", "def twice(x):\n    return 2 * x\n\ndef shown(x):\n    return f'<{x}>'"),
    ("block:make", "rows = list(range(n))"),
    ("block:top prev:make", "top = max(rows) // 100"),
    ("block:scaled prev:make", "big = [scale * r for r in rows]"),
    ("block:report prev:top prev:scaled", "print(shown(top), len(big))"),
]


def replaced(old: str, new: str) -> list[tuple[str, str]]:
    assert any(old in source for _, source in CHAIN)
    return [(tags, source.replace(old, new)) for tags, source in CHAIN]


@pytest.fixture(scope="module")
def finished(run_once: Runner) -> Path:
    run_once(CHAIN).raise_for_failures()
    return run_once.folder


@pytest.fixture
def done(finished: Path, run: Runner) -> Runner:
    shutil.copytree(finished, run.folder, symlinks=True, dirs_exist_ok=True)
    return run


def test_an_unchanged_notebook_starts_no_kernel_and_shows_the_same(done: Runner) -> None:
    ran = done()
    assert ran.executed == []
    assert set(ran.states().values()) == {"cached"}
    assert ran.printed("report") == "<0> 3\n"
    origin = {step.cached_from for step in ran.record.steps.values()}
    assert len(origin) == 1
    assert origin != {ran.record.id}

    # Comments, blank lines and other spelling of the same are no change ...
    spelt = replaced("rows = list(range(n))", "# all rows\n\nrows  =  list(range( n ))  # here")
    assert done(spelt).executed == []
    # ... nor is a default that is given, nor a function or import that nothing uses.
    assert done(CHAIN, n=3).executed == []
    assert done(replaced("import math", "import math, json")).executed == []
    assert done(replaced("2 * x", "x + x")).executed == []


def test_a_cell_of_comments_and_a_text_cell_change_nothing(done: Runner) -> None:
    assert done([*CHAIN[:4], ("", "# a word about it"), *CHAIN[4:]]).executed == []
    assert done([*CHAIN[:1], ("imports", "# more to come"), *CHAIN[1:]]).executed == []


def test_a_parameter_wakes_what_uses_it_and_equal_values_wake_nobody(done: Runner) -> None:
    assert done(scale=3.0).executed == ["report", "scaled"]
    # Another ``rows`` is not another ``top``, so that ``end`` has nothing new to do.
    cells = [*CHAIN[:5], ("block:end prev:top", "print(top)")]
    done(cells)
    assert done(n=5).executed == ["make", "top"]


def test_types_matter_in_parameters_even_inside_of_lists(run: Runner) -> None:
    cells = [("parameters", "xs = [1, 2]\nn: float = 1"), ("block:a", "print(xs, n)")]
    assert run(cells).printed("a") == "[1, 2] 1\n"
    assert run(cells, xs=[1.0, 2]).printed("a") == "[1.0, 2] 1\n"
    assert run(cells, xs=[True, 2]).printed("a") == "[True, 2] 1\n"


def test_a_dict_parameter_in_another_order_is_another_value(run: Runner) -> None:
    cells = [("parameters", "d = {'a': 1, 'b': 2}"), ("block:a", "print(list(d))")]
    assert run(cells).printed("a") == "['a', 'b']\n"
    assert run(cells, d={"b": 2, "a": 1}).printed("a") == "['b', 'a']\n"


def test_an_edited_function_wakes_the_steps_it_can_reach(done: Runner) -> None:
    assert done(replaced("<{x}>", "[{x}]")).executed == ["report"]


def test_what_the_prelude_does_besides_defining_wakes_every_step(done: Runner) -> None:
    assert len(done(replaced("import math", "import math\nlimit = 3")).executed) == 4


def test_an_import_that_is_not_there_fails_every_step(done: Runner) -> None:
    ran = done([("imports", "import math, no_such_module_at_all"), *CHAIN[1:]])
    assert ran.executed == ["make"]
    assert ran.error("make").ename == "ModuleNotFoundError"


def test_a_step_that_was_renamed_hands_on_what_it_did_under_its_old_name(run: Runner) -> None:
    prelude = ("imports", "y = 0")
    run([prelude, ("block:old", "y = 42"), ("block:show prev:old", "print(y)")])
    ran = run([prelude, ("block:new", "y = 42"), ("block:show prev:new", "print('y', y)")])
    assert ran.raise_for_failures().printed("show") == "y 42\n"


def test_a_step_with_the_code_of_another_one_is_executed_itself(run: Runner) -> None:
    cells = [
        ("block:a", "y = 42\nprint('a')"),
        ("block:twin", "y = 42\nprint('a')"),
        ("block:show prev:a", "print(y)"),
        ("block:last prev:twin", "print(y, 'last')"),
    ]
    ran = run.with_options(jobs=1)(cells).raise_for_failures()
    assert ran.executed == ["a", "last", "show", "twin"]
    assert ran.printed("last") == "42 last\n"


def test_a_step_runs_again_for_a_variable_that_nobody_wanted_before(run: Runner) -> None:
    cells = [("block:a", "x = 1\ny = 2"), ("block:b prev:a", "print(x, y)")]
    run([cells[0], ("block:b prev:a", "print(x)")])
    ran = run(cells)
    assert ran.printed("b") == "1 2\n"
    assert ran.why("a") == "a later step now uses its variable y"
    # What is wanted no more does not matter.
    assert run([cells[0], ("block:b prev:a", "print(y)")]).executed == ["b"]


def test_a_cached_step_has_all_that_an_executed_one_has(run: Runner) -> None:
    from kale_pm.face import Run

    cells = [
        ("imports", "import kale_pm, numpy as np"),
        ("parameters", "n = 3"),
        ("block:a", "x = np.arange(5)\nloss = 0.25\nkale_pm.metric('depth', 4)\nprint('hello')"),
        ("block:b prev:a", "y = x.sum() + n\nprint(y)"),
        ("block:c prev:b", "print(y)"),
        ("metrics", "loss"),
    ]
    run(cells).raise_for_failures()
    ran = run(n=4).raise_for_failures()
    assert ran.states() == {"a": "cached", "b": "done", "c": "done"}
    found = Run(ran.record, ran.folder)
    assert found.metrics == {"loss": 0.25, "depth": 4}
    assert found.steps["a"].metrics == {"loss": 0.25, "depth": 4}
    assert found["x"].tolist() == [0, 1, 2, 3, 4]
    assert found["y"] == 14
    assert ran.printed("a") == "hello\n"
    assert found.steps["a"].variables.keys() == {"x"}


@pytest.mark.parametrize("tag", ["env:MODE:fast", "timeout:50", "retry:1", "image:python:3.12"])
def test_changed_options_run_the_step_again(run: Runner, tag: str) -> None:
    run([("block:a", "x = 1")])
    assert run([(f"block:a {tag}", "x = 1")]).executed == ["a"]


def test_a_step_with_its_cache_disabled_always_runs(run: Runner) -> None:
    cells = [
        ("block:a cache:disabled", "import random\nx = random.random() * 0"),
        ("block:b prev:a", "y = x"),
    ]
    run(cells)
    ran = run()
    assert ran.executed[0] == "a"
    assert ran.why("a") == "its cache is disabled"


def test_fresh_from_and_only_say_what_runs(done: Runner) -> None:
    assert done.with_options(fresh=True)().executed == ["make", "report", "scaled", "top"]
    assert done.with_options(start="scaled")().executed == ["report", "scaled"]
    ran = done.with_options(only="scaled")()
    assert ran.executed == ["scaled"]
    assert set(ran.states()) == {"make", "scaled"}
