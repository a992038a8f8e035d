"""What a notebook defines and makes in one step is the same thing in the next one.

Two processes run the same prelude.  In the first a step makes ``v``; the second gets it and
uses it as a later cell of the notebook would.
"""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent
from typing import NamedTuple

import pytest

PRELUDE = """
    import abc, collections, dataclasses, enum, functools, logging, math, queue, re
    import threading, typing, weakref

    RATE = 10

    def convert(amount):
        return amount * RATE

    def doubled(function):
        @functools.wraps(function)
        def wrapper(*arguments):
            return 2 * function(*arguments)
        return wrapper

    class Account:
        def __init__(self, owner):
            self.owner = owner

    class Colour(enum.Enum):
        RED = 1
        GREEN = 2

    @dataclasses.dataclass
    class Price:
        cents: int
"""


class Case(NamedTuple):
    make: str
    use: str
    needs: str = ""  # libraries


FUNCTIONS = {
    "function with a global of its step": Case(
        """
        offset = 5
        def shifted(x): return x + offset
        v = [shifted, offset]
        """,
        "offset = v[1]; assert v[0](1) == 6",
    ),
    "function sees a global that was bound anew": Case(
        """
        offset = 5
        def v(x): return x + offset
        """,
        "offset = 70; assert v(1) == 71",
    ),
    "function that calls one of the prelude": Case(
        "def v(amount): return convert(amount) + 1", "assert v(4) == 41"
    ),
    "function of the prelude itself": Case("v = convert", "assert v is convert"),
    "function that calls itself": Case(
        """
        def depth(tree): return 1 + max(map(depth, tree), default=0)
        v = depth
        """,
        "depth = v; assert v([[], [[]]]) == 3",
    ),
    "functions that call each other": Case(
        """
        def ping(n): return n and pong(n - 1)
        def pong(n): return n and ping(n - 1)
        v = {"ping": ping, "pong": pong}
        """,
        "ping, pong = v['ping'], v['pong']; assert ping(7) == 0",
    ),
    "lambdas in a dictionary": Case(
        "v = {'half': lambda x: x / 2, 'third': lambda x: x / 3}", "assert v['third'](9) == 3"
    ),
    "closures over one variable": Case(
        """
        def purse():
            coins = []
            return coins.append, lambda: len(coins)
        put, count = purse()
        v = put, count
        """,
        "v[0]('dime'); assert v[1]() == 1",
    ),
    "partial application": Case(
        """
        def minus(a, b): return a - b
        v = functools.partial(minus, b=2)
        """,
        "assert v(9) == 7 and v.keywords == {'b': 2}",
    ),
    "function under a decorator of the prelude": Case(
        """
        @doubled
        def v(x): return x + 1
        """,
        "assert v(1) == 4 and v.__name__ == 'v'",
    ),
    "function with a cache": Case(
        """
        @functools.lru_cache(maxsize=3)
        def v(x): return x * x
        """,
        "assert (v(4), v(4)) == (16, 16) and v.cache_info().hits == 1",
    ),
}

OF_THE_PRELUDE = {
    "instance of a class of the prelude": Case(
        "v = Account('ada')", "assert type(v) is Account and v.owner == 'ada'"
    ),
    "instance deep inside of containers": Case(
        "v = {'all': [(Account('ada'),)]}", "assert isinstance(v['all'][0][0], Account)"
    ),
    "enum member of the prelude": Case(
        "v = {Colour.GREEN: 'go'}", "assert v[Colour.GREEN] == 'go' and [*v][0] is Colour.GREEN"
    ),
    "dataclass of the prelude": Case("v = [Price(5)]", "assert v == [Price(5)]"),
}

CLASSES = {
    "class with a method that calls the prelude": Case(
        """
        class Bill:
            tip = 1
            def total(self): return convert(self.amount) + self.tip
        v = Bill()
        v.amount = 2
        """,
        "assert v.total() == 21 and type(v).__name__ == 'Bill'",
    ),
    "class and its instance in one list": Case(
        """
        class Bill: pass
        v = [Bill(), Bill]
        """,
        "assert type(v[0]) is v[1]",
    ),
    "inheritance with super": Case(
        """
        class Shape:
            def __init__(self): self.corners = 0
        class Square(Shape):
            def __init__(self):
                super().__init__()
                self.corners += 4
        v = Square()
        """,
        "assert type(v)().corners == 4",
    ),
    "frozen dataclass with a default factory": Case(
        """
        @dataclasses.dataclass(frozen=True)
        class Order:
            number: int
            items: list = dataclasses.field(default_factory=list)
        v = Order(7)
        """,
        """
        assert v == type(v)(7) and v.items is not type(v)(7).items
        assert dataclasses.replace(v, number=8).number == 8
        try: v.number = 1
        except dataclasses.FrozenInstanceError: pass
        else: raise AssertionError
        """,
    ),
    "enum": Case(
        """
        class Size(enum.Enum):
            S = "small"
            L = "large"
        v = [Size.L, Size]
        """,
        "assert v[0] is v[1].L and v[1]('small') is v[1].S",
    ),
    "flags": Case(
        """
        class Mode(enum.IntFlag):
            READ = 4
            WRITE = 2
        v = Mode.READ | Mode.WRITE
        """,
        "assert v == 6 and type(v).READ in v and (v & ~type(v).READ) is type(v).WRITE",
    ),
    "named tuple": Case(
        """
        Spot = collections.namedtuple("Spot", "row column")
        v = [Spot(1, 2)]
        """,
        "assert v[0].column == 2 and v[0]._replace(row=3) == (3, 2)",
    ),
    "named tuple with types": Case(
        """
        class Spot(typing.NamedTuple):
            row: int
            label: str = "?"
        v = Spot(1)
        """,
        "assert v.label == '?' and type(v)._field_defaults == {'label': '?'}",
    ),
    "typed dictionary": Case(
        """
        class Record(typing.TypedDict):
            key: int
        v = Record(key=1), Record
        """,
        "assert v[0] == {'key': 1} and v[1].__annotations__ == {'key': int}",
    ),
    "abstract base class": Case(
        """
        class Reader(abc.ABC):
            @abc.abstractmethod
            def read(self): ...
        class Fixed(Reader):
            def read(self): return "text"
        v = [Fixed(), Reader]
        """,
        """
        assert v[0].read() == "text" and isinstance(v[0], v[1])
        try: v[1]()
        except TypeError: pass
        else: raise AssertionError("an abstract class was made")
        """,
    ),
    "class inside a class": Case(
        """
        class Tree:
            class Leaf:
                def colour(self): return "green"
        v = Tree.Leaf()
        """,
        "assert v.colour() == 'green' and type(v).__qualname__ == 'Tree.Leaf'",
    ),
    "class inside a function": Case(
        """
        def factory(colour):
            class Leaf:
                def shade(self): return colour
            return Leaf()
        v = factory("red")
        """,
        "assert v.shade() == 'red'",
    ),
    "slots, property, static and class method": Case(
        """
        class Cell:
            __slots__ = ("value", "__weakref__")
            @property
            def twice(self): return 2 * self.value
            @staticmethod
            def limit(): return 9
            @classmethod
            def own(cls): return cls
        v = Cell()
        v.value = 4
        """,
        """
        assert v.twice == 8 and v.limit() == 9 and v.own() is type(v)
        assert weakref.ref(v)() is v and not hasattr(v, "__dict__")
        """,
    ),
    "metaclass": Case(
        """
        class Named(type):
            def title(cls): return cls.__name__.upper()
        class Part(metaclass=Named): pass
        v = Part
        """,
        "assert v.title() == 'PART'",
    ),
    "generic class": Case(
        """
        Item = typing.TypeVar("Item")
        class Box(typing.Generic[Item]):
            def __init__(self, item: Item): self.item = item
        v = [Box[int](3), Box]
        """,
        "assert v[0].item == 3 and v[1][str]('x').item == 'x'",
    ),
    "method bound to an instance": Case(
        """
        class Counter:
            count = 0
            def up(self): self.count += 1
        counter = Counter()
        v = [counter, counter.up]
        """,
        "v[1](); v[1](); assert v[0].count == 2",
    ),
    "exception": Case(
        """
        try: [][1]
        except IndexError as error: v = error
        """,
        "assert type(v) is IndexError and 'out of range' in str(v)",
    ),
    "exception with parameters of its own": Case(
        """
        class TooDear(Exception):
            def __init__(self, item, price):
                super().__init__(f"{item} is too dear")
                self.price = price
        v = TooDear("gold", 9)
        """,
        """
        assert str(v) == "gold is too dear" and v.price == 9 and v.args == (str(v),)
        try: raise v
        except type(v) as error: assert error is v
        """,
    ),
}

OF_THE_PROCESS = {
    "lock": Case("v = {'lock': threading.Lock()}", "assert v['lock'].acquire(blocking=False)"),
    "reentrant lock": Case(
        "v = threading.RLock()", "assert v.acquire(blocking=False) and v.acquire(blocking=False)"
    ),
    "condition and event": Case(
        "v = threading.Condition(), threading.Event()\nv[1].set()",
        "assert v[1].is_set()\nwith v[0]: v[0].notify_all()",
    ),
    "queue": Case(
        "v = queue.Queue(); v.put('first'); v.put('second')",
        "assert v.get(timeout=1) == 'first' and v.qsize() == 1",
    ),
    "file opened for reading": Case(
        """
        with open("poem", "w") as file: file.write("one\\ntwo\\n")
        v = open("poem")
        v.readline()
        """,
        "assert v.read() == 'two\\n'",
    ),
    "logger": Case("v = logging.getLogger('a.b')", "assert v is logging.getLogger('a.b')"),
    "logger with a handler in an object": Case(
        """
        class Job:
            def __init__(self):
                self.log = logging.getLogger("job")
                self.log.addHandler(logging.StreamHandler())
        v = Job()
        """,
        "assert v.log is logging.getLogger('job')",
    ),
    "module": Case("v = [math, collections]", "assert v == [math, collections]"),
    "pattern": Case("v = re.compile('a(b+)', re.I)", "assert v.match('ABB')[1] == 'BB'"),
    "weak reference": Case(
        """
        class Node: pass
        node = Node()
        v = [node, weakref.ref(node)]
        """,
        "assert v[1]() is v[0]",
    ),
}

OF_LIBRARIES = {
    "pandas: accessor": Case(
        """
        import pandas
        @pandas.api.extensions.register_dataframe_accessor("shape2")
        class Shape:
            def __init__(self, frame): self.frame = frame
            def cells(self): return self.frame.size
        v = pandas.DataFrame({"a": [1, 2], "b": [3, 4]})
        v.shape2.cells()
        """,
        "assert list(v.a) == [1, 2] and v.shape2.cells() == 4",
        "pandas",
    ),
    "pandas: frame of a class of its own": Case(
        """
        import pandas
        class Ledger(pandas.DataFrame):
            @property
            def _constructor(self): return Ledger
            def total(self): return self["sum"].sum()
        v = [Ledger({"sum": [1, 2]}), Ledger]
        """,
        "Ledger = v[1]; assert v[0].total() == 3 and type(v[0].head(1)) is Ledger",
        "pandas",
    ),
    "pandas: attributes and indexes": Case(
        """
        import pandas
        rows = pandas.MultiIndex.from_tuples([(1, "x"), (2, "y")], names=["n", "c"])
        v = pandas.DataFrame(
            {"kind": pandas.Categorical(["new", "old"], ordered=True),
             "at": pandas.date_range("2024-01-01", periods=2, tz="Europe/Paris")},
            index=rows,
        )
        v.attrs["unit"] = "EUR"
        """,
        """
        assert v.attrs == {"unit": "EUR"} and list(v.index.names) == ["n", "c"]
        assert v.kind.cat.ordered and str(v["at"].dt.tz) == "Europe/Paris"
        """,
        "pandas",
    ),
    "numpy: array of a class of its own": Case(
        """
        import numpy
        class Wave(numpy.ndarray):
            def peak(self): return self.max()
        v = numpy.arange(4).view(Wave)
        """,
        "assert v.peak() == 3 and type(v[1:]) is type(v)",
        "numpy",
    ),
    "numpy: scalar": Case(
        "import numpy; v = numpy.float64(1.5)",
        "import numpy; assert type(v) is numpy.float64 and v == 1.5",
        "numpy",
    ),
    "numpy: random generator": Case(
        "import numpy; v = numpy.random.default_rng(5); v.random()",
        """
        import numpy
        same = numpy.random.default_rng(5)
        same.random()
        assert v.random() == same.random()
        """,
        "numpy",
    ),
    "numpy: masked array": Case(
        "import numpy; v = numpy.ma.masked_array([1, 2, 3], [False, True, False])",
        "assert v.sum() == 4 and v.mask.tolist() == [False, True, False]",
        "numpy",
    ),
    "numpy: array of objects": Case(
        "import numpy; v = numpy.array([{'a': 1}, None, 'text'], dtype=object)",
        "assert v.tolist() == [{'a': 1}, None, 'text']",
        "numpy",
    ),
    "numpy: structured array": Case(
        "import numpy; v = numpy.array([(1, 2.5)], dtype=[('count', 'i4'), ('mean', 'f8')])",
        "assert v['mean'][0] == 2.5 and v.dtype.names == ('count', 'mean')",
        "numpy",
    ),
    "scikit-learn: pipeline with a lambda": Case(
        """
        from sklearn.linear_model import LinearRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer
        import numpy
        parts = FunctionTransformer(lambda table: table * 2), LinearRegression()
        v = make_pipeline(*parts).fit(numpy.array([[1], [2], [3]]), [2, 4, 6])
        """,
        "import numpy; assert round(float(v.predict(numpy.array([[5]]))[0]), 6) == 10",
        "sklearn.pipeline sklearn.linear_model",
    ),
    "scikit-learn: estimator of its own": Case(
        """
        from sklearn.base import BaseEstimator
        class Mean(BaseEstimator):
            def __init__(self, scale=1): self.scale = scale
            def fit(self, rows):
                self.mean_ = self.scale * sum(rows) / len(rows)
                return self
        v = Mean(scale=3).fit([1, 3])
        """,
        """
        from sklearn.base import clone
        assert v.mean_ == 6 and clone(v).get_params() == {"scale": 3}
        """,
        "sklearn.base",
    ),
    "pydantic: model": Case(
        """
        import pydantic
        class Person(pydantic.BaseModel):
            age: int
            names: list[str] = []
        v = Person(age="3")
        """,
        """
        import pydantic
        assert v.age == 3 and type(v)(age=4, names=["x"]).model_dump()["names"] == ["x"]
        try: type(v)(age="old")
        except pydantic.ValidationError: pass
        else: raise AssertionError("nothing was validated")
        """,
        "pydantic",
    ),
    "torch: module of its own": Case(
        """
        import torch
        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Linear(2, 1)
                self.calls = []
            def forward(self, rows):
                self.calls.append(len(rows))
                return self.layer(rows)
            def answer(self): return 42
        v = Net().train()
        """,
        """
        import torch
        assert v.answer() == 42 and v.training
        assert v(torch.zeros(3, 2)).shape == (3, 1) and v.calls == [3]
        """,
        "torch",
    ),
    "torch: sequential": Case(
        """
        import torch
        v = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
        """,
        """
        import torch
        assert type(v[0]) is torch.nn.Linear and v.training and v[0].weight.requires_grad
        """,
        "torch",
    ),
    "torch: optimizer of a model": Case(
        """
        import torch
        model = torch.nn.Linear(100, 100)
        v = {"model": model, "optimizer": torch.optim.SGD(model.parameters(), lr=0.1)}
        """,
        """
        import torch
        model, optimizer = v["model"], v["optimizer"]
        before = model.weight.detach().clone()
        model(torch.ones(1, 100)).sum().backward()
        optimizer.step()
        assert optimizer.param_groups[0]["params"][0] is model.weight
        assert not torch.equal(before, model.weight)
        """,
        "torch",
    ),
    "Keras: model in a dictionary": Case(
        """
        import keras
        v = {"net": keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])}
        """,
        """
        import numpy
        assert v["net"].predict(numpy.zeros((1, 3)), verbose=0).shape == (1, 2)
        """,
        "keras torch",
    ),
    "XGBoost: booster in a list": Case(
        """
        import numpy, xgboost
        data = xgboost.DMatrix(numpy.arange(8.0).reshape(4, 2), label=[0, 1, 0, 1])
        v = [xgboost.train({"nthread": 1}, data, 2), data.get_label().tolist()]
        """,
        """
        import numpy, xgboost
        data = xgboost.DMatrix(numpy.arange(8.0).reshape(4, 2))
        assert v[0].predict(data).shape == (4,) and v[0].num_boosted_rounds() == 2
        """,
        "xgboost",
    ),
    "XGBoost: booster with an attribute": Case(
        """
        import numpy, xgboost
        data = xgboost.DMatrix(numpy.arange(8.0).reshape(4, 2), label=[0, 1, 0, 1])
        v = xgboost.train({"nthread": 1}, data, 2)
        v.set_attr(author="ada")
        """,
        "assert v.attr('author') == 'ada' and v.num_boosted_rounds() == 2",
        "xgboost",
    ),
}


class Refusal(NamedTuple):
    make: str
    path: str  # how to reach the object
    advice: str


REFUSED = {
    "generator": Refusal("v = {'rows': (n for n in range(3))}", "v['rows']", "turn it into a list"),
    "thread's own": Refusal("v = [threading.local()]", "v[0]", "create it in the step that uses"),
    "file opened for writing": Refusal(
        """
        v = {"log": open("written", "w")}
        v["log"].write("whole")
        v["log"].flush()
        """,
        "v['log']",
        "keep its path, and open it in each step",
    ),
    "socket": Refusal(
        "import socket; v = (socket.socket(),)", "v[0]", "keep its address, and connect in each"
    ),
    "thread pool": Refusal(
        """
        from concurrent.futures import ThreadPoolExecutor
        v = Account("ada")
        v.pool = ThreadPoolExecutor(2)
        """,
        "v.pool",
        "create it in the step that uses it",
    ),
    "database connection": Refusal(
        "import sqlite3; v = [1, sqlite3.connect(':memory:')]",
        "v[1]",
        "keep its address, and connect in each step",
    ),
}

CASES = {**FUNCTIONS, **OF_THE_PRELUDE, **CLASSES, **OF_THE_PROCESS, **OF_LIBRARIES}


@pytest.mark.parametrize("name", CASES)
def test_next_step_has_what_the_notebook_has(name: str, steps: Callable) -> None:
    case = CASES[name]
    pipeline = steps(PRELUDE, case.needs)
    pipeline.run(case.make, gives="v")
    pipeline.run("repr(v)", needs="v")
    assert pipeline.given() == []  # looking at it does not change it
    pipeline.run(case.use, needs="v")


@pytest.mark.parametrize("name", REFUSED)
def test_what_belongs_to_a_process_is_refused(name: str, steps: Callable) -> None:
    refusal = REFUSED[name]
    pipeline = steps(PRELUDE)
    message, hint = pipeline.refuse(refusal.make).split("\n")
    assert refusal.path in dedent(message)
    assert refusal.advice in hint


def test_file_that_is_being_written_stays_whole(steps: Callable) -> None:
    pipeline = steps(PRELUDE)
    pipeline.refuse(REFUSED["file opened for writing"].make)
    assert (pipeline.folder / "written").read_text() == "whole"
