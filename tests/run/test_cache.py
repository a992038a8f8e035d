"""What runs again and what does not: never a wrong value, never idle work."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kale_pm.local import read_run
from kale_pm.local.cache import basis
from kale_pm.local.journal import read_journal
from kale_pm.local.kernels.environment import UNKNOWN
from kale_pm.record import State

if TYPE_CHECKING:
    from conftest import Ran, Runner

    from kale_pm.record import RunRecord

CHAIN = [
    ("imports", "import math"),
    ("parameters", "n = 3\nscale = 2.0"),
    ("functions", "def twice(x):\n    return 2 * x\n\ndef shown(x):\n    return f'<{x}>'"),
    ("block:make", "rows = list(range(n))"),
    ("block:top prev:make", "top = max(rows) // 100"),
    ("block:scaled prev:make", "big = [scale * r for r in rows]"),
    ("block:report prev:top prev:scaled", "print(shown(top), len(big))"),
]


def replaced(old: str, new: str) -> list[tuple[str, str]]:
    assert any(old in source for _, source in CHAIN)
    return [(tags, source.replace(old, new)) for tags, source in CHAIN]


@pytest.fixture(scope="module")
def finished(run_once: Runner) -> Path:
    run_once(CHAIN).raise_for_failures()
    return run_once.folder


@pytest.fixture
def done(finished: Path, run: Runner) -> Runner:
    shutil.copytree(finished, run.folder, symlinks=True, dirs_exist_ok=True)
    return run


# -- code and parameters --------------------------------------------------------------------


def test_an_unchanged_notebook_starts_no_kernel_and_shows_the_same(done: Runner) -> None:
    ran = done()
    assert ran.executed == []
    assert set(ran.states().values()) == {"cached"}
    assert ran.printed("report") == "<0> 3\n"
    origin = {step.cached_from for step in ran.record.steps.values()}
    assert len(origin) == 1
    assert origin != {ran.record.id}

    # Comments, blank lines and other spelling of the same are no change ...
    spelt = replaced("rows = list(range(n))", "# all rows\n\nrows  =  list(range( n ))  # here")
    assert done(spelt).executed == []
    # ... nor is a default that is given, nor a function or import that nothing uses.
    assert done(CHAIN, n=3).executed == []
    assert done(replaced("import math", "import math, json")).executed == []
    assert done(replaced("2 * x", "x + x")).executed == []


def test_a_parameter_wakes_what_uses_it_and_equal_values_wake_nobody(done: Runner) -> None:
    assert done(scale=3.0).executed == ["report", "scaled"]
    # Another ``rows`` is not another ``top``, so that ``end`` has nothing new to do.
    cells = [*CHAIN[:5], ("block:end prev:top", "print(top)")]
    done(cells)
    assert done(n=5).executed == ["make", "top"]


def test_types_matter_in_parameters_even_inside_of_lists(run: Runner) -> None:
    cells = [("parameters", "xs = [1, 2]\nn: float = 1"), ("block:a", "print(xs, n)")]
    assert run(cells).printed("a") == "[1, 2] 1\n"
    assert run(cells, xs=[1.0, 2]).printed("a") == "[1.0, 2] 1\n"
    assert run(cells, xs=[True, 2]).printed("a") == "[True, 2] 1\n"


def test_a_dict_parameter_in_another_order_is_another_value(run: Runner) -> None:
    cells = [("parameters", "d = {'a': 1, 'b': 2}"), ("block:a", "print(list(d))")]
    assert run(cells).printed("a") == "['a', 'b']\n"
    assert run(cells, d={"b": 2, "a": 1}).printed("a") == "['b', 'a']\n"


def test_an_edited_function_wakes_the_steps_it_can_reach(done: Runner) -> None:
    assert done(replaced("<{x}>", "[{x}]")).executed == ["report"]


def test_a_function_with_a_short_name_wakes_just_the_steps_that_use_it(run: Runner) -> None:
    cells = [
        ("functions", "def f(x):\n    return x + 1\n\ndef g(x):\n    return 2 * x"),
        ("block:a", "x = f(1)"),
        ("block:b", "y = g(2)"),
        ("block:c prev:a prev:b", "z = x + y"),
        ("block:d prev:c", "print(z)"),
    ]
    run(cells).raise_for_failures()
    cells[0] = ("functions", cells[0][1].replace("2 * x", "x + x"))
    assert run(cells).executed == ["b"]


def test_a_step_that_was_renamed_hands_on_what_it_did_under_its_old_name(run: Runner) -> None:
    prelude = ("imports", "y = 0")
    run([prelude, ("block:old", "y = 42"), ("block:show prev:old", "print(y)")])
    ran = run([prelude, ("block:new", "y = 42"), ("block:show prev:new", "print('y', y)")])
    assert ran.raise_for_failures().printed("show") == "y 42\n"


def test_a_step_with_the_code_of_another_one_is_executed_itself(run: Runner) -> None:
    cells = [
        ("block:a", "y = 42\nprint('a')"),
        ("block:twin", "y = 42\nprint('a')"),
        ("block:show prev:a", "print(y)"),
        ("block:last prev:twin", "print(y, 'last')"),
    ]
    ran = run.with_options(jobs=1)(cells).raise_for_failures()
    assert ran.executed == ["a", "last", "show", "twin"]
    assert ran.printed("last") == "42 last\n"


def test_a_step_runs_again_for_a_variable_that_nobody_wanted_before(run: Runner) -> None:
    cells = [("block:a", "x = 1\ny = 2"), ("block:b prev:a", "print(x, y)")]
    run([cells[0], ("block:b prev:a", "print(x)")])
    ran = run(cells)
    assert ran.printed("b") == "1 2\n"
    assert ran.why("a") == "a later step now uses its variable y"
    # What is wanted no more does not matter.
    assert run([cells[0], ("block:b prev:a", "print(y)")]).executed == ["b"]


def test_a_function_that_travels_inside_a_variable_is_not_forgotten(run: Runner) -> None:
    cells = [
        ("functions", "def rule(x):\n    return x + 1"),
        ("block:a", "chosen = [rule]"),
        ("block:b prev:a", "print(chosen[0](1))"),
    ]
    assert run(cells).printed("b") == "2\n"
    cells[0] = ("functions", "def rule(x):\n    return x + 10")
    assert run(cells).printed("b") == "11\n"


def test_a_function_that_gives_the_same_wakes_nobody_further_down(run: Runner) -> None:
    cells = [
        ("functions", "def clean(x):\n    return 2 * x"),
        ("block:a", "rows = [clean(x) for x in range(3)]"),
        ("block:b prev:a", "print(rows)"),
        ("block:c prev:b", "print(len(rows))"),
    ]
    run(cells).raise_for_failures()
    cells[0] = ("functions", "def clean(x):\n    return x + x")
    ran = run(cells)
    assert ran.executed == ["a"]
    assert ran.why("a") == "the function clean changed"


TRAVELLING = {
    "itself": "chosen = rule",
    "deep inside": "chosen = {'a': [(1, rule)]}['a'][0][1]\nbox = [chosen]",
    "inside of another function": "chosen = lambda x: rule(x)",
    "inside of a closure": "def make(f):\n    return lambda x: f(x)\nchosen = make(rule)",
    "as a partial": "import functools\nchosen = functools.partial(rule)",
    "as a method": "chosen = Rule().apply",
    "in an instance": "chosen = Rule(rule)",
}


@pytest.mark.parametrize("way", TRAVELLING)
def test_a_function_that_travels_in_any_way_is_not_forgotten(run: Runner, way: str) -> None:
    functions = (
        "def deeper(x):\n    return x + 1\n"
        "def rule(x):\n    return deeper(x)\n"
        "class Rule:\n"
        "    def __init__(self, f=None):\n        self.f = f\n"
        "    def apply(self, x):\n        return rule(x)\n"
        "    def __call__(self, x):\n        return self.f(x)"
    )
    cells = [
        ("functions", functions),
        ("block:a", TRAVELLING[way]),
        ("block:b prev:a", "print(chosen(1))"),
    ]
    assert run(cells).raise_for_failures().printed("b") == "2\n"
    cells[0] = ("functions", functions.replace("x + 1", "x + 10"))
    assert run(cells).printed("b") == "11\n"


def test_a_function_found_by_a_computed_name_is_not_forgotten(run: Runner) -> None:
    cells = [
        ("functions", "def rule_one(x):\n    return x + 1"),
        ("block:a", "print(globals()['rule' + '_one'](1))"),
    ]
    assert run(cells).printed("a") == "2\n"
    cells[0] = ("functions", "def rule_one(x):\n    return x + 10")
    assert run(cells).printed("a") == "11\n"


def test_an_edited_class_wakes_the_steps_it_can_reach(run: Runner) -> None:
    cells = [
        ("functions", "class Point:\n    def __init__(self, x):\n        self.x = x\n"),
        ("block:a", "print(Point(1).x)"),
        ("block:b", "points = []"),
        ("block:c prev:b", "print(len(points))"),
    ]
    run(cells).raise_for_failures()
    edited = [(tags, source.replace("self.x = x", "self.x = x + 1")) for tags, source in cells]
    ran = run(edited)
    assert ran.executed == ["a"]
    assert ran.printed("a") == "2\n"
    assert ran.why("a") == "the class Point changed"


def test_a_cell_of_comments_and_a_text_cell_change_nothing(done: Runner) -> None:
    assert done([*CHAIN[:4], ("", "# a word about it"), *CHAIN[4:]]).executed == []
    assert done([*CHAIN[:1], ("imports", "# more to come"), *CHAIN[1:]]).executed == []


def test_a_cached_step_has_all_that_an_executed_one_has(run: Runner) -> None:
    from kale_pm.face import Run

    cells = [
        ("imports", "import kale_pm, numpy as np"),
        ("parameters", "n = 3"),
        ("block:a", "x = np.arange(5)\nloss = 0.25\nkale_pm.metric('depth', 4)\nprint('hello')"),
        ("block:b prev:a", "y = x.sum() + n\nprint(y)"),
        ("block:c prev:b", "print(y)"),
        ("metrics", "loss"),
    ]
    run(cells).raise_for_failures()
    ran = run(n=4).raise_for_failures()
    assert ran.states() == {"a": "cached", "b": "done", "c": "done"}
    found = Run(ran.record, ran.folder)
    assert found.metrics == {"loss": 0.25, "depth": 4}
    assert found.steps["a"].metrics == {"loss": 0.25, "depth": 4}
    assert found["x"].tolist() == [0, 1, 2, 3, 4]
    assert found["y"] == 14
    assert ran.printed("a") == "hello\n"
    assert found.steps["a"].variables.keys() == {"x"}


def test_what_the_prelude_does_besides_defining_wakes_every_step(done: Runner) -> None:
    assert len(done(replaced("import math", "import math\nlimit = 3")).executed) == 4


@pytest.mark.parametrize("tag", ["env:MODE:fast", "timeout:50", "retry:1", "image:python:3.12"])
def test_changed_options_run_the_step_again(run: Runner, tag: str) -> None:
    run([("block:a", "x = 1")])
    assert run([(f"block:a {tag}", "x = 1")]).executed == ["a"]


def test_a_step_with_its_cache_disabled_always_runs(run: Runner) -> None:
    cells = [
        ("block:a cache:disabled", "import random\nx = random.random() * 0"),
        ("block:b prev:a", "y = x"),
    ]
    run(cells)
    ran = run()
    assert ran.executed[0] == "a"
    assert ran.why("a") == "its cache is disabled"


def test_fresh_from_and_only_say_what_runs(done: Runner) -> None:
    assert done.with_options(fresh=True)().executed == ["make", "report", "scaled", "top"]
    assert done.with_options(start="scaled")().executed == ["report", "scaled"]
    ran = done.with_options(only="scaled")()
    assert ran.executed == ["scaled"]
    assert set(ran.states()) == {"make", "scaled"}


# -- files ----------------------------------------------------------------------------------

READERS = {
    "open": "print(open('data.csv').read().split())",
    "path": "from pathlib import Path\nprint(Path('data.csv').read_text())",
    "pandas": "import pandas as pd\nprint(pd.read_csv('data.csv').sum().iloc[0])",
    "numpy": "import numpy as np\nprint(np.loadtxt('data.csv', skiprows=1).sum())",
    "computed": "print(open('da' + 'ta' + chr(46) + 'csv').read())",
    "glob": "import glob\nprint([open(n).read() for n in sorted(glob.glob('*.csv'))])",
    "parameter": "print(open(source).read())",
    "in the prelude": "print(TEXT)",
}


@pytest.mark.parametrize("reader", READERS)
def test_an_edited_data_file_wakes_its_readers(run: Runner, reader: str) -> None:
    prelude = "TEXT = open('data.csv').read()" if reader == "in the prelude" else "import os"
    cells = [
        ("imports", prelude),
        ("parameters", "source = 'data.csv'"),
        ("block:a", READERS[reader]),
        ("block:b", "print('no file')"),
    ]
    run.write("data.csv", "v\n1\n2\n")
    before = run(cells).raise_for_failures().printed("a")
    assert run().executed == []
    run.write("notes.txt", "a file that nobody reads")
    ran = run()
    assert ran.executed == ([] if reader != "glob" else ["a"])
    # Same size and, as copying tools do it, the same time of change.
    status = (run.folder / "data.csv").stat()
    run.write("data.csv", "v\n1\n5\n")
    os.utime(run.folder / "data.csv", ns=(status.st_atime_ns, status.st_mtime_ns))
    ran = run()
    assert "a" in ran.executed
    assert ("b" in ran.executed) == (reader == "in the prelude")
    assert ran.printed("a") != before
    assert ran.why("a") == "data.csv changed"


def test_readers_that_escape_the_audit_are_found_by_the_paths_in_the_code(run: Runner) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    def write(name: str, value: int) -> None:
        (run.folder / name).parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"x": [value]}), run.folder / name)

    head = "import pyarrow.parquet as pq\n"
    cells = [
        ("parameters", "table = 'parts'\nnumber = 1"),
        ("block:literal", head + "print(pq.read_table('one.parquet').to_pylist())"),
        ("block:pattern", head + "print(pq.read_table(f'parts/{number}.parquet').to_pylist())"),
        ("block:folder", head + "print(pq.read_table(table).to_pylist())"),
    ]
    write("one.parquet", 1)
    write("parts/1.parquet", 1)
    run(cells).raise_for_failures()
    assert run().executed == []
    write("one.parquet", 2)
    assert run().executed == ["literal"]
    write("parts/1.parquet", 2)
    ran = run()
    assert ran.executed == ["folder", "pattern"]
    assert ran.printed("pattern") == "[{'x': 2}]\n"
    write("parts/2.parquet", 3)
    assert "folder" in run().executed


def test_a_table_that_pandas_reads_by_itself(run: Runner) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    table = run.folder / "table.parquet"
    pandas.DataFrame({"x": [1]}).to_parquet(table)
    cells = [
        ("imports", "import pandas as pd"),
        ("block:a", "print(pd.read_parquet('table.parquet').x.sum())"),
        ("block:b", "print('no table')"),
    ]
    assert run(cells).printed("a") == "1\n"
    assert run().executed == []
    pandas.DataFrame({"x": [2]}).to_parquet(table)
    ran = run()
    assert ran.executed == ["a"]
    assert ran.printed("a") == "2\n"
    assert ran.why("a") == "table.parquet changed"


def test_a_writer_that_escapes_the_audit_does_not_keep_its_step_from_the_cache(
    run: Runner,
) -> None:
    pytest.importorskip("pyarrow")
    code = "import pyarrow as pa, pyarrow.parquet as pq, time\n"
    code += "pq.write_table(pa.table({'x': [time.time()]}), 'out.parquet')"
    cells = [("block:a", code)]
    run(cells).raise_for_failures()
    assert run().executed == []
    assert run.with_options(fresh=True)().warnings == []
    assert run().executed == []
    (run.folder / "out.parquet").unlink()
    assert run().executed == ["a"]


def test_a_file_written_by_one_step_and_read_by_a_later_one(run: Runner) -> None:
    cells = [
        ("parameters", "n = 1"),
        ("block:write", "with open('rows.txt', 'w') as f:\n    f.write('x' * n)"),
        ("block:read prev:write", "print(len(open('rows.txt').read()))"),
    ]
    assert run(cells).printed("read") == "1\n"
    assert run().executed == []
    ran = run(n=2)
    assert ran.executed == ["read", "write"]
    assert ran.printed("read") == "2\n"
    # Going back: the file on disk is the other one, so it is written again.
    ran = run(n=1)
    assert ran.printed("read") == "1\n"
    assert (run.folder / "rows.txt").read_text() == "x"
    (run.folder / "rows.txt").unlink()
    ran = run(n=1)
    assert "write" in ran.executed
    assert (run.folder / "rows.txt").read_text() == "x"
    assert ran.printed("read") == "1\n"


READ_LAST = "rows = open('rows.txt').read().split()\nn, last = len(rows), rows[-1]\nprint(n, last)"
APPEND = "with open('rows.txt', 'a') as file:\n    file.write(f'{rate}\\n')"


def test_lines_that_a_run_begins_anew_are_appended_again(run: Runner) -> None:
    begin = "with open('rows.txt', 'w') as file:\n    file.write('rate\\n')"
    cells = [
        ("parameters", "rate = 0.1"),
        ("block:begin", begin),
        ("block:add prev:begin", APPEND),
        ("block:read prev:add", READ_LAST),
    ]
    run.write_cells(cells)
    assert [run().printed("read") for _ in range(2)] == ["2 0.1\n"] * 2


def test_the_last_line_is_the_one_that_this_run_appended(run: Runner) -> None:
    cells = [
        ("parameters", "rate = 0.1"),
        ("block:add", APPEND),
        ("block:read prev:add", READ_LAST),
    ]
    run.write_cells(cells)
    last = [run(None, rate=rate).printed("read") for rate in (0.1, 0.2, 0.1)]
    assert last == ["1 0.1\n", "2 0.2\n", "3 0.1\n"]


def test_a_file_that_a_shell_writes_is_the_one_of_these_parameters(run: Runner) -> None:
    cells = [
        ("imports", "import os"),
        ("parameters", "rate = 0.1"),
        ("block:train", "os.system(f'echo {rate} > model.txt')"),
        ("block:judge prev:train", "print(open('model.txt').read())"),
    ]
    run.write_cells(cells)
    read = [run(None, rate=rate).printed("judge").strip() for rate in (0.1, 0.5, 0.1)]
    assert read == ["0.1", "0.5", "0.1"]


def test_a_result_is_not_kept_if_its_file_changed_while_the_step_ran(run: Runner) -> None:
    cells = [
        (
            "block:a",
            (
                "import os, time\nvalue = open('data.txt').read()\nopen('has_read', 'w').close()\n"
                "while os.path.exists('has_read'):\n    time.sleep(0.02)\nprint(value)"
            ),
        )
    ]
    run.write("data.txt", "old")

    def edit() -> None:
        flag = run.folder / "has_read"
        for _ in range(600):
            if flag.exists():
                break
            time.sleep(0.02)
        run.write("data.txt", "new")
        flag.unlink()

    editor = threading.Thread(target=edit)
    editor.start()
    ran = run(cells)
    editor.join()
    assert ran.printed("a") == "old\n"
    assert any("data.txt changed while the step ran" in text for text in ran.warnings)
    editor = threading.Thread(target=edit)
    editor.start()
    ran = run()
    editor.join()
    assert ran.printed("a") == "new\n"


# -- modules --------------------------------------------------------------------------------


def test_an_edited_module_beside_the_notebook_wakes_those_that_import_it(run: Runner) -> None:
    run.write("helper.py", "import deeper\ndef f():\n    return deeper.g()\n")
    run.write("deeper.py", "def g():\n    return 1\n")
    cells = [
        ("block:a", "import helper\nprint(helper.f())"),
        ("block:b", "print('alone')"),
    ]
    assert run(cells).raise_for_failures().printed("a") == "1\n"
    assert run().executed == []
    run.write("deeper.py", "def g():\n    return 2\n")
    ran = run()
    assert ran.executed == ["a"]
    assert ran.printed("a") == "2\n"
    run.write("helper.py", "import deeper\ndef f():\n    return -deeper.g()\n")
    assert run().printed("a") == "-2\n"


# -- resuming, sharing, damage --------------------------------------------------------------


def test_two_notebooks_in_one_folder_do_not_disturb_each_other(run: Runner) -> None:
    first = [("block:a", "x = 1"), ("block:b prev:a", "print(x)")]
    second = [("block:a", "x = 2"), ("block:b prev:a", "print(x)")]
    other = run.named("other.ipynb")
    run(first)
    assert other(second).printed("b") == "2\n"
    assert run().executed == other().executed == []
    assert run().printed("b") == "1\n"
    runs = run.store / "runs"
    assert (runs / "latest-notebook").resolve().name.startswith("notebook-")
    assert (runs / "latest-other").resolve().name.startswith("other-")


def test_two_runs_at_the_same_time_both_end_well(run: Runner) -> None:
    write = [("block:a", "x = list(range(1000))"), ("block:b prev:a", "print(sum(x))")]
    run.write_cells(write)
    results: list[Ran] = []
    threads = [threading.Thread(target=lambda: results.append(run())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [ran.printed("b") for ran in results] == ["499500\n"] * 2
    assert len({ran.record.id for ran in results}) == 2
    assert run().executed == []


SLOW_CHAIN = [
    ("imports", "import time"),
    ("block:a", "x = [1]\ntime.sleep(0.2)\nopen('made_by_a', 'a').write('x')"),
    ("block:b prev:a", "x.append(2)\ntime.sleep(0.2)\nopen('made_by_b', 'a').write('x')"),
    ("block:c prev:b", "x.append(3)\ntime.sleep(0.2)\nopen('made_by_c', 'a').write('x')"),
    ("block:d prev:c", "print(x)"),
]


@pytest.mark.parametrize("seed", range(6))
def test_a_run_that_was_killed_at_any_moment_is_taken_up(run: Runner, seed: int) -> None:
    run.write_cells(SLOW_CHAIN)
    command = [sys.executable, "-m", "kale_pm", "run", str(run.path), "-j", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = kill_after(process, run.store, lines=random.Random(seed).randint(1, 45))
    finished = {
        str(event["step"]): event["state"] for event in journal if event["event"] == "StepFinished"
    }
    if "RunFinished" not in [event["event"] for event in journal]:
        assert [record.state for record in records(run)] == [State.INTERRUPTED]

    ran = run().raise_for_failures()
    assert ran.printed("d") == "[1, 2, 3]\n"
    for step, state in finished.items():
        assert (state, ran.state(step).value) == ("done", "cached"), (
            "what was done is not done again"
        )
    assert run().executed == []


def kill_after(process: subprocess.Popen[bytes], store: Path, lines: int) -> list[dict[str, Any]]:
    """Kill the run when its journal has so many lines, or let it end; what is in the journal."""
    while process.poll() is None:
        journals = list(store.glob("runs/notebook-*/journal.jsonl"))
        if journals and len(journals[0].read_bytes().splitlines()) >= lines:
            process.kill()
            break
        time.sleep(0.002)
    process.wait()
    return read_journal(next(store.glob("runs/notebook-*/journal.jsonl")))


def records(run: Runner) -> list[RunRecord]:
    return [
        read_run(folder) for folder in (run.store / "runs").glob("notebook-*") if folder.is_dir()
    ]


@pytest.mark.parametrize(
    ("kind", "harm"),
    [("packs", harm) for harm in ("deleted", "emptied", "cut", "flipped")]
    + [(kind, harm) for kind in ("notebooks", "cache") for harm in ("deleted", "flipped")],
)
def test_damage_in_the_store_is_found_and_the_step_runs_again(
    run: Runner, kind: str, harm: str
) -> None:
    cells = [
        ("block:a", "import numpy as np\nx = np.arange(10000)"),
        ("block:b prev:a", "print(x.sum())"),
    ]
    run(cells).raise_for_failures()
    for path in (run.store / kind).iterdir():
        damage(path, harm)
    cells[1] = ("block:b prev:a", "print(x.sum(), len(x))")
    ran = run(cells).raise_for_failures()
    assert "a" in ran.executed
    assert ran.printed("b") == "49995000 10000\n"
    assert run().executed == []


def damage(path: Path, harm: str) -> None:
    content = bytearray(path.read_bytes())
    if harm == "deleted":
        path.unlink()
        return
    if harm == "emptied":
        content = bytearray()
    elif harm == "cut":
        content = content[: len(content) // 2]
    else:
        middle = len(content) // 2
        content[middle] ^= 1
    path.write_bytes(content)


def test_verify_finds_what_changed_without_a_trace(run: Runner) -> None:
    cells = [
        ("imports", "import numpy as np"),
        ("block:a", "x = np.arange(100000)"),
        ("block:b prev:a", "import os\nprint(x.sum(), os.environ.get('KALE_PM_VERIFY'))"),
    ]
    assert run(cells).printed("b") == "4999950000 None\n"
    [pack] = [path for path in (run.store / "packs").iterdir() if path.stat().st_size > 100000]
    status = pack.stat()
    damage(pack, "flipped")
    os.utime(pack, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run().executed == [], "its size and its time are as they were"
    ran = run.with_options(verify=True)()
    assert ran.executed == ["a"]
    assert ran.why("a") == "its stored variables are gone or damaged"
    assert run.with_options(verify=True)().executed == []
    ran = run.with_options(verify=True, start="b")()
    assert ran.printed("b") == "4999950000 1\n"


def test_a_cache_entry_of_another_shape_is_no_entry(run: Runner) -> None:
    run([("block:a", "x = 1")])
    for path in (run.store / "cache").iterdir():
        path.write_text(json.dumps(["something", "else"]))
    assert run().executed == ["a"]


# -- the place ------------------------------------------------------------------------------


def test_an_environment_variable_that_the_code_names(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [("block:a", "import os\nprint(os.environ.get('LAW_MODE'))")]
    monkeypatch.setenv("LAW_MODE", "one")
    assert run(cells).printed("a") == "one\n"
    assert run().executed == []
    monkeypatch.setenv("LAW_MODE", "two")
    assert run().printed("a") == "two\n"


def test_the_packages_that_count_are_those_of_the_kernel(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel in an environment with a package that this process cannot see."""
    packages = run.folder.parent / f"{run.folder.name}-environment"
    described = packages / "odd-1.0.dist-info" / "METADATA"
    described.parent.mkdir(parents=True)
    described.write_text("Name: odd\nVersion: 1.0\n")
    (packages / "odd.py").write_text("")
    program = packages / "python"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={packages} exec {sys.executable} "$@"\n')
    program.chmod(0o755)
    spec = packages / "kernels" / "other" / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = [str(program), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(packages))
    other = run.with_options(kernel="other")
    cells = [("block:a", "import odd\nprint(odd.__name__)"), ("block:b", "print(1)")]

    assert other(cells).raise_for_failures().printed("a") == "odd\n"
    assert other().executed == []
    described.write_text("Name: odd\nVersion: 2.0\n")
    assert other().executed == ["a"]
    argv.insert(1, "-Xutf8")
    spec.write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    assert other().executed == ["a", "b"]


def test_a_kernel_that_does_not_tell_its_packages_is_mentioned(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(basis, "environment_of", lambda *_: UNKNOWN)
    ran = run([("block:a", "print(1)")])
    assert ran.states() == {"a": "done"}
    assert "does not tell its packages" in ran.warnings[0]


def test_an_import_that_is_not_there_fails_every_step(done: Runner) -> None:
    ran = done([("imports", "import math, no_such_module_at_all"), *CHAIN[1:]])
    assert ran.executed == ["make"]
    assert ran.error("make").ename == "ModuleNotFoundError"
