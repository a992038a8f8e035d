"""A step's variables are its own, and those of its module the module's, as Python has it."""

from __future__ import annotations

from pathlib import Path

import pytest

CLOSURES = """
@step
def function(rate):
    def made(x):
        return rate * x
    return made

@step
def nameless(rate):
    double = 2 * rate
    return lambda x: double * x

@step
def instance(rate):
    class Made:
        def __call__(self, x):
            return rate * x
    return Made()

@step
def apply(made, rate=100):
    found = made(3), rate
    return found
"""


class TestWhatAStepGives:
    """It keeps the variables in which it was made, however often the step is called."""

    @pytest.mark.parametrize("maker", ["function", "nameless", "instance"])
    def test_by_two_calls(self, same, maker):
        text = f"{CLOSURES}\n@pipeline\ndef small():\n    first, second = {maker}(1), {maker}(2)\n"
        text += "    return collect(apply(first), apply(second))\n"
        found = same(text)
        assert found[0] != found[1]

    def test_leaves_no_variable_to_others(self, script):
        text = f"{CLOSURES}\n@step\ndef show(made):\n    print(made(3))\n"
        text += "\n@pipeline\ndef small():\n    show(function(1)); show(function(2))\n"
        found = script(text).small.to_pipeline()
        assert not found.problems
        assert found.step("function").stores == ("function_made",)
        assert (
            "# A function, as it was written: what it gives"
            in found.step("function").code[0].source
        )
        assert "# A function" not in found.step("show").code[0].source, "it hides nothing"


class TestClasses:
    def test_the_body_of_one_reads_the_variables_around_it(self, same):
        text = """
@step
def make(size):
    class Kind:
        width = size
        height = width + 1
    return Kind.width, Kind.height

@pipeline
def small():
    return collect(make(1), make(2))
"""
        assert same(text) == [(1, 2), (2, 3)]

    def test_a_name_that_it_binds_as_well_is_the_module_s(self, same):
        text = """
size = 10

@step
def make(n):
    class Kind:
        size = size + n
    return Kind.size

@pipeline
def small():
    return collect(make(1))
"""
        assert same(text) == [11]

    def test_though_the_step_has_one_of_that_name(self, same):
        text = """
size = 10

@step
def make(size):
    class Kind:
        size = size
        class Inner:
            size = size
    return Kind.size, Kind.Inner.size, size

@pipeline
def small():
    return collect(make(1))
"""
        assert same(text) == [(10, 10, 1)]

    def test_what_it_binds_first_is_its_own(self, script, cells):
        text = """
size = 10

@step
def make():
    class Kind:
        size: int = 1
        def area(self): return 2
        width = size, area
    print(Kind.width)

@pipeline
def small():
    make()
"""
        assert not any("size = 10" in source for _, source in cells(script(text).small))


def test_a_variable_that_an_inner_function_takes_from_the_module(same):
    text = """
size = 10

@step
def make(size):
    def of_the_module():
        global size
        return size
    return of_the_module(), size

@pipeline
def small():
    return collect(make(1))
"""
    assert same(text) == [(10, 1)]


class TestRegistries:
    """A decorator above @step has filled what another step looks into."""

    TEXT = """
READERS = {}

def register(name):
    def keep(function):
        READERS[name] = function
        return function
    return keep

@register("comma")
@step(
    name="read_csv",
)
@register("again")
def csv(text):
    return text.split(",")

def reader(name):
    return READERS[name]

@step
def use(name):
    return reader(name)("1,2")

@pipeline
def small():
    return collect(csv("3"), use("comma"), use("again"))
"""

    def test_a_helper_finds_the_function(self, same):
        assert same(self.TEXT) == [["3"], ["1", "2"], ["1", "2"]]

    def test_its_lines_are_those_of_the_script(self, script):
        made = script(self.TEXT.replace("collect(", "(").replace("return (csv", "(csv"))
        found = made.small.to_pipeline()
        (cell,) = found.prelude
        body = '    return text.split(",")'
        number = cell.source.split("\n").index(body) + 1
        written = Path(made.__file__).read_text(encoding="utf-8").split("\n").index(body) + 1
        assert found.marks.place(cell.number, number).endswith(f".py:{written}")
