"""Scripts of the SDK as a user starts them: by python, by ``python -m kale_pm``, in a session."""

from __future__ import annotations

import doctest
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from kale_pm.sdk.options import WORDS

PAGE = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+) ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
# What differs from run to run.
MASKS = (
    (r"[a-z]+-\d{8}-\d{6}-[0-9a-f]{4}", "RUN"),
    (r"\d[\d.]* s\b", "TIME"),
    (r"\s+", " "),
)

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

SMALL = """
from kale_pm.sdk import metric, pipeline, step


@step
def load(n):
    numbers = list(range(n))
    return numbers


@step
def add(numbers):
    total = sum(numbers)
    metric("total", total)
    print(f"the sum is {total}")


@pipeline(name="small", experiment="sums")
def small(n: int = 4):
    add(load(n))


if __name__ == "__main__":
    run = small(n=3)
    print("the script goes on:", run.metrics if run else run)
"""


@pytest.fixture
def script(tmp_path):
    def write(text, name="script.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def python_file(tmp_path):
    """``python script.py ARGUMENTS`` in the folder of the script."""

    def call(*arguments):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return call


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


@pytest.mark.parametrize("started", [(), ("-m", "kale_pm")])
def test_it_may_leave_its_folder(script, python_file, tmp_path, started):
    text = SMALL.replace("    run = small", "    import os\n    os.chdir('/')\n    run = small")
    script(text, "project/script.py")
    done = python_file(*started, "project/script.py", "show")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "●  load"


def test_a_pipeline_that_is_not_called_is_run(script, kale):
    script(SMALL.partition("if __name__")[0])
    done = kale("script.py", "--json")
    assert done.code == 0, done.err
    assert done.json["metrics"] == {"total": 6}


@pytest.mark.parametrize(
    ("text", "arguments", "code", "said"),
    [
        ("x = 1\n", (), 2, "script.py has no pipeline"),
        (SMALL, ("--kpf",), 2, "No such option: --kpf"),
        (SMALL, ("--dry-run",), 2, "--dry-run goes with --kfp"),
        (SMALL, ("--watch",), 2, "--watch is for notebooks"),
        (SMALL, ("vars",), 2, "a script has no command 'vars'"),
        (SMALL, ("-p", "m=1"), 2, "there is no such parameter"),
        (SMALL.replace("n=3", "n='x'"), (), 2, "'x' is no int"),
        (SMALL.replace("sum(numbers)", "sum(numbers) / 0"), (), 1, "it is script.py:13"),
        (SMALL.replace("load(n))", "load(n) + 1)"), (), 2, "is calculated with"),
        (SMALL.replace("total = sum", "total = summ"), (), 1, "script.py:13: 'summ' is not"),
        (SMALL.replace("@step\ndef add", "@step(timout=3)\ndef add"), (), 2, "'timout'"),
        (SMALL.replace("experiment=", "experimnt="), (), 2, "did you mean 'experiment'?"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(script, kale, text, arguments, code, said):
    script(text)
    done = kale("script.py", *arguments)
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err
    assert "the script goes on" not in done.out


STARTED = pytest.mark.parametrize("started", [(), ("-m", "kale_pm")])
WRONG = SMALL.replace("@pipeline(", "@step\n@pipeline(")


class TestWhatIsWrongWhileAScriptIsRead:
    @STARTED
    def test_is_told_without_a_traceback(self, script, python_file, started):
        script(WRONG)
        done = python_file(*started, "script.py")
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            "error script.py:18: <pipeline 'small'> cannot be a step and a pipeline at once",
            "  → a pipeline may be called by another one, and its steps become steps there",
        ]

    def test_is_so_in_a_module_of_the_project(self, script, python_file):
        script(WRONG, "project/steps.py")
        script("from .steps import small\n", "project/main.py")
        done = python_file("-m", "project.main")
        assert done.returncode == 2
        assert done.stderr.startswith("error steps.py:18: ")

    @STARTED
    def test_is_told_with_the_line_that_led_to_it(self, script, python_file, started):
        script(SMALL.replace("run = small(n=3)", "load.run(1, 2)"))
        assert python_file(*started, "script.py").stderr.splitlines() == [
            "error step 'load': too many positional arguments",
            "  → its parameters: load(n)",
            "  → it comes from script.py:24",
        ]

    def test_is_left_to_a_program_that_only_uses_the_script(self, script, python_file):
        script(WRONG)
        script("def load():\n    import script", "loader.py")
        script("import loader\nloader.load()", "program.py")
        done = python_file("program.py")
        assert done.returncode == 1
        assert done.stderr.startswith("Traceback")
        assert done.stderr.splitlines()[-1].startswith("→ a pipeline may be called")

    @STARTED
    def test_is_left_to_python_where_the_script_s_own_code_fails(
        self, script, python_file, started
    ):
        script(SMALL.replace("    add(load(n))", "    halves = n_of(3) / 0\n    add(load(n))"))
        done = python_file(*started, "script.py")
        assert done.returncode == 1
        assert re.findall(r"line (\d+), in (\S+)", done.stderr) == [
            ("25", "<module>"),
            ("20", "small"),
        ]
        assert done.stderr.splitlines()[-1] == "NameError: name 'n_of' is not defined"

    @STARTED
    def test_is_told_by_the_line_where_it_is_no_python(self, script, python_file, started):
        script(SMALL + "\ndef this(is none\n")
        done = python_file(*started, "script.py")
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert done.stderr.splitlines()[1].strip() == "def this(is none"

    def test_reaches_the_hook_that_the_script_has_set(self, script, python_file):
        hook = "import sys\nsys.excepthook = lambda kind, *_: print('mine', kind.__name__)\n"
        script(hook + SMALL + "\n    1 / 0\n")
        done = python_file("script.py", "show")
        assert done.returncode == 1
        assert done.stdout.splitlines()[-1] == "mine ZeroDivisionError"


@STARTED
def test_warnings_say_which_command_shows_them(script, python_file, started):
    script(SMALL.replace("n: int = 4", "n: int = 4, unused=1"))
    done = python_file(*started, "script.py", "compile")
    assert done.returncode == 0, done.stderr
    assert "1 warning: python script.py check" in done.stderr


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


PARSING = """
import argparse
import sys

from kale_pm.sdk import pipeline, step


@step
def load(n):
    return n


@pipeline
def small(n: int = 4):
    load(n)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=3)
    {parse}
    small(n=given.count)
"""


class TestAScriptWithOptionsOfItsOwn:
    def test_is_told_how_the_two_are_parted(self, script, python_file):
        script(PARSING.format(parse="given = parser.parse_args()"))
        done = python_file("script.py", "--count", "5")
        assert done.returncode == 2
        assert "No such option: --count" in done.stderr
        assert "small.to_pipeline(...).run() takes no command line" in done.stderr
        assert "python -m kale_pm script.py OPTIONS OF THE PIPELINE --" in done.stderr

    def test_other_mistakes_have_nothing_to_do_with_that(self, script, python_file):
        script(SMALL)
        assert "to_pipeline" not in python_file("script.py", "-j", "many").stderr

    def test_gets_what_stands_behind_two_dashes(self, script, kale, tmp_path):
        script(PARSING.format(parse="given = parser.parse_args()"))
        done = kale("script.py", "compile", "-o", "small.yaml", "--", "--count", "5")
        assert done.code == 0, done.err
        assert "defaultValue: 5.0" in (tmp_path / "small.yaml").read_text(encoding="utf-8")

    def test_may_leave_to_the_pipeline_what_it_does_not_know(self, script, python_file, tmp_path):
        script(PARSING.format(parse="given, sys.argv[1:] = parser.parse_known_args()"))
        done = python_file("script.py", "--count", "5", "compile", "-o", "small.yaml")
        assert done.returncode == 0, done.stderr
        assert "defaultValue: 5.0" in (tmp_path / "small.yaml").read_text(encoding="utf-8")

    def test_has_steps_that_read_what_was_given(self, script, python_file):
        reading = """
            import argparse
            import sys

            from kale_pm.sdk import pipeline, step

            parser = argparse.ArgumentParser()
            parser.add_argument("--count", type=int, default=1)
            given, sys.argv[1:] = parser.parse_known_args()
            DOUBLE = 2 * given.count


            @step
            def show():
                print("count", given.count, DOUBLE)


            @pipeline
            def small():
                show()


            small()
        """
        script(reading)
        done = python_file("script.py", "--count", "7", "-v")
        assert "show | count 7 14" in done.stdout + done.stderr


def test_the_script_s_own_futures_hold(script, python_file):
    script("def twice(n: int): ...\nprint(twice.__annotations__)\n" + SMALL)
    done = python_file("-m", "kale_pm", "script.py", "show")
    assert done.stdout.splitlines()[0] == "{'n': <class 'int'>}"


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


def masked(line):
    for pattern, mask in MASKS:
        line = re.sub(pattern, mask, line)
    return line.strip()


def test_the_page_says_what_is(python_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, object] = {}
    for kind, words, text in BLOCK.findall(PAGE):
        match kind:
            case "python":
                Path(words).write_text(text, encoding="utf-8")
            case "console":
                command, _, shown = text.removeprefix("$ ").partition("\n")
                done = python_file(*shlex.split(command)[1:])
                assert done.returncode == 0, done.stderr
                said = {masked(line) for line in (done.stdout + done.stderr).splitlines()}
                assert {masked(line) for line in shown.splitlines()} - said <= {"..."}
            case "pycon":
                session = doctest.DocTestParser().get_doctest(text, names, "sdk.md", None, 0)
                runner = doctest.DocTestRunner()
                assert runner.run(session, clear_globs=False).failed == 0
                names |= session.globs
            case "cells":
                content = json.loads(Path("houses.ipynb").read_text(encoding="utf-8"))
                found = [
                    cell["source"]
                    for cell in content["cells"]
                    if f"block:{words}" in cell["metadata"]["tags"]
                ]
                assert "\n---\n".join(found) + "\n" == text
    for name in ("houses", "chart"):
        sys.modules.pop(name, None)


def test_the_page_lists_every_option():
    section = PAGE.partition("## Options of a step")[2].partition("\n## ")[0]
    assert [word for word in WORDS if f"`{word}`" not in section] == []
