"""Changes that look like reading: the step may change the variable, and only the run can tell."""

from __future__ import annotations

from typing import Any

import pytest

FUNCTIONS = """
import io, json, random, itertools, csv, collections
import numpy as np
import matplotlib.pyplot as plt
import helper
from functools import cached_property

class Caching:
    def __init__(self):
        self._value = None

    @property
    def value(self):
        self._value = self._value or 1
        return self._value

    @property
    def plain(self):
        return self._value

class Spy:
    def __init__(self):
        self.seen = []

    def __len__(self):
        self.seen.append("len")
        return 1

class CountCalls:
    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *values):
        self.calls += 1
        return self.function(*values)

class Record:
    def get(self):
        self.touched = True

class Lazy:
    @cached_property
    def table(self):
        return [1]

@CountCalls
def work(item):
    return item

LOG = []
push = LOG.append
next_id = itertools.count().__next__
handle = open("log.txt", "a")
"""


def may_change(chain: Any, made: str, use: str, name: str = "x") -> bool:
    """May the second step have changed ``name``, as far as the third one must assume?"""
    return "b" in chain(made, use, f"print({name})", functions=FUNCTIONS).needs("c")[name].split()


@pytest.mark.parametrize(
    ("made", "use"),
    [
        ("x = plt.gca()", "x.plot([1, 2])"),
        ("x = plt.gca()", "df = load()\ndf.plot(ax=x)"),
        ("x = [plt.gca()]", "for ax in x: ax.plot([1])"),
        ("x = io.StringIO()", "print('a', file=x)"),
        ("x = io.StringIO()", "json.dump([1], x)"),
        ("x = io.StringIO()", "frame = [1]\nframe.to_csv(x)"),
        ("x = np.zeros(3)", "np.add.at(x, [0], 1)"),
        ("x = np.zeros(3)", "np.add(1, 2, x)"),
        ("x = np.zeros(3)", "np.clip(1, 0, 2, out=x)"),
        ("x = np.zeros(3)", "np.nan_to_num(x, copy=False)"),
        ("x = random.Random(1)", "print(x.sample([1, 2], 1))"),
        ("x = np.random.RandomState(1)", "print(split([1, 2], random_state=x))"),
        ("x = []", "list(map(x.append, [1]))"),
        ("x = []", "s = load()\ns.apply(x.append)"),
        ("x = []", "for op in [x.append]: op(1)"),
        ("x = {'push': [].append}", "x['push'](1)"),
        ("x = iter([1, 2])", "print(list(x))"),
        ("x = zip([1], [2])", "for a, b in x: pass"),
        ("x = collections.defaultdict(list)", "print(x['k'])"),
        ("x = Caching()", "print(x.value)"),
        ("x = Lazy()", "print(x.table)"),
        ("x = Spy()", "print(len(x))"),
        ("x = Spy()", "print(x == 1)"),
        ("x = Record()", "x.get()"),
        ("x = helper.Store()", "print(x.get('k'))"),
        ("x = CountCalls(len)", "x([1])"),
    ],
)
def test_may_change(chain: Any, made: str, use: str) -> None:
    assert may_change(chain, made, use)


@pytest.mark.parametrize(
    ("made", "use"),
    [
        ("x = load()", "print(x.head(), x.describe(), x.columns, x['a'].mean())"),
        ("x = np.zeros(3)", "print(np.add(x, 1), np.clip(x, 0, 1), x.sum(), len(x))"),
        ("x = [3, 1]", "print(sorted(x), json.dumps(x), x[0], max(x), 3 in x)"),
        ("x = load()", "print(x.predict([1]), x.score([1], [2]))"),
        ("x = load()", "print(x.train, x.step, x.eval)"),
        ("x = {'a': 1}", "print(x.get('a'), x.items(), dict(x), {**x})"),
    ],
)
def test_does_not_change(chain: Any, made: str, use: str) -> None:
    functions = "import json\nimport numpy as np\ndef load(): return 1"
    assert chain(made, use, "print(x)", functions=functions).needs("c") == {"x": "a"}


@pytest.mark.parametrize(
    ("use", "name"),
    [
        ("push(1)", "LOG"),
        ("work(1)", "work"),
        ("print(next_id())", "next_id"),
    ],
)
def test_objects_of_the_prelude_that_change_when_they_are_called(
    chain: Any, use: str, name: str
) -> None:
    found = chain(use, f"print({name})", functions=FUNCTIONS)
    assert found.needs("b")[name] == "a"


def test_what_cannot_leave_its_process_is_made_by_each_prelude_anew(chain: Any) -> None:
    found = chain("handle.write('a')", "handle.write('b')", functions=FUNCTIONS)
    assert found.needs("b") == {}
    assert found.gives("a") == set()


@pytest.mark.parametrize(
    "use",
    [
        "def other(): return 1\nShape.register(other)",
        "@describe.register\ndef _number(item: int): return 'number'",
    ],
)
def test_registering_with_something_of_the_prelude_stays_behind(chain: Any, use: str) -> None:
    functions = """
import abc
from functools import singledispatch

class Shape(abc.ABC):
    pass

@singledispatch
def describe(item):
    return 'thing'
"""
    found = chain(use, "print(describe(1), Shape)", functions=functions)
    assert "itself changes here" in found.problem("not-serialisable").message


@pytest.mark.parametrize(
    "change",
    [
        "setattr(pd.DataFrame, 'first', len)",
        "helper.items.append(1)",
        "pd.DataFrame.first = len",
        "import logging\nlogging.getLogger('a').addHandler(logging.NullHandler())",
        "%load_ext autoreload",
        "%alias say echo",
    ],
)
def test_changes_of_modules_stay_behind(chain: Any, change: str) -> None:
    found = chain(change, "print(pd, helper)", functions="import pandas as pd\nimport helper")
    assert "stays in step a" in found.problem("not-serialisable").message


@pytest.mark.parametrize(
    "source",
    [
        "open('r.bin', 'wb').write(b'x')",
        "import sys\nsys.stdout.write('x')",
        "import requests\nrequests.get('u').json().update(a=1)",
        "sorted([1]).append(2)",
        "import numpy as np\nnp.random.shuffle(np.arange(3))",
        "import os\nprint(os.environ.get('HOME'), os.environ.copy())",
        "import sys\nprint(sys.path.index('.'))",
        "import warnings\nwith warnings.catch_warnings():\n    warnings.simplefilter('ignore')",
        "import numpy as np\nwith np.errstate(all='ignore'):\n    np.seterr(all='warn')",
    ],
)
def test_changes_nothing_that_stays(chain: Any, source: str) -> None:
    assert chain(source, "print(1)").codes == []


class TestNamesThatMayBeMissing:
    @pytest.mark.parametrize(
        "source",
        [
            "try:\n    x\nexcept:\n    x = 1",
            "try:\n    x\nexcept Exception:\n    x = 1",
            "try:\n    x\nexcept (NameError, AttributeError):\n    pass",
            "if 'x' in globals(): print(x)",
            "if 'x' in dir() and x: print(x)",
            "y = 1\nassert y, undefined_message",
        ],
    )
    def test_that_the_code_itself_guards(self, chain: Any, source: str) -> None:
        assert chain(source).errors == []
        assert "undefined-name" not in chain(source).codes or "undefined_message" in source

    def test_but_no_others(self, chain: Any) -> None:
        found = chain("try:\n    missing\nexcept Exception:\n    x = 1")
        assert found.codes == ["undefined-name"]

    def test_deleted_in_the_same_step(self, chain: Any) -> None:
        found = chain("x = [1]", "del x\nprint(x)")
        problem = found.problem("undefined-name")
        assert (problem.step, problem.line, problem.is_error) == ("b", 2, True)
        assert "the step has deleted it above" in problem.message
        assert chain("list = 1\ndel list\nprint(list)").codes == []
        assert chain("x = 1\nif x: del x\nelse: print(x)").codes == []

    def test_where_a_cell_does_not_parse(self, notebook: Any) -> None:
        found = notebook(("imports", "import math\nx = ["), ("block:a", "print(math.pi)"))
        assert found.codes == ["syntax-error"]

    def test_asked_for_in_a_namespace(self, chain: Any) -> None:
        found = chain("x = 1", "if 'x' in globals() and 'y' not in dir(): print('there')")
        assert found.codes == []
        assert found.needs("b") == {"x": "a"}

    def test_with_their_error_caught(self, chain: Any) -> None:
        assert chain("try:\n    x\nexcept NameError:\n    x = 1", "print(x)").codes == []

    def test_bound_before_anybody_calls(self, chain: Any) -> None:
        assert chain("calls = [lambda: factor]\nfactor = 2\nprint(calls[0]())").codes == []

    def test_bound_by_a_script(self, chain: Any) -> None:
        assert chain("%%bash --out text --err said\necho hi", "print(text, said)").codes == []

    def test_put_among_the_builtins(self, chain: Any) -> None:
        found = chain("import builtins\nbuiltins.log = print\nlog('x')")
        assert found.errors == []


class TestWhatCannotLeave:
    def test_a_process_that_a_step_started(self, chain: Any) -> None:
        found = chain("import subprocess\np = subprocess.Popen(['true'])", "print(p.wait())")
        assert "a process handle" in found.problem("not-serialisable").message

    @pytest.mark.parametrize(
        ("made", "kind"),
        [
            ("def gen():\n    yield 1\nx = gen()", "a generator"),
            ("import re\nx = re.match('a', 'a')", "a match of a regular expression"),
            ("import tempfile\nx = tempfile.TemporaryDirectory()", "a folder that is deleted"),
        ],
    )
    def test_is_told(self, chain: Any, made: str, kind: str) -> None:
        assert kind in chain(made, "print(x)").problem("not-serialisable").message

    @pytest.mark.parametrize(
        "made",
        [
            "x = open('data.txt')",
            "x = open('data.txt', 'rb')",
            "x, y = (i for i in [1, 2])",
        ],
    )
    def test_no_false_alarm(self, chain: Any, made: str) -> None:
        assert "not-serialisable" not in chain(made, "print(x)").codes

    def test_is_not_asked_for_on_the_mere_chance_that_it_is_used(self, chain: Any) -> None:
        found = chain(
            "import sqlite3\ndb = sqlite3.connect(':memory:')\nx = 1", "print(eval('x' + ''))"
        )
        assert "db" not in found.needs("b")
        assert "x" in found.needs("b")
