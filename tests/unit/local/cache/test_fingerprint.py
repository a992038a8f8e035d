"""The key of a step: what changes it and what does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_notebooks import write_notebook

from kale_pm.analysis import understand
from kale_pm.local.cache.code import imported_names, running_code
from kale_pm.local.cache.fingerprint import all_imports, fingerprint, missing_modules
from kale_pm.local.kernels.environment import Environment, describe
from kale_pm.model import Pipeline
from kale_pm.notebook import read
from kale_pm.runtime.manifest import Change, Version

Cells = list[tuple[str, str]]

CELLS: Cells = [
    ("imports", "import math\nimport json as j"),
    ("parameters", "n = 1\nunused = 2"),
    ("functions", "def used(x):\n    return deeper(x)\n\ndef deeper(x):\n    return math.sqrt(x)"),
    ("functions", "def spare(x):\n    return j.dumps(x)"),
    ("block:a", "x = used(n)"),
    ("block:b prev:a", "print(x)"),
]


def pipeline(folder: Path, cells: Cells) -> Pipeline:
    found = understand(read(write_notebook(folder / "notebook.ipynb", cells)))
    assert not found.errors
    return found


class Keys:
    """Makes keys of the step ``a`` (or ``b``) of a notebook, one detail changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, cells: Cells = CELLS, step: str = "a", **changes: Any) -> str:
        found = pipeline(self.folder, cells)
        defaults = {p.name: p.default for p in found.parameters}
        return fingerprint(
            found,
            found.step(step),
            parameters={**defaults, **changes.get("parameters", {})},
            versions=changes.get("versions", {}),
            context=changes.get("context", {}),
            kernel=changes.get("kernel", ("python",)),
            has=changes.get("has") or describe(all_imports(found)),
            arriving=changes.get("arriving"),
        ).key

    def edited(self, old: str, new: str, step: str = "a", **changes: Any) -> str:
        assert any(old in source for _, source in CELLS)
        return self([(tags, source.replace(old, new)) for tags, source in CELLS], step, **changes)

    def tagged(self, tag: str) -> str:
        return self([(f"{t} {tag}" if t.startswith("block:a") else t, s) for t, s in CELLS])


@pytest.fixture
def key(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_the_same_is_the_same(key: Keys) -> None:
    assert key() == key()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x = used(n)", "x   =   used( n )   # as before"),
        ("x = used(n)", "# first\n\n(x) = used(\n    n\n)"),
        ("j.dumps(x)", "j.dumps(x, indent=1)"),
        ("import math", "import math\nimport statistics"),
        ("unused = 2", "unused = 3"),
        ("n = 1", "# the number\nn = 1"),
    ],
)
def test_what_cannot_make_a_difference_makes_none(key: Keys, old: str, new: str) -> None:
    assert key.edited(old, new) == key()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x = used(n)", "x = used(n + 0)"),
        ("return deeper(x)", "return deeper(x) + 1"),
        ("math.sqrt(x)", "math.sqrt(abs(x))"),
        ("import math", "import cmath as math"),
        ("import math", "import math\nmath.tau"),
        ("n = 1", "n = 1\nm = n * 2"),
        ("n = 1", "n = 1.0"),
        ("n = 1", "n = True"),
    ],
)
def test_what_can_make_a_difference_does(key: Keys, old: str, new: str) -> None:
    assert key.edited(old, new) != key()


def test_what_a_step_above_uses_may_arrive_inside_of_a_variable(key: Keys) -> None:
    edit = ("math.sqrt(x)", "math.sqrt(abs(x))", "b")
    assert key.edited(*edit) != key(step="b"), "as long as nobody knows what arrives"
    assert key.edited(*edit, arriving=()) == key(step="b", arriving=())
    assert key.edited(*edit, arriving=["used"]) != key(step="b", arriving=["used"])
    assert key.edited(*edit, arriving=["spare"]) == key(step="b", arriving=["spare"])


PLAIN_CLASSES = [
    "class C:\n    pass",
    "class C:\n    '''A point.'''\n    x = 1\n    y: int = 2",
    "class C:\n    def f(self):\n        return self.x",
    "class C:\n    @property\n    def f(self):\n        return 1",
    "import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass C:\n    x: int",
]
OTHER_CLASSES = [
    "class C(Base):\n    pass",  # the base may keep a list of those that derive from it
    "class C(metaclass=Meta):\n    pass",
    "class C:\n    print('made')",
    "class C:\n    seen = register('C')",
    "class C:\n    @register\n    def f(self):\n        return 1",
    "@register\nclass C:\n    pass",
]


@pytest.mark.parametrize("source", PLAIN_CLASSES)
def test_a_plain_class_counts_where_it_is_named(key: Keys, source: str) -> None:
    unused: Cells = [*CELLS[:4], ("functions", source), *CELLS[4:]]
    assert key(unused) == key()
    used: Cells = [*unused[:5], ("block:a", "x = used(C)"), *unused[6:]]
    edited: Cells = [*used[:4], ("functions", source + "\n    z = 3"), *used[5:]]
    assert key(edited) != key(used)


@pytest.mark.parametrize("source", OTHER_CLASSES)
def test_a_class_whose_definition_others_may_notice_always_counts(key: Keys, source: str) -> None:
    known = "class Base:\n    pass\nclass Meta(type):\n    pass\ndef register(x):\n    return x"
    head: Cells = [*CELLS[:4], ("functions", known)]
    assert key([*head, ("functions", source), *CELLS[4:]]) != key([*head, *CELLS[4:]])


def test_a_decorated_function_is_always_part_of_the_key(key: Keys) -> None:
    cells = [*CELLS[:4], ("functions", "@print\ndef f():\n    pass"), *CELLS[4:]]
    assert key(cells) != key()


@pytest.mark.parametrize(
    "source", ["f = eval(n)", "f = globals()['spare']", "df.query('@spare(n)')", "%timeit spare(1)"]
)
def test_names_inside_of_texts_and_computed_names_are_found(key: Keys, source: str) -> None:
    head: Cells = [*CELLS[:4]]
    edited: Cells = [*CELLS[:3], ("functions", "def spare(x):\n    return 0")]
    tail: Cells = [("imports", "df = None"), ("block:a", source)]
    assert key([*head, *tail]) != key([*edited, *tail])


@pytest.mark.parametrize("tag", ["env:A:b", "retry:2", "timeout:9", "image:x:1", "limit:cpu:2"])
def test_options_count(key: Keys, tag: str) -> None:
    assert key.tagged(tag) != key()


def test_parameters_count_where_they_are_used(key: Keys) -> None:
    assert key(parameters={"n": 2}) != key()
    assert key(parameters={"n": 1.0}) != key()
    assert key(parameters={"n": [1, {"a": 1, "b": 2}]}) != key(
        parameters={"n": [1, {"b": 2, "a": 1}]}
    )
    assert key(parameters={"unused": 5}) == key()
    assert key(parameters={"n": 2}, step="b") == key(step="b")


def test_versions_count_where_they_are_needed(key: Keys) -> None:
    one, two = ({"x": Version("a", 0, made)} for made in ("c1", "c2"))
    assert key(step="b", versions=one) != key(step="b", versions=two)
    assert key(step="b", versions={"other": Version("a", 0, "c")}) == key(step="b")
    # What was deleted is not what nobody touched.
    assert key(step="b", versions={"x": Version("a", 0, None)}) != key(step="b")
    # Only what it is counts, not which step it was.
    assert key(step="b", versions={"x": Version("z", 9, "c1")}) == key(step="b", versions=one)


def test_the_inherited_global_state_counts(key: Keys) -> None:
    change = {"environ:A": Change("a", 0, "gA==")}
    assert key(step="b", context=change) != key(step="b")


def test_the_kernel_counts(key: Keys) -> None:
    assert key(kernel=("other", "-m", "ipykernel")) != key()


def test_python_and_packages_are_those_of_the_kernel(key: Keys) -> None:
    cells = [("imports", "import numpy"), ("block:a", "print(numpy.pi)"), ("block:b", "import six")]
    has = Environment("3.12.1", {"numpy": "1.26", "six": "1.16"}, ())
    numpy = replace(has, packages={"numpy": "2.0", "six": "1.16"})
    six = replace(has, packages={"numpy": "1.26", "six": "1.17"})
    assert key(cells, has=replace(has, python="3.12.2")) != key(cells, has=has)
    assert key(cells, has=numpy) != key(cells, has=has)
    assert key(cells, has=replace(has, missing=("numpy",))) != key(cells, has=has)
    assert key(cells, has=six) == key(cells, has=has)
    assert key(cells, "b", has=six) != key(cells, "b", has=has)


def test_the_place_of_the_notebook_does_not_count(tmp_path: Path, key: Keys) -> None:
    (tmp_path / "elsewhere").mkdir()
    assert Keys(tmp_path / "elsewhere")() == key()


def test_what_a_step_is_asked_to_store_does_not_count(tmp_path: Path) -> None:
    found = pipeline(tmp_path, CELLS)
    step = found.step("a")
    keys = {
        fingerprint(
            found,
            each,
            parameters={"n": 1},
            versions={},
            context={},
            kernel=(),
            has=Environment("3.12.1", {}, ()),
        ).key
        for each in (step, replace(step, gives=("x", "y"), watch=("n",)))
    }
    assert len(keys) == 1


def test_modules_are_missing_that_neither_the_kernel_nor_the_notebooks_folder_has(
    tmp_path: Path,
) -> None:
    (tmp_path / "helper.py").write_text("")
    names = "numpy, helper, __main__, no_such_module"
    found = pipeline(tmp_path, [("imports", f"import {names}"), ("block:a", "import absent")])
    assert missing_modules(found, describe(all_imports(found))) == ["no_such_module"]


def test_imports_of_the_standard_library_are_no_packages(tmp_path: Path) -> None:
    cells = [("block:a", "import os, numpy.linalg\nfrom pandas.api import types\nimport json as j")]
    found = pipeline(tmp_path, cells)
    assert imported_names(running_code(found, found.step("a")).trees) == {"numpy", "pandas"}


def test_the_code_of_a_step_is_read_once(tmp_path: Path) -> None:
    first, again = pipeline(tmp_path, CELLS), pipeline(tmp_path, CELLS)
    code = running_code(first, first.step("b"), ["used"])
    assert running_code(again, again.step("b"), ["used"]) is code
    assert running_code(first, first.step("b"), ["spare"]) is not code
    assert running_code(first, first.step("a"), ["used"]) is not code
