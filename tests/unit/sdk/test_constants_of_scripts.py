"""Steps see the constants of their module as the plain script does, whatever made them so."""

from __future__ import annotations

from textwrap import dedent

import pytest

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
