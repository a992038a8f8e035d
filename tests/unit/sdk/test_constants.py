"""Steps see the constants of their module as they are where the pipeline is called."""

from __future__ import annotations

import ast
import sys
from textwrap import dedent

import pytest

from kale_pm.errors import UsageError
from kale_pm.sdk.source.functions import FunctionSource
from kale_pm.sdk.source.modules import module_of

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
    "a loop changes the rows of a computed table": (
        """
        ROWS = [{"n": number} for number in range(3)]
        for row in ROWS:
            row["double"] = 2 * row["n"]
        """,
        "ROWS",
    ),
    "a loop changes objects by a variable": (
        """
        class Row:
            def __init__(self, n):
                self.n = n
        ROWS = [Row(1), Row(2)]
        for number, row in enumerate(ROWS):
            row.n = number * 10
        """,
        "[row.n for row in ROWS]",
    ),
    "a part is changed under another name": (
        """
        class Options:
            def __init__(self):
                self.table = {}
        options = Options()
        table = options.table
        table["a"] = len
        """,
        "sorted(options.table)",
    ),
    "somebody else's function changes its argument": (
        """
        import random
        ITEMS = [object(), len, max]
        NUMBERS = list(range(5))
        random.Random(3).shuffle(NUMBERS)
        import heapq
        HEAP = [(2, len)]
        heapq.heappush(HEAP, (1, max))
        """,
        "NUMBERS, HEAP[0][0]",
    ),
    "a bound method as a function": (
        """
        MADE = []
        push = MADE.append
        for function in (len, max):
            push(function)
        """,
        "len(MADE)",
    ),
    "a helper hands on what it gets": (
        """
        MADE = {}
        def inner(table):
            table["len"] = len
        def outer(table):
            inner(table)
        outer(MADE)
        """,
        "sorted(MADE)",
    ),
    "what a helper gives is changed": (
        """
        MADE = {}
        def made():
            return MADE
        made()["len"] = len
        """,
        "sorted(MADE)",
    ),
    "globals of the module": (
        """
        SIZE = 1
        globals()["SIZE"] = 2
        """,
        "SIZE",
    ),
    "a method registers": (
        """
        class Registry:
            def __init__(self):
                self.known = {}
            def register(self, function):
                self.known[function.__name__] = function
                return function
            def named(self, name):
                def decorate(function):
                    self.known[name] = function
                    return function
                return decorate
        registry = Registry()
        @registry.register
        def one():
            return 1
        @registry.named("second")
        def two():
            return 2
        """,
        "{name: each() for name, each in registry.known.items()}",
    ),
    "functions for types": (
        """
        from functools import singledispatch
        @singledispatch
        def told(x):
            return "any"
        @told.register
        def _(x: int):
            return "int"
        @told.register(str)
        def _of_text(x):
            return "str"
        """,
        "told(1), told('a'), told(None)",
    ),
    "a metaclass registers, and grandchildren do": (
        """
        KNOWN = []
        class Meta(type):
            def __init__(cls, name, bases, body):
                super().__init__(name, bases, body)
                KNOWN.append(name)
        class First(metaclass=Meta):
            pass
        class Second(First):
            pass
        class Base:
            seen = []
            def __init_subclass__(cls):
                Base.seen.append(cls)
        class Child(Base):
            pass
        class Grandchild(Child):
            pass
        """,
        "KNOWN, len(Base.seen), First.__name__",
    ),
    "the body of a class": (
        """
        SEEN = []
        class Fields:
            for number in range(3):
                SEEN.append(number)
            names = tuple(SEEN)
        """,
        "SEEN, Fields.names",
    ),
    "what was read before it was changed": (
        """
        import re
        NAME = "a"
        PATTERN = re.compile(NAME + "+")
        def told(name=NAME):
            return name
        class Options:
            name = NAME
        COLUMNS = ["a", "b"]
        class Table:
            def __init__(self, columns):
                self.columns = tuple(columns)
        TABLE = Table(COLUMNS)
        for column in "cd":
            COLUMNS.append(column)
        NAME = "b"
        """,
        "NAME, PATTERN.pattern, told(), Options.name, TABLE.columns, COLUMNS",
    ),
    "a counter in a default": (
        """
        def count(_n=[0]):
            _n[0] += 1
            return _n[0]
        A = count()
        B = count()
        """,
        "A, B, count()",
    ),
    "a counter in a closure": (
        """
        def make():
            n = 0
            def count():
                nonlocal n
                n += 1
                return n
            return count
        count = make()
        A = count()
        count()
        """,
        "A, count()",
    ),
    "an iterator that has moved on": (
        """
        def numbers():
            yield from range(5)
        some = numbers()
        first = next(some)
        for each in some:
            if each == 2:
                break
        """,
        "first, each, next(some)",
    ),
    "random numbers, and those that come next": (
        """
        import random
        random.seed(5)
        FIRST = random.random()
        MORE = [random.random() for _ in range(2)]
        """,
        "FIRST, MORE",
    ),
    "a helper that sets up a module": (
        """
        import decimal
        def set_up(digits):
            decimal.getcontext().prec = digits
        set_up(5)
        """,
        "str(decimal.Decimal(1) / 3)",
    ),
    "set up on the line of the import": (
        """
        import decimal; decimal.getcontext().prec = 6
        if True:
            decimal.getcontext().rounding = decimal.ROUND_UP
        """,
        "str(decimal.Decimal(1) / 3)",
    ),
    "two names of one list, bound at once": (
        """
        ITEMS = SAME = []
        for item in "bc":
            ITEMS.append(item)
        """,
        "SAME is ITEMS and SAME",
    ),
    "what a comprehension binds": (
        """
        SUMS = [(total := number) for number in range(4)]
        """,
        "total",
    ),
    "moments, numbers and days": (
        """
        import uuid
        import time
        from datetime import date, timedelta
        from decimal import Decimal
        RUN = uuid.uuid4().hex
        BEGAN = time.time()
        DAYS = [date(2020, 1, 1) + timedelta(days=number) for number in range(2)]
        PRICES = {"a": Decimal("1.5"), "b": 2j, "c": range(3), "d": ...}
        """,
        "RUN, BEGAN, DAYS, PRICES",
    ),
    "days by the usual import": (
        """
        from datetime import datetime, timedelta
        BEGAN = datetime.now()
        DAYS = [datetime(2020, 1, 1) + timedelta(days=number) for number in range(2)]
        """,
        "BEGAN, DAYS",
    ),
    "an exception's name, and a variable that is gone": (
        """
        import re
        try:
            import there_is_no_such_module as fast
        except ImportError as error:
            fast = None
        PATTERNS = {}
        for name in "ab":
            PATTERNS[name] = re.compile(name)
        del name
        """,
        "fast, sorted(PATTERNS)",
    ),
    "what classes read when they are called": (
        """
        RATE = 1
        NAMES = ["x"]
        class Model:
            def __init__(self):
                self.rate = RATE
                self.names = tuple(NAMES)
        MODEL = Model()
        RATE = 5
        NAMES.append("y")
        """,
        "MODEL.rate, MODEL.names, RATE, NAMES",
    ),
    "a decorator that reads when it decorates": (
        """
        LIMIT = 1
        def limited(function):
            most = LIMIT
            def inner(x):
                return min(function(x), most)
            return inner
        @limited
        def doubled(x):
            return 2 * x
        LIMIT = 9
        """,
        "doubled(3), LIMIT",
    ),
    "in place by another name": (
        """
        MADE = [len]
        SAME = MADE
        SAME += [max]
        """,
        "len(MADE)",
    ),
    "a table that others hold, changed late": (
        """
        COLUMNS = ["a"]
        class Filter:
            columns = COLUMNS
        def add():
            global COLUMNS
            COLUMNS.append("b")
        add()
        """,
        "Filter.columns, COLUMNS",
    ),
    "names of Python's own that mean something else": (
        """
        def float(x):
            return "mine"
        def set():
            return "mine"
        FAR = []
        for number in ("1e999",):
            FAR.append(__builtins__["float"](number) if isinstance(__builtins__, dict)
                       else __builtins__.float(number))
        """,
        "float(1), set()",
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


def test_what_the_machine_says_is_asked_again_where_the_step_runs(script, cells):
    made = script(
        """
        import os
        from pathlib import Path

        HERE = Path(__file__).parent
        WORKERS = os.cpu_count()
        KEYS = {"token": os.environ.get("TOKEN", "none")}

        @step
        def use():
            return HERE, WORKERS, KEYS

        @pipeline
        def small():
            use()
        """
    )
    found = "\n".join(prelude(cells(made.small)))
    assert NOTE not in found
    assert "os.cpu_count()" in found
    assert 'os.environ.get("TOKEN", "none")' in found


def test_what_the_environment_holds_is_written_into_no_notebook(script):
    made = script(
        """
        import os

        KEYS = {"token": os.environ.get("TOKEN", "none")}

        @step
        def use():
            return KEYS

        @pipeline
        def small():
            KEYS["more"] = 1
            use()
        """
    )
    with pytest.raises(UsageError, match="what the environment holds is written into no notebook"):
        made.small.to_pipeline()


def test_what_looks_like_a_secret_is_read_where_the_step_runs(script, write, cells):
    write("settings.json", '{"db": {"user": "me", "password": "hidden"}, "rate": 1}')
    made = script(
        """
        import json
        from pathlib import Path

        SETTINGS = json.loads(Path(__file__).with_name("settings.json").read_text())
        RATE = SETTINGS["rate"]

        @step
        def use():
            return SETTINGS, RATE

        @pipeline
        def small():
            use()
        """
    )
    found = "\n".join(prelude(cells(made.small)))
    assert "hidden" not in found
    assert "SETTINGS = json.loads(" in found


def test_what_depends_on_the_environment_is_made_where_the_step_runs(script, cells, monkeypatch):
    monkeypatch.setenv("API", "hidden")
    made = script(
        """
        import os

        API = os.environ["API"]
        HEADERS = {"Authorization": f"Bearer {API}"}

        @step
        def use():
            return HEADERS

        @pipeline
        def small():
            use()
        """
    )
    assert "hidden" not in "\n".join(prelude(cells(made.small)))


def test_paths_are_those_of_the_machine_where_the_step_runs(script, cells, tmp_path):
    made = script(
        """
        from pathlib import Path

        ROOT = Path(__file__).resolve().parent
        OUT = ROOT / "out"
        OUT.mkdir(exist_ok=True)
        PATHS = {"raw": ROOT / "raw", "out": OUT}

        @step
        def use():
            return PATHS

        @pipeline
        def small():
            use()
        """
    )
    found = "\n".join(prelude(cells(made.small)))
    assert str(tmp_path) not in found
    assert "OUT.mkdir(exist_ok=True)" in found


@pytest.mark.parametrize(
    "statement",
    [
        "shutil.rmtree('out', ignore_errors=True)",
        "notify('started')",
        "with open('params.json', 'w') as file:\n            file.write(str(shutil.which('a')))",
    ],
)
def test_what_reaches_out_is_done_once_and_not_in_every_step(
    statement, script, cells, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    made = script(
        f"""
        import shutil
        from unittest.mock import Mock

        client = Mock()

        def notify(text):
            shutil.which(text)
            client.post(text)

        {statement}

        @step
        def use():
            return shutil.which("python")

        @pipeline
        def small():
            use()
        """
    )
    assert prelude(cells(made.small)) == ["import shutil"]


def test_what_data_gave_needs_no_data_in_the_step(script, cells):
    made = script(
        """
        class Table:
            def __init__(self, rows):
                self.rows = rows
            def count(self):
                return len(self.rows)

        raw = Table([1, 2])
        COUNT = raw.count()

        @step
        def use():
            return COUNT

        @pipeline
        def small():
            use()
        """
    )
    assert prelude(cells(made.small)) == [f"COUNT = 2{NOTE}"]


@pytest.mark.parametrize(
    "code",
    [
        "table = collections.Counter('ab')\n    table['c'] = 3",
        "table = Settings.load()\n    table.rate = 3",
        "for each in PATTERNS:\n        each.match('a')",
        "copied = TABLE.copy()\n    copied['a'] = 1",
    ],
)
def test_what_main_makes_and_changes_for_itself_is_not_what_steps_use(code, script, outcome):
    made = script(
        f"""
        import collections
        import re

        PATTERNS = [re.compile("a")]
        TABLE = {{"len": len}}

        class Settings:
            @classmethod
            def load(cls):
                return cls()

        @step
        def use():
            found = collections.Counter("a"), Settings().__class__, PATTERNS, sorted(TABLE)
            return found

        @pipeline
        def small():
            use()

        if __name__ == "__main__":
            {code.replace(chr(10), chr(10) + "        ")}
        """
    )
    assert outcome(made.small)["use_found"][3] == ["len"]


def test_an_import_that_was_bound_to_something_else(script, write, outcome):
    write("settings.py", "RATE = 1\nTABLE = {}\n")
    made = script(
        """
        from settings import RATE

        def set_up():
            global RATE
            RATE = 5

        set_up()

        @step
        def use():
            found = RATE
            return found

        @pipeline
        def small():
            use()
        """
    )
    assert outcome(made.small)["use_found"] == 5


@pytest.mark.parametrize("change", ["settings.RATE = 5", "settings.TABLE['a'] = 1"])
def test_a_module_that_only_the_pipeline_changes(change, script, write):
    write("settings.py", "RATE = 1\nTABLE = {}\n")
    made = script(
        f"""
        import settings

        @step
        def use():
            return settings.RATE, settings.TABLE

        @pipeline
        def small():
            {change}
            use()
        """
    )
    with pytest.raises(UsageError, match=r":\d+: 'settings', which a step uses, is changed here"):
        made.small.to_pipeline()


def test_what_is_something_else_at_another_call(script):
    made = script(
        """
        SIZE = 1

        def size():
            return SIZE

        @step
        def use():
            return size()

        @pipeline
        def small():
            global SIZE
            use()
            SIZE = 2
            use()
        """
    )
    with pytest.raises(UsageError, match="'SIZE', which step 'use' uses, is 1 at this call, and 2"):
        made.small.to_pipeline()


def test_what_the_script_does_with_a_class_is_no_part_of_a_step(script, cells):
    made = script(
        """
        from operator import index

        class House:
            kind = 1

        @step
        def use(house):
            return House

        @pipeline
        def small():
            use(1)

        seen = index(House.kind)
        alone = 0 and use.run(House)
        """
    )
    assert prelude(cells(made.small)) == ["class House:\n    kind = 1"]


def test_a_loop_at_the_top_that_runs_pipelines_is_no_part_of_a_step(script, outcome):
    made = script(
        """
        from contextlib import suppress

        @step
        def use():
            found = SIZE
            return found

        @pipeline
        def small():
            use()

        for SIZE in (1, 2):
            if SIZE > 2:
                small()
        """
    )
    assert outcome(made.small)["use_found"] == 2


def test_steps_that_are_made_in_a_loop_can_use_its_variable(script, outcome):
    made = script(
        """
        for number in (1, 2):
            @step
            def use():
                found = number
                return found

        @pipeline
        def small():
            use()
        """
    )
    assert outcome(made.small)["use_found"] == 2


@pytest.mark.parametrize("default", ["D", "Holder.day"])
def test_a_default_whose_name_means_something_else_now(default, script):
    made = script(
        f"""
        class Day:
            pass

        class Holder:
            day = Day()

        D = Day()

        @step
        def use(x={default}):
            return x

        D = Holder.day = Day()

        @pipeline
        def small():
            use()
        """
    )
    with pytest.raises(UsageError, match=r"the default of 'x' was .* as it was then"):
        made.small.to_pipeline()


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
