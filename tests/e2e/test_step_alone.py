"""``step.run(...)`` where scripts, tests and sessions call it, with classes of their own."""

from __future__ import annotations

import subprocess
import sys
from textwrap import indent

CLASSES = """
from dataclasses import dataclass
from enum import Enum

from kale_pm.sdk import step


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class House:
    size: int
    color: Color = Color.RED


class Unnamed:
    pass


@step
def compare(house, color, other):
    seen = isinstance(house, House), house == House(3), color is Color.RED, type(other).__name__
    return seen, House(7, Color.BLUE), other
"""
CALL = """
seen, made, other = compare.run(House(3), Color.RED, Unnamed()).value
assert seen == (True, True, True, "Unnamed"), seen
assert made == House(7, Color.BLUE), made
assert type(other) is Unnamed, other
"""


def answer_of(folder, *command):
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_a_script(tmp_path):
    (tmp_path / "script.py").write_text(f"{CLASSES}\n{CALL}\nprint('all is well')\n")
    assert answer_of(tmp_path, "script.py").endswith("all is well\n")


def test_what_is_the_same_in_another_process_is_not_made_again(tmp_path):
    states = "print({name: each.state.value for name, each in alone.run.steps.items()}['compare'])"
    call = f"alone = compare.run(House(3), Color.RED, Unnamed())\n{states}"
    (tmp_path / "script.py").write_text(f"{CLASSES}\n{call}\n")

    answers = [answer_of(tmp_path, "script.py") for _ in range(2)]

    assert [each.splitlines()[-1] for each in answers] == ["done", "cached"]


def test_a_script_whose_steps_are_a_module_s(tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "steps.py").write_text(CLASSES)
    text = f"from .steps import Color, House, Unnamed, compare\n{CALL}\nprint('all is well')\n"
    (tmp_path / "project" / "main.py").write_text(text)
    assert answer_of(tmp_path, "-m", "project.main").endswith("all is well\n")


def test_tests_of_steps(tmp_path):
    """Theirs are the classes of the module, and those of the test, which no kernel imports."""
    text = """
from steps import Color, House, compare


class Unnamed:
    pass


def test_compare():
"""
    (tmp_path / "steps.py").write_text(CLASSES)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_steps.py").write_text(text + indent(CALL, "    "))
    (tmp_path / "tests" / "test_own.py").write_text(
        f"{CLASSES}\n\ndef test_compare():\n{indent(CALL, '    ')}"
    )
    found = answer_of(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert "2 passed" in found, found


def test_a_session(tmp_path):
    text = f"""
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
cells = {CLASSES!r}.split("\\n\\n\\n")
for cell in [*cells, cells[2], {CALL!r} + "\\nprint('all is well')"]:
    shell.run_cell(cell, store_history=True)
"""
    assert answer_of(tmp_path, "-c", text).endswith("all is well\n")
