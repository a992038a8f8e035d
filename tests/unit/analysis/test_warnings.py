"""What cannot follow, or follows in another way, is told; the rest is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_notebooks import write_notebook

from kale_pm.analysis import understand
from kale_pm.model import Problem
from kale_pm.notebook import read

EXAMPLES = Path(__file__).parents[3] / "examples"
IMPORTS = "import glob, json, os\nimport pandas as pd\nimport numpy as np\nfrom pathlib import Path"

Find = Callable[..., list[Problem]]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """The problems of one code in a notebook of steps a, b, c..., each after the one before."""
    (tmp_path / "pyproject.toml").write_text("")

    def problems(code: str, *steps: str, prelude: str = IMPORTS, **settings: Any) -> list[Problem]:
        cells = [("imports", prelude)]
        for before, step, source in zip(" abcdefg", "abcdefg", steps, strict=False):
            cells.append((f"block:{step} prev:{before}".removesuffix(" prev: "), source))
        path = write_notebook(tmp_path / "wine.ipynb", cells, {"kale_pm": settings})
        return [problem for problem in understand(read(path)).problems if problem.code == code]

    return problems


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
    assert chain("print(1)", "import random\nrandom.seed(1)").codes == []


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        ("x = open('f', 'w')", "an open file"),
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
    assert "not-serialisable" not in chain("x = 1", change, functions=functions).codes


@pytest.mark.parametrize(
    "access",
    [
        "eval('x' + '')",
        "exec(open('f', 'w').read())",
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


@pytest.mark.parametrize("example", ["candies", "report", "wine"])
def test_the_examples_have_no_problems(example: str) -> None:
    assert understand(read(EXAMPLES / f"{example}.ipynb")).problems == ()


class TestLocalFiles:
    @pytest.mark.parametrize(
        "source",
        [
            "pd.read_csv('data/x.csv')",
            "pd.read_csv(sep=';', filepath_or_buffer='data/x.csv')",
            "open('data/x.csv').read()",
            "open('data/x.csv', 'r+')",
            "json.load(open('data/x.csv'))",
            "np.load('data/x.csv', allow_pickle=True)",
            "(Path('data') / 'x.csv').read_text()",
            "Path('data', 'x.csv').open()",
            "pd.read_csv(os.path.join('data', 'x.csv'))",
            "pd.read_csv(Path.cwd() / 'data' / 'x.csv')",
            "pd.read_csv('./data/x.csv')",
            "folder = Path('data')\npd.read_csv(folder / 'x.csv')",
            "name = 'x'\npd.read_csv(f'data/{name}.csv')",
            "def load():\n    return pd.read_csv('data/x.csv')\nload()",
            "from PIL import Image\nImage.open('data/x.csv')",
            "import joblib\njoblib.load('data/x.csv')",
            "import sqlite3\nconnection = sqlite3.connect('data/x.csv')",
            "spark.read.csv('data/x.csv')",
            "print('reading data/x.csv')\npd.read_csv('data/x.csv')",
        ],
    )
    def test_that_a_step_reads(self, find: Find, tmp_path: Path, source: str) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "x.csv").write_text("1")
        (problem,) = find("local-file", source)
        assert (problem.step, problem.severity) == ("a", "warning")
        assert "step a reads 'data/x.csv', which is here, but not in a pod" in problem.message
        assert 'files = ["data/x.csv"]' in problem.hint
        assert find("local-file", source, files=["data/*.csv"]) == []
        assert find("local-file", source, files=["data"]) == []

    def test_that_are_nowhere(self, find: Find, tmp_path: Path) -> None:
        (problem,) = find("local-file", "pd.read_csv('data/table.csv')")
        assert "neither here nor in a pod" in problem.message
        assert problem.hint == "check the path"
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "tables.csv").write_text("1")
        (problem,) = find("local-file", "pd.read_csv('data/table.csv')")
        assert "did you mean 'tables.csv'" in problem.hint

    def test_of_a_folder(self, find: Find, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        for source in ("os.listdir('data')", "list(Path('data').glob('*.csv'))"):
            (problem,) = find("local-file", source)
            assert "'data'" in problem.message
            assert find("local-file", source, files=["data/*.csv"]) == []

    def test_of_the_prelude(self, find: Find) -> None:
        (problem,) = find("local-file", "table", prelude=f"{IMPORTS}\ntable = pd.read_csv('x.csv')")
        assert problem.step is None
        assert "every step" in problem.message

    def test_that_are_too_large_to_travel_or_outside(self, find: Find, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_bytes(b"1" * 2_000_000)
        (problem,) = find("local-file", "pd.read_csv('x.csv')")
        assert "too large" in problem.hint
        (tmp_path.parent / "x.csv").write_text("1")
        (problem,) = find("local-file", "pd.read_csv('../x.csv')")
        assert "move it into the notebook's folder" in problem.hint

    @pytest.mark.parametrize(
        "writing",
        [
            "pd.DataFrame().to_csv('x.csv')",
            "open('x.csv', 'w').write('1')",
            "Path('x.csv').write_text('1')",
            "!curl -o x.csv https://example.org",
            "%%writefile x.csv\n1",
        ],
    )
    def test_that_another_step_writes(self, find: Find, writing: str) -> None:
        (problem,) = find("local-file", writing, "pd.read_csv('x.csv')", files=["x.csv"])
        assert problem.step == "b"
        assert "which step a writes" in problem.message
        assert "variable" in problem.hint
        assert find("local-file", f"{writing}\n", "1") == []

    def test_that_the_step_itself_writes(self, find: Find) -> None:
        own = "pd.DataFrame().to_csv('x.csv')\npd.read_csv('x.csv')"
        assert find("local-file", own) == []
        assert find("local-file", "pd.DataFrame().to_csv('x.csv')", own) == []
        assert find("local-file", "np.save('x', [1])\nnp.load('x.npy')") == []

    @pytest.mark.parametrize(
        "source",
        [
            "pd.read_csv('https://example.org/x.csv')",
            "open('x.csv', 'w')",
            "open('x.csv', mode='a')",
            "fetch('x.csv')\npd.read_csv('x.csv')",
            "!wget https://example.org/x.csv\npd.read_csv('x.csv')",
            "archive.extractall('data')\npd.read_csv('data/x.csv')",
            "if os.path.exists('x.csv'):\n    pd.read_csv('x.csv')",
            "try:\n    pd.read_csv('x.csv')\nexcept FileNotFoundError:\n    pass",
            "import zipfile\nwith zipfile.ZipFile(path) as archive:\n    archive.open('x.csv')",
            "path.open('w')",
            "path.glob('*.csv')",
            "import sqlite3\na = sqlite3.connect(':memory:')\nb = sqlite3.connect('new.db')",
            "pd.read_sql('select * from x', connection)",
            "pd.read_csv(path)",
            "for name in names:\n    pd.read_csv(name)",
            "path = 'x.csv'\npath = other\npd.read_csv(path)",
            "model.load('x.csv')",
            "import spacy\nspacy.load('en_core_web_sm')",
            "json.loads('{}')",
            "open('/dev/null')",
            "open('/no/such/x.csv')",
            "open('~nobody/x.csv')",
            "open('a\\0b')",
            "os.chdir('data')\npd.read_csv('x.csv')",
            "%cd data\npd.read_csv('x.csv')",
            "label = 'x.csv'",
        ],
    )
    def test_no_false_alarm(self, find: Find, source: str) -> None:
        assert find("local-file", source) == []

    @pytest.mark.parametrize(
        "command",
        [
            "!unzip data.zip",
            "!wget https://example.org/data.tgz",
            "!curl -LO https://example.org/data.tgz",
            "!tar xf data.tgz",
            "!cp -r ~/data .",
            "!mkdir -p data",
            "%%bash\n./fetch_all",
        ],
    )
    def test_that_a_command_above_may_have_made(self, find: Find, command: str) -> None:
        read = "pd.read_csv('data/x.csv')"
        assert find("local-file", command, read) == []
        assert find("local-file", f"{command}\n{read}") == []
        assert len(find("local-file", read, command)) == 1
        assert len(find("local-file", "!ls\n%pip install numpy", read)) == 1

    def test_that_no_command_makes_where_they_are_here(self, find: Find, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("1")
        (problem,) = find("local-file", "!unzip data.zip", "pd.read_csv('x.csv')")
        assert "is here, but not" in problem.message

    @pytest.mark.parametrize("tags", ["block:b", "block:b prev:start"])
    def test_that_a_parallel_step_writes(self, notebook: Any, tags: str) -> None:
        found = notebook(
            ("imports", "import pandas as pd"),
            ("block:start", "print(1)"),
            ("block:a" + tags[7:], "pd.DataFrame().to_csv('x.csv')"),
            (tags, "print(pd.read_csv('x.csv'))"),
        )
        problem = found.problem("local-file")
        assert "nothing puts step a first" in problem.message
        assert "add prev:a to a cell of step b" in problem.hint

    def test_that_a_step_long_before_writes(self, find: Find) -> None:
        writing = "pd.DataFrame().to_csv('x.csv')"
        (problem,) = find("local-file", writing, "print(1)", "pd.read_csv('x.csv')")
        assert "first" not in problem.message
        assert "prev:" not in problem.hint

    def test_of_the_home_folder(
        self, find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        path = tmp_path / "x.csv"
        volume = {"type": "pvc", "name": "v", "mount_point": str(tmp_path)}
        assert find("local-file", f"pd.read_csv('{path}')") == []
        path.write_text("1")
        for source in (f"pd.read_csv('{path}')", "pd.read_csv(Path.home() / 'x.csv')"):
            (problem,) = find("local-file", source)
            assert "home folder of this machine" in problem.message
            assert find("local-file", source, volumes=[volume]) == []


class TestMissingPackages:
    @pytest.mark.parametrize(
        ("source", "line"),
        [
            ("import nobodys", 1),
            ("\nimport os, nobodys.part as part", 2),
            ("from nobodys.part import thing", 1),
            ("def f():\n    import nobodys", 2),
            ("x = 1; import nobodys", 1),
            ("%%time\nimport nobodys", 2),
            ("try:\n    import nobodys\nexcept KeyError:\n    pass", 2),
            ("if deep:\n    import nobodys", 2),
            ("if False:\n    import os\nelse:\n    import nobodys", 4),
            ("# %pip install nobodys\nimport nobodys", 2),
            ("!pip install numpy\nimport nobodys", 2),
            ("import sys\nsys.path.append('lib')\nimport nobodys", 3),
        ],
    )
    def test_are_found_where_they_are_imported(self, find: Find, source: str, line: int) -> None:
        (problem,) = find("missing-package", source, "import nobodys")
        assert (problem.step, problem.cell, problem.line) == ("a", 2, line)
        assert "this environment has no package 'nobodys'" in problem.message

    @pytest.mark.parametrize(
        "source",
        [
            "import os.path, json, numpy.linalg",
            "try:\n    import nobodys\nexcept ImportError:\n    nobodys = None",
            "try:\n    import nobodys\nexcept (KeyError, ModuleNotFoundError):\n    pass",
            "try:\n    import tomllib\nexcept ImportError:\n    import nobodys",
            "from contextlib import suppress\nwith suppress(ImportError):\n    import nobodys",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nobodys",
            "import sys\nif 'google.colab' in sys.modules:\n    from google.colab import drive",
            "%pip install nobodys\nimport nobodys",
            "!pip install -q 'no-bodys[all]>=2'\nimport nobodys",
            "%pip install -r requirements.txt\nimport nobodys",
            "!pip install git+https://example.org/x\nimport nobodys",
            "%pip install a-package-of-any-modules\nimport nobodys",
            "%conda install -y -c conda-forge nobodys\nimport nobodys",
            "import sys, os\nsys.path.insert(0, os.environ['LIB'])\nimport nobodys",
            "%%bash\nimport nobodys",
            "%%writefile x.py\nimport nobodys",
            "if False:\n    import nobodys",
            "if 0:\n    import nobodys\nelse:\n    import os",
            "if True:\n    import os\nelse:\n    import nobodys",
            "text = 'import nobodys'",
        ],
    )
    def test_no_false_alarm(self, find: Find, source: str) -> None:
        assert find("missing-package", source) == []

    @pytest.mark.parametrize(
        "line",
        [
            "%%writefile nobodys.py",
            "%%file ./nobodys.py",
            "%%writefile -a 'lib/nobodys.py'",
            "%%writefile nobodys/__init__.py",
        ],
    )
    def test_modules_that_the_notebook_writes_are_there(self, find: Find, line: str) -> None:
        assert find("missing-package", f"{line}\nx = 1", "import nobodys") == []
        assert len(find("missing-package", "%%writefile other.py\nx = 1", "import nobodys")) == 1

    def test_modules_beside_the_notebook_are_there(self, find: Find, tmp_path: Path) -> None:
        for name in ("beside.py", "package/__init__.py", "plain/inner.py", "lib/inside.py"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("")
        assert find("missing-package", "import beside, package.part, plain.inner") == []
        assert len(find("missing-package", "import inside")) == 1
        assert find("missing-package", "import sys\nsys.path.append('lib')\nimport inside") == []

    def test_what_a_step_is_to_install_is_another_steps_lack_only(
        self, notebook: Callable[..., Any]
    ) -> None:
        cells = [("block:a package:nobodys==1", "import nobodys"), ("block:b", "import nobodys")]
        assert notebook(*cells).problem("missing-package").step == "b"
        assert notebook(cells[0]).codes == []

    def test_of_a_module_beside_the_notebook(self, find: Find, tmp_path: Path) -> None:
        (tmp_path / "helper.py").write_text("import helper, nobodys")
        (problem,) = find("missing-package", "from helper import f")
        assert "'nobodys', which helper.py imports" in problem.message
        (tmp_path / "helper.py").write_text("try:\n    import nobodys\nexcept ImportError: pass")
        assert find("missing-package", "from helper import f") == []

    @pytest.mark.parametrize(
        ("module", "hint"),
        [
            ("cv2", "pip install opencv-python"),
            ("skimage.io", "pip install scikit-image"),
            ("nobodys", "pip install nobodys"),
            ("statistcs", "did you mean 'statistics'?"),
        ],
    )
    def test_say_what_to_install(
        self, find: Find, module: str, hint: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        (problem,) = find("missing-package", f"import {module}", prelude="import os")
        assert hint in problem.hint

    def test_nothing_is_imported_to_find_out(self, find: Find, tmp_path: Path) -> None:
        (tmp_path / "beside.py").write_text("raise SystemExit")
        assert find("missing-package", "import beside") == []

    def test_that_the_settings_name_for_the_cluster_are_not_missing(self, find: Find) -> None:
        import_ = "import nobodys.part"
        assert find("missing-package", import_, packages=["nobodys>=2"]) == []
        assert len(find("missing-package", import_, packages=["others"])) == 1


class TestNameCollisions:
    @pytest.mark.parametrize("pair", [("a_b", "a__b"), ("a", "a_"), ("_a", "a")])
    def test_of_steps_that_kfp_folds_into_one(self, notebook: Any, pair: tuple[str, str]) -> None:
        found = notebook((f"block:{pair[0]}", "print(1)"), (f"block:{pair[1]}", "print(2)"))
        problem = found.problem("name-collision")
        assert (problem.step, problem.cell, problem.severity) == (pair[1], 2, "warning")
        assert "compile refuses" in problem.message

    @pytest.mark.parametrize("pair", [("ab", "a_b"), ("a", "a_2"), ("a1", "a_1")])
    def test_not_of_others(self, notebook: Any, pair: tuple[str, str]) -> None:
        found = notebook((f"block:{pair[0]}", "print(1)"), (f"block:{pair[1]}", "print(2)"))
        assert "name-collision" not in found.codes

    @pytest.mark.parametrize("names", [("x", "_x"), ("x", "X"), ("a_b", "a__b"), ("x", "x_")])
    def test_parameters_never_collide(self, chain: Any, names: tuple[str, str]) -> None:
        parameters = "\n".join(f"{name} = 1" for name in names)
        assert chain(f"print({', '.join(names)})", parameters=parameters).codes == []


class TestDeadSteps:
    @pytest.mark.parametrize(
        "source",
        [
            "x = 1",
            "x = [value * 2 for value in range(3)]",
            "import math\nx, y = math.sqrt(2), sorted([2, 1])",
            "x = 0\nfor i in range(3):\n    x += i",
            "if len('a') > 1:\n    x = 1\nelse:\n    x = 2",
            "def f():\n    print(1)",
            "class A:\n    n = 1",
        ],
    )
    def test_only_compute(self, chain: Any, source: str) -> None:
        problem = chain(source, "print('else')").problem("dead-step")
        assert (problem.step, problem.cell) == ("a", 1)
        assert "dead-step" not in chain("print(1)", source).codes

    def test_say_what_nobody_reads(self, chain: Any) -> None:
        message = chain("import math\nx = y = 1", "print(2)").problem("dead-step").message
        assert "no other step reads 'x' or 'y'," in message

    def test_say_no_more_than_three_names(self, chain: Any) -> None:
        source = "\n".join(f"x{number:03} = 1" for number in range(500))
        message = chain(source, "print(2)").problem("dead-step").message
        assert "reads 'x000' or 'x001' or 'x002' and 497 more," in message

    def test_what_is_a_consequence_of_a_missing_name_is_not_said(self, chain: Any) -> None:
        assert chain("table = 1", "print(tabel)").codes == ["undefined-name"]

    @pytest.mark.parametrize(
        "source",
        [
            "x = 1\nx",
            "x = 1\nprint(x)",
            "x = compute()",
            "x = [1]\nx.append(2)",
            "x = open('f', 'w')",
            "x = next(rows)",
            "x = 1\nassert x",
            "x = 1\nraise SystemExit",
            "x = 1\n!ls",
            "%matplotlib inline\nx = 1",
            "@register\ndef f(): pass",
            "class A(Base): pass",
            "rows[0] = 1",
            "rows.name = 1",
            "import pandas\nx = 1",
            "import json",
            "len = print\nx = len(1)",
            "with lock:\n    x = 1",
            "globals()['x'] = 1",
            "pass",
            "# to be done",
        ],
    )
    def test_what_may_have_an_effect_is_not_dead(self, chain: Any, source: str) -> None:
        assert "dead-step" not in chain(source, "print('else')").codes

    def test_what_is_read_or_recorded_is_not_dead(self, chain: Any, notebook: Any) -> None:
        assert "dead-step" not in chain("x = 1", "print(x)").codes
        beside = notebook(("block:a", "x = 1"), ("block:c", ""), ("block:b prev:c", "print(x)"))
        assert beside.codes == ["not-upstream"]
        metric = notebook(("block:a", "x = 1"), ("block:b", "print(2)"), ("metrics", "x"))
        assert "dead-step" not in metric.codes


class TestUnusedParameters:
    def test_nobody_reads_it(self, chain: Any) -> None:
        assert chain("print(m)", parameters="m = 2\nn = 1").problem("unused-parameter").line == 2

    def test_only_a_function_that_is_never_called_reads_it(self, chain: Any) -> None:
        found = chain("print(1)", parameters="n = 1", functions="def f(): return n")
        assert "unused-parameter" in found.codes

    @pytest.mark.parametrize(
        "source",
        [
            "!echo {n}",
            "!echo $n",
            "%timeit n",
            "print(eval('n + 1'))",
            "print(eval(text))",
            "print(f'{n:03}')",
            "print(lambda: n)",
            "n += 1\nprint(n)",
        ],
    )
    def test_a_step_reads_it_in_its_own_way(self, chain: Any, source: str) -> None:
        assert "unused-parameter" not in chain(source, parameters="n = 1").codes

    @pytest.mark.parametrize(
        "functions",
        [
            "m = n * 2",
            "def f(): return n\nm = f()",
            "def g(): return n\ndef f(): return g()\nm = f()",
            "class K:\n    def __init__(self): self.n = n\nm = K()",
            "f = lambda: n\nm = f()",
            "def m(factor=n): return factor",
            "m = eval('n')",
            "m = 1\n%env SEED={n}",
            "m = 1\n!echo $n",
        ],
    )
    def test_the_prelude_reads_it(self, chain: Any, functions: str) -> None:
        found = chain("print(m)", parameters="n = 1", functions=functions)
        assert "unused-parameter" not in found.codes
        assert found.pipeline.step("a").parameters == ("n",)

    def test_a_metric_is_used(self, notebook: Any) -> None:
        found = notebook(("parameters", "n = 1"), ("block:a", "print(1)"), ("metrics", "print(n)"))
        assert found.codes == []


class TestSpelling:
    def test_of_a_metric(self, notebook: Any) -> None:
        found = notebook(("block:a", "accuracy = 1"), ("metrics", "acuracy"))
        assert "did you mean 'accuracy'?" in found.problem("undefined-name").hint

    def test_of_a_name_in_the_prelude(self, notebook: Any) -> None:
        found = notebook(("functions", "limit = 1\ntwice = limt * 2"), ("block:a", "print(twice)"))
        assert "did you mean 'limit'?" in found.problem("undefined-name").hint

    def test_of_a_name_in_a_step(self, chain: Any) -> None:
        hint = chain("accuracy = 1\nprint(acuracy)").problem("undefined-name").hint
        assert "did you mean 'accuracy'?" in hint


@pytest.mark.parametrize("source", ["kale_pm = 1", "def kale_pm(): pass", "import os as kale_pm"])
def test_a_variable_that_hides_the_package(chain: Any, source: str) -> None:
    assert chain(source).errors == ["name-collision"]
    assert chain("x = 1", functions=source).errors == ["name-collision"]
    assert chain("import kale_pm\nkale_pm.metric('a', 1)").codes == []
