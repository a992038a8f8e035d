"""The live view: one steady line a step, at every width and height."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys

import pytest
from rich.console import Console

from kale_pm.events import (
    CellOutput,
    CellStarted,
    RunFinished,
    StepFinished,
    StepStarted,
)
from kale_pm.record import CellError, State
from kale_pm.terminal import RunView, event_line

LONG = "load_all_the_measurements_of_the_whole_year_and_more"


def drawn(view, width=60, height=25):
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    console.print(view)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def view_of(*events, steps=(LONG, "b")):
    view = RunView(steps)
    for event in events:
        view.hear(event)
    return view


def test_columns_stay_where_they_are_whatever_a_cell_prints():
    quiet = view_of(StepStarted(LONG, 1, "new"), CellStarted(LONG, 1, 4, 1))
    loud = view_of(
        StepStarted(LONG, 1, "new"),
        CellStarted(LONG, 1, 4, 1),
        CellOutput(LONG, "stderr", "  3%|#   |\r 10%|" + "#" * 200 + "|"),
    )

    for width in (60, 160):
        before, after = drawn(quiet, width)[0], drawn(loud, width)[0]
        assert before.index("0/4") == after.index("0/4")
        assert " 10%|##" in after
        assert "3%|#   |" not in after
        assert len(after) <= width


def test_a_step_that_waits_for_its_kernel_is_starting():
    assert "starting" in drawn(view_of(StepStarted(LONG, 1, "new")))[0]


def test_an_error_takes_one_line_and_no_markup():
    error = CellError("ValueError", "[red]bad[/red]\nsecond line", 3)
    view = view_of(StepFinished("b", State.FAILED, 75.0, error=error))

    assert drawn(view, 100)[1].endswith("failed  1 min 15 s  ValueError: [red]bad[/red]")
    assert str(event_line(StepFinished("b", State.FAILED, 75.0, error=error), False)) == (
        "✗ b  failed 1 min 15 s  ValueError: [red]bad[/red]"
    )


def test_an_interrupted_step_is_not_blamed():
    error = CellError("DeadKernelError", "the kernel died", 3)
    event = StepFinished("b", State.INTERRUPTED, 1.0, "the run was interrupted", error)

    assert str(event_line(event, False)) == "! b  interrupted"


def test_colours_of_a_cell_do_not_reach_the_table():
    view = view_of(
        StepStarted("b", 1, "new"), CellOutput("b", "stdout", "\x1b[31mred\x1b[0m alert\n")
    )
    assert drawn(view)[1].endswith("red alert")


def test_of_many_steps_those_that_run_stay_in_sight():
    steps = tuple(f"step_{number}" for number in range(100))
    view = view_of(
        *(StepFinished(name, State.DONE, 1.0) for name in steps[:60]),
        StepStarted("step_60", 1, "new"),
        StepFinished("step_61", State.FAILED, 1.0),
        steps=steps,
    )

    lines = drawn(view, height=20)
    assert len(lines) < 20
    assert any("step_60" in line for line in lines)
    assert any("step_61" in line for line in lines)
    assert re.match(r"… and 60 done, \d+ waiting", lines[-1])
    view.hear(RunFinished("run", State.FAILED, 1.0))
    assert len(drawn(view, height=20)) == 100


def test_what_cells_print_is_told_line_by_line():
    said = event_line(CellOutput("b", "stdout", "one\n\n 1%\r 50%\r100%\nlast"), True)

    assert str(said) == "b | one\nb | 100%\nb | last"
    assert event_line(CellOutput("b", "stdout", "one"), False) is None


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
@pytest.mark.parametrize("colour", [True, False])
def test_on_a_terminal_the_lines_are_redrawn(colour, chain, tmp_path):
    main, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "60", "LINES": "30"}
    if not colour:
        environment["NO_COLOR"] = "1"
    process = subprocess.Popen(
        [sys.executable, "-m", "kale_pm", "run", "chain.ipynb"],
        cwd=tmp_path,
        env=environment,
        stdin=child,
        stdout=child,
        stderr=child,
    )
    os.close(child)
    written = b""
    while True:
        try:
            chunk = os.read(main, 65536)
        except OSError:  # the terminal is gone when the process is
            break
        if not chunk:
            break
        written += chunk
    os.close(main)
    assert process.wait(timeout=60) == 0

    text = written.decode("utf-8")
    assert "\x1b[2K" in text
    assert "starting" in text
    assert ("\x1b[32m" in text) is colour
    assert "✓ make" in text
    assert "2 done in" in text


# -- problems ---------------------------------------------------------------------------------


def test_control_characters_are_seen_not_heard(notebook, kale):
    notebook(
        "odd.ipynb",
        ("block:a\ud800", "print(1)"),
        ("block:\x1b[31mred\x00", "print(2)"),
        ("block:c", "print(3)"),
    )
    answer = kale("check", "odd.ipynb")

    assert answer.code == 1
    assert "Traceback" not in answer.err
    assert r"block:a\ud800" in answer.out
    assert r"block:\x1b[31mred\x00" in answer.out
    assert not re.search(r"[\x00\x1b]", answer.out)
    problems = kale("check", "odd.ipynb", "--json").json["problems"]
    assert "block:a\ud800" in problems[0]["message"]


def test_excerpts_hold_no_control_characters(notebook, kale):
    notebook("odd.ipynb", ("block:a", "x = undefd + '\ud800\x1b[31m'"))
    answer = kale("check", "odd.ipynb")

    assert r"│ x = undefd + '\ud800\x1b[31m'" in answer.out
    assert kale("check", "odd.ipynb", "--json").json["problems"][0]["line"] == 1


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_any_encoding_of_the_terminal_will_do(encoding, notebook, kale):
    notebook("odd.ipynb", ("block:a", "größe = undefd + 'ü'"))
    environment = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    shown = kale("check", "odd.ipynb", env=environment)
    as_json = kale("check", "odd.ipynb", "--json", env=environment)

    assert "undefined-name" in shown.out
    assert "Traceback" not in shown.err + as_json.err
    assert as_json.json["error"] == "undefined-name"


@pytest.mark.parametrize("character", ["\f", "\u2028", "\x85", "\x1c"])
def test_an_excerpt_is_the_line_that_python_counts(character, notebook, kale):
    text = f"# {character}" if character != "\f" else "\f"
    notebook("odd.ipynb", ("block:a", f"x = 1\n{text}y = 2\nz = undefd\nprint(z)"))

    assert "line 3" in (out := kale("check", "odd.ipynb").out)
    assert "│ z = undefd\n" in out


def test_long_names_are_cut(notebook, kale):
    name = "n" * 100_000
    notebook("long.ipynb", (f"block:a prev:{name}", "print(1)"))
    shown = kale("check", "long.ipynb").out
    assert "prev:nnnn" in shown
    assert "…" in shown
    assert len(shown) < 2000

    notebook("long.ipynb", (f"blok:{name}", "print(1)"))
    assert len(kale("check", "long.ipynb").err) < 2000


def test_check_ends_with_counts_and_notes_come_last(notebook, kale):
    notebook(
        "loose.ipynb",
        ("", "import sys"),
        ("block:one", "print(undefd)"),
        ("block:two", "print(1 + undefd)"),
    )
    lines = kale("check", "loose.ipynb").out.splitlines()

    assert lines[-1] == "2 errors, 1 warning, 1 note"
    heads = [line.split()[0] for line in lines if re.match(r"(error|warning|note) ", line)]
    assert heads == ["error", "error", "warning", "note"]
