"""Notebooks whose kernel is not kale-pm's own interpreter, or speaks another language."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kale_pm.errors import NotebookError

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
        *("__init__.py", "errors.py", "events.py", "record.py", "strict_json.py", "runtime")
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


@pytest.mark.parametrize(
    ("language", "magic"), [("bash", "%%bash"), ("R", "%%R"), ("julia", "a cell magic")]
)
def test_a_language_that_cannot_be_analysed_is_refused_with_another_way(
    language: str, magic: str, run: Runner
) -> None:
    other = run.with_metadata(kernelspec={"name": language.lower(), "language": language})
    with pytest.raises(NotebookError, match=f"notebook of {language.lower()}") as caught:
        other([("block:a", "echo hello")])
    assert magic in caught.value.hint
    assert not run.store.exists()


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
