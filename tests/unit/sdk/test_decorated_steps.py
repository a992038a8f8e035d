"""A decorator below ``@step`` gets the arguments as the body of the pipeline gives them."""

from __future__ import annotations

import pytest

from kale_pm.errors import UsageError

SEEN = """
import functools

def seeing(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        return [list(args), dict(kwargs), function(*args, **kwargs)]
    return call

@step
@seeing
def one(x, *more, y=2, **others):
    return x + len(more) + y + len(others)

@pipeline
def small(n=3):
    return collect(CALL)
"""


@pytest.mark.parametrize(
    "call",
    [
        "one(n)",
        "one(x=n)",
        "one(y=n, x=1)",
        "one(n, 2, 3, y=4, z=5)",
        "one(n, *[1, 2])",
    ],
)
def test_what_comes_by_position_stays_so(same, call):
    same(SEEN.replace("CALL", call))


def test_a_decorator_that_looks_at_the_first_argument(same):
    text = """
import functools

@step
@functools.singledispatch
def kind(thing):
    return "other"

def doubling(function):
    @functools.wraps(function)
    def call(*args):
        return function(2 * args[0])
    return call

@step
@doubling
def double(thing):
    return thing

@pipeline
def small(n=3):
    return collect(double(n), kind(n))
"""
    assert same(text) == [6, "other"]


def test_functions_that_are_registered_with_it_would_not_go_along(script):
    made = script("""
        import functools

        @step
        @functools.singledispatch
        def kind(thing):
            return "other"

        @kind.function.register
        def of_number(thing: int):
            return "number"

        @pipeline
        def small(n=3):
            kind(n)
    """)
    with pytest.raises(UsageError, match="step 'kind': other functions were registered with it"):
        made.small.to_pipeline()


def test_an_argument_that_no_code_can_say_is_named(script):
    made = script(
        SEEN.replace("collect(CALL)", "one(1, 2, object())")
        + """
@pipeline
def other():
    one(object())

@pipeline
def third():
    one(1, z=object())
"""
    )
    for function, name in ((made.small, "more"), (made.other, "x"), (made.third, "z")):
        with pytest.raises(UsageError, match=f"the argument '{name}' of step 'one' is of type obj"):
            function.to_pipeline()
