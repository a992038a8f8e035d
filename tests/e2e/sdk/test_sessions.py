"""Pipelines that are defined in a session of IPython, cell by cell."""

from __future__ import annotations

from pathlib import Path

SESSION = """
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
for cell in [
    "from kale_pm.sdk import metric, pipeline, step\\nimport math",
    "LIMIT = 3",
    "def helper(x):\\n    return math.floor(x) + LIMIT",
    "@step\\ndef load(n):\\n    numbers = [helper(i) for i in range(n)]\\n    return numbers",
    "@step\\ndef add(numbers):\\n    metric('total', sum(numbers))",
    "this is no Python",
    "%time LIMIT = 4",
    "LIMIT = 5",
    "@pipeline\\ndef small(n: int = 3):\\n    add(load(n))",
    "run = small(n=2)",
]:
    shell.run_cell(cell, store_history=True)
names = shell.user_ns
print(dict(names["run"].metrics))
print("<svg" in names["small"]._repr_html_(), "2 done" in names["run"]._repr_html_() or
      names["run"]._repr_html_().count("done") >= 3)
print(names["load"](2))
"""


def test_a_session_defines_and_runs_pipelines(python, tmp_path):
    done = python(SESSION)
    assert done.code == 0, done.err
    assert done.out.splitlines()[-3:] == ["{'total': 11}", "True True", "[5, 6]"]
    assert Path(tmp_path / ".kale-pm" / "runs").is_dir()


ERRORS_IN_A_SESSION = """
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.run_line_magic("colors", "NoColor")
for cell in [
    "from kale_pm.sdk import pipeline, step",
    "@step\\ndef load(n):\\n    return n",
    "@pipeline\\ndef hasty(n: int = 3):\\n    if load(n):\\n        load(n)",
    "hasty()",
    "@pipeline\\ndef wrong(n: int = 3):\\n    load(1 / 0)",
    "wrong()",
]:
    shell.run_cell(cell, store_history=True)
import sys
print("by", sys.excepthook.__module__)
"""


def test_a_session_shows_errors_with_the_lines_of_its_cells(python):
    done = python(ERRORS_IN_A_SESSION)
    assert done.out.splitlines()[-1] == "by sys"
    assert "decorators.py" not in done.out
    assert "tracing.py" not in done.out
    refused, failed = done.out.split("UsageError: ")
    assert "----> 1 hasty()" in refused
    assert "----> 3     if load(n):" in refused
    assert "\n→ do that inside of a step, which gets the value" in failed
    assert "----> 3     load(1 / 0)" in failed
