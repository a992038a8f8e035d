"""The live view: one steady line a step, at every width and height."""

from __future__ import annotations

import io
import re

import pytest
from processes import needs_terminal, on_terminal
from rich.console import Console

from kale_pm.events import (
    CellFinished,
    CellOutput,
    CellStarted,
    RunFinished,
    StepFinished,
    StepRetried,
    StepStarted,
)
from kale_pm.record import CellError, State
from kale_pm.terminal import RunLines, RunView, event_line

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
    assert str(event_line(StepFinished("b", State.FAILED, 75.0, error=error))) == (
        "✗ b  failed 1 min 15 s  ValueError: [red]bad[/red]"
    )


def test_an_interrupted_step_is_not_blamed():
    error = CellError("DeadKernelError", "the kernel died", 3)
    event = StepFinished("b", State.INTERRUPTED, 1.0, "the run was interrupted", error)

    assert str(event_line(event)) == "! b  interrupted"


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


def test_the_end_of_many_steps_fills_no_screen_and_shows_what_went_wrong_and_what_took_long():
    steps = tuple(f"step_{number}" for number in range(200))
    view = view_of(
        *(StepFinished(name, State.CACHED, 0.0) for name in steps[:100]),
        *(StepFinished(name, State.DONE, 1.0) for name in steps[100:]),
        StepFinished("step_7", State.FAILED, 1.0),
        StepFinished("step_150", State.DONE, 60.0),
        RunFinished("run", State.FAILED, 1.0),
        steps=steps,
    )
    lines = drawn(view, height=24)

    assert len(lines) <= 24
    assert "failed" in lines[0]
    assert any("step_150" in line for line in lines)
    assert re.match(r"… and 99 cached, \d+ done", lines[-1])


def told(*events, verbose=True):
    lines = RunLines(verbose)
    return [str(line) for event in events for line in lines.hear(event)]


def test_what_cells_print_is_told_line_by_line_however_it_arrives():
    assert told(CellOutput("b", "stdout", "one\n\n 1%\r 50%\r100%\nla")) == ["b | one", "b | 100%"]
    pieces = [CellOutput("b", "stdout", piece) for piece in ("la", "st\nno", " end")]
    others = [CellOutput("c", "stdout", "of c\n"), CellOutput("b", "stderr", "aside\n")]
    assert told(*pieces, *others, CellFinished("b", 1, 1, 1, 0.5)) == [
        "b | last",
        "c | of c",
        "b | aside",
        "b | no end",
    ]
    assert told(CellOutput("b", "stdout", "one\n"), verbose=False) == []


def test_a_progress_bar_is_one_line():
    bar = [CellOutput("b", "stderr", f"\r{done}%|{'#' * done}") for done in range(101)]

    assert told(*bar, CellOutput("b", "stderr", "\n")) == [f"b | 100%|{'#' * 100}"]
    assert told(*bar, StepFinished("b", State.DONE, 1.0))[:-1] == [f"b | 100%|{'#' * 100}"]
    assert drawn(view_of(StepStarted("b", 1, "new"), *bar[:4]))[1].endswith("3%|###")


def test_a_retried_step_says_why_and_at_the_end_that_it_was():
    error = CellError("ConnectionError", "no \x1b[2J answer\nat all", 3)
    retried = StepRetried("b", 2, error, 1.0)
    view = view_of(StepStarted("b", 1, "new"), retried)
    said = r"attempt 2 in 1.0 s, after ConnectionError: no \x1b[2J answer"

    assert drawn(view, 160)[1].endswith(said)
    assert str(event_line(retried)) == f"▸ b  {said}"
    view.hear(StepFinished("b", State.DONE, 2.0))
    assert drawn(view, 120)[1].endswith("at attempt 2")


def test_in_a_narrow_terminal_the_names_have_the_room():
    error = CellError("ValueError", "bad", 3)
    view = view_of(
        StepFinished("evaluate_every", State.FAILED, 1.0, error=error), steps=("evaluate_every",)
    )

    assert drawn(view, 40) == ["✗ evaluate_every          failed   1.0 s"]
    assert drawn(view, 80)[0].endswith("failed   1.0 s  ValueError: bad")


def test_dots_are_seen_growing():
    view = view_of(StepStarted("b", 1, "new"), *(CellOutput("b", "stdout", ".") for _ in range(5)))
    assert drawn(view)[1].endswith(" .....")


@pytest.mark.parametrize("width", [20, 30, 40])
def test_a_narrow_terminal_gets_whole_lines(width):
    view = view_of(StepStarted("b", 1, "new"), CellOutput("b", "stdout", "some words " * 9))

    lines = drawn(view, width)
    assert len(lines) == 2
    assert all(len(line) <= width for line in lines)


def test_the_summary_says_where_to_look(chain, kale, tmp_path):
    said = kale("run", "chain.ipynb").out
    (run,) = (tmp_path / ".kale-pm/runs").glob("chain-*")

    assert re.match(rf"✓ {run.name}  2 done in ", said)
    assert "\n  total = 1\n" in said
    assert f"\n  report     {run / 'report.html'}\n" in said
    assert f"\n  notebooks  {run / 'notebooks'}\n" in said
    command = re.search(r"kale-pm (vars \S+)", said)[1]
    assert "numbers" in kale(*command.split()).out


def test_of_many_failures_the_first_are_shown_and_the_others_named(notebook, kale, tmp_path):
    names = [f"step_{number:02}" for number in range(17)]
    cells = [(f"block:{name}", f"raise ValueError('of {name}')") for name in names]
    notebook("many.ipynb", *cells, ("block:last prev:step_16", "print('never')"))
    answer = kale("run", "many.ipynb")
    (run,) = (tmp_path / ".kale-pm/runs").glob("many-*")

    told = [line for line in answer.err.splitlines() if line.startswith("error ")]
    first = [f"error step {name}: cell {n}, line 1" for n, name in enumerate(names[:5], 1)]
    assert told[:5] == first
    assert told[5:] == [f"error 12 more steps failed: {', '.join(names[5:15])}, …"]
    assert answer.err.splitlines()[-1] == (
        f"  → all are told in {run / 'report.html'}, by step in {run / 'run.json'}"
    )
    record = kale("report", "--json").json["steps"]
    assert [record[name]["error"]["evalue"] for name in names] == [f"of {name}" for name in names]
    assert "1 skipped" in answer.out


def test_a_terminal_without_unicode_gets_signs_that_it_has(chain, kale):
    plain = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    answer = kale("run", "chain.ipynb", env=plain)

    assert answer.code == 0
    assert re.match(r"\+ chain-", answer.out)
    assert "> make" in answer.err
    assert "\\u" not in answer.out + answer.err


def test_a_verbose_run_tells_whose_words_are_whose(notebook, kale):
    notebook(
        "words.ipynb",
        ("block:one", "import sys\nfor i in range(3):\n    print(i, end='\\r')\nprint('of one')"),
        ("block:two", "print('of', end=' ')\nsys = 1\nprint('two')"),
    )
    said = kale("run", "words.ipynb", "-v").err.splitlines()

    assert "one | of one" in said
    assert "two | of two" in said
    assert len([line for line in said if " | " in line]) == 2


@needs_terminal
@pytest.mark.parametrize("colour", [True, False])
def test_on_a_terminal_the_lines_are_redrawn(colour, chain, tmp_path):
    environment = {} if colour else {"NO_COLOR": "1"}
    code, text = on_terminal("run", "chain.ipynb", folder=tmp_path, environment=environment)

    assert code == 0
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
