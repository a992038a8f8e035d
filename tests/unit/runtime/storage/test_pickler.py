"""Objects made in one step are, in the next one, what they were in the notebook.

Every case is made by the `__main__` of one process and checked by that of another; both run
the same prelude, as steps do.
"""

from __future__ import annotations

import importlib.util
import json
from typing import NamedTuple

import pytest


class Case(NamedTuple):
    make: str
    check: str
    needs: str = ""  # a library


PRELUDE = """
import abc, collections, dataclasses, enum, functools, logging, queue, re, threading, typing
import contextvars, math, weakref

FACTOR = 10

def scale(x): return x * FACTOR

class Point:
    def __init__(self, x): self.x = x
    class Style: pass

class Color(enum.Enum):
    RED = 1
    BLUE = 2

@dataclasses.dataclass
class Row:
    a: int

def plus_one(function):
    @functools.wraps(function)
    def wrapped(*args): return function(*args) + 1
    return wrapped

@plus_one
def decorated(x): return x

@functools.lru_cache
def cached(x): return x

unnamed = lambda x: x
"""
NAMES = "FACTOR scale Point Color Row plus_one decorated cached unnamed"

CASES = {
    "function of the prelude": Case("v = [scale]", "assert v[0] is scale"),
    "decorated function of the prelude": Case("v = decorated", "assert v is decorated"),
    "cached function of the prelude": Case("v = cached", "assert v is cached"),
    "lambda of the prelude": Case("v = {1: unnamed}", "assert v[1] is unnamed"),
    "class of the prelude": Case("v = Point(3)", "assert type(v) is Point and v.x == 3"),
    "nested class of the prelude": Case("v = Point.Style", "assert v is Point.Style"),
    "enum of the prelude": Case("v = [Color.BLUE]", "assert v[0] is Color.BLUE"),
    "dataclass of the prelude": Case("v = [Row(1)]", "assert v == [Row(1)]"),
    "function of a step that calls the prelude": Case(
        "def f(x): return scale(x)\nv = f", "assert v(1) == 10 and v.__name__ == 'f'"
    ),
    "function reads its globals where it is called": Case(
        "limit = 5\ndef f(x): return x + limit\nv = f", "limit = 100\nassert v(1) == 101"
    ),
    "function does not drag its globals along": Case(
        "import socket\nhandle = socket.socket()\ndef f(): return handle\nv = f",
        "assert 'handle' not in globals()",
    ),
    "counter that holds itself": Case(
        "v = collections.Counter('aab'); v['me'] = v",
        "assert type(v) is collections.Counter and v['a'] == 2 and v['me'] is v",
    ),
    "function calls itself by its name": Case(
        "def fact(n): return 1 if n < 2 else n * fact(n - 1)\nv = fact",
        "fact = v\nassert v(5) == 120",
    ),
    "function keeps what belongs to it": Case(
        "def f(a: int, b=[2], *, c=3) -> str:\n    'Adds.'\n    return a + b[0] + c\n"
        "f.unit = 'cm'\nv = f",
        "assert v(1) == 6 and v.__doc__ == 'Adds.' and v.unit == 'cm'\n"
        "assert v.__annotations__ == {'a': int, 'return': str}\n"
        "assert v.__globals__ is globals() and v.__module__ == '__main__'",
    ),
    "closures share their variable": Case(
        "def counter():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n"
        "    def get(): return n\n    return up, get\nv = counter()",
        "v[0](); v[0](); assert v[1]() == 2",
    ),
    "closures call each other": Case(
        "def parity():\n    def even(n): return n == 0 or odd(n - 1)\n"
        "    def odd(n): return n != 0 and even(n - 1)\n    return even\nv = parity()",
        "assert v(10) and not v(7)",
    ),
    "closure with an empty variable": Case(
        "def outer():\n    def inner(): return later\n    if 0: later = 1\n    return inner\n"
        "v = outer()",
        "try: v()\nexcept NameError: pass\nelse: raise AssertionError",
    ),
    "lambda in a dictionary": Case("v = {'f': lambda x: x + 1}", "assert v['f'](1) == 2"),
    "partial": Case("def g(a, b): return a - b\nv = functools.partial(g, 10)", "assert v(3) == 7"),
    "function decorated in a step": Case(
        "@plus_one\ndef h(x): return x\nv = h", "assert v(1) == 2 and v.__name__ == 'h'"
    ),
    "function cached in a step": Case(
        "@functools.lru_cache(maxsize=7)\ndef h(x): return x\nv = h",
        "assert v(1) == 1 and v.cache_parameters()['maxsize'] == 7",
    ),
    "class of a step": Case(
        "class C:\n    total = 1\n    def m(self): return scale(self.q)\nv = C(); v.q = 2",
        "assert v.m() == 20 and type(v).__name__ == 'C' and type(v)().total == 1",
    ),
    "class and instance of a step": Case(
        "class C: pass\nv = [C(), C]", "assert isinstance(v[0], v[1])"
    ),
    "inheritance with super": Case(
        "class A:\n    def __init__(self): self.a = 1\n"
        "class B(A):\n    def __init__(self): super().__init__()\nv = B()",
        "assert type(v)().a == 1",
    ),
    "dataclass of a step": Case(
        "@dataclasses.dataclass(frozen=True)\nclass P:\n    x: int\n"
        "    y: list = dataclasses.field(default_factory=list)\nv = P(1)",
        "assert v == type(v)(1) and dataclasses.replace(v, x=3).x == 3\n"
        "assert dataclasses.fields(v)[0].default is dataclasses.MISSING",
    ),
    "enum of a step": Case(
        "class E(enum.Enum):\n    R = 1\nv = {'e': E.R, 'class': E}",
        "assert v['e'] is v['class'].R",
    ),
    "flag of a step": Case(
        "class F(enum.IntFlag):\n    R = 1\n    W = 2\nv = F.R | F.W", "assert int(v) == 3"
    ),
    "named tuple": Case(
        "T = collections.namedtuple('T', 'a b')\nv = [T(1, 2)]", "assert v[0].b == 2"
    ),
    "typed named tuple": Case(
        "class T(typing.NamedTuple):\n    a: int\n    b: str = 'x'\nv = T(1)", "assert v.b == 'x'"
    ),
    "typed dictionary": Case(
        "class D(typing.TypedDict):\n    a: int\nv = [D(a=1), D]", "assert v[0] == v[1](a=1)"
    ),
    "abstract class": Case(
        "class A(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...\n"
        "class B(A):\n    def f(self): return 7\nv = [B(), A]",
        "assert v[0].f() == 7 and isinstance(v[0], v[1])\n"
        "try: v[1]()\nexcept TypeError: pass\nelse: raise AssertionError",
    ),
    "class made in a function": Case(
        "def make():\n    class L:\n        def f(self): return 5\n    return L()\nv = make()",
        "assert v.f() == 5",
    ),
    "slots and properties": Case(
        "class S:\n    __slots__ = ('a',)\n    @property\n    def p(self): return self.a\n"
        "    @classmethod\n    def c(cls): return cls\nv = S(); v.a = 9",
        "assert v.p == 9 and v.c() is type(v)",
    ),
    "metaclass": Case(
        "class M(type):\n    def hi(cls): return cls.__name__\nclass X(metaclass=M): pass\nv = X",
        "assert v.hi() == 'X'",
    ),
    "generic class": Case(
        "T = typing.TypeVar('T')\nclass Box(typing.Generic[T]):\n"
        "    def __init__(self, x): self.x = x\nv = Box[int](3)",
        "assert v.x == 3",
    ),
    "bound method": Case(
        "class C:\n    n = 0\n    def up(self): self.n += 1\no = C(); v = [o, o.up]",
        "v[1](); assert v[0].n == 1",
    ),
    "super object": Case(
        "class C(list):\n    def s(self): return super()\nv = C([1, 2]).s()",
        "assert v.__len__() == 2",
    ),
    "lock": Case("v = {'lock': threading.Lock()}", "assert v['lock'].acquire(False)"),
    "held lock": Case("v = threading.Lock(); v.acquire()", "assert v.locked()"),
    "reentrant lock": Case("v = threading.RLock()", "assert v.acquire(False)"),
    "event and condition": Case(
        "v = [threading.Event(), threading.Condition()]", "v[0].set(); assert v[0].is_set()"
    ),
    "queue": Case("v = queue.Queue(); v.put(1)", "assert v.get() == 1"),
    "logger": Case("v = [logging.getLogger('a')]", "assert v[0] is logging.getLogger('a')"),
    "module": Case("v = [math]", "assert v[0] is math"),
    "pattern": Case("v = re.compile('a+')", "assert v.match('aa')"),
    "weak reference": Case(
        "class C: pass\no = C(); v = [o, weakref.ref(o), weakref.proxy(o)]; o.a = 1",
        "assert v[1]() is v[0] and v[2].a == 1",
    ),
    "dead weak reference": Case("class C: pass\nv = weakref.ref(C())", "assert v() is None"),
    "context": Case("v = contextvars.copy_context()", "assert v.run(int) == 0"),
    "file opened for reading": Case(
        "v = open(sys.argv[1] + '/text'); v.read(2)", "assert v.read() == 'llo'"
    ),
    "exception": Case(
        "try: 1 / 0\nexcept Exception as e: v = e", "assert isinstance(v, ZeroDivisionError)"
    ),
    "exception with parameters of its own": Case(
        "class Failed(Exception):\n    def __init__(self, a, b):\n"
        "        super().__init__(a)\n        self.b = b\nv = Failed(1, 2)",
        "assert v.args == (1,) and v.b == 2 and type(v).__name__ == 'Failed'",
    ),
    "exception of the system with parameters": Case(
        "class Missing(OSError):\n    def __init__(self, path, why):\n"
        "        super().__init__(2, why, path)\n        self.why = why\nv = Missing('p', 'gone')",
        "assert (v.errno, v.filename, v.why) == (2, 'p', 'gone')",
    ),
    "scalar": Case(
        "import numpy as np\nv = np.float64(3)",
        "import numpy as np\nassert type(v) is np.float64",
        "numpy",
    ),
    "random generator": Case(
        "import numpy as np\nv = np.random.default_rng(1)",
        "import numpy as np\nassert v.random() == np.random.default_rng(1).random()",
        "numpy",
    ),
    "masked array": Case(
        "import numpy as np\nv = np.ma.masked_array([1, 2], [0, 1])", "assert v.mask[1]", "numpy"
    ),
    "array of objects": Case(
        "import numpy as np\nv = np.array([{'a': 1}, None], dtype=object)",
        "assert v[0] == {'a': 1}",
        "numpy",
    ),
    "structured array": Case(
        "import numpy as np\nv = np.array([(1, 2.)], dtype=[('a', 'i4'), ('b', 'f8')])",
        "assert v['b'][0] == 2",
        "numpy",
    ),
    "array of a class of the step": Case(
        "import numpy as np\nclass A(np.ndarray):\n    def hi(self): return 1\n"
        "v = np.arange(3).view(A)",
        "assert v.hi() == 1 and list(v) == [0, 1, 2]",
        "numpy",
    ),
    "frame": Case(
        "import pandas as pd\nv = pd.DataFrame({'a': pd.Categorical(['x', 'y']),"
        " 't': pd.date_range('2020', periods=2, tz='UTC')},"
        " index=pd.MultiIndex.from_tuples([(1, 2), (3, 4)])); v.attrs['k'] = 1",
        "assert v.attrs == {'k': 1} and str(v.a.dtype) == 'category'",
        "pandas",
    ),
    "frame of a class of the step": Case(
        "import pandas as pd\nclass D(pd.DataFrame):\n    @property\n"
        "    def _constructor(self): return D\n    def hi(self): return 1\nv = D({'a': [1]})",
        "D = type(v)\nassert v.hi() == 1 and v[['a']].hi() == 1",
        "pandas",
    ),
    "model with a lambda": Case(
        "import numpy as np\nfrom sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import FunctionTransformer\n"
        "from sklearn.linear_model import LinearRegression\n"
        "v = make_pipeline(FunctionTransformer(lambda x: x * 2), LinearRegression())\n"
        "v.fit(np.arange(6).reshape(3, 2), [1, 2, 3])",
        "import numpy as np\nassert len(v.predict(np.array([[1, 2]]))) == 1",
        "sklearn",
    ),
    "estimator of the step": Case(
        "from sklearn.base import BaseEstimator\nclass E(BaseEstimator):\n"
        "    def fit(self, X): self.m_ = 1; return self\nv = E().fit(0)",
        "assert v.m_ == 1",
        "sklearn",
    ),
}
REFUSED = {
    "file opened for writing": "v = open(sys.argv[1] + '/new', 'w'); v.write('hi'); v.flush()",
    "file opened for both": "v = open(sys.argv[1] + '/new', 'w+')",
    "generator": "v = (i for i in range(3))",
    "socket": "import socket\nv = socket.socket()",
    "connection": "import sqlite3\nv = sqlite3.connect(':memory:')",
    "pool": "from concurrent.futures import ThreadPoolExecutor\nv = ThreadPoolExecutor(2)",
    "thread's own": "v = threading.local()",
}

MAKE = f"""
import json, sys
from pathlib import Path
{PRELUDE}
from kale_pm.errors import SaveError
from kale_pm.runtime.storage.pack.writer import write_pack

folder = Path(sys.argv[1])
stored = {{}}
for name, code in json.loads(sys.argv[2]).items():
    try:
        exec(code, globals())
        pack = write_pack(folder, [{{"v": v}}], frozenset({NAMES!r}.split()))
        stored[name] = [str(pack.path), pack.components[0].id]
    except SaveError as error:
        stored[name] = str(error)
print(json.dumps(stored))
"""
CHECK = f"""
import json, sys
{PRELUDE}
from kale_pm.runtime.storage.dump import fingerprint
from kale_pm.runtime.storage.pack.reader import Pack

results = {{}}
for name, (path, id, code) in json.loads(sys.argv[1]).items():
    try:
        v = Pack(path).load(id)["v"]
        prints = {{fingerprint({{"v": v}}, frozenset({NAMES!r}.split())) for _ in range(2)}}
        exec(code, globals())
        results[name] = "ok" if len(prints) == 1 else "its fingerprint is not stable"
    except BaseException as error:
        results[name] = repr(error)
print(json.dumps(results))
"""


def is_there(library: str) -> bool:
    return not library or importlib.util.find_spec(library) is not None


@pytest.fixture(scope="module")
def results(run_main, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packs")
    (folder / "text").write_text("hello")
    cases = {name: case for name, case in CASES.items() if is_there(case.needs)}
    code = {name: case.make for name, case in cases.items()}
    stored = json.loads(run_main(MAKE, folder, json.dumps(code)))
    failed = {name: where for name, where in stored.items() if isinstance(where, str)}
    wanted = {name: [*stored[name], cases[name].check] for name in cases if name not in failed}
    return failed | json.loads(run_main(CHECK, json.dumps(wanted)))


@pytest.mark.parametrize("name", CASES)
def test_next_step_gets_it_as_it_was(name, results):
    if not is_there(CASES[name].needs):
        pytest.skip(f"{CASES[name].needs} is not installed")
    assert results[name] == "ok"


def test_what_belongs_to_a_process_is_refused(run_main, tmp_path):
    stored = json.loads(run_main(MAKE, tmp_path, json.dumps(REFUSED)))
    assert {name for name, where in stored.items() if not isinstance(where, str)} == set()
    assert (tmp_path / "new").read_text() == ""


def test_a_rebound_name_of_the_prelude_travels_by_value(run_main, tmp_path):
    made = """
        import sys
        from pathlib import Path
        from kale_pm.runtime.storage.pack.writer import write_pack

        def scale(x): return x * 2
        print(write_pack(Path(sys.argv[1]), [{"f": scale}], frozenset()).path)
    """
    path = run_main(made, tmp_path)
    checked = """
        import sys
        from kale_pm.runtime.storage.pack.reader import Pack

        def scale(x): return x * 10
        pack = Pack(sys.argv[1])
        print(pack.load(pack.components[0].id)["f"](1), scale(1))
    """
    assert run_main(checked, path) == "2 10"


def test_users_can_register_savers_for_any_depth_and_for_subclasses(run_main):
    code = """
        import io, pickle
        import kale_pm
        from kale_pm.runtime.storage.pickler import Pickler

        class Client:
            def __init__(self, address):
                self.address, self.rows = address, (row for row in "ab")
        class Special(Client): pass

        @kale_pm.saver("__main__.Client")
        def save_client(client):
            return (type(client), (client.address,)) if client.address else NotImplemented

        def copy(value):
            stream = io.BytesIO()
            Pickler(stream, frozenset({"Client", "Special"})).dump(value)
            return pickle.loads(stream.getvalue())

        found = copy({"a": [Client("x"), Special("y")]})["a"]
        print(*(f"{type(c).__name__} {c.address}" for c in found))
        try:
            copy(Client(""))
        except TypeError:
            print("left to pickle")
    """
    assert run_main(code).splitlines() == ["Client x Special y", "left to pickle"]
