"""``@artifact``: which files of a step are kept, and under which names."""

from __future__ import annotations

import pytest

from kale_pm.errors import UsageError
from kale_pm.sdk import artifact, pipeline, step

WRAPPED = """
import functools

def loud(function):
    @functools.wraps(function)
    def call(*args):
        print("calling")
        return function(*args)
    return call

@artifact("page", "page.html")
@loud
@step
def draw(n):
    return n

@pipeline
def small(n=1):
    draw(n)
"""


def test_above_a_decorator_that_stands_above_the_step(script, cells):
    made = script(WRAPPED)

    assert [each.name for each in made.small.to_pipeline().steps] == ["draw"]
    assert "kale_pm.runtime.artifacts.keep('page', 'page.html')" in cells(made.small)[-1][1]


def test_a_pipeline_below_a_decorator_keeps_none_either(script):
    text = WRAPPED.replace("@step", "@pipeline").replace("\n@pipeline\ndef small", "\ndef small")
    with pytest.raises(UsageError, match="<pipeline 'draw'> keeps no artifact"):
        script(text)


@pytest.mark.parametrize(
    "decorate",
    [
        lambda one, other, draw: one(other(step(draw))),
        lambda one, other, draw: step(one(other(draw))),
        lambda one, other, draw: one(step(other(draw))),
    ],
)
def test_two_files_of_one_name(decorate):
    one, other = artifact("page", "one.html"), artifact("page", "other.html")

    def draw():
        return 1

    with pytest.raises(UsageError) as caught:
        decorate(one, other, draw)
    assert caught.value.message.startswith("test_kept_files.py:")
    assert "two files are kept as the artifact 'page': one.html and other.html" in (
        caught.value.message
    )
    assert "a name of its own" in caught.value.hint


def test_one_that_is_named_twice_is_kept_once():
    page = artifact("page", "page.html")

    @page
    @page
    @step
    def draw():
        return 1

    assert len(draw.artifacts) == 1
    assert draw.tags == ("artifact:page:page.html",)


def test_with_the_option_of_the_step_too():
    @artifact("page", "one.html")
    @step(artifacts={"page": "other.html"})
    def draw():
        return 1

    @pipeline
    def small():
        draw()

    (problem,) = small.to_pipeline().problems
    assert "two values for artifacts page" in problem.message


class TestOneFileOfSeveralCalls:
    """Only one of them at a time writes it, so that each keeps what it wrote itself."""

    @pytest.fixture
    def edges(self):
        """``edges(body)``: those of the pipeline whose body it is."""

        def of(body):
            return set(pipeline(name="small")(body).to_pipeline().edges)

        return of

    def test_they_come_one_after_another(self, edges):
        def body():
            draw(1), draw(2), draw(3)

        assert edges(body) == {("draw", "draw_2"), ("draw_2", "draw_3")}

    def test_those_of_another_step_too(self, edges):
        @step(artifacts={"other": "./page.html"})
        def paint():
            return 1

        def body():
            draw(1), paint()

        assert edges(body) == {("draw", "paint")}

    def test_not_those_that_are_ordered_already(self, edges):
        def body():
            first, second = draw(1), draw(2)
            first.after(silent(second))

        assert edges(body) == {("draw_2", "silent"), ("silent", "draw")}

    def test_in_the_order_of_their_calls(self, edges):
        def body():
            draw(silent(1)), draw(2)

        assert edges(body) == {("silent", "draw"), ("draw", "draw_2")}

    def test_whatever_else_orders_them(self, edges):
        def body():
            first, second, third = draw(1), draw(2), draw(3)
            first.after(third)
            silent(second)

        assert edges(body) == {("draw_2", "draw_3"), ("draw_3", "draw"), ("draw_2", "silent")}

    def test_not_those_of_other_files(self, edges):
        @artifact("page", "other.html")
        @step
        def paint():
            return 1

        def body():
            draw(1), paint(), silent(1), silent(2)

        assert edges(body) == set()


@artifact("page", "page.html")
@step
def draw(n):
    return n


@step
def silent(n):
    return n
