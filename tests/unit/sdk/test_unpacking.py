"""What a step gives is unpacked as Python does it, wherever that is written."""

from __future__ import annotations

import pytest

from kale_pm.errors import UsageError

PIPELINE = """
@step
def load(n):
    return {value}

@pipeline
def small(n=3):
    {body}
    return collect({given})
"""
COLLECT = """
@step
def collect(*everything):
    return list(everything)
"""


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("(n, n + 1), 5", [3, 4, 5]),
        ("{3: 'a', 4: 'b'}, 5", [3, 4, 5]),
        ("'ab', 5", ["a", "b", 5]),
        ("iter([3, 4]), 5", [3, 4, 5]),
        ("[(3, 4), 5]", [3, 4, 5]),
    ],
)
def test_values_inside_of_others(same, value, found):
    text = PIPELINE.format(value=value, body="(a, b), c = load(n)", given="a, b, c")
    assert same(text) == found


def test_however_deep(same):
    text = PIPELINE.format(
        value="[[[1], 2], [3, 4]]",
        body="(((a,), b), c) = load(n); d, e = c",
        given="a, b, c, d, e",
    )
    assert same(text) == [1, 2, [3, 4], 3, 4]


def test_of_a_function_that_is_kept_whole(same):
    text = """
@step
def load(n):
    if n:
        return [[1, 2], 3]
    return None

@pipeline
def small(n=3):
    whole = load(n)
    (a, b), c = whole
    return collect(a, b, c, whole)
"""
    assert same(text) == [1, 2, 3, [[1, 2], 3]]


@pytest.mark.parametrize("value", ["(1, 2, 3), 5", "[1], 5", "7, 5"])
def test_another_number_of_values_fails_where_they_are_made(script, outcome, value):
    """It is Python's own error, in the step that gives them."""
    text = PIPELINE.format(value=value, body="(a, b), c = load(n)", given="a, b, c")
    made = script(COLLECT + text)
    with pytest.raises((ValueError, TypeError), match="unpack"):
        outcome(made.small)


def test_twice_into_as_many(same):
    text = PIPELINE.format(
        value="[1, 2]",
        body="r = load(n); a, b = r; c, d = r; more = [each for each in r]",
        given="a, b, c, d, *more",
    )
    assert same(text) == [1, 2, 1, 2, 1, 2]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("r = load(n); x, y, z = r; a, b = r", "into 2 values, and before that into 3"),
        ("r, s = load(n); x, y, z = r; a, b = r", r"gives\[0\] is unpacked into 2 values, and"),
    ],
)
def test_twice_into_different_numbers(script, body, told):
    made = script(PIPELINE.format(value="n", body=body, given="").replace("collect()", "None"))
    with pytest.raises(UsageError, match=told) as caught:
        made.small.to_pipeline()
    assert "unpack it once" in caught.value.hint
