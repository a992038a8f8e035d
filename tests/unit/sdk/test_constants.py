"""Steps see the constants of their module as they are where the pipeline is called."""

from __future__ import annotations

import ast
import sys
from textwrap import dedent

import pytest

from kale_pm.errors import UsageError
from kale_pm.sdk.functions import FunctionSource
from kale_pm.sdk.modules import module_of

NOTE = "  # as it was when the pipeline was called"

PIPELINE = """

@pipeline
def small():
    use()
"""

# What a step gives, as the plain script gives it: (code of the module, the step's expression).
SCRIPTS = {
    "a loop fills a table": (
        """
        CONF = {}
        for key in "abc":
            CONF[key] = ord(key)
        """,
        "CONF",
    ),
    "if, with and try fill a list": (
        """
        import os
        LIST = [1]
        LIST.append(2)
        if os.sep:
            LIST.append(3)
        with open(os.devnull) as file:
            LIST.append(len(file.read()))
        try:
            LIST.append(9)
        except ValueError:
            pass
        """,
        "LIST",
    ),
    "a call of a helper extends a list": (
        """
        SET = []
        def init(n):
            SET.extend(range(n))
        init(3)
        """,
        "SET",
    ),
    "a global counter": (
        """
        COUNT = 0
        def bump():
            global COUNT
            COUNT += 1
            return COUNT
        bump(); bump()
        """,
        "bump()",
    ),
    "a counter with a hint, of which nobody sees who changes it": (
        """
        COUNT: int = 0
        class Counter:
            def __enter__(self):
                global COUNT
                COUNT += 1
            def __exit__(self, *error):
                pass
        with Counter():
            pass
        """,
        "COUNT",
    ),
    "a variable that only functions bind": (
        """
        def init():
            global SIZE
            SIZE = 4
        init()
        """,
        "SIZE",
    ),
    "a helper fills the table that it is given": (
        """
        CONF = {}
        def fill(table):
            table["f"] = len
        fill(CONF)
        """,
        "sorted(CONF)",
    ),
    "a registry of functions": (
        """
        MADE = {}
        def register(function):
            MADE[function.__name__] = function
            return function
        @register
        def square(x):
            return x * x
        @register
        def cube(x):
            return x ** 3
        """,
        "[each(2) for each in MADE.values()]",
    ),
    "a registry of classes, and how many there are": (
        """
        MADE = {}
        TOTAL = 0
        def register(name):
            def decorate(kind):
                global TOTAL
                TOTAL += 1
                MADE[name] = kind
                return kind
            return decorate
        @register("ridge")
        class Ridge:
            pass
        @register("lasso")
        class Lasso:
            pass
        """,
        "sorted(MADE), TOTAL",
    ),
    "a loop fills a table of functions": (
        """
        MADE = {}
        for number in (1, 2):
            MADE[number] = lambda number=number: number + 1
        """,
        "[each() for each in MADE.values()]",
    ),
    "subclasses register themselves": (
        """
        class Base:
            known = {}
            def __init_subclass__(cls):
                Base.known[cls.__name__] = cls
        class One(Base):
            pass
        class Two(Base):
            pass
        """,
        "sorted(Base.known)",
    ),
    "attributes of objects": (
        """
        class Settings:
            pass
        settings = Settings()
        settings.a = 1
        setattr(settings, "b", 9)
        if settings.a:
            settings.c = 3
        """,
        "sorted(vars(settings).items())",
    ),
    "what was made of another value before that was changed": (
        """
        ITEMS = ["a"]
        FIRST = len(ITEMS)
        for item in "bc":
            ITEMS.append(item)
        LAST = len(ITEMS)
        """,
        "FIRST, LAST, ITEMS",
    ),
    "a long table": (
        """
        CONF = {}
        for number in range(9):
            CONF["x" * number] = {"number": number}
        """,
        "CONF",
    ),
    "a list that holds itself": (
        """
        ITEMS = []
        for item in (1, 2):
            ITEMS.append(ITEMS)
        """,
        "len(ITEMS), ITEMS[0][1] is ITEMS",
    ),
    "what calls nothing that parses a command line": (
        """
        import argparse

        def main():
            return argparse.ArgumentParser().parse_args()

        class Runner:
            def __init__(self, what):
                self.what = what

        runner = Runner(main)
        """,
        "runner.what.__name__",
    ),
    "two names of one list": (
        """
        ITEMS = []
        SAME = ITEMS
        for item in "bc":
            ITEMS.append(item)
        """,
        "SAME is ITEMS and SAME",
    ),
}


@pytest.mark.parametrize("title", SCRIPTS)
def test_a_step_sees_what_the_script_sees(title, script, outcome):
    code, wanted = SCRIPTS[title]
    step = f"\n@step\ndef use():\n    found = {wanted}\n    return found\n"
    made = script(dedent(code) + step + PIPELINE)
    # Outside of a pipeline a step is the plain function.
    assert outcome(made.small)["use_found"] == made.use()


def test_a_cache_that_was_filled_on_the_way(script, cells):
    made = script(
        """
        CACHE = {}

        def cached(x):
            CACHE[x] = 2 * x
            return CACHE[x]

        BASE = cached(4)

        @step
        def use():
            return BASE, CACHE

        @pipeline
        def small():
            use()
        """
    )
    made.CACHE[5] = 10
    assert prelude(cells(made.small)) == [f"CACHE = {{4: 8, 5: 10}}{NOTE}\nBASE = 8{NOTE}"]


def prelude(found):
    return [source for tags, source in found if "block:" not in tags]


def test_what_was_set_before_the_call_is_a_literal_in_the_step(script, cells):
    made = script(
        """
        DATA = "default"
        PATH = DATA + ".csv"
        OPTIONS = {"lr": 1}

        @step
        def use():
            return DATA, PATH, OPTIONS

        @pipeline
        def small():
            OPTIONS["lr"] = 3
            use()
        """
    )
    made.DATA = "other"
    assert prelude(cells(made.small)) == [
        f"DATA = 'other'{NOTE}\nPATH = 'default.csv'{NOTE}\nOPTIONS = {{'lr': 3}}{NOTE}"
    ]


def test_what_the_statements_say_already_stays_as_it_was_written(script, cells):
    made = script(
        """
        import os
        # Of the machine on which the step runs.
        TOKEN = os.environ.get("TOKEN", "none")
        RATE = 0.1
        RATES = [RATE, 2 * RATE]
        RATES.append(3)

        @step
        def use():
            return TOKEN, RATES

        @pipeline
        def small():
            use()
        """
    )
    assert prelude(cells(made.small)) == [
        "import os",
        (
            "# Of the machine on which the step runs.\n"
            'TOKEN = os.environ.get("TOKEN", "none")\n\n\n'
            "RATE = 0.1\nRATES = [RATE, 2 * RATE]\nRATES.append(3)"
        ),
    ]


def test_options_of_the_script_go_along_as_they_were_given(script, cells, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script.py", "--count", "7", "--out", "made", "-j", "2"])
    made = script(
        """
        import argparse, sys
        from pathlib import Path

        parser = argparse.ArgumentParser()
        parser.add_argument("--count", type=int, default=1)
        parser.add_argument("--out", type=Path)
        args, sys.argv[1:] = parser.parse_known_args()
        COUNT = args.count
        JOBS = int(sys.argv[-1])

        @step
        def use():
            return args.count, COUNT, JOBS

        @pipeline
        def small():
            use()
        """
    )
    assert sys.argv == ["script.py", "-j", "2"]
    assert prelude(cells(made.small)) == [
        "import argparse\nimport pathlib",
        (
            "# As it was when the pipeline was called.\n"
            "args = argparse.Namespace(count=7, out=pathlib.Path('made'))\n\n\n"
            f"COUNT = 7{NOTE}\nJOBS = 2{NOTE}"
        ),
    ]


def test_a_value_that_no_literal_can_say_and_that_a_step_would_not_have(script):
    made = script(
        """
        MADE = {"len": len}

        @step
        def use():
            return sorted(MADE)

        @pipeline
        def small():
            MADE["max"] = max
            use()
        """
    )
    with pytest.raises(UsageError, match=r":\d+: 'MADE', which a step uses, is changed") as told:
        made.small.to_pipeline()
    assert "make it a parameter of the pipeline" in str(told.value.hint)


def test_options_that_no_literal_can_say(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script.py"])
    made = script(
        """
        import argparse

        class Options:
            def __init__(self, given):
                self.given = given

        def read():
            return Options(argparse.ArgumentParser().parse_args())

        options = read()

        @step
        def use():
            return options.given

        @pipeline
        def small():
            use()
        """
    )
    with pytest.raises(UsageError, match="'options', which a step uses, comes from the command"):
        made.small.to_pipeline()


def test_what_only_reads_an_object_does_not_keep_it_from_the_steps(script, cells):
    made = script(
        """
        import logging

        log = logging.getLogger("small")

        @step
        def use():
            log.info("used")

        @pipeline
        def small():
            log.info("made")
            use()

        if __name__ == "__main__":
            log.info("started")
        """
    )
    assert prelude(cells(made.small)) == [
        "import logging",
        'log = logging.getLogger("small")',
    ]


def test_cells_that_add_to_a_variable_need_the_one_that_sets_it():
    cells = ["RATE = 1", "RATE = make()", "RATE += 1", "def use():\n    return RATE"]
    names = {"__name__": "__main__", "In": cells, "make": object}
    exec(compile(cells[-1], "<cell>", "exec"), names)
    source = FunctionSource("<cell>", cells[-1], ast.parse(cells[-1]).body[0])
    module = module_of(names["use"], source)
    assert [each.text for each in module.statements] == cells[1:]


def test_a_long_value_is_made_again_instead(script, cells):
    made = script(
        """
        TABLE = {}
        for number in range(5000):
            TABLE[number] = number

        @step
        def use():
            return len(TABLE)

        @pipeline
        def small():
            use()
        """
    )
    assert prelude(cells(made.small)) == [
        "TABLE = {}\n\n\nfor number in range(5000):\n    TABLE[number] = number"
    ]
