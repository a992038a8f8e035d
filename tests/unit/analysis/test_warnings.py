"""What cannot follow, or follows in another way, is told; the rest is not."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    "change",
    [
        "import random\nrandom.seed(1)",
        "from random import seed\nseed(1)",
        "import numpy as np\nnp.random.seed(1)",
        "import numpy\nnumpy.set_printoptions(precision=2)",
        "import os\nos.environ['A'] = '1'",
        "import os\nos.environ.update(A='1')",
        "import os\nos.chdir('..')",
        "import sys\nsys.path.append('..')",
        "import warnings\nwarnings.filterwarnings('ignore')",
        "import pandas as pd\npd.options.display.max_rows = 5",
        "import pandas as pd\npd.set_option('display.max_rows', 5)",
        "import matplotlib.pyplot as plt\nplt.rcParams['font.size'] = 3",
        "import matplotlib.pyplot as plt\nplt.style.use('ggplot')",
        "import decimal\ndecimal.getcontext().prec = 5",
        "import logging\nlogging.basicConfig(level=10)",
        "import logging\nlogging.getLogger('x').setLevel(10)",
        "def f():\n    import random\n    random.seed(1)\nf()",
        "import torch\ntorch.manual_seed(0)",
    ],
)
def test_global_state(chain: Any, change: str) -> None:
    problem = chain(f"x = 1\n{change}", "print(x)").problem("global-state")
    assert (problem.step, problem.cell) == ("a", 1)
    assert "by replay" in problem.message


@pytest.mark.parametrize(
    "source",
    [
        "random = thing()\nrandom.seed(1)",
        "import random\nrng = random.Random(1)\nrng.seed(2)",
        "import os\nprint(os.environ['A'])",
        "import numpy as np\nnp.random.default_rng(1)",
        "def f():\n    import random\n    random.seed(1)",
        "environ = {}\nenviron['A'] = 1",
    ],
)
def test_no_global_state(chain: Any, source: str) -> None:
    assert "global-state" not in chain(f"thing = list\n{source}", "x = 1").codes


def test_global_state_of_the_last_step_troubles_nobody(chain: Any) -> None:
    assert chain("x = 1", "import random\nrandom.seed(1)").codes == []


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        ("x = open('f')", "an open file"),
        ("import sqlite3\nx = sqlite3.connect('f')", "a database connection"),
        ("from sqlite3 import connect\nx = connect('f')", "a database connection"),
        ("import threading\nx = threading.Thread()", "a thread"),
        ("x = (i for i in [1])", "a generator"),
    ],
)
def test_not_serialisable(chain: Any, made: str, kind: str) -> None:
    problem = chain(made, "print(x)").problem("not-serialisable")
    assert f"'x' is {kind}" in problem.message
    assert problem.step == "a"
    assert "not-serialisable" not in chain(f"{made}\nprint(x)", "y = 1").codes


@pytest.mark.parametrize(
    "change",
    [
        "K.count = 1",
        "K.count += 1",
        "K.add()",
        "f.calls = 1",
        "f(1)",
        "counter()",
        "import math\nmath.tau = 6",
        "import lib\nlib.REGISTRY['a'] = 1",
    ],
)
def test_changes_that_stay_behind(chain: Any, change: str) -> None:
    functions = (
        "class K:\n    count = 0\n    @classmethod\n    def add(cls): cls.count += 1\n"
        "def f(x, seen=[]): seen.append(x)\n"
        "def make():\n    n = 0\n    def inner():\n        nonlocal n\n        n += 1\n"
        "    return inner\ncounter = make()"
    )
    found = chain(change, "print(K, f, counter)", functions=functions)
    assert "stays in step a" in found.problem("not-serialisable").message
    assert chain("x = 1", change, functions=functions).codes == []


@pytest.mark.parametrize(
    "access",
    [
        "eval('x' + '')",
        "exec(open('f').read())",
        "globals()[name]",
        "locals()",
        "for k in list(vars()): pass",
        "%run other.py",
        "def f(): return globals()\nf()",
    ],
)
def test_dynamic_access_needs_all(chain: Any, access: str) -> None:
    found = chain("x = 1\ny = [2]\nname = 'x'", access, "print(y)")
    assert found.needs("b").keys() >= {"x", "y"}
    assert found.problem("dynamic-access").step == "b"
    assert found.needs("c") == {"y": "b a"}


@pytest.mark.parametrize(
    "access",
    [
        "eval('x')",
        "exec('z = x')",
        "globals()['x']",
        "eval('x', {'x': 1})",
        "vars(x)",
        "def f(): return locals()",
        "table.query('a > @x')",
    ],
)
def test_known_names_are_no_dynamic_access(chain: Any, access: str) -> None:
    found = chain("x = 1\ny = 2\ntable = []", access)
    assert "dynamic-access" not in found.codes
    assert "y" not in found.needs("b")


def test_a_parameter_that_is_set_again_below_its_use(notebook: Any) -> None:
    found = notebook(
        ("parameters", "n = 1\nm = n * 2"), ("parameters", "n = 2"), ("block:a", "print(n, m)")
    )
    problem = found.problem("order-differs")
    assert (problem.cell, problem.line) == (2, 1)
    assert "-p n=" in problem.message
