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
