"""A parameter that is named like a builtin of Python's does not take its place in the steps."""

from __future__ import annotations

import pytest

from kale_pm.errors import UsageError


@pytest.mark.parametrize(
    ("reader", "named"),
    [
        ("@step\ndef load(n):\n    return max(n, 2)\n", "'load'"),
        ("@step\ndef load(n, choose=max):\n    return choose(n, 2)\n", "'load'"),
        (
            "def larger(n):\n    return max(n, 2)\n\n@step\ndef load(n):\n    return larger(n)\n",
            "line 4",
        ),
        ("LARGEST = max\n\n@step\ndef load(n):\n    return LARGEST(n, 2)\n", "line 4"),
    ],
)
def test_one_that_a_step_uses_is_refused(script, reader, named):
    made = script(f"{reader}\n@pipeline\ndef small(max=3):\n    load(max)\n")

    with pytest.raises(UsageError) as caught:
        made.small.to_pipeline()
    told = f"the pipeline's parameter 'max' has the name of a builtin of Python's that {named} of "
    assert told in caught.value.message
    assert f"{made.__name__}.py uses" in caught.value.message
    assert caught.value.hint == "rename the parameter"


def test_in_a_module_that_has_a_place_of_its_own(script, write):
    write("other.py", HELPER.format(count=10))
    made = script(
        HELPER.format(count=20)
        + """
import other

@pipeline
def small(max=3):
    theirs(max)
    other.theirs(max)
"""
    )
    with pytest.raises(UsageError, match="parameter 'max' has the name of a builtin"):
        made.small.to_pipeline()


HELPER = """
from kale_pm.sdk import step

COUNT = {count}

@step(name="count_{count}")
def theirs(n):
    return max(COUNT, n)
"""


def test_all_others_are_names_like_any_other(same):
    text = """
import pandas as pd

@step
def load(id, type, format="csv"):
    max = id + 1
    found = pd.DataFrame({"age": [2, 5]}).query("age < @max")
    return type, format, len(found), [input for input in range(max)]

@pipeline
def small(id=3, type="a", format="b", max=4, input=5):
    kind, format, count, numbers = load(id, type, format=format)
    return collect(kind, format, count, numbers, max)
"""
    assert same(text) == ["a", "b", 1, [0, 1, 2, 3], 4]
