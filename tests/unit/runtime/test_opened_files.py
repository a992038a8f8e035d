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


def audit(
    folder: Path, code: str, before: str = "", **environment: object
) -> tuple[list[str], list[str], list[str]]:
    """What ``code`` read, wrote and imported, watched in ``folder``, which it works in."""
    script = f"{HEAD}{before}\nopened.watch(Path('.'))\nsys.path.insert(0, '')\n{code}{TAIL}"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={
            "PYTHONPATH": str(Path(kale_pm.__file__).parent.parent),
            # The folders of the tests lie among the temporary files themselves.
            "TMPDIR": str(folder.parent / "temporary"),
            "HOME": str(folder.parent / "home"),
            **{name: str(value) for name, value in environment.items()},
        },
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
    for name in ("outside.txt", "data/b.csv", "temporary/t.txt", "home/.cache/c", "hub/d.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
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


@pytest.mark.parametrize(
    "code",
    [
        "open('../data/b.csv').read()",
        "(Path('..') / 'data' / 'b.csv').read_text()",
        "open(os.path.realpath('../data/b.csv'), 'rb').close()",
        "os.close(os.open('../data/b.csv', os.O_RDONLY))",
        "os.chdir('../data'); open('b.csv').close()",
        "os.symlink('../data', 'link'); open('link/b.csv').close()",
    ],
)
def test_a_file_read_elsewhere_is_listed_by_its_absolute_path(folder: Path, code: str) -> None:
    assert audit(folder, code)[:2] == ([str(folder.parent / "data" / "b.csv")], [])


@pytest.mark.parametrize(
    "code",
    [
        "open('../data/b.csv', 'r+').close()",
        "open('../data/b.csv', 'a').close(); open('../data/b.csv').close()",
        "import sqlite3; os.truncate('../data/b.csv', 0); sqlite3.connect('../data/b.csv').close()",
    ],
)
def test_a_file_elsewhere_that_is_read_and_written_is_in_both_lists(
    folder: Path, code: str
) -> None:
    data = str(folder.parent / "data" / "b.csv")
    assert audit(folder, code)[:2] == ([data], [data])


@pytest.mark.parametrize(
    "code",
    [
        "open('../new.txt', 'w').close()",
        "os.listdir('../data')",
        "try:\n    open('../missing')\nexcept OSError:\n    pass",
        "os.close(os.open(os.devnull, os.O_RDONLY))",
    ],
    ids=["written", "listed", "missing", "no regular file"],
)
def test_elsewhere_only_regular_files_that_are_read_count(folder: Path, code: str) -> None:
    assert audit(folder, code)[:2] == ([], [])


@pytest.mark.parametrize(
    "path",
    [
        "'.git/config'",
        "'.kale-pm/run.json'",
        "os.path.expanduser('~/.cache/c')",
        "os.path.join(__import__('tempfile').gettempdir(), 't.txt')",
        "'/etc/hosts'",
        "'/proc/self/status'",
        "json.__file__",
        "opened.__file__",
        "__import__('packaging').__file__",
        "'../hub/d.bin'",
    ],
)
def test_what_is_hidden_or_belongs_to_the_machine_is_not_listed(folder: Path, path: str) -> None:
    places = {"IPYTHONDIR": folder.parent / "hub"}
    assert audit(folder, f"open({path}, 'rb').close()", **places)[:2] == ([], [])


def test_the_store_of_kale_pm_is_not_listed_wherever_it_lies(folder: Path) -> None:
    for name in ("store/packs/x.pack", "store/runs/1/manifests/a.json"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("x")
    code = "open('store/packs/x.pack').close(); open('store/runs/1/manifests/a.json').close()"
    places = {
        "KALE_PM_PACKS": folder / "store/packs",
        "KALE_PM_OUTPUT": folder / "store/runs/1/manifests/b.json",
    }
    assert audit(folder, code, **places)[:2] == ([], [])


def test_an_interpreter_around_the_notebook_hides_nothing(folder: Path) -> None:
    prefix = f"sys.prefix = {str(folder.parent)!r}"
    assert audit(folder, "open('b.txt').close()", prefix)[0] == ["b.txt"]


def test_a_second_run_of_the_step_forgets_what_the_first_one_opened(folder: Path) -> None:
    code = (
        "open('b.txt').close()\nopened.begin()\n"
        "open('data/a.csv').close(); open('first', 'w').close()\nopened.begin()\n"
        "open('../outside.txt').close()"
    )
    assert audit(folder, code)[:2] == ([str(folder.parent / "outside.txt"), "b.txt"], [])


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


@pytest.mark.parametrize(
    "code",
    [
        "os.symlink('lib', 'short'); sys.path.insert(0, 'short'); import own",
        "os.symlink('lib/own.py', 'other.py'); import other",
    ],
)
def test_a_module_is_named_by_the_file_that_links_lead_to(folder: Path, code: str) -> None:
    source = folder / "lib/own.py"
    source.parent.mkdir()
    source.touch()
    assert audit(folder, code)[2] == [str(source.resolve())]
