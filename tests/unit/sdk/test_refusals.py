"""While a pipeline is traced nothing has a value: whatever asks for one is told so."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from kale_pm.errors import KalePmError, UsageError
from kale_pm.sdk import artifact, pipeline, step


@step
def load(rows=1):
    return rows


@step
def pair():
    return 1, 2


@step
def silent():
    print("nothing")


def error_of(body) -> UsageError:
    @pipeline(name="refused")
    def refused(n=1):
        body(n)

    with pytest.raises(UsageError) as caught:
        refused.to_pipeline()
    return caught.value


def opened(value):
    with value:
        pass


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (lambda x: 1 if x else 2, "is used as a condition"),
        (lambda x: not x, "is used as a condition"),
        (lambda x: x > 3, "is compared"),
        (lambda x: x == 3, "is compared"),
        (lambda x: 3 in x, "is asked what it holds"),
        (lambda x: {"a": 1}.get(x, 2), "is looked up, or put into a set"),
        (lambda x: x in {"a", "b"}, "is looked up, or put into a set"),
        (lambda x: {("a", x): 1}, "is looked up, or put into a set"),
        (lambda x: {x}, "is looked up, or put into a set"),
        (len, "is asked for its length"),
        (lambda x: x[0], "is asked for one of its items"),
        (lambda x: x.__setitem__("a", 1), "gets a new item"),
        (range, "is used as a number"),
        (int, "is used as a number"),
        (lambda x: [1, 2][x], "is used as a number"),
        (str, "is used as a text"),
        (lambda x: f"{x}", "is used as a text"),
        (lambda x: "%s" % x, "is used as a text"),  # noqa: UP031
        (lambda x: x + 1, "is calculated with"),
        (lambda x: 1 - x, "is calculated with"),
        (lambda x: -x, "is calculated with"),
        (lambda x: x.shape, "is asked for its 'shape'"),
        (lambda x: x(), "is called"),
        (lambda x: contextlib.ExitStack().enter_context(x), "is opened with 'with'"),
        (opened, "is opened with 'with'"),
        (lambda x: setattr(x, "rate", 1), "gets a new 'rate'"),
        (lambda x: delattr(x, "rate"), "is to lose its 'rate'"),
        (open, "is used as a path"),
        (Path, "is used as a path"),
        (lambda x: os.path.join(x, "table.csv"), "is used as a path"),  # noqa: PTH118
    ],
)
def test_a_value_is_refused_with_a_sentence(use, said):
    error = error_of(lambda n: use(load(n)))

    assert f"what step 'load' gives {said}" in error.message
    assert "no step has run yet" in error.message
    assert error.message.startswith("test_refusals.py:")
    assert "inside of a step" in error.hint
    assert said in error_of(use).message, "a parameter has no value either"


@pytest.mark.parametrize(
    "use",
    [
        lambda x: "-".join([x]),
        json.dumps,
        lambda x: re.match("a", x),
        lambda x: os.environ.__setitem__("RATE", x),
    ],
)
def test_code_that_does_not_ask_a_value_but_its_type_is_told_the_same(use):
    error = error_of(lambda n: use(load(n)))

    assert "Value stands for what a step gives" in error.message
    assert "no step has run yet" in error.message
    assert error.message.startswith("test_refusals.py:")
    assert "inside of a step" in error.hint
    assert str(error.__cause__) in error.message, "what Python said is not lost"
    assert "or for a parameter" in error_of(use).message


def test_other_type_errors_of_the_body_stay_what_they_are():
    @pipeline
    def adding():
        return "a" + 1

    with pytest.raises(TypeError, match="str"):
        adding.to_pipeline()


def test_a_class_of_the_script_s_own_may_have_the_name_of_the_stand_ins(script):
    made = script("""
        import json

        class Value:
            pass

        @step
        def load():
            return 1

        @pipeline
        def small():
            load()
            json.dumps(Value())
    """)
    with pytest.raises(TypeError, match="Value is not JSON"):
        made.small.to_pipeline()


def test_the_refusal_names_the_parameter():
    assert "the parameter 'n' is used as a condition" in error_of(bool).message


def test_what_only_looks_at_a_value_is_no_use_of_it():
    kept = {}

    @pipeline
    def curious(n=1):
        value = load(n)
        kept["value"] = repr(value)
        hasattr(value, "_repr_html_")
        assert value is not None
        assert copy.deepcopy([value])[0] is copy.copy(value) is value
        load(value)

    curious.to_pipeline()
    assert list(kept.values()) == ["<what step 'load' gives>"]


class TestUnpacking:
    def test_to_more_names_than_the_step_gives(self):
        def body(_):
            _first, _second, _third = pair()

        assert "gives 2 values, and 3 are taken" in error_of(body).message

    def test_of_a_step_that_returns_nothing(self):
        def body(_):
            _first, _second = silent()

        assert "'silent' returns nothing that could be unpacked" in error_of(body).message

    def test_of_a_parameter(self):
        def body(n):
            _first, _second = n

        assert "the parameter 'n' is taken apart" in error_of(body).message

    def test_in_a_loop_whose_length_nobody_knows(self):
        def body(_):
            for each in load():
                load(each)

        error = error_of(body)
        assert "is gone through, and nothing says how many values that are" in error.message

    def test_a_length_that_its_return_tells_is_known(self):
        @step
        def total(*numbers, weights=()):
            return sum(numbers)

        @pipeline
        def small():
            total(*pair(), weights=list(pair()))
            assert len(pair()) == 2

        found = small.to_pipeline()
        assert set(found.edges) == {("pair", "total"), ("pair_2", "total")}

    def test_of_returns_that_differ(self):
        @step
        def moody(flag):
            if flag:
                return 1, 2
            return 1, 2, 3

        def body(n):
            _first, _second = moody(n)

        assert "does not always return the same number of values" in error_of(body).message

    def test_where_one_return_gives_a_single_value(self):
        @step
        def moody(flag):
            if flag:
                return 1, 2
            return None

        def body(n):
            _first, _second = moody(n)

        assert "does not always return the same number of values" in error_of(body).message


class TestCalls:
    def test_a_missing_argument(self):
        @step
        def needy(rows, columns):
            return rows, columns

        error = error_of(needy)
        assert "step 'needy': missing a required argument: 'columns'" in error.message
        assert "needy(rows, columns)" in error.hint

    def test_an_argument_that_no_code_can_say(self):
        error = error_of(lambda n: load(object()))
        assert "the argument 'rows' of step 'load' is of type object" in error.message

    @pytest.mark.parametrize("value", [np.float64(2.5), np.arange(3)])
    def test_a_number_of_numpy_s(self, value):
        assert ".tolist()" in error_of(lambda n: load(value)).hint

    def test_a_list_that_holds_itself(self):
        endless: list[object] = []
        endless.append(endless)

        assert "an argument holds itself" in error_of(lambda n: load(endless)).message

    def test_after_something_that_is_no_value(self):
        assert "after(3)" in error_of(lambda n: load(n).after(3)).message

    def test_after_oneself(self):
        def body(n):
            first = load(n)
            second = load(first)
            first.after(second)

        told = error_of(body).message
        assert re.search(
            r"call 1 of step 'load' \(test_refusals.py:\d+\) cannot come after "
            r"call 2 of step 'load' \(test_refusals.py:\d+\), which comes after it",
            told,
        )

    def test_after_the_very_same_call(self):
        def body(n):
            only = load(n)
            only.after(only)

        assert "step 'load' cannot come after step 'load', which is itself" in (
            error_of(body).message
        )

    def test_two_steps_of_one_name(self):
        @step(name="load")
        def other():
            return 2

        def body(n):
            load(n)
            other()

        error = error_of(body)
        assert "two steps are called 'load'" in error.message
        assert error.message.count("test_refusals.py:") == 3

    def test_no_step_at_all(self):
        assert "calls no step" in error_of(lambda n: None).message


class TestSteps:
    def test_a_generator(self):
        @step
        def values():
            yield 1

        assert "is a generator" in error_of(lambda n: values()).message

    def test_an_async_function(self):
        @step
        async def values():
            return 1

        assert "is an async function" in error_of(lambda n: values()).message

    def test_a_lambda(self):
        values = step(name="values")(lambda: 1)

        assert "the source of a lambda cannot be found" in error_of(lambda n: values()).message

    def test_what_is_no_python(self):
        error = error_of(lambda n: step(name="length")(len)([n]))
        assert "cannot be a step: it is no function written in Python" in error.message

    def test_a_variable_around_it_that_cannot_go_along(self):
        lock = object()

        @step
        def locked():
            return lock

        error = error_of(lambda n: locked())
        assert "'lock', which step 'locked' takes from the function around it" in error.message
        assert "a parameter of the step" in error.hint


class TestPipelines:
    def refusal(self, function) -> UsageError:
        with pytest.raises(UsageError) as caught:
            pipeline(function).to_pipeline()
        assert caught.value.hint
        return caught.value

    def test_a_generator(self):
        def values():
            yield load()

        assert "'values' is of the wrong kind: generator" in self.refusal(values).message

    def test_an_async_function(self):
        async def values():
            load()

        assert "'values' is of the wrong kind: async function" in self.refusal(values).message

    def test_a_class(self):
        class Values:
            pass

        assert "'Values' is of the wrong kind: class" in self.refusal(Values).message

    @pytest.mark.parametrize("decorators", [(step, pipeline), (pipeline, step)])
    def test_a_step_is_no_pipeline(self, decorators):
        above, below = decorators

        def both():
            load()

        for outer in (above, above(name="other")):
            with pytest.raises(UsageError, match="'both'> cannot be a step and a pipeline at once"):
                outer(below(both))

    def test_an_artifact_is_a_step_s(self):
        @pipeline
        def small():
            load()

        with pytest.raises(UsageError, match="<pipeline 'small'> keeps no artifact"):
            artifact("page", "page.html")(small)

    def test_nor_may_an_artifact_stand_below_a_pipeline(self):
        @artifact("page", "page.html")
        def small():
            load()

        with pytest.raises(UsageError, match="the pipeline 'small' keeps no artifact"):
            pipeline(small)

    def test_nor_above_a_function_that_is_no_step(self, script):
        made = script(
            """
            import functools

            def noted(function):
                @functools.wraps(function)
                def call(*args):
                    return function(*args)
                return call

            @artifact("page", "page.html")
            def draw(n):
                return n

            @noted
            @artifact("page", "page.html")
            @step
            def paint(n):
                return n

            @pipeline
            def wrong(n=1):
                draw(n)

            @pipeline
            def right(n=1):
                paint(n)
            """
        )
        with pytest.raises(UsageError, match=r"'draw', which .* 'wrong' calls, keeps an artifact"):
            made.wrong.to_pipeline()
        assert [each.name for each in made.right.to_pipeline().steps] == ["paint"]


class TestDecorators:
    """What no step and no pipeline can be is told where the decorator stands."""

    @pytest.mark.parametrize(
        ("decorate", "said"),
        [
            (lambda: artifact(load), "@artifact takes the name of an artifact and the path"),
            (lambda: artifact(path="a.md"), "@artifact takes the name of an artifact and the path"),
            (lambda: artifact("page"), "@artifact takes the name of an artifact and the path"),
            (lambda: artifact("page", ["page.html"]), "@artifact takes the name of an artifact"),
            (
                lambda: artifact("page", "page.html")(3),
                "@artifact stands above 3, which is no function",
            ),
            (lambda: step("load", "python:3.12"), "@step takes a text, its name, and all else by"),
            (lambda: step(3), "@step takes a text, its name, and all else by name"),
            (lambda: pipeline("small", "prices"), "@pipeline takes a text, its name, and all else"),
            (lambda: step(name=""), "the step's name is ''"),
            (lambda: step(name="  "), "the step's name is '  '"),
            (lambda: pipeline(name=""), "the pipeline's name is ''"),
            (lambda: pipeline(nam="small"), "@pipeline: 'nam' is no key that kale-pm knows"),
            (lambda: step(name="load")(None), "@step stands above None, which is no function"),
            (lambda: step(load), "<step 'load'> is a step already"),
            (lambda: pipeline(pipeline(pair.function)), "<pipeline 'pair'> is a pipeline already"),
        ],
    )
    def test_a_wrong_use(self, decorate, said):
        with pytest.raises(UsageError) as caught:
            decorate()
        assert caught.value.message.startswith(f"test_refusals.py:{caught.traceback[1].lineno + 1}")
        assert said in caught.value.message
        assert caught.value.hint

    @pytest.mark.parametrize("decorate", [step, step(name="fit"), pipeline])
    def test_a_method(self, decorate):
        with pytest.raises(UsageError) as caught:

            class Model:
                rate = 1

                @decorate
                def fit(self, rows):
                    return self.rate * rows

        assert "above the method TestDecorators.test_a_method" in caught.value.message
        assert "Model.fit" in caught.value.message
        assert caught.value.message.startswith("test_refusals.py:")
        assert "functions at the top of a module" in caught.value.hint

    def test_a_static_method_is_a_function(self, script):
        made = script(
            """
            class Steps:
                @staticmethod
                @step
                def load(n):
                    return n

                @step
                def double(rows):
                    return 2 * rows

            @pipeline
            def small(n=1):
                Steps.double(Steps.load(n))
            """
        )
        assert [each.name for each in made.small.to_pipeline().steps] == ["load", "double"]

    def test_what_ends_a_program_stays_its_own_business(self):
        assert not sys.excepthook.__module__.startswith("kale_pm")

    def test_a_path_object_is_a_path(self):
        made = artifact("page", Path("page.html"))(step(pair.function))
        assert made.tags == ("artifact:page:page.html",)


def test_a_pipeline_that_calls_itself():
    @pipeline(name="endless")
    def endless(n=1):
        load(n)
        endless(n)

    with pytest.raises(UsageError, match="the pipeline 'endless' calls itself"):
        endless.to_pipeline()


def test_the_trace_ends_with_the_error():
    error_of(bool)

    assert load(3) == 3, "outside of a pipeline a step is a function"


@pytest.mark.parametrize(
    ("define", "said"),
    [
        (lambda: pipeline(lambda *values: load()), "lambda"),
    ],
)
def test_a_pipeline_without_source(define, said):
    with pytest.raises(KalePmError, match=said):
        define().to_pipeline()


def test_any_number_of_parameters():
    @pipeline
    def many(*values):
        load()

    with pytest.raises(UsageError, match="takes any number of arguments"):
        many.to_pipeline()
