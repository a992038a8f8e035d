"""Notebooks whose kernel is not kale-pm's own interpreter, or speaks another language."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

from kale_pm import Run
from kale_pm.errors import ParameterError
from kale_pm.local import RunOptions, explain_pipeline
from kale_pm.local.results.comparison import compare_runs
from kale_pm.local.results.debugging import write_debug_notebook

if TYPE_CHECKING:
    from conftest import Ran, Runner

NEEDED = ("cloudpickle", "dill", "xxhash")
CELLS = [
    ("block:a", "import sys\nrows = [1]\nprint(sys.executable)"),
    ("block:b prev:a", "rows.append(2)\nimport sys, kale_pm\nprint(rows, kale_pm.__file__)"),
    ("", "print([folder for folder in sys.path if folder])"),
]


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kernelspec of a kernel that is called ``other``; to be written."""
    folder = tmp_path / "jupyter" / "kernels" / "other"
    folder.mkdir(parents=True)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return folder / "kernel.json"


def describe(kernel: Path, *interpreter: object) -> None:
    argv = [*map(str, interpreter), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Other", "language": "python"}
    kernel.write_text(json.dumps(spec), encoding="utf-8")


def in_other(run: Runner) -> Runner:
    return run.with_metadata(
        kernelspec={"name": "other", "language": "python", "display_name": "Other"}
    )


def path_of(ran: Ran, step: str) -> list[str]:
    found: list[str] = json.loads(ran.printed(step).splitlines()[-1].replace("'", '"'))
    return found


def test_another_interpreter_gets_the_runtime_from_a_folder_that_holds_nothing_else(
    run: Runner, kernel: Path
) -> None:
    # Called in another way than our own, it may be any.
    describe(kernel, sys.executable, "-X", "utf8")
    other = in_other(run)
    ran = other(CELLS).raise_for_failures()

    (place,) = (run.store / "runtime").iterdir()
    assert ran.printed("b").startswith(f"[1, 2] {place / 'kale_pm' / '__init__.py'}\n")
    assert path_of(ran, "b")[0] == str(place)
    assert [entry.name for entry in place.iterdir()] == ["kale_pm"]
    assert {entry.name for entry in (place / "kale_pm").iterdir()} - {"__pycache__"} == {
        *("__init__.py", "errors.py", "events.py", "record.py", "strict_json.py", "user_frames.py"),
        "runtime",
    }
    assert other().states() == {"a": "cached", "b": "cached"}


def test_what_another_interpreter_lacks_is_told_with_what_adds_it(
    run: Runner, kernel: Path
) -> None:
    describe(kernel, sys.executable, "-I", "-S")  # without any package
    ran = in_other(run)(CELLS)
    assert ran.states() == {"a": "failed", "b": "skipped"}
    error = ran.error("a")
    assert f"the kernel 'Other' ({sys.executable} -I -S) lacks cloudpickle, dill" in error.evalue
    assert error.hint == f"{sys.executable} -I -S -m pip install {' '.join(NEEDED)}"


def test_so_is_one_that_is_too_old(run: Runner, kernel: Path, tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    told = json.dumps({"python": "3.8.18", "packages": {}, "missing": []})
    old.write_text(f"#!/bin/sh\necho '{told}'\n", encoding="utf-8")
    old.chmod(0o755)
    describe(kernel, old)
    error = in_other(run)(CELLS).error("a")
    assert "is Python 3.8.18, and steps need 3.11 or newer" in error.evalue
    assert "--kernel" in error.hint


@pytest.mark.slow
def test_an_environment_of_its_own_sees_its_packages_and_none_of_ours(
    run: Runner, kernel: Path, tmp_path: Path
) -> None:
    venv.create(tmp_path / "environment", with_pip=True)
    python = tmp_path / "environment" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "ipykernel", *NEEDED], check=True)
    describe(kernel, python)
    asks = (
        "import importlib.util\n"
        "print([name for name in ('rich', 'papermill', 'kfp') if importlib.util.find_spec(name)])"
    )
    ran = in_other(run)([*CELLS, ("block:c prev:b", f"{asks}\nimport no_such_package")])
    assert ran.printed("a") == f"{python}\n"
    (place,) = (run.store / "runtime").iterdir()
    assert path_of(ran, "b")[0] == str(place)
    base = Path(sys.base_prefix).resolve()
    assert all(
        Path(path) == place
        or Path(path).is_relative_to(tmp_path / "environment")
        or Path(path).resolve().is_relative_to(base)
        for path in path_of(ran, "b")
    )
    assert ran.printed("c") == "[]\n"
    assert ran.error("c").hint == (
        f"step c runs in {python}, which lacks it; to add it: "
        f"{python} -m pip install no_such_package"
    )


@pytest.fixture
def bash(run: Runner, kernel: Path) -> Runner:
    """Runs notebooks of bash."""
    folder = kernel.parent.parent / "bash"
    folder.mkdir()
    argv = [sys.executable, "-m", "bash_kernel", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Bash", "language": "bash"}
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    return run.with_metadata(
        kernelspec={"name": "bash", "display_name": "Bash", "language": "bash"},
        language_info={"name": "bash"},
    )


CHAIN = [
    ("functions", "shout() { tr a-z A-Z; }"),
    ("block:make", "echo hello >made.txt"),
    ("block:loud prev:make", "shout <made.txt >loud.txt"),
    ("block:show prev:loud", "cat loud.txt\necho path:$PYTHONPATH"),
]


def test_steps_of_another_language_hand_over_files(bash: Runner) -> None:
    first = bash(CHAIN).raise_for_failures()
    assert first.printed("show").split() == ["HELLO", "path:"]
    assert first.warnings == []
    metadata = first.notebook("show").metadata
    assert (metadata.kernelspec.name, metadata.language_info.name) == ("bash", "bash")
    assert [cell.source for cell in first.notebook("show").cells] == [CHAIN[0][1], CHAIN[3][1]]

    assert set(bash().states().values()) == {"cached"}

    bash.write_cells([*CHAIN[:2], ("block:loud prev:make", f"{CHAIN[2][1]} # again"), CHAIN[3]])
    explained = explain_pipeline(bash.pipeline(), RunOptions())
    assert [found.runs for found in explained.values()] == [False, True, None]
    again = bash().raise_for_failures()
    assert again.executed == ["loud", "show"]
    assert (again.why("loud"), again.why("show")) == ("cell 3 changed", "loud ran again")

    told = compare_runs(first.record, first.folder, again.record, again.folder)
    assert [step.name for step in told.steps if step.differs] == ["loud"]
    assert told.notes == ()
    page = Run(again.record, again.folder).write_report().read_text(encoding="utf-8")
    assert "HELLO" in page
    assert Run(again.record, again.folder).variables == {}


@pytest.mark.slow
def test_a_step_that_ran_again_runs_what_follows_it_again(bash: Runner) -> None:
    cells = [("block:a cache:disabled", "date >now.txt"), ("block:b prev:a", "cat now.txt")]
    bash(cells).raise_for_failures()
    again = bash().raise_for_failures()
    assert again.why("a") == "its cache is disabled"
    assert again.why("b") == "a ran again"


@pytest.mark.slow
def test_values_are_injected_and_a_file_that_a_cell_names_is_watched(bash: Runner) -> None:
    bash.write("rows.txt", "one\ntwo\nthree\n")
    cells = [("parameters", "n=1\nname='a b'"), ("block:a", 'head -n $n rows.txt; echo "$name"')]
    assert bash(cells).printed("a").splitlines() == ["one", "a b"]
    given = bash(None, n="2", name="it's $HOME").raise_for_failures()
    assert given.printed("a").splitlines() == ["one", "two", "it's $HOME"]
    assert given.why("a").startswith("parameter n changed: '1' -> '2', parameter name changed")
    assert bash(None, n="2", name="it's $HOME").executed == []

    bash.write("rows.txt", "other\n")
    assert bash().why("a") == "rows.txt changed"
    with pytest.raises(ParameterError, match="no such parameter"):
        bash(None, m="2")


@pytest.mark.slow
def test_a_cell_that_fails_is_told_as_the_shell_does_and_can_be_debugged(bash: Runner) -> None:
    cells = [
        ("block:a", "echo fine"),
        ("block:b prev:a", "echo begins"),
        ("", "cat nowhere.txt"),
        ("", "echo never"),
        ("block:c prev:b", "echo after"),
    ]
    ran = bash(cells)
    assert ran.states() == {"a": "done", "b": "failed", "c": "skipped"}
    error = ran.error("b")
    assert (error.cell, error.source) == (3, "cat nowhere.txt")
    assert error.message == "cat: nowhere.txt: No such file or directory (exit code 1)"
    assert ran.printed("b").startswith("begins\n")

    notebook = nbformat.read(write_debug_notebook(ran.record, ran.folder, "b"), as_version=4)
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert sources == ["echo begins", "cat nowhere.txt"]
    assert notebook.metadata.kernelspec.name == "bash"

    bash.write("nowhere.txt", "here\n")
    assert bash().executed == ["b", "c"]


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}, "ir"),
        ({"kernelspec": {"name": "ir"}, "language_info": {"name": "R"}}, "ir"),
        ({"language_info": {"name": "julia"}}, "julia"),
    ],
)
def test_no_kernel_of_python_takes_the_place_of_one_that_is_missing(
    metadata: dict[str, dict[str, str]], name: str, run: Runner, kernel: Path
) -> None:
    ran = run.with_metadata(**metadata)([("block:a", "x <- 1"), ("block:b", "y <- 2")])
    assert ran.states() == {"a": "failed", "b": "skipped"}
    assert ran.error("a").evalue == f"no kernel '{name}' on this machine"
    advice, listing = ran.error("a").hint.split("\n")
    assert advice == "install it, or choose another one: --kernel NAME"
    assert listing.startswith("kernels of this machine: ")
    assert "python3" in listing


def test_nor_one_that_is_chosen(bash: Runner) -> None:
    error = bash.with_options(kernel="python3")([("block:a", "echo hello")]).error("a")
    assert "runs Python, and the notebook is written in bash" in error.evalue


def test_check_tells_of_it_for_people_and_for_programs(bash: Runner) -> None:
    bash.write_cells([("block:a", "echo hello"), ("block:b", "echo you")])

    def check(*options: str) -> str:
        command = [sys.executable, "-m", "kale_pm.cli", "check", str(bash.path), *options]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    plain = " ".join(check().split())
    assert "note not-analysed cells of bash are not analysed" in plain
    assert "b after a (implied)" in plain
    told = json.loads(check("--json"))
    assert (told["implied_edges"], told["error"]) == ([["a", "b"]], None)
    assert [problem["code"] for problem in told["problems"]] == ["not-analysed"]


def test_steps_in_a_shell_are_ordered_by_their_tags_and_watch_the_files_they_name(
    run: Runner,
) -> None:
    cells = [
        ("parameters", "n = 3"),
        ("block:a", "%%bash -s {n}\necho hello $1 >a.txt"),
        ("block:b prev:a", "%%bash\ntr a-z A-Z <a.txt | tee b.txt"),
        ("block:c prev:b", "!cat b.txt"),
    ]
    first = run(cells).raise_for_failures()
    assert first.printed("b").split() == first.printed("c").split() == ["HELLO", "3"]
    assert first.warnings == []
    assert set(run().states().values()) == {"cached"}

    assert run(None, n=4).printed("c").split() == ["HELLO", "4"]
    run.write("b.txt", "by hand\n")
    assert run(None, n=4).executed == ["b"]
    assert (run.folder / "b.txt").read_text() == "HELLO 4\n"


def test_a_shell_that_fails_ends_its_step(run: Runner) -> None:
    ran = run([("block:a", "%%bash\necho oops\nexit 3"), ("", "print('never')")])
    error = ran.error("a")
    assert (error.ename, error.cell) == ("CalledProcessError", 1)
    assert "exit status 3" in error.evalue
    assert ran.printed("a") == "oops\n"
