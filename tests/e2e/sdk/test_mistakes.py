"""Mistakes in a script are told as its author can use it, and by whom it concerns."""

from __future__ import annotations

import re

import pytest
from tiny_scripts import SMALL

STARTED = pytest.mark.parametrize("started", [(), ("-m", "kale_pm")])
WRONG = SMALL.replace("@pipeline(", "@step\n@pipeline(")


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
