"""Help and completion answer at once: nothing heavy is imported to say little."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

HEAVY = ["papermill", "nbformat", "kfp", "nbconvert", "nbclient", "IPython", "jupyter_client"]
HEAVY += ["numpy", "pandas", "kubernetes"]
COMMANDS = ["check", "show", "slice", "run", "compile", "runs", "report", "vars", "diff"]
COMMANDS += ["debug", "clean"]

IN_PROCESS = """
import sys
from kale_pm.cli import main
sys.argv = ["kale-pm", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
found = [name for name in {heavy!r} if name in sys.modules]
print("heavy:", *found, file=sys.stderr)
"""


def imported(python, *arguments):
    answer = python(IN_PROCESS.format(arguments=arguments, heavy=HEAVY))
    assert answer.code == 0, answer.err
    return answer.err.splitlines()[-1].removeprefix("heavy:").split()


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]], ids=" ".join)
def test_help_imports_nothing_heavy(arguments, python):
    assert imported(python, *arguments) == []


def test_check_and_show_import_nothing_heavy(chain, python):
    assert imported(python, "check", "chain.ipynb") == []
    assert imported(python, "show", "chain.ipynb", "-o", "dag.svg") == []


def test_an_unchanged_run_imports_nothing_heavy(chain, kale, python):
    assert kale("run", "chain.ipynb").code == 0
    assert imported(python, "run", "chain.ipynb") == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, kale):
    for option in ("--help", "-h"):
        answer = kale(command, option)
        assert answer.code == 0
        assert f"Usage: kale-pm {command}" in answer.out
        assert answer.err == ""


def test_help_says_what_is_done_by_default(kale):
    said = " ".join(kale("run", "--help", env={"COLUMNS": "120"}).out.split())

    assert "default: cores" in said
    assert "default: the notebook's" in said
    assert "NAME=VALUE" in said


def test_the_version(kale):
    from kale_pm import __version__

    assert kale("--version").out == f"kale-pm {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell, kale):
    answer = kale(env={"_KALE_PM_COMPLETE": f"source_{shell}"})

    assert answer.code == 0, answer.err
    assert "_KALE_PM_COMPLETE=complete_" in answer.out
    assert "kale-pm" in answer.out


def test_completion_knows_commands_and_options(kale):
    def complete(words: str) -> list[str]:
        told = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        return kale(env={"_KALE_PM_COMPLETE": "complete_bash", **told}).out.split()

    assert complete("kale-pm r") == ["run", "runs", "report"]
    assert "--fresh" in complete("kale-pm run --f")


def test_the_installed_command_is_the_same():
    (script,) = entry_points(group="console_scripts", name="kale-pm")
    assert script.value == "kale_pm.cli:main"
