"""Steps get the values that a plain call would give them: those of the moment of the call."""

from __future__ import annotations

import pytest

from kale_pm.errors import UsageError
from kale_pm.sdk import pipeline, step


class TestArguments:
    """They are what they were when the step was called."""

    def test_a_table_that_is_changed_for_the_next_call(self, same):
        text = """
from copy import deepcopy

@step
def train(params):
    return deepcopy(params)

@pipeline
def small():
    params = {"lr": 0.1, "layers": [1, {2}, ({"deep": 3},)]}
    first = train(params)
    params["lr"] = 0.2
    params["layers"].append(4)
    params["layers"][1].add(5)
    params["layers"][2][0]["deep"] = 6
    return collect(first, train(params))
"""
        assert same(text) == [
            {"lr": 0.1, "layers": [1, {2}, ({"deep": 3},)]},
            {"lr": 0.2, "layers": [1, {2, 5}, ({"deep": 6},), 4]},
        ]

    def test_what_steps_gave_is_collected_call_by_call(self, same):
        text = """
@step
def total(numbers):
    return sum(numbers)

@pipeline
def small():
    found = []
    for _ in range(3):
        found.append(total(found + [1]))
        found.append(total(found))
    return collect(*found)
"""
        assert same(text) == [1, 1, 3, 5, 11, 21]

    def test_a_list_to_which_only_later_calls_add(self, same):
        text = """
@step
def count(numbers):
    return len(numbers)

@pipeline
def small():
    found = []
    for _ in range(3):
        found.append(count(found))
    return collect(*found)
"""
        assert same(text) == [0, 1, 2]

    def test_what_the_module_has_a_name_for_stays_that_thing(self, same):
        text = """
def double(x):
    return 2 * x

class Plain:
    pass

PLAIN = Plain()

@step
def apply(functions, thing):
    return [each(2) for each in functions], thing is PLAIN

@pipeline
def small():
    return collect(apply([double, double], PLAIN), apply((double,), None))
"""
        assert same(text) == [([4, 4], True), ([4], False)]


class TestEnclosing:
    """So are the variables that a step takes from the function around it."""

    def test_a_loop_in_the_pipeline(self, same):
        text = """
@pipeline
def small():
    results, rates = [], []
    for n in range(3):
        rates.append(n)

        @step(name=f"s{n}")
        def s(x):
            return x + n, list(rates)

        results.append(s(1))
    return collect(*results)
"""
        assert same(text) == [(1, [0]), (2, [0, 1]), (3, [0, 1, 2])]

    def test_one_without_a_value(self):
        @pipeline
        def small():
            @step
            def early():
                return late

            early()
            late = 1
            return late

        with pytest.raises(UsageError, match=r"'late', which step 'early' takes .* no value"):
            small.to_pipeline()


class TestDefaults:
    """They are what they were when the function was defined."""

    def test_a_name_that_means_something_else_later(self, same):
        text = """
N = 3

@step
def one(x, n=N, *, m=N * 2,
        k=[
            N,
        ], text="it's"):
    return x, n, m, k, text

@step
def whole(n=N):
    if n > 4:
        return "large"
    return n, N

N = 5

@pipeline
def small():
    return collect(one(N), one(0, m=N), whole(), whole(5))
"""
        assert same(text) == [
            (5, 3, 6, [3], "it's"),
            (0, 3, 5, [3], "it's"),
            (3, 5),
            "large",
        ]

    def test_steps_that_are_made_in_a_loop(self, same):
        text = """
steps = []
for n in range(3):
    @step(name=f"s{n}")
    def s(x, n=n):
        return x + n
    steps.append(s)

@pipeline
def small():
    return collect(*[each(1) for each in steps])
"""
        assert same(text) == [1, 2, 3]

    def test_a_step_that_another_one_calls_as_a_function(self, same):
        text = """
N = 3

@step
def fall(x, n=N):
    return 0 if x == 0 else n + fall(x - 1)

@step
def both(x):
    return fall(x) + fall(x, n=1)

N = 5

@pipeline
def small():
    return collect(fall(2), both(2))
"""
        assert same(text) == [6, 10]

    def test_one_that_changes_between_two_calls_of_the_pipeline(self, script, outcome):
        made = script(
            """
            N = 3
            FOUND = [1]

            @step
            def one(n=N, found=FOUND):
                result = n, list(found)
                return result

            @pipeline
            def small():
                one()
            """
        )
        assert outcome(made.small)["one_result"] == made.one() == (3, [1])
        made.N = 5
        made.FOUND = None
        made.one.function.__defaults__[1].append(2)
        assert outcome(made.small)["one_result"] == made.one() == (3, [1, 2])
        made.one.function.__defaults__[1].append(3)
        assert outcome(made.small)["one_result"] == made.one() == (3, [1, 2, 3])

    def test_a_secret_of_this_machine_is_not_written_down(self, script, cells, monkeypatch):
        monkeypatch.setenv("KALE_PM_TEST_TOKEN", "geheim")
        made = script(
            """
            import os

            TOKEN = os.environ["KALE_PM_TEST_TOKEN"]

            @step
            def one(token=TOKEN, other=os.environ.get("KALE_PM_TEST_TOKEN")):
                return len(token + other)

            @pipeline
            def small():
                one()
            """
        )
        code = "\n".join(source for _, source in cells(made.small))
        assert "token = TOKEN" in code
        assert "geheim" not in code

    def test_what_no_code_can_say_is_taken_by_its_name(self, same):
        text = """
from pathlib import Path

HERE = Path("here")

@step
def one(folder=HERE, kind=Path):
    return str(kind(folder))

@pipeline
def small():
    return collect(one())
"""
        assert same(text) == ["here"]

    def test_literals_stay_as_they_were_written(self, script, cells):
        made = script(
            """
            @step
            def one(rows=1_000_000, seen=[]):
                seen.append(rows)
                return seen

            one(1)

            @pipeline
            def small():
                one()
            """
        )
        found = [source for tags, source in cells(made.small) if "block:one" in tags]
        assert found[0] == "rows = 1000000\nseen = []"


class TestLength:
    """Code is no place for data."""

    @pytest.mark.parametrize(
        "call",
        [
            lambda take: take(list(range(30_000))),
            lambda take: take("x" * 100_001),
            lambda take: take(*range(30_000)),
            lambda take: take(more={"deep": list(range(30_000))}),
        ],
    )
    def test_a_very_long_argument_is_refused(self, call):
        @step
        def take(*values, **named):
            if values:
                return values
            return named

        @pipeline
        def small():
            call(take)

        with pytest.raises(
            UsageError, match=r"test_values.py:\d+: the argument '\w+' of step"
        ) as e:
            small.to_pipeline()
        assert "characters of code; 100,000 are the most" in e.value.message
        assert "let a step make it" in e.value.hint

    def test_so_is_a_variable_of_the_function_around_a_step(self):
        numbers = list(range(30_000))

        @step
        def take():
            return numbers

        @pipeline
        def small():
            take()

        with pytest.raises(UsageError, match=r"'numbers', which step 'take' .* characters of code"):
            small.to_pipeline()

    def test_a_long_one_is_not(self):
        @step
        def take(values):
            return values

        @pipeline
        def small():
            take(list(range(10_000)))

        assert small.to_pipeline().step("take")


class TestOptions:
    @pytest.mark.parametrize(
        ("words", "hint"),
        [
            ({"image": 5}, 'write a text, such as "python:3.12"'),
            ({"env": ["A"]}, 'write a table, such as {"MODE": "fast"}'),
            ({"env": {"A": None}}, """'A' has no text nor number; write them, such as {"MODE":"""),
            ({"env": {"A": b"x"}}, "'A' has no text nor number"),
            ({"labels": {"team": ["a"]}}, "'team' has no text nor number"),
            ({"artifacts": ["a.svg"]}, 'write a table, such as {"chart": "chart.svg"}'),
            ({"limits": "cpu"}, 'write a table, such as {"cpu": "2"}'),
        ],
    )
    def test_a_value_of_the_wrong_kind_is_refused_with_an_example_that_fits(self, words, hint):
        @step(**words)
        def load():
            return 1

        @pipeline
        def small():
            load()

        (word,) = words
        with pytest.raises(UsageError, match=f"step 'load': {word}=.* cannot be used") as caught:
            small.to_pipeline()
        assert hint in caught.value.hint

    def test_a_switch_in_a_table_is_a_text(self):
        @step(env={"DEBUG": True, "WORKERS": 2})
        def load():
            return 1

        assert load.tags == ("env:DEBUG:true", "env:WORKERS:2")
