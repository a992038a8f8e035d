"""``run --explain`` says what a run then does, and a run says why in the same words."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kale_pm.errors import PipelineError, UsageError
from kale_pm.local import Explanation, RunOptions, explain_pipeline
from kale_pm.local.cache import basis
from kale_pm.local.kernels.environment import Environment, environment_of

if TYPE_CHECKING:
    from conftest import Cells, Runner

# One process has them all, so that what they begin with is made once.
pytestmark = pytest.mark.xdist_group("explain")

CELLS = [
    ("imports", "import math, os"),
    ("parameters", "n = 3\nscale = 2.0\nname = 'a'"),
    ("functions", "def clean(x):\n    return 2 * x\n\ndef shown(x):\n    return f'<{x}>'"),
    ("functions", "class Point:\n    x = 1"),
    ("block:make", "rows = [clean(x) for x in range(n)]"),
    ("block:make", "print(len(rows))"),
    ("block:top prev:make", "top = max(rows) // 100\nPoint()"),
    ("block:scaled prev:make", "big = [scale * r for r in rows]"),
    ("block:report prev:top prev:scaled", "print(shown(top), len(big))"),
    ("block:lonely", "print(open('data.csv').read())"),
]


def replaced(old: str, new: str) -> list[tuple[str, str]]:
    assert any(old in source for _, source in CELLS)
    return [(tags, source.replace(old, new)) for tags, source in CELLS]


def explained(run: Runner, **options: Any) -> dict[str, Explanation]:
    return explain_pipeline(run.pipeline(), RunOptions(**options))


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    found = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_size) for p in found}


@pytest.fixture(scope="module")
def finished(run_once: Runner) -> Path:
    run_once.write("data.csv", "1")
    run_once(CELLS).raise_for_failures()
    return run_once.folder


@pytest.fixture
def done(finished: Path, run: Runner) -> Runner:
    shutil.copytree(finished, run.folder, symlinks=True, dirs_exist_ok=True)
    return run


def agree(run: Runner, **options: Any) -> dict[str, str]:
    """Explain, run, and compare; the explanations of the steps that are not simply unchanged."""
    before = everything(run.folder)
    said = explained(run, **options)
    assert everything(run.folder) == before, "explaining writes nothing"
    parameters = options.pop("parameters", {})
    ran = run.with_options(**options)(None, **parameters).raise_for_failures()
    assert said.keys() == ran.record.steps.keys()
    for name, explanation in said.items():
        if explanation.runs is True:
            assert name in ran.executed
            assert ran.why(name).startswith(explanation.why), "the same words"
        elif explanation.runs is False:
            assert name not in ran.executed
    return {name: str(each) for name, each in said.items() if each.runs is not False}


@pytest.mark.usefixtures("tmp_path")
def test_before_the_first_run_nothing_has_a_result(run: Runner) -> None:
    run.write_cells(CELLS)
    said = explained(run)
    assert {str(each) for each in said.values()} == {"will run: it has no result yet"}
    assert not run.store.exists()


def test_after_it_nothing_would_run(done: Runner) -> None:
    run_id = next((done.store / "runs").glob("notebook-*")).name
    assert agree(done) == {}
    assert str(explained(done)["make"]) == f"will not run: unchanged since {run_id}"


MAKE_RUNS = "make will run, and this step if that gives it anything else than before"
REPORT_MAY = "scaled may run, and this step if that gives it anything else than before"
BELOW_MAKE = {
    "top": f"may run: {MAKE_RUNS}",
    "scaled": f"may run: {MAKE_RUNS}",
    "report": f"may run: {REPORT_MAY}",
}
SCALED_RUNS = "scaled will run, and this step if that gives it anything else than before"
EDITS = [
    (("print(len(rows))", "print(len(rows), 1)"), {"make": "cell 6 changed", **BELOW_MAKE}),
    (("2 * x", "3 * x"), {"make": "the function clean changed", **BELOW_MAKE}),
    (("<{x}>", "[{x}]"), {"report": "the function shown changed"}),
    (("scale * r", "scale + r"), {"scaled": "cell 8 changed", "report": f"may run: {SCALED_RUNS}"}),
    (("print(open(", "import string\nprint(open("), {"lonely": "cell 10 changed"}),
]


@pytest.mark.parametrize(("edit", "said"), EDITS)
def test_code_that_changed(done: Runner, edit: tuple[str, str], said: dict[str, str]) -> None:
    done.write_cells(replaced(*edit))
    assert agree(done) == {
        name: text if text.startswith("may run") else f"will run: {text}"
        for name, text in said.items()
    }


def test_a_class_that_changed(done: Runner) -> None:
    done.write_cells(replaced("x = 1", "x = 2"))
    found = agree(done)
    assert found["top"] == "will run: the class Point changed"
    assert "make" not in found


def test_a_cell_that_is_new_or_gone(done: Runner) -> None:
    done.write_cells([*CELLS[:5], *CELLS[6:]])
    assert agree(done)["make"] == "will run: a cell was removed"
    done.write_cells(CELLS)
    assert "make" not in agree(done), "that was done before"


def test_the_prelude_that_changed(done: Runner) -> None:
    done.write_cells(replaced("import math, os", "import math, os\nLIMIT = 3"))
    found = agree(done)
    assert found["lonely"] == "will run: the prelude changed (cell 1)"
    assert found["report"] == "will run: the prelude changed (cell 1)"


def test_a_parameter_that_changed(done: Runner) -> None:
    assert agree(done, parameters={"scale": 4.0}) == {
        "scaled": "will run: parameter scale changed: 2.0 -> 4.0",
        "report": f"may run: {SCALED_RUNS}",
    }


def test_a_parameter_of_two_steps_of_one_chain(done: Runner) -> None:
    done.write_cells(replaced("len(big))", "len(big), scale)"))
    done()
    found = agree(done, parameters={"scale": 5.0})
    assert found["report"] == "will run: parameter scale changed: 2.0 -> 5.0"
    # Going back nothing runs, though the newest result is another one.
    assert agree(done, parameters={"scale": 2.0}) == {}


def test_a_file_that_changed(done: Runner) -> None:
    done.write("data.csv", "22")
    assert agree(done) == {"lonely": "will run: data.csv changed"}


def test_options_that_changed(done: Runner) -> None:
    done.write_cells([(t.replace("lonely", "lonely timeout:99"), s) for t, s in CELLS])
    assert agree(done) == {"lonely": "will run: the option timeout changed"}


def test_a_package_that_changed(done: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    done.write_cells(replaced("print(open(", "import numpy\nprint(open("))
    done().raise_for_failures()

    def newer(*arguments: Any) -> Environment:
        found = environment_of(*arguments)
        return replace(found, packages={**found.packages, "numpy": "99.1"})

    monkeypatch.setattr(basis, "environment_of", newer)
    import numpy

    assert agree(done) == {"lonely": f"will run: numpy {numpy.__version__} -> 99.1"}


def test_the_environment_that_changed(done: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    done.write_cells(replaced("print(open(", "os.environ.get('LAW_MODE')\nprint(open("))
    done().raise_for_failures()
    monkeypatch.setenv("LAW_MODE", "new")
    said = {"lonely": "will run: the environment variable LAW_MODE changed"}
    assert agree(done) == said


def test_several_reasons_are_told_at_once(done: Runner) -> None:
    done.write_cells(replaced("scale * r", "scale + r"))
    found = explained(done, parameters={"scale": 3.0})
    assert found["scaled"].why == "cell 8 changed, parameter scale changed: 2.0 -> 3.0"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fresh": True}, dict.fromkeys(("make", "top", "lonely"), "asked for by --fresh")),
        (
            {"start": "scaled"},
            {"scaled": "asked for by --from", "report": "follows scaled, asked for by --from"},
        ),
        ({"only": "scaled"}, {"scaled": "asked for by --only"}),
    ],
)
def test_what_is_asked_for(done: Runner, options: dict[str, Any], said: dict[str, str]) -> None:
    found = agree(done, **options)
    assert found | {name: f"will run: {why}" for name, why in said.items()} == found
    if "only" in options:
        assert found.keys() == {"scaled"}


def test_a_disabled_cache(done: Runner) -> None:
    done.write_cells([(t.replace("lonely", "lonely cache:disabled"), s) for t, s in CELLS])
    assert agree(done) == {"lonely": "will run: its cache is disabled"}


def test_stored_things_that_are_gone(done: Runner) -> None:
    for path in (done.store / "packs").iterdir():
        path.write_bytes(b"damaged")
        os.utime(path, (1, 1))
    kept = sorted((done.store / "packs").iterdir())
    assert explained(done)["make"].why == "its stored variables are gone or damaged"
    assert sorted((done.store / "packs").iterdir()) == kept, "explaining deletes nothing"
    for path in (done.store / "cache").iterdir():
        path.unlink()
    assert agree(done)["make"] == "will run: its result was not kept, or is gone"


def test_equal_values_from_above_are_the_may_of_an_explanation(done: Runner) -> None:
    cells: Cells = [*replaced("clean(x) for", "0 * x + clean(x) for")]
    done.write_cells(cells)
    assert explained(done)["top"].runs is None
    assert done().executed == ["make"]


def test_wrong_usage_is_told(run: Runner) -> None:
    run.write_cells([("block:a", "print(1)")])
    with pytest.raises(UsageError, match="no step 'b'"):
        explained(run, only="b")
    with pytest.raises(UsageError, match="no kernel 'nobody'"):
        explained(run, kernel="nobody")
    run.write_cells([("block:a prev:b", "print(1)")])
    with pytest.raises(PipelineError):
        explained(run)


def test_the_python_face_says_it_too(done: Runner) -> None:
    from kale_pm import load

    found = load(done.path).explain(scale=3.0)
    assert found["scaled"] == "will run: parameter scale changed: 2.0 -> 3.0"
    assert found["make"].startswith("will not run: unchanged since notebook-")


def command(run: Runner, *words: str) -> str:
    line = [sys.executable, "-m", "kale_pm", "run", str(run.path), "--explain", *words]
    done = subprocess.run(line, capture_output=True, encoding="utf-8", check=True)
    assert done.stderr == ""
    return done.stdout


def test_the_command_says_it_for_people_and_for_programs(done: Runner) -> None:
    lines = command(done, "-p", "scale=3.0").splitlines()
    assert [line.split() for line in lines if line.startswith("scaled")] == [
        ["scaled", "will", "run", "parameter", "scale", "changed:", "2.0", "->", "3.0"]
    ]
    assert lines[-1] == "1 will run, 3 will not run, 1 may run"
    content = json.loads(command(done, "-p", "scale=3.0", "--json"))
    assert content["steps"]["scaled"] == {
        "runs": True,
        "why": "parameter scale changed: 2.0 -> 3.0",
    }
    assert content["steps"]["report"]["runs"] is None
    assert content["steps"]["make"]["runs"] is False
