"""The command line of a script: what it offers and what it tells to type fits a script."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

SCRIPT = """
from kale_pm.sdk import metric, pipeline, step


@step
def load(n):
    numbers = list(range(n))
    return numbers


@step
def add(numbers):
    from pathlib import Path

    if len(numbers) == 3 and not Path("mended").exists():
        raise ValueError("three are too many")
    metric("total", sum(numbers))


@pipeline
def small(n=2):
    add(load(n))


if __name__ == "__main__":
    small()
"""


@pytest.mark.parametrize(
    ("name", "command"),
    [("script.py", "python script.py"), ("project/main.py", "python -m project.main")],
)
def test_the_command_that_tries_a_sweep_again_works(script, python_file, tmp_path, name, command):
    script(SCRIPT, name)
    script("", f"{Path(name).parent}/__init__.py")
    done = python_file(*shlex.split(command)[1:], "sweep", "-p", "n=2,3")
    assert done.returncode == 1, done.stderr
    (retry,) = re.findall(r"^  retry +(.+)$", done.stdout, re.MULTILINE)
    assert retry == f"{command} sweep --retry"

    (tmp_path / "mended").touch()
    again = python_file(*shlex.split(retry)[1:])
    assert again.returncode == 0, again.stderr
    assert "2 done" in again.stdout
    assert "retry" not in again.stdout


@pytest.mark.parametrize("command", ["run", "check", "show", "compile", "submit", "sweep"])
def test_the_help_of_a_command_speaks_of_the_script(script, kale, command):
    script(SCRIPT)
    shown = " ".join(re.sub("[│─╭╮╰╯]", "", kale("script.py", command, "--help").out).split())
    assert "--help" in shown
    for strange in ("the notebook", "NOTEBOOK", "the cells", "--watch", "--infer-edges"):
        assert strange not in shown


@pytest.mark.parametrize(
    "arguments", [("--watch",), ("--infer-edges",), ("check", "--infer-edges")]
)
def test_what_only_a_notebook_needs_is_refused(script, kale, arguments):
    script(SCRIPT)
    done = kale("script.py", *arguments)
    assert done.code == 2
    assert arguments[-1] in done.err
    assert "Traceback" not in done.err


def test_an_error_speaks_of_the_pipeline(script, kale):
    text = SCRIPT.replace("small(n=2)", "small()").replace("load(n))", "load(2))")
    script(text)
    done = kale("script.py", "-p", "m=3")
    assert done.code == 2
    assert "parameters: this pipeline has none" in done.err
