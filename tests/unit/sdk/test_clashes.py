"""A module whose names clash goes into a function of its own, unless it would mean less there."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_pm.errors import UsageError

STEPS = "from kale_pm.sdk import step\n\n"


@pytest.fixture
def together(write, script):
    """``together(text)``: a script whose pipeline calls the steps of such a module ``other``."""

    def make(text):
        write("other.py", STEPS + text)
        return script(
            """
            import other

            COUNT = 1

            @step
            def mine():
                return COUNT

            @pipeline
            def small():
                mine()
                for each in other.STEPS:
                    each()
            """
        )

    return make


@pytest.fixture
def refusal(together):
    """``refusal(text)``: the error of such a pipeline."""

    def told(text) -> UsageError:
        made = together(text)
        with pytest.raises(UsageError) as caught:
            made.small.to_pipeline()
        assert f"other.py and {made.__name__}.py use the name 'COUNT'" in caught.value.message
        assert "rename 'COUNT' in one of the two modules" in caught.value.hint
        return caught.value

    return told


def test_a_helper_that_changes_a_variable_of_its_module(refusal):
    error = refusal(
        """
COUNT = 10

def bump():
    global COUNT
    COUNT += 1

@step
def theirs():
    bump()
    return COUNT

STEPS = [theirs]
"""
    )
    assert error.message.startswith("other.py:7: 'global COUNT' changes the module, but")


def test_a_step_that_does(refusal):
    error = refusal(
        """
COUNT = 10

@step
def theirs():
    global COUNT
    COUNT += 1
    return COUNT

STEPS = [theirs]
"""
    )
    assert "step function 'theirs': 'global COUNT' changes the module" in error.message


@pytest.mark.parametrize(
    "text",
    [
        "class Point:\n    pass\n",
        "if COUNT:\n    class Point:\n        pass\n",
        "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')\n",
    ],
)
def test_a_class(refusal, text):
    error = refusal(
        f"""
COUNT = 10
{text}
@step
def theirs():
    return Point, COUNT

STEPS = [theirs]
"""
    )
    assert error.message.startswith("other.py:")
    assert "class 'Point' has to be the same one in every step" in error.message


def test_steps_that_are_functions_of_one_name(refusal):
    error = refusal(
        """
COUNT = 10
STEPS = []
for n in range(2):
    @step(name=f"s{n}")
    def theirs(n=n):
        return COUNT + n
    STEPS.append(theirs)
"""
    )
    assert "several steps are functions of the name 'theirs'" in error.message


def test_a_class_inside_of_a_function_does_no_harm(together, outcome):
    made = together(
        """
COUNT = 10

@step
def theirs():
    class Point:
        x = COUNT

    return Point().x

STEPS = [theirs]
"""
    )
    names = outcome(made.small)
    assert (names["mine_COUNT"], names["theirs_result"]) == (1, 10)


def test_its_lines_are_those_of_its_file(together):
    made = together(
        '''
COUNT = 10

def helper(x):
    """Two

    paragraphs."""
    return 1 / x

@step
def theirs():
    x = COUNT

    return helper(x)

@step
def others():
    return COUNT

STEPS = [theirs, others]
'''
    )
    found = made.small.to_pipeline()
    (cell,) = [each for each in found.prelude if "def module_other" in each.source]
    written = Path(made.other.__file__).read_text(encoding="utf-8").split("\n")
    for text in ("COUNT = 10", "    return 1 / x", "    return helper(x)", "    return COUNT"):
        line = cell.source.split("\n").index(f"    {text}") + 1
        assert found.marks.place(cell.number, line) == f"other.py:{written.index(text) + 1}"
