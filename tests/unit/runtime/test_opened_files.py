"""The audit of opened files, each time in a process of its own: a hook cannot be taken away."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import kale_pm

HEAD = """\
import json, os, sys
from pathlib import Path
from kale_pm.runtime import opened_files as opened
"""
TAIL = "\nprint(json.dumps([opened.read_files(), opened.written_files(), opened.local_modules()]))"


def audit(folder: Path, code: str) -> tuple[list[str], list[str], list[str]]:
    """What ``code`` read, wrote and imported, watched in ``folder``, which it works in."""
    script = f"{HEAD}opened.watch(Path('.'))\nsys.path.insert(0, '')\n{code}{TAIL}"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={"PYTHONPATH": str(Path(kale_pm.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read, written, modules = json.loads(done.stdout.splitlines()[-1])
    return read, written, modules


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inner = tmp_path / "project"
    for name in ("data/a.csv", "b.txt", ".git/config", ".kale-pm/run.json", "__pycache__/x.pyc"):
        (inner / name).parent.mkdir(parents=True, exist_ok=True)
        (inner / name).write_text("x")
    (tmp_path / "outside.txt").write_text("x")
    return inner


@pytest.mark.parametrize(
    "code",
    [
        "open('data/a.csv').read()",
        "Path('data/a.csv').read_bytes()",
        "os.close(os.open('data/a.csv', os.O_RDONLY))",
        "os.chdir('data'); open('a.csv').close()",
        "open(os.path.abspath('data/a.csv'), 'rb').close()",
        "os.symlink('data/a.csv', 'link'); open('link').close()",
    ],
)
def test_every_way_to_read_is_noticed(folder: Path, code: str) -> None:
    assert audit(folder, code)[:2] == (["data/a.csv"], [])


@pytest.mark.parametrize(
    "code",
    [
        "open('new', 'w').close()",
        "open('new', 'ab').close()",
        "open('new', 'x').close()",
        "Path('new').write_text('')",
        "os.close(os.open('new', os.O_WRONLY | os.O_CREAT))",
        "import sqlite3; sqlite3.connect('new').close()",
    ],
)
def test_every_way_to_write_is_noticed(folder: Path, code: str) -> None:
    assert audit(folder, code)[:2] == ([], ["new"])


def test_what_lies_outside_or_hidden_is_not_listed(folder: Path) -> None:
    code = "for n in ('../outside.txt', '.git/config', '.kale-pm/run.json'): open(n).close()"
    assert audit(folder, code)[:2] == ([], [])


@pytest.mark.parametrize(
    "code", ["os.listdir('data')", "list(Path('data').iterdir())", "list(os.scandir('data'))"]
)
def test_a_listed_folder_is_read(folder: Path, code: str) -> None:
    assert audit(folder, code)[0] == ["data"]


def test_an_import_is_no_listing_of_the_folder_but_its_source_is_a_module(folder: Path) -> None:
    (folder / "helper.py").write_text("import deeper")
    (folder / "deeper.py").write_text("")
    read, written, modules = audit(folder, "import helper, wave")
    assert "." not in read
    assert written == []
    assert modules == [str(folder / "deeper.py"), str(folder / "helper.py")]


def test_a_failed_open_is_a_dependency_too(folder: Path) -> None:
    code = "try:\n    open('missing')\nexcept OSError:\n    pass"
    assert audit(folder, code)[0] == ["missing"]


def test_odd_arguments_are_no_trouble(folder: Path) -> None:
    code = "import tempfile\nopen(os.dup(0)).close()\ntempfile.TemporaryFile().close()"
    assert audit(folder, code)[:2] == ([], [])
