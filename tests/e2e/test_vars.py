"""vars: what a run has stored, and what lies in a pack."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from rich.console import Console

from kale_pm.local.results.variables import RunVariable
from kale_pm.record import State
from kale_pm.terminal import variables_view
from kale_pm.terminal.text import file_size, short_type

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


CELLS = {
    "functions": "class Thing:\n    pass\n\ndef lend(box):\n    box['cells'] = (x for x in 'ab')",
    "block:make": (
        "import json as tool\nnumbers = [1, 2]\nrows = [numbers]\n"
        "thing = Thing()\nbox = {}\nbrief = 3"
    ),
    "block:use prev:make": (
        "total = sum(numbers) + len(tool.dumps(rows)) + brief\nlend(box)\ndel brief"
    ),
    "block:tell prev:use": "print(total, thing)",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a run: variables shared, changed, deleted, imported, and one not stored."""
    folder = tmp_path_factory.mktemp("finished")
    cells = [
        new_code_cell(source, metadata={"tags": tags.split()}) for tags, source in CELLS.items()
    ]
    nbformat.write(new_notebook(cells=cells), folder / "goods.ipynb")
    command = [sys.executable, "-m", "kale_pm", "run", "goods.ipynb"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture
def goods(finished, tmp_path):
    shutil.copytree(finished, tmp_path, symlinks=True, dirs_exist_ok=True)


def rows(answer):
    """The lines of the table by their variable."""
    assert answer.code == 0, answer.err
    assert answer.err == ""
    table = answer.out.split("\n\n")[1]
    lines = [line.lstrip("┌│└ ").split() for line in table.splitlines()]
    return {words[0]: words[1:] for words in lines}


def test_vars_lists_what_the_run_has_stored(goods, kale):
    answer = kale("vars", "goods.ipynb")

    found = rows(answer)
    assert found["variable"] == ["type", "size", "given", "by", "needed", "by"]
    assert found["numbers"][0] == "list"
    assert re.search(r"^┌ numbers +list +\d+ B  make +use$", answer.out, re.MULTILINE)
    assert re.search(r"^└ rows +list +make +use$", answer.out, re.MULTILINE)
    assert found["thing"][0] == "Thing"
    assert found["tool"] == ["module", "json", "make", "use"]
    assert found["brief"] == ["deleted", "use"]
    assert found["box"][:3] == ["dict", "not", "stored"]
    assert found["total"][-2:] == ["use", "tell"]
    assert "box was not stored: box['cells']: " in answer.out
    assert "joined by a line share objects" in answer.out
    assert re.match(r"✓ goods-\S+  7 variables, \d+ B\n", answer.out)


def test_vars_of_a_step_lists_what_it_received_and_gave(goods, kale):
    answer = kale("vars", "latest", "tell")
    assert re.match(r"✓ goods-\S+  step tell, done\n", answer.out)
    assert {"thing", "total"} <= rows(answer).keys()
    assert answer.out.endswith("gave nothing\n")

    first = kale("vars", "latest", "make").out
    assert "received nothing\ngave\n" in first
    assert re.search(r"^  brief +int +\d+ B  make +use$", first, re.MULTILINE)


def test_vars_json_has_every_field(goods, kale):
    answer = kale("vars", "--json")

    assert (answer.code, answer.err) == (0, "")
    assert answer.json.keys() == {"run", "step", "variables", "verified", "damaged"}
    variables = answer.json["variables"]
    numbers = variables["numbers"]
    assert numbers.keys() == {
        *("name", "kind", "type", "size", "given_by", "needed_by", "shares_with"),
        *("cached_from", "pack", "component", "module", "reason", "rival"),
    }
    assert (numbers["given_by"], numbers["needed_by"]) == ("make", ["use"])
    assert numbers["shares_with"] == ["rows"]
    assert numbers["pack"].endswith(".pack")
    assert variables["thing"]["type"] == "__main__.Thing"
    assert variables["tool"]["module"] == "json"
    kinds = {name: variables[name]["kind"] for name in ("numbers", "tool", "box", "brief")}
    assert kinds == {"numbers": "stored", "tool": "module", "box": "unsaved", "brief": "deleted"}

    step = kale("vars", "latest", "use", "--json").json
    assert step["step"] == "use"
    assert {"numbers", "tool"} <= step["received"].keys()
    assert step["gave"].keys() == {"total", "box", "brief"}


def test_vars_names_the_run_that_made_what_was_cached(chain, kale):
    kale("run", "chain.ipynb")
    origin = kale("vars", "--json").json["run"]
    kale("run", "chain.ipynb")

    answer = kale("vars", "chain.ipynb")
    assert f"what make gave was made in run {origin}" in answer.out
    assert kale("vars", "--json").json["variables"]["numbers"]["cached_from"] == origin


def test_vars_shows_the_packs_and_checks_them(goods, kale, tmp_path):
    assert ".pack" not in kale("vars").out
    whole = kale("vars", "-v", "--verify")
    packs = {path.name: path for path in (tmp_path / ".kale-pm/packs").iterdir()}
    assert str(tmp_path / ".kale-pm/packs") in whole.out
    assert all(name in whole.out for name in packs)
    assert whole.out.endswith("\nevery byte is as it was written\n")

    pack = next(path for name, path in packs.items() if re.search(f"{name}.*numbers", whole.out))
    content = bytearray(pack.read_bytes())
    content[70] ^= 1
    pack.write_bytes(content)
    assert kale("vars").code == 0
    damaged = kale("vars", "--verify")
    assert damaged.code == 1
    assert "numbers" in damaged.out
    assert "every byte" not in damaged.out
    assert f"{pack.name}: the file is damaged" in damaged.err
    assert "→ " in damaged.err
    told = kale("vars", "--verify", "--json")
    assert told.code == 1
    assert list(told.json["damaged"]) == [str(pack)]


def test_vars_reads_a_pack(goods, kale, tmp_path):
    numbers = kale("vars", "--json").json["variables"]["numbers"]
    pack = numbers["pack"]

    answer = kale("vars", pack, "--verify")
    found = rows(answer)
    assert re.match(rf"{re.escape(pack)}  format \d+, written by Python 3\.\d+\.\d+, ", answer.out)
    assert found["variable"] == ["type", "size", "segments", "hash"]
    assert found["thing"][0] == "Thing"
    assert found["numbers"][-1] == numbers["component"][:12]
    assert answer.out.endswith("\nevery byte is as it was written\n")

    content = kale("vars", pack, "--json").json
    assert content.keys() == {"path", "format", "python", "size", "components", "verified"}
    (component,) = (c for c in content["components"] if "numbers" in c["types"])
    assert component.keys() == {"id", "types", "size", "segments"}
    assert component["types"] == {"numbers": "list", "rows": "list"}
    assert component["id"] == numbers["component"]


@pytest.mark.parametrize("size", [0, 4, 100])
def test_a_damaged_pack_is_one_clear_error(size, goods, kale, tmp_path):
    source = next((tmp_path / ".kale-pm/packs").iterdir())
    (tmp_path / "cut.pack").write_bytes(source.read_bytes()[:size])

    for arguments in ([], ["--verify"], ["--json"]):
        answer = kale("vars", "cut.pack", *arguments)
        assert (answer.code, answer.out) == (1, "")
        assert "cut.pack: the file is damaged" in answer.err
        assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["latest", "mkae"], 2, "did you mean 'make'?"),
        (["latest", "zzz"], 2, "steps: make, use, tell"),
        (["nothing"], 1, "no run 'nothing'"),
        (["missing.pack"], 1, "this file of variables is missing"),
        (["missing.pack", "make"], 2, "has no steps"),
        (["goods.ipynb", "--nonsense"], 2, "--nonsense"),
    ],
)
def test_what_is_not_there_is_told(arguments, code, said, goods, kale):
    answer = kale("vars", *arguments)

    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_a_run_that_stored_nothing_says_so(notebook, kale):
    notebook("one.ipynb", ("block:one", "x = 1"))
    kale("run", "one.ipynb")

    answer = kale("vars")
    assert re.fullmatch(r"✓ one-\S+  0 variables, 0 B\n", answer.out)
    assert kale("vars", "--json").json["variables"] == {}
    assert kale("vars", "--verify").code == 0


def test_vars_is_plain_where_it_is_piped_and_quick(goods, kale, python):
    assert not CONTROL.search(kale("vars", "latest", "use", "-v").out)
    assert not CONTROL.search(kale("vars", env={"NO_COLOR": "1"}).out)
    heavy = python(
        "import sys\n"
        "from kale_pm.cli import main\n"
        "sys.argv = ['kale-pm', 'vars']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "known = {'papermill', 'nbformat', 'numpy', 'pandas', 'jupyter_client'}\n"
        "print('heavy:', *known & set(sys.modules), file=sys.stderr)\n"
    )
    assert heavy.err == "heavy:\n"


def test_the_python_face_knows_the_variables(goods, python):
    answer = python(
        "from kale_pm.face import find_run\n"
        "run = find_run()\n"
        "found = run.variables['numbers']\n"
        "print(found.type, found.given_by, found.needed_by, found.shares_with, found.size > 0)\n"
        "print(*sorted(run.steps['use'].variables), run.steps['make']['brief'], run['total'])\n"
        "print('numbers' in run.steps['use'].received, 'nothing' in run.variables)\n"
    )

    assert answer.out.splitlines() == [
        "list make ('use',) ('rows',) True",
        "box brief total 3 14",
        "True False",
    ]


def test_a_metric_stands_in_for_a_variable_that_is_not_stored(chain, kale, python):
    kale("run", "chain.ipynb")
    answer = python(
        "from kale_pm.face import find_run\n"
        "run = find_run()\n"
        "print(run['total'], 'total' in run.variables, run['numbers'])\n"
    )

    assert answer.out == "1 False [0, 1]\n"


# -- how it looks -----------------------------------------------------------------------------

STEPS = ("train_logistic", "train_forest", "train_neighbours")
TYPE = "sklearn.ensemble._forest.RandomForestClassifier"


def drawn(variable, width):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(variables_view("r-1", State.DONE, {variable.name: variable}, packs=False))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("width", "needed_by"),
    [
        (80, ["train_logistic,", "train_forest,", "train_neighbours"]),
        (120, ["train_logistic, train_forest, train_neighbours"]),
    ],
)
def test_the_steps_that_need_it_have_a_line_each_where_there_is_little_room(width, needed_by):
    variable = RunVariable("forest", "stored", "split", TYPE, 337_844, STEPS)
    lines = drawn(variable, width)

    assert lines[3].startswith("  forest    RandomForestClassifier  338 kB  split     train_log")
    assert [line[54:] for line in lines[3:]] == needed_by
    assert all(len(line) <= width for line in lines)


def test_a_type_is_text_and_no_markup():
    variable = RunVariable("x", "stored", "make", "lib.Array[red]", 1)
    assert "Array[red]" in drawn(variable, 80)[3]
    assert "\\x1b" in drawn(RunVariable("x", "stored", "make", "lib.\x1b[2J", 1), 80)[3]


def test_sizes_and_types_are_as_people_say_them():
    sizes = (0, 287, 3805, 337_844, 999_950, 2_500_000_000, 10**16)
    assert [file_size(size) for size in sizes] == [
        *("0 B", "287 B", "3.8 kB", "338 kB", "1.0 MB", "2.5 GB", "10000 TB")
    ]
    assert short_type("pandas.core.frame.DataFrame") == "DataFrame"
    assert short_type("__main__.make.<locals>.Row") == "Row"
    assert short_type("int") == "int"


def test_steps_of_a_fetched_run_that_nobody_knows_of_are_named() -> None:
    console = Console(width=80, file=io.StringIO())
    console.print(variables_view("r-1", State.FAILED, {}, packs=False, missing=["load", "train"]))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "what load, train gave is unknown: fetch the run again" in shown
