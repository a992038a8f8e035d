"""runs, diff and clean: what there is of earlier runs, what differs, and what may go."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


CELLS = {
    "parameters": "n: int = 2",
    "block:make": "numbers = list(range(n))",
    "block:add prev:make": "total = sum(numbers)\nprint(total)",
    "metrics": "print(total)",
}

SLOW = """
import pathlib, time
pathlib.Path("on").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with two runs, the second with another parameter and another cell."""
    folder = tmp_path_factory.mktemp("finished")
    path = folder / "chain.ipynb"
    cells = [
        new_code_cell(source, metadata={"tags": tags.split()}) for tags, source in CELLS.items()
    ]
    nbformat.write(new_notebook(cells=cells), path)
    command = [sys.executable, "-m", "kale_pm", "run", "chain.ipynb", "-p"]
    for value in ("n=2", "n=4"):
        subprocess.run([*command, value], cwd=folder, check=True, capture_output=True, timeout=120)
        path.write_text(path.read_text().replace("= sum(numbers)", "= 10 * sum(numbers)"))
    return folder


@pytest.fixture
def twice(finished, tmp_path):
    """A copy of that folder; gives the ids of the runs, the older one first."""
    shutil.copytree(finished, tmp_path, symlinks=True, dirs_exist_ok=True)
    return sorted(path.name for path in (tmp_path / ".kale-pm/runs").glob("chain-*"))


# -- runs -------------------------------------------------------------------------------------


def test_runs_lists_them_the_newest_first(twice, kale):
    answer = kale("runs")

    assert (answer.code, answer.err) == (0, "")
    title, newest, oldest = answer.out.splitlines()
    assert title.split() == ["run", "started", "took", "steps", "parameters", "metrics"]
    assert re.match(rf"✓ {twice[1]}  latest +\d{{4}}-\d\d-\d\d \d\d:\d\d  .* ago ", newest)
    assert newest.endswith("2 done  n=4         total=60")
    assert re.match(rf"✓ {twice[0]} +\d{{4}}", oldest)
    assert "n=" not in oldest
    assert oldest.endswith("total=1")


def test_runs_json_and_the_python_face_know_the_same(twice, kale, python):
    answer = kale("runs", "chain.ipynb", "--json")

    newest, oldest = answer.json["runs"]
    assert (newest["changed"], newest["metrics"]) == ({"n": 4}, {"total": 60})
    assert newest["links"] == ["latest", "latest-chain"]
    assert (oldest["state"], oldest["steps"], oldest["links"]) == ("done", {"done": 2}, [])
    assert answer.json["damaged"] == {}
    assert [run["id"] for run in kale("runs", "--json", "-n", "1").json["runs"]] == [twice[1]]
    said = python(
        "from kale_pm.face import find_runs\n"
        "newest, oldest = find_runs('chain.ipynb')\n"
        "print(newest.id, find_runs()[1].id, oldest.diff(newest).metrics['total'].difference)\n"
    )
    assert said.out.split() == [twice[1], twice[0], "59"]


def test_runs_of_another_notebook_of_a_folder_and_of_too_many(twice, notebook, kale, tmp_path):
    notebook("other.ipynb", ("block:one", "x = 1"))
    empty = kale("runs", "other.ipynb")
    assert (empty.code, empty.err) == (0, "")
    assert empty.out == f"no runs in {tmp_path}/.kale-pm of other\n"

    assert kale("run", "other.ipynb").code == 0
    assert len(kale("runs", "other.ipynb", "--json").json["runs"]) == 1
    assert len(kale("runs", tmp_path, "--json", cwd=tmp_path.parent).json["runs"]) == 3
    assert len(kale("runs", "--dir", tmp_path, "--json", cwd=tmp_path.parent).json["runs"]) == 3
    assert kale("runs", "-n", "2").out.splitlines()[-1] == "… and 1 older: kale-pm runs -n 3"


def test_a_damaged_run_is_told_beside_the_others(twice, kale, tmp_path):
    path = tmp_path / ".kale-pm/runs" / twice[0] / "run.json"
    path.write_text("{")
    answer = kale("runs")

    assert answer.code == 0
    assert twice[1] in answer.out
    assert f"{path} is damaged" in answer.err
    assert "Traceback" not in answer.err
    assert list(kale("runs", "--json").json["damaged"]) == [twice[0]]


# -- diff -------------------------------------------------------------------------------------


def test_diff_shows_values_code_variables_and_times(twice, kale):
    answer = kale("diff", *twice)

    assert (answer.code, answer.err) == (0, "")
    assert "\nparameters\n  n  2 → 4  (+2)\n" in answer.out
    assert "\nmetrics\n  total  1 → 60  (+59)\n" in answer.out
    assert re.search(r"^make +✓ done [\d.]+ s +✓ done [\d.]+ s +another numbers$", answer.out, re.M)
    assert re.search(r"^add +✓ done [\d.]+ s +✓ done [\d.]+ s +cell 3$", answer.out, re.M)
    changed = (
        "add  cell 3\n  -total = sum(numbers)\n  +total = 10 * sum(numbers)\n   print(total)\n"
    )
    assert answer.out.endswith(changed)
    assert "@@ -1,2 +1,2 @@" in kale("diff", *twice, "-v").out


def test_diff_json(twice, kale):
    told = kale("diff", twice[0], "chain.ipynb", "--json").json

    assert told["differs"] is True
    assert told["metrics"]["total"] == {"before": 1, "after": 60, "difference": 59}
    assert [cell["after"] for cell in told["steps"]["add"]["cells"]] == [3]
    assert list(told["steps"]["make"]["variables"]) == ["numbers"]
    assert told["prelude"] == []


def test_runs_that_did_the_same_say_so(chain, kale, tmp_path):
    kale("run", "chain.ipynb")
    kale("run", "chain.ipynb", "--fresh")
    first = kale("runs", "--json").json["runs"][1]["id"]

    answer = kale("diff", tmp_path / ".kale-pm/runs" / first, "latest")
    assert answer.code == 0
    assert answer.out.splitlines()[-1].startswith("nothing differs: ")
    assert kale("diff", first, "latest", "--json").json["differs"] is False
    assert "the same run" in kale("diff", "latest", "chain.ipynb").out


# -- clean ------------------------------------------------------------------------------------


def test_clean_says_what_goes_and_the_kept_run_stays_cached(twice, kale, tmp_path):
    plan = kale("clean", "--keep", "1", "--dry-run")
    assert (plan.code, plan.err) == (0, "")
    assert f"would remove run {twice[0]}\n" in plan.out
    assert (tmp_path / ".kale-pm/runs" / twice[0]).exists()

    done = kale("clean", "--keep", "1")
    assert (done.code, done.err) == (0, "")
    assert f"removed run {twice[0]}\n" in done.out
    assert re.search(r"^removed 1 run, 2 stored results, 1 file of variables, .*: ", done.out, re.M)
    assert re.search(r"^1 run, .* stays$", done.out, re.M)
    assert done.out == plan.out.replace("would remove", "removed").replace("would stay", "stays")

    assert [run["id"] for run in kale("runs", "--json").json["runs"]] == [twice[1]]
    assert kale("vars", "latest", "--verify").code == 0
    again = kale("run", "chain.ipynb", "-p", "n=4")
    assert (again.code, again.started) == (0, [])
    assert kale("run", "chain.ipynb").started == ["add", "make"]


def test_clean_by_age_and_size_and_everything(twice, kale, tmp_path):
    assert kale("clean").out.startswith("nothing to remove\n")
    assert kale("clean", "--older-than", "1h", "--size", "1GB").out.startswith("nothing to remove")
    small = kale("clean", "--size", "1kB", "--json")
    assert small.json["runs"] == [twice[0]]
    assert small.json["dry_run"] is False
    too_small = kale("clean", "--size", "1kB")
    assert too_small.code == 0
    assert "more than 1kB: the newest run of each notebook stays" in too_small.out

    assert kale("clean", "--all").code == 0
    assert kale("runs").out == f"no runs in {tmp_path}/.kale-pm\n"
    assert not [*(tmp_path / ".kale-pm/packs").iterdir()]
    assert kale("run", "chain.ipynb").code == 0


def test_clean_while_a_run_goes_on(twice, notebook, start, kale, until, tmp_path):
    notebook(
        "slow.ipynb",
        ("block:slow", SLOW),
    )
    process = start("run", "slow.ipynb")
    until((tmp_path / "on").exists)

    answer = kale("clean", "--all")
    (tmp_path / "go").touch()
    _, err = process.communicate(timeout=60)

    assert answer.code == 0
    assert "goes on: stored results stay" in answer.out
    assert process.returncode == 0, err
    assert [run["pipeline"] for run in kale("runs", "--json").json["runs"]] == ["slow"]
    assert kale("run", "chain.ipynb", "-p", "n=4").started == []


# -- all of them ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["runs", "missing.ipynb"], 1, "there is no such file"),
        (["runs", "nothing"], 2, "there is no such notebook or folder"),
        (["runs", "-n", "0"], 2, "-n"),
        (["diff", "latest"], 2, "Missing argument"),
        (["diff", "latest", "nothing"], 1, "no run 'nothing'"),
        (["diff", "chain-", "latest"], 1, "may be any of 2 runs"),
        (["clean", "--older-than", "soon"], 2, "'soon' is no age"),
        (["clean", "--size", "big"], 2, "'big' is no size"),
        (["clean", "--keep", "-1"], 2, "--keep"),
    ],
)
def test_what_is_wrong_is_told(arguments, code, said, twice, kale):
    answer = kale(*arguments)

    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("command", ["runs", "clean"])
def test_where_nothing_ran_yet_that_is_told(command, kale):
    answer = kale(command)

    assert (answer.code, answer.out) == (1, "")
    assert "run a notebook first" in answer.err


def test_they_are_plain_where_they_are_piped_and_import_nothing_heavy(twice, kale, python):
    for arguments in (["runs"], ["diff", *twice], ["clean", "--keep", "1", "--dry-run"]):
        assert not CONTROL.search(kale(*arguments).out)
        answer = python(
            "import sys\n"
            "from kale_pm.cli import main\n"
            f"sys.argv = ['kale-pm', *{arguments!r}]\n"
            "try:\n"
            "    main()\n"
            "except SystemExit as end:\n"
            "    assert not end.code\n"
            "known = {'papermill', 'nbformat', 'nbconvert', 'numpy', 'jupyter_client'}\n"
            "print('heavy:', *known & set(sys.modules), file=sys.stderr)\n"
        )
        assert answer.err == "heavy:\n"
