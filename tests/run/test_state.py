"""What one kernel would remember between steps besides the variables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
