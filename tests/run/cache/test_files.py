"""Files that steps read and write, and modules: whoever read one that changed runs again."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Runner

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
