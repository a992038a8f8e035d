"""What one kernel would remember between steps besides the variables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Runner


def test_one_object_under_several_names_stays_one_object_over_steps(run: Runner) -> None:
    ran = run(
        [
            (
                "functions",
                "class Box:\n    def __init__(self, content):\n        self.it = content",
            ),
            ("block:a", "rows = []\nsame = rows\nbox = Box(rows)\nboxes = {'b': box}"),
            ("block:b prev:a", "box.it.append(1)"),
            ("block:c prev:b", "rows.append(2)"),
            (
                "block:d prev:c",
                "print(rows, same is rows, box.it is rows, boxes['b'] is box, boxes['b'].it)",
            ),
        ]
    ).raise_for_failures()
    assert ran.printed("d") == "[1, 2] True True True [1, 2]\n"


def test_a_view_of_an_array_stays_a_view(run: Runner) -> None:
    ran = run(
        [
            ("imports", "import numpy as np"),
            ("block:a", "table = np.zeros((100, 100))\nrow = table[3]"),
            ("block:b prev:a", "row[:] = 1"),
            ("block:c prev:b", "print(table.sum(), np.shares_memory(row, table))"),
        ]
    ).raise_for_failures()
    assert ran.printed("c") == "100.0 True\n"


def test_global_state_is_replayed_in_every_later_step(run: Runner) -> None:
    (run.folder / "inner").mkdir()
    (run.folder / "library").mkdir()
    run.write("library/found.py", "VALUE = 9\n")
    ran = run(
        [
            (
                "imports",
                "import os, random, sys, warnings\nimport numpy as np\nimport pandas as pd",
            ),
            (
                "block:a",
                (
                    "random.seed(1)\nnp.random.seed(1)\n"
                    "os.environ['MODE'] = 'fast'\nos.environ.pop('KPM_REMOVED', None)\n"
                    "np.set_printoptions(precision=2)\npd.set_option('display.max_rows', 7)\n"
                    "warnings.filterwarnings('error', message='grave')\n"
                    "os.chdir('inner')\nsys.path.insert(0, os.path.abspath('../library'))"
                ),
            ),
            ("block:b prev:a", "first = random.random(), np.random.rand()"),
            (
                "block:c prev:b",
                (
                    "import found\n"
                    "print(os.environ['MODE'], np.array([1.2345]), pd.options.display.max_rows)\n"
                    "print(os.path.basename(os.getcwd()), found.VALUE)\n"
                    "try:\n    warnings.warn('grave')\nexcept UserWarning:\n    print('raised')\n"
                    "print(first == (random.Random(1).random(), np.random.RandomState(1).rand()))\n"
                    "second = random.random()\nreference = random.Random(1)\nreference.random()\n"
                    "print(second == reference.random())"
                ),
            ),
        ]
    ).raise_for_failures()
    assert ran.printed("c") == "fast [1.23] 7\ninner 9\nraised\nTrue\nTrue\n"
    assert run().executed == []


def test_global_state_of_a_sibling_is_not_replayed(run: Runner) -> None:
    ran = run(
        [
            ("imports", "import os"),
            ("block:start", "x = 1"),
            ("block:left prev:start", "os.environ['SIDE'] = 'left'"),
            ("block:right prev:start", "print(os.environ.get('SIDE'))"),
        ]
    )
    assert ran.printed("right") == "None\n"


def test_replay_can_be_switched_off(run: Runner) -> None:
    ran = run.with_metadata(kale_pm={"replay": False})(
        [
            ("imports", "import os"),
            ("block:a", "os.environ['MODE'] = 'fast'"),
            ("block:b prev:a", "print(os.environ.get('MODE'))"),
        ]
    )
    assert ran.printed("b") == "None\n"


def test_no_secret_of_the_environment_is_written_to_disk(run: Runner) -> None:
    names = ("API_KEY", "MY_TOKEN", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY", "GITHUB_PAT_AUTH")
    secret = "s3cr3t-va1ue"
    setting = "\n".join(f"os.environ[{name!r}] = made" for name in names)
    ran = run(
        [
            ("imports", "import os"),
            ("block:a", f"made = ''.join(['s3cr3t', '-va1ue'])\n{setting}\ndel made"),
            ("block:b prev:a", "print(os.environ.get('API_KEY'))"),
        ]
    ).raise_for_failures()
    assert ran.printed("b") == "None\n"
    assert files_with(run.store, secret.encode()) == []


def files_with(folder: Path, content: bytes) -> list[Path]:
    import base64
    import re

    found = []
    for path in (p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        words = re.findall(rb"[A-Za-z0-9+/]{12,}={0,2}", data)
        decoded = [base64.b64decode(word[: len(word) // 4 * 4]) for word in words]
        if any(content in text for text in (data, *decoded)):
            found.append(path)
    return found


def test_a_deleted_variable_is_gone_in_later_steps(run: Runner) -> None:
    ran = run(
        [
            ("parameters", "drop = True"),
            ("block:a", "x = 1"),
            ("block:b prev:a", "if drop:\n    del x"),
            ("block:c prev:b", "try:\n    print(x)\nexcept NameError:\n    print('gone')"),
        ]
    ).raise_for_failures()
    assert ran.printed("c") == "gone\n"
    assert run(None, drop=False).printed("c") == "1\n"


def test_data_elsewhere_named_by_joined_paths_is_read_again_when_it_changed(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The folders of the tests lie among the temporary files, and those do not count.
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "project").mkdir()
    beside = replace(run, folder=tmp_path / "project")
    data = run.write("data/x.csv", "1")
    ran = beside(
        [
            ("imports", "from pathlib import Path"),
            ("block:a", "text = (Path('..') / 'data' / 'x.csv').read_text()\nprint(text)"),
            ("block:b prev:a", "print(text)"),
        ]
    ).raise_for_failures()
    manifest = json.loads((ran.folder / "manifests" / "a.json").read_text())
    assert manifest["read"] == [str(data.resolve())]
    assert beside().executed == []
    data.write_text("2")
    again = beside().raise_for_failures()
    assert again.printed("b") == "2\n"
    assert again.why("a") == f"{data.resolve()} changed"


def test_a_change_that_cannot_be_stored_does_not_matter_until_a_step_asks_for_it(
    run: Runner,
) -> None:
    cells = [
        ("imports", "import sqlite3"),
        ("block:a", "settings = {}\nrows = [1]"),
        ("block:b prev:a", "settings['db'] = sqlite3.connect(':memory:')\nrows.append(2)"),
        ("block:c prev:b", "print(rows)"),
    ]
    ran = run(cells).raise_for_failures()
    assert ran.printed("c") == "[1, 2]\n"
    assert run().executed == []

    ran = run([*cells, ("block:d prev:c", "print(settings)")])
    assert ran.states() == {"a": "cached", "b": "failed", "c": "skipped", "d": "skipped"}
    error = ran.error("b")
    assert error.ename == "SaveError"
    assert "settings['db']: a connection belongs to a process" in error.evalue
    assert "needed by step d" in error.evalue


def test_what_the_prelude_makes_and_nobody_can_store_is_made_by_every_step(run: Runner) -> None:
    ran = run(
        [
            ("imports", "import sqlite3\nlog = open('log.txt', 'a')"),
            ("imports", "base = sqlite3.connect('base.db')"),
            (
                "block:a",
                (
                    "_ = log.write('a\\n')\nlog.flush()\n"
                    "_ = base.execute('create table t (x)')\nbase.commit()"
                ),
            ),
            ("block:b prev:a", "_ = log.write('b\\n')\nlog.flush()"),
            (
                "block:c prev:b",
                "print(open('log.txt').read().split(), list(base.execute('select * from t')))",
            ),
        ]
    ).raise_for_failures()
    assert ran.printed("c") == "['a', 'b'] []\n"


def test_classes_sentinels_and_functions_stay_what_they_were(run: Runner) -> None:
    ran = run(
        [
            (
                "functions",
                "MISSING = object()\nclass Model:\n    def who(self):\n        return 'old'",
            ),
            (
                "block:a",
                "class C:\n    n = 0\nobj = C()\nold = Model()\nrow = {'x': MISSING}",
            ),
            (
                "block:b prev:a",
                "C.n += 5\nclass Model:\n    def who(self):\n        return 'new'",
            ),
            (
                "block:c prev:b",
                "print(C.n, obj.n, old.who(), Model().who(), row['x'] is MISSING)",
            ),
        ]
    ).raise_for_failures()
    assert ran.printed("c") == "5 5 old new True\n"


HIDDEN = [
    (
        "functions",
        (
            "class Holder:\n    def __init__(self):\n        self.it = None\n\n"
            "def hide(x):\n    holder = Holder()\n    vars(holder).update(it=x)\n"
            "    return holder\n\n"
            "def grow(holder):\n    holder.it.append(1)"
        ),
    ),
    ("block:a", "rows = []\nbox = hide(rows)"),
]


def test_a_change_that_the_code_does_not_show_arrives_with_a_line_that_says_so(
    run: Runner,
) -> None:
    between, use = ("block:between prev:b", "print('here')"), "print(rows)"
    ran = run([*HIDDEN, ("block:b prev:a", "grow(box)"), between, ("block:c prev:between", use)])
    assert ran.raise_for_failures().printed("c") == "[1]\n"
    notebook = (ran.folder / "notebooks/c.ipynb").read_text(encoding="utf-8")
    assert "write rows = rows as the last line of b" in notebook

    said, use = "grow(box)\nrows = rows", "print('now', rows)"
    ran = run([*HIDDEN, ("block:b prev:a", said), between, ("block:c prev:between", use)])
    assert ran.raise_for_failures().printed("c") == "now [1]\n"
    notebook = (ran.folder / "notebooks/c.ipynb").read_text(encoding="utf-8")
    assert "as the last line of" not in notebook


def test_metrics_and_parameters_that_are_no_finite_numbers_are_strict_json(run: Runner) -> None:
    cells = [
        ("parameters", "rate = 1.0"),
        ("block:a", "loss = rate\nprint(rate)"),
        ("metrics", "loss"),
    ]
    ran = run(cells, rate=float("nan")).raise_for_failures()
    assert repr(dict(ran.record.metrics)) == "{'loss': nan}"
    for name in ("manifests/a.json", "notebooks/a.ipynb"):
        json.loads((ran.folder / name).read_text(), parse_constant=pytest.fail)
