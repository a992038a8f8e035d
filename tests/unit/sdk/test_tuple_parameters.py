"""A parameter whose default is a tuple is one in the steps, though notebooks and KFP know lists."""

from __future__ import annotations

import pytest

from kale_pm.errors import UsageError
from kale_pm.sdk import pipeline, step

TEXT = """
@step
def look(shape, others=()):
    seen = shape, others, {shape: 1}
    return seen

@step
def whole(shape):
    if shape is None:
        return "nothing"
    return {shape: 2}

@pipeline
def small(shape=(2, 3), hinted: tuple[int, ...] = (4,), either: "tuple | None" = (5,)):
    look(shape, [hinted, {"either": either}])
    whole(either)
"""


@pytest.fixture
def given(script, cells):
    """What the steps see, where the parameters have been given these values."""
    made = script(TEXT)

    def run(**values):
        names: dict[str, object] = {"__name__": "__main__"}
        for tags, source in cells(made.small):
            exec(source, names)
            if tags == "parameters":
                names |= values
        return names["look_seen"], names["whole_result"]

    return run


def test_it_is_the_tuple_that_a_plain_call_would_give(given):
    assert given() == (((2, 3), [(4,), {"either": (5,)}], {(2, 3): 1}), {(5,): 2})


def test_a_list_that_a_run_sets_becomes_one(given):
    seen, _ = given(shape=[7])
    assert seen == ((7,), [(4,), {"either": (5,)}], {(7,): 1})


def test_none_stays_none(given):
    assert given(either=None)[1] == "nothing"


def test_it_is_a_list_for_the_command_line_and_for_kfp(script):
    (shape, hinted, either) = script(TEXT).small.to_pipeline(shape=(8, 9)).parameters
    assert (shape.type, shape.default) == ("list", [8, 9])
    assert (hinted.type, hinted.default) == ("list", [4])
    assert (either.type, either.default, either.optional) == ("list", [5], True)


def test_a_list_stays_a_list(script, cells):
    made = script(TEXT.replace("shape=(2, 3)", "shape=[2, 3]"))
    assert not any("tuple(shape)" in source for _, source in cells(made.small))


def test_one_without_a_default_is_what_the_call_gives(script):
    made = script(
        TEXT.replace("shape=(2, 3), hinted: tuple[int, ...] = (4,), ", "shape, hinted=1, ")
    )
    document = made.small.to_pipeline(shape=(1, 2))
    assert any("tuple(shape)" in cell.source for cell in document.step("look").code)


@pytest.mark.parametrize("value", [((1, 2), 3), [(1, 2)], {"a": (1, 2)}])
def test_a_tuple_inside_is_refused(value):
    @step
    def look(shape):
        return shape

    @pipeline
    def small(shape=value):
        look(shape)

    with pytest.raises(UsageError, match="'shape' is") as caught:
        small.to_pipeline()
    assert "tuples with no other tuple inside" in caught.value.hint
