"""What happens in a pod, as far as kfp.local's SubprocessRunner shows it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kale_pm import Pipeline
from kale_pm.kfp.parameters import encode
from kale_pm.kfp.server.framed import read_told

Make = Callable[..., Pipeline]
Run = Callable[..., tuple[Path, str]]

VALUES = {
    "flag": True, "largest": 2**53, "beyond": 2**53 + 1, "rate": 1e-7, "layers": [1, 2.0, None],
    "table": {"a": {"b": [1]}}, "nothing": None, "text": "a 'b' \"c\"\n{{$.x}} ü",
    "json": "json:[1]",
    "endless": math.inf, "least": -math.inf, "no_number": math.inf, "mixed": [math.inf, 1],
    "state": "s", "metrics": 4, "_hidden": 5,
}  # fmt: skip


def test_every_kind_of_parameter_arrives_as_it_would_here(
    pipeline: Make, run_under_kfp: Run
) -> None:
    # There is no literal for infinity but a number that is too large.
    source = "\n".join(f"{n} = {value!r}".replace("inf", "1e999") for n, value in VALUES.items())
    seen = f"seen = {{name: globals()[name] for name in {list(VALUES)!r}}}\nprint(repr(seen))"
    use = "".join(f"{name}\n" for name in VALUES)
    made = pipeline([("parameters", source), ("step:look", use + seen)])
    # What KFP would expand or change must be given as the compiler writes defaults.
    values = {"text": "{{$}}\n'\"", "layers": [3], "largest": 7, "no_number": math.nan}
    by_name = {parameter.name: parameter for parameter in made.parameters}
    given = {name: encode(value, by_name[name]) for name, value in values.items()}
    folder, _ = run_under_kfp(made, **given)
    notebook = folder / "step-look" / "notebook" / "look.ipynb"
    assert printed(notebook) == repr({**VALUES, **values})


def test_what_each_step_leaves(pipeline: Make, run_under_kfp: Run) -> None:
    made = pipeline(
        [
            ("step:first report:disabled", "score = 0.5\nword = 'x'"),
            ("step:second prev:first", "print(score)"),
            ("metrics", "score\nword"),
        ]
    )
    folder, log = run_under_kfp(made)
    second = folder / "step-second"
    assert "<html" in (second / "html").read_text()
    assert printed(second / "notebook" / "second.ipynb") == "0.5"
    context = json.loads((second / "context").read_text())
    assert context["variables"] == {}
    assert context["versions"]["score"]["step"] == "first"
    executor = json.loads((folder / "step-first" / "executor_output.json").read_text())
    (artifact,) = executor["artifacts"]["metrics"]["artifacts"]
    assert artifact["metadata"]["score"] == 0.5
    assert len((folder / "step-first" / "html").read_text()) < 2000
    assert "0.5" in log


def test_local_modules_and_named_files_travel(pipeline: Make, run_under_kfp: Run) -> None:
    made = pipeline(
        [
            ("imports", "from helper import double"),
            ("step:a", "print(double(int(open('data/number.txt').read())))"),
        ],
        files=["data/*.txt"],
    )
    (made.folder / "helper.py").write_text(
        "from deeper import two\ndef double(x): return two * x\n"
    )
    (made.folder / "deeper.py").write_text("two = 2\n")
    (made.folder / "data").mkdir()
    (made.folder / "data" / "number.txt").write_text("21")
    folder, _ = run_under_kfp(made)
    assert printed(folder / "step-a" / "notebook" / "a.ipynb") == "42"


def test_a_variable_that_cannot_be_stored_is_told_with_its_cell_and_who_needs_it(
    pipeline: Make, run_under_kfp: Run
) -> None:
    made = pipeline(
        [
            ("imports", "import sqlite3"),
            ("step:make", "store = {}"),
            ("", "store['db'] = sqlite3.connect(':memory:')"),
            ("step:use prev:make", "store"),
        ]
    )
    _, log = run_under_kfp(made, check=False)
    assert "step make failed in cell 3 of the notebook, line 1: cannot save store['db']" in log
    assert "a connection belongs to a process" in log
    assert "(needed by step use)" in log
    assert "▸ 1 │ store['db'] = sqlite3.connect(':memory:')" in log


def test_a_failing_step_leaves_its_notebook_in_the_log(pipeline: Make, run_under_kfp: Run) -> None:
    made = pipeline(
        [("step:a", "print('before')"), ("step:b prev:a", "x = 1\nraise ValueError('boom')")]
    )
    _, log = run_under_kfp(made, check=False)
    assert "ValueError: boom" in log
    assert "cell 2" in log
    cells = framed_notebook(log, "b")["cells"]
    assert any(
        output["output_type"] == "error" for cell in cells for output in cell.get("outputs", ())
    )


def test_secrets_are_in_nothing_that_a_step_leaves(
    pipeline: Make, run_under_kfp: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2-and-more")
    use = "import os\npassword = os.environ['DB_PASSWORD']\n"
    show = "print(password)\nos.system('echo $DB_PASSWORD')\nrows = 1\nmask = password\n"
    made = pipeline(
        [
            ("step:first secret:db:password:DB_PASSWORD", f"{use}{show}"),
            (
                "step:second prev:first secret:db:password:DB_PASSWORD",
                f"rows\n{use}assert 0, password",
            ),
            ("metrics", "rows\nmask"),
        ]
    )
    folder, log = run_under_kfp(made, check=False)
    assert "•••" in log
    assert "AssertionError: •••" in log
    assert "hunter2" not in log
    told = read_told(log.splitlines())
    assert told["first", 1].outputs is not None
    assert told["first", 1].outputs["metrics"] == {"rows": 1, "mask": "•••"}
    assert "hunter2" not in json.dumps([vars(each) for each in told.values()])
    for task in ("step-first", "step-second"):
        written = [path for path in (folder / task).rglob("*") if path.is_file()]
        assert len(written) >= 2
        assert not [path for path in written if b"hunter2" in path.read_bytes()]


def test_a_step_that_succeeded_tells_where_its_outputs_and_inputs_lie(
    pipeline: Make, run_under_kfp: Run
) -> None:
    made = pipeline([("step:a", "x = 1"), ("step:b prev:a", "x\nloss = float('inf')")])
    folder, log = run_under_kfp(made)
    outputs = read_told(log.splitlines())["b", 1].outputs
    assert outputs is not None
    names = ("notebook", "html", "metrics", "state", "context")
    assert outputs["outputs"] == {name: str(folder / "step-b" / name) for name in names}
    assert outputs["inputs"] == {"state_a": str(folder / "step-a" / "state")}
    assert outputs["seconds"] > 0


HIDDEN = """\
class Holder:
    it = None

def hide(x):
    holder = Holder()
    vars(holder).update(it=x)
    return holder

def grow(holder):
    holder.it.append(1)
"""


def test_a_change_that_the_code_does_not_show_is_refused_with_the_line_that_shows_it(
    pipeline: Make, run_under_kfp: Run
) -> None:
    """On this machine the parents' variables lie at hand; a pod would have to fetch them all."""
    made = pipeline(
        [
            ("functions", HIDDEN),
            ("step:a", "rows = []\nbox = hide(rows)"),
            ("step:b prev:a", "grow(box)"),
            ("step:c prev:b", "print(rows)"),
        ]
    )
    _, log = run_under_kfp(made, check=False)
    assert "LoadError: step c needs 'rows' as step b left it" in log
    assert "write rows = rows as the last line of b" in log


def framed_notebook(log: str, step: str) -> dict[str, Any]:
    told = read_told(log.splitlines())[step, 1]
    assert told.damage == ()
    assert told.notebook is not None
    return dict(told.notebook)


def printed(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    texts = [
        "".join(output["text"])
        for cell in cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "stream"
    ]
    return "".join(texts).strip()
