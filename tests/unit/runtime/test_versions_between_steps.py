"""Several steps in a row give what one process gives: each begins with the prelude, and loads.

Every case is a prelude and its steps; a step needs names, runs code and stores names.  What
the steps print is compared with what the same code prints in one process.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest


class Step(NamedTuple):
    needs: str
    code: str
    stores: str = ""


class Case(NamedTuple):
    prelude: str
    steps: tuple[Step, ...]


MODEL = """
class Model:
    def who(self): return "old"
def helper(x): return x + 1
"""
DELEGATING = """
class Wrapper:
    def __init__(self, data): self.data = data
    def __getattr__(self, name): return getattr(self.data, name)
"""
RECORDER = """
class Recorder:
    def __init__(self): self.calls = []
    def __getattr__(self, name): return lambda *args: self.calls.append((name, args))
"""
FROZEN = """
class Point:
    __slots__ = ("x", "__y")
    def __init__(self, x, y):
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "_Point__y", y)
    def __setattr__(self, name, value): raise AttributeError("frozen")
    def y(self): return self.__y
"""
VALUES = """
class Meters(float):
    def __new__(cls, value, unit):
        self = super().__new__(cls, value)
        self.unit = unit
        return self
class Doubled(int):
    def __new__(cls, value): return super().__new__(cls, 2 * value)
class Word(str):
    def __new__(cls, first, second): return super().__new__(cls, first + second)
class Pair(tuple):
    def __new__(cls, a, b): return super().__new__(cls, (a, b))
class Log(list):
    def __init__(self, name): self.name = name
    def append(self, item): super().append((self.name, item))
class Table(dict):
    def __new__(cls, size): return super().__new__(cls)
    def __init__(self, size): self.size = size
    def __setitem__(self, key, value): super().__setitem__(key, (self.size, value))
class Bag(set):
    def __init__(self, name, items): super().__init__(items); self.name = name
"""
SENTINELS = """
MISSING = object()
class Unset:
    def __repr__(self): return "UNSET"
UNSET = Unset()
class Option:
    def __init__(self, value=UNSET): self.value = value
def is_missing(value, default=MISSING): return value is MISSING and value is default
"""
CLASS = "class C:\n    n = 0\n    log = []\nobj = C()\nother = C()"
REGISTRY = """
class Registering(type):
    made = []
    def __new__(meta, name, bases, namespace):
        kind = super().__new__(meta, name, bases, namespace)
        Registering.made.append(kind)
        return kind
class Plugin(metaclass=Registering): pass
class Csv(Plugin): pass
"""
SUBCLASSES = """
class Base:
    known = []
    def __init_subclass__(cls, **options): Base.known.append(cls.__name__)
class A(Base): pass
class B(A): pass
"""

CASES = {
    "an older instance does not undo a change of its class": Case(
        "",
        (
            Step("", CLASS, "C obj other"),
            Step("C", "C.n += 5; C.log.append('b')", "C"),
            Step("C obj other", "print(C.n, C.log, obj.n, obj.log, other.n, type(obj) is C)"),
        ),
    ),
    "an instance that was stored later, by a step without the class, does neither": Case(
        "",
        (
            Step("", CLASS, "C obj"),
            Step("C", "C.n += 5", "C"),
            Step("obj", "obj.x = 1", "obj"),
            Step("obj", "obj.x += 1", "obj"),
            Step("obj C", "print(C.n, obj.n, obj.x)"),
        ),
    ),
    "a class changed through an instance": Case(
        "",
        (
            Step("", CLASS, "C obj"),
            Step("C obj", "type(obj).n = 7; obj.log.append(1)", "C obj"),
            Step("obj C", "print(C.n, C.log, obj.n)"),
        ),
    ),
    "a base class and an instance of the derived one": Case(
        "",
        (
            Step("", "class A:\n    n = 0\nclass B(A): pass\nb = B()", "A B b"),
            Step("A", "A.n = 3", "A"),
            Step("b A B", "print(b.n, A.n, B.n, isinstance(b, A))"),
        ),
    ),
    "a list that a class and a variable share": Case(
        "",
        (
            Step(
                "", "rows = []\nclass Config:\n    items = rows\nobj = Config()", "rows Config obj"
            ),
            Step("Config", "Config.items.append(1)", "Config"),
            Step("obj rows Config", "print(rows, Config.items, obj.items, obj.items is rows)"),
        ),
    ),
    "a list that a function's default and a variable share": Case(
        "",
        (
            Step("", "rows = []\ndef add(x, to=rows): to.append(x)", "rows add"),
            Step("add", "add(1)", "add"),
            Step("rows", "print(rows)"),
        ),
    ),
    "a list that the class inside of a function and a variable share": Case(
        "",
        (
            Step(
                "",
                "rows = []\ndef make():\n    class K:\n        items = rows\n"
                "    return lambda x: K.items.append(x)\nadd = make()",
                "rows add",
            ),
            Step("add", "add(1)", "add"),
            Step("rows", "print(rows)"),
        ),
    ),
    "a class of the prelude that a step defines anew": Case(
        MODEL,
        (
            Step("", "obj = Model()", "obj"),
            Step(
                "", "class Model(Model):\n    def who(self): return 'new ' + super().who()", "Model"
            ),
            Step("Model obj", "print(obj.who(), Model().who(), type(obj) is Model)"),
        ),
    ),
    "both versions of a class, stored by one step": Case(
        MODEL,
        (
            Step("", "obj = Model()", "obj"),
            Step("obj", "class Model: pass\nboth = [obj, Model()]", "Model both obj"),
            Step("both Model obj", "print([type(x) is Model for x in both], both[0] is obj)"),
        ),
    ),
    "a function of the prelude that a step defines anew": Case(
        MODEL,
        (
            Step("", "kept = {'h': helper}", "kept"),
            Step("", "def helper(x): return x * 100", "helper"),
            Step("helper kept", "print(kept['h'](2), helper(2))"),
        ),
    ),
    "a function of the prelude that is wrapped again and again": Case(
        MODEL + "def twice(f): return lambda x: f(f(x))",
        (
            Step("", "helper = twice(helper)", "helper"),
            Step("helper", "helper = twice(helper)", "helper"),
            Step("helper", "print(helper(0))"),
        ),
    ),
    "an object that delegates to its part": Case(
        DELEGATING,
        (
            Step("", "w = Wrapper([1])", "w"),
            Step("w", "w.append(2)", "w"),
            Step("w", "print(w.data, w.count(2))"),
        ),
    ),
    "an object that answers everything": Case(
        RECORDER,
        (
            Step("", "r = Recorder(); r.load('x'); again = r", "r again"),
            Step("r again", "r.train(2)", "r again"),
            Step("r again", "print(r.calls, r is again)"),
        ),
    ),
    "an object that answers everything, of a class that a step made": Case(
        "",
        (
            Step("", RECORDER + "r = Recorder(); r.load('x')", "r"),
            Step("r", "print(r.calls)"),
        ),
    ),
    "a dictionary with attributes as items": Case(
        "class Bunch(dict):\n    __getattr__ = dict.__getitem__\n"
        "    __setattr__ = dict.__setitem__\n"
        "class Own(dict):\n    def __getattr__(self, key): return self[key]\n",
        (
            Step("", "b = Bunch(x=1); o = Own(x=2); b.me = b", "b o"),
            Step("b o", "print(b.x, o.x, b.me is b, type(b), vars(b), vars(o))"),
        ),
    ),
    "a frozen object with slots": Case(
        FROZEN, (Step("", "p = Point(1, 2)", "p"), Step("p", "print(p.x, p.y())"))
    ),
    "values and containers that are made in their own way": Case(
        VALUES,
        (
            Step(
                "",
                "all = [Meters(3, 'km'), Doubled(4), Word('a', 'b'), Pair(1, 2), Log('l'),"
                " Table(9), Bag('b', [5])]\nall[4].append(1); all[5]['k'] = all[5]",
                "all",
            ),
            Step(
                "all",
                "m, d, w, p, l, t, b = all\n"
                "print(m, m.unit, d, w, p, l, l.name, t['k'][1] is t, t.size, b, b.name)\n"
                "print(*(type(x).__name__ for x in all))",
            ),
        ),
    ),
    "a class with one instance": Case(
        "class One:\n    it = None\n    def __new__(cls):\n"
        "        cls.it = cls.it or super().__new__(cls)\n        return cls.it",
        (Step("", "one = One(); one.x = 1", "one"), Step("one", "print(One() is one, One().x)")),
    ),
    "a sentinel inside of another variable": Case(
        SENTINELS,
        (
            Step("", "row = {'a': MISSING, 'b': UNSET, 'o': Option()}", "row"),
            Step("row", "row['c'] = MISSING", "row"),
            Step(
                "row",
                "print([k for k, v in row.items() if v is MISSING], row['b'] is UNSET,"
                " row['o'].value is UNSET, is_missing(row['a']))",
            ),
        ),
    ),
    "a sentinel whose name a step binds to something else": Case(
        SENTINELS,
        (
            Step("", "row = [MISSING]", "row"),
            Step(
                "row", "old = MISSING\nMISSING = object()\nrow.append(MISSING)", "row MISSING old"
            ),
            Step("row MISSING old", "print([v is MISSING for v in row], row[0] is old)"),
        ),
    ),
    "a sentinel that a step gave an attribute": Case(
        SENTINELS,
        (
            Step("", "UNSET.note = 1; row = [UNSET]", "UNSET row"),
            Step("UNSET row", "print(UNSET.note, row[0] is UNSET)"),
        ),
    ),
    "a namespace that exec has filled": Case(
        "import builtins\nbuiltins.own = (x for x in '')",
        (
            Step(
                "",
                "space = {}\nexec('z = 3', space)\nrest = [1]\nother = {}\nexec('y = 4', other)",
                "space rest other",
            ),
            Step(
                "space rest other",
                "print(space['z'], space['__builtins__'] is vars(builtins), other['y'])",
            ),
        ),
    ),
    "a metaclass that keeps the classes": Case(
        "",
        (
            Step("", REGISTRY, "Registering Plugin Csv"),
            Step(
                "Registering Plugin Csv", "class Json(Plugin): pass", "Registering Plugin Csv Json"
            ),
            Step(
                "Csv Json Plugin Registering",
                "print([kind.__name__ for kind in Registering.made], Csv in Registering.made)",
            ),
        ),
    ),
    "a base class that keeps the names of its subclasses": Case(
        "",
        (
            Step("", SUBCLASSES, "Base A B"),
            Step("Base A B", "class C(B): pass", "Base A B C"),
            Step("C B A Base", "print(Base.known, C.__mro__[1] is B)"),
        ),
    ),
    "a class that caches its instances": Case(
        "",
        (
            Step(
                "",
                "class Unit:\n    cache = {}\n    def __new__(cls, name):\n"
                "        if name not in cls.cache:\n"
                "            cls.cache[name] = super().__new__(cls)\n"
                "            cls.cache[name].name = name\n        return cls.cache[name]\n"
                "metre = Unit('m')",
                "Unit metre",
            ),
            Step(
                "Unit metre",
                "second = Unit('s'); same = Unit('m') is metre",
                "Unit metre second same",
            ),
            Step(
                "Unit metre second same",
                "print(same, sorted(Unit.cache), Unit('s') is second, Unit('m') is metre)",
            ),
        ),
    ),
}

DRIVER = """
import json, os, pathlib, sys, traceback
import kale_pm.runtime

def forked(run):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        code = 1
        try:
            run()
            code = 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    os.close(writer)
    text = open(reader).read()
    os.waitpid(child, 0)
    return text

def together(case):
    def run():
        exec(case["prelude"], globals())
        for _, code, _ in case["steps"]:
            exec(code, globals())
    return forked(run)

def apart(case, folder):
    folder.mkdir()
    texts = []
    for order, (needs, code, stores) in enumerate(case["steps"]):
        def run():
            os.environ["KALE_PM_INPUTS"] = json.dumps([f"{folder}/{i}.json" for i in range(order)])
            os.environ["KALE_PM_OUTPUT"] = f"{folder}/{order}.json"
            os.environ["KALE_PM_ORDER"] = str(order)
            main = globals()
            exec(case["prelude"], main)
            kale_pm.runtime.load(*needs.split(), step=f"s{order}")
            exec(code, main)
            kale_pm.runtime.save(*stores.split())
        texts.append(forked(run))
    return "".join(texts)

results = {}
for number, (name, case) in enumerate(json.loads(pathlib.Path(sys.argv[1]).read_text()).items()):
    results[name] = together(case), apart(case, pathlib.Path(sys.argv[2], str(number)))
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def results(run_main, tmp_path_factory):
    folder = tmp_path_factory.mktemp("steps")
    cases = {name: {"prelude": case.prelude, "steps": case.steps} for name, case in CASES.items()}
    (folder / "cases.json").write_text(json.dumps(cases))
    return json.loads(run_main(DRIVER, folder / "cases.json", folder))


@pytest.mark.parametrize("name", CASES)
def test_steps_give_what_one_process_gives(name, results):
    together, apart = results[name]
    assert together
    assert "Traceback" not in together
    assert apart == together
