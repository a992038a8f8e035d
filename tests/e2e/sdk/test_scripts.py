"""A script as a user starts it: by python, by ``python -m kale_pm``, as a module of a package."""

from __future__ import annotations

import re

import pytest
from tiny_scripts import SMALL

# The script of Kale's examples; what fails there by chance fails here twice.
RETRY = '''
"""
This pipeline showcases how you can easily define a retry strategy for a
failing step.
"""

from kale_pm.sdk import pipeline, step


"""
A single step can fail multiple times before succeeding with its task.
"""
@step(name="failing",
      retry_count=5,
      retry_interval="0"
      )
def failing():
    from pathlib import Path

    tries = Path("tries.txt")
    tries.write_text("x" + (tries.read_text() if tries.exists() else ""))
    if len(tries.read_text()) < 3:
        raise RuntimeError("Life's hard, try again!")

    return "Succeeded"


@step(name="dummy")
def dummy(result):
    print(result)


@pipeline(name="retry-strategy",
          experiment="retry-strategy",
          autosnapshot=False)
def retry_strategy_pipeline():
    res = failing()
    dummy(res)


if __name__ == "__main__":
    retry_strategy_pipeline()
'''
STARTED = pytest.mark.parametrize("started", [(), ("-m", "kale_pm")])


def test_the_retry_script_of_kale_s_examples(script, python_file, tmp_path):
    script(RETRY)
    done = python_file("script.py")

    assert done.returncode == 0, done.stderr
    assert "2 done" in done.stdout
    assert "attempt 3, after RuntimeError: Life's hard, try again!" in done.stderr
    (run,) = (tmp_path / ".kale-pm" / "runs").glob("retry-strategy-*")
    assert (run / "report.html").is_file()
    assert "Succeeded" in (run / "notebooks" / "dummy.ipynb").read_text(encoding="utf-8")


def test_a_script_is_its_own_command_line(script, python_file, kale):
    script(SMALL)
    done = python_file("script.py")
    assert done.returncode == 0, done.stderr
    assert "2 done" in done.stdout
    assert done.stdout.splitlines()[-1] == "the script goes on: {'total': 3}"

    again = kale("script.py", "-p", "n=5")
    assert again.code == 0, again.err
    assert again.started == ["add", "load"]
    assert again.out.splitlines()[-1] == "the script goes on: {'total': 10}"

    explained = kale("script.py", "-p", "n=5", "--explain").out.splitlines()
    assert [line.split()[0] for line in explained[:2]] == ["load", "add"]
    assert python_file("script.py", "check").stdout.splitlines()[0].startswith("small  ")
    assert kale("runs").out.count("small-") == 2
    assert kale("report", "script.py", "--json").json["metrics"] == {"total": 10}
    assert "load_numbers" in kale("vars", "script.py").out


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("compile", "--help")])
def test_who_asks_for_help_gets_nothing_else(script, python_file, arguments):
    script(SMALL)
    done = python_file("script.py", *arguments)
    assert done.returncode == 0, done.stderr
    assert "--help" in done.stdout
    assert "the script goes on" not in done.stdout


def test_a_command_that_runs_nothing_gives_no_run(script, python_file):
    script(SMALL)
    done = python_file("script.py", "check")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "the script goes on: None"


def test_it_is_compiled_with_the_values_of_its_call(script, kale, tmp_path):
    script(SMALL)
    dry = kale("script.py", "--kfp", "--dry-run")
    assert dry.code == 0, dry.err
    assert re.search(r"^experiment +sums$", dry.out, re.MULTILINE)
    assert not (tmp_path / ".kale-pm").exists(), "nothing has run"

    done = kale("script.py", "compile", "-o", "small.yaml")
    assert done.code == 0, done.err
    package = (tmp_path / "small.yaml").read_text(encoding="utf-8")
    assert "defaultValue: 3.0" in package


def test_it_is_swept(script, kale):
    script(SMALL.partition("if __name__")[0])
    done = kale("script.py", "sweep", "-p", "n=2,4", "--best", "total:max", "--json")
    assert done.code == 0, done.err
    assert sorted(trial["metrics"]["total"] for trial in done.json["trials"]) == [1, 6]
    assert kale("report", "script.py", "--json").json["id"] == done.json["id"]


def test_a_pipeline_that_is_not_called_is_run(script, kale):
    script(SMALL.partition("if __name__")[0])
    done = kale("script.py", "--json")
    assert done.code == 0, done.err
    assert done.json["metrics"] == {"total": 6}


@pytest.mark.parametrize("started", [(), ("-m", "kale_pm")])
def test_it_may_leave_its_folder(script, python_file, tmp_path, started):
    text = SMALL.replace("    run = small", "    import os\n    os.chdir('/')\n    run = small")
    script(text, "project/script.py")
    done = python_file(*started, "project/script.py", "show")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "●  load"


def test_the_script_s_own_futures_hold(script, python_file):
    script("def twice(n: int): ...\nprint(twice.__annotations__)\n" + SMALL)
    done = python_file("-m", "kale_pm", "script.py", "show")
    assert done.stdout.splitlines()[0] == "{'n': <class 'int'>}"


def test_a_module_of_a_package_is_named_as_python_takes_it(script, python_file, kale):
    script("", "project/__init__.py")
    script(SMALL.replace("n: int = 4", "n: int = 4, unused=1"), "project/main.py")
    started = ("-m", "project.main")
    done = python_file(*started)
    assert done.returncode == 0, done.stderr
    assert "1 warning: python -m project.main check" in done.stderr
    shown = python_file(*started, "check", "--help").stdout
    assert "Usage: python -m project.main check [OPTIONS]" in shown

    assert kale("report", "project/main.py", "--json").json["metrics"] == {"total": 3}
    assert "run it: python -m project.main" in kale("check", "project/main.py").err


@pytest.mark.parametrize("command", ["check", "show", "slice", "compile", "submit", "sweep", "run"])
def test_no_command_of_a_script_asks_for_a_notebook(script, kale, command):
    script(SMALL)
    done = kale("script.py", command, "--help")
    usage = next(line.strip() for line in done.out.splitlines() if "Usage:" in line)
    assert usage == f"Usage: python script.py {command} [OPTIONS]"
    assert "Arguments" not in done.out


def test_the_commands_of_notebooks_say_how_a_script_is_run(script, kale):
    script(SMALL)
    done = kale("check", "script.py")
    assert done.code == 1
    assert "script.py: it is a script, not a notebook" in done.err
    assert "run it: python script.py" in done.err


def test_a_python_file_that_is_no_script_is_a_notebook_of_the_command_line(kale, script):
    done = kale("nowhere.py")
    assert done.code == 2
    assert "No such command" in done.err
