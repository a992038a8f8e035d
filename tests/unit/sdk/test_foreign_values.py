"""A value belongs to the pipeline whose body has made it, and a body runs nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event, Thread

import pytest

from kale_pm.errors import UsageError
from kale_pm.sdk import pipeline, step


@step
def load(n=1):
    print("called")
    return n


@pytest.fixture
def refusal(capsys):
    """``refusal(body)``: the error of a pipeline, whose steps are not called."""

    def told(body) -> UsageError:
        with pytest.raises(UsageError) as caught:
            pipeline(name="small")(body).to_pipeline()
        assert caught.value.message.startswith("test_foreign_values.py:")
        assert not capsys.readouterr().out
        return caught.value

    return told


class TestOfAnotherPipeline:
    @pytest.fixture
    def others(self):
        """What a step gave in another pipeline, and a parameter of that."""
        kept = []

        @pipeline
        def other(n=1):
            kept.extend([load(n), n])

        other.to_pipeline()
        return kept

    @pytest.mark.parametrize("index", [0, 1])
    def test_as_an_argument(self, refusal, others, index):
        def body(n=1):
            load([others[index]])

        told = refusal(body).message
        assert f"{others[index]!r} is used here, but belongs to another pipeline" in told

    @pytest.mark.parametrize("index", [0, 1])
    def test_as_what_the_pipeline_gives(self, refusal, others, index):
        def body(n=1):
            load(n)
            return others[index]

        assert "belongs to another pipeline" in refusal(body).message

    def test_to_come_after(self, refusal, others):
        def body():
            load().after(others[0])

        assert "belongs to another pipeline" in refusal(body).message

    def test_what_a_called_pipeline_gives_is_the_caller_s_own(self):
        @pipeline
        def inner(n=1):
            return load(n)

        @pipeline
        def small(n=1):
            load(inner(inner(n)))

        assert len(small.to_pipeline().steps) == 3


class TestInTheFunctionAroundAStep:
    def test_it_goes_along(self, script, outcome):
        made = script(
            """
            @step
            def load(n):
                return n

            @pipeline
            def small(n=3):
                value = load(n)

                @step
                def show(more):
                    total = value + n + more
                    return total

                show(1)
            """
        )
        assert outcome(made.small)["show_total"] == 7
        assert made.small.to_pipeline().edges == (("load", "show"),)

    def test_a_default_has_to_be_known(self, refusal):
        def body(n=1):
            value = load(n)

            @step
            def show(value=value):
                return value

            show()

        error = refusal(body)
        assert "the default of 'value' is <what step 'load' gives>" in error.message
        assert "show(value=...)" in error.hint


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (lambda other: load.run(3), "<step 'load'>.run is called in the body of a pipeline"),
        (lambda other: other.run(), "what runs or compiles <pipeline 'other'> is called in the"),
        (lambda other: other.to_pipeline(), "what runs or compiles <pipeline 'other'> is called"),
    ],
)
def test_a_body_runs_nothing(refusal, use, said):
    @pipeline
    def other():
        load()

    def body():
        use(other)

    error = refusal(body)
    assert said in error.message
    assert "call it like a function" in error.hint


class TestThreads:
    def test_one_that_the_body_starts_is_told(self, refusal):
        def body():
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(load, [1, 2]))

        error = refusal(body)
        assert "the pipeline 'small' calls <step 'load'> in a thread" in error.message
        assert "call it without a thread" in error.hint

    def test_even_if_nobody_looks_at_what_it_raises(self, refusal):
        def in_turn():
            inner = Thread(target=quietly)
            inner.start()
            inner.join()

        def quietly():
            with suppress(UsageError):
                load(1)

        def body():
            load(0)
            outer = Thread(target=in_turn)
            outer.start()
            outer.join()

        assert "in a thread" in refusal(body).message

    def test_others_that_ran_before_are_none_of_its_business(self):
        ready, going, done = Event(), Event(), Event()

        def elsewhere():
            ready.set()
            going.wait(20)
            try:
                return load(5)
            finally:
                done.set()

        @pipeline
        def small():
            load(0)
            going.set()
            done.wait(20)

        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(elsewhere)
            ready.wait(20)
            small.to_pipeline()
            assert found.result() == 5

    def test_each_may_have_a_pipeline_of_its_own(self):
        @pipeline
        def small():
            load(0)

        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda _: small.to_pipeline().steps[0].name, range(6)))
        assert found == ["load"] * 6
