"""What went wrong, read out of an executed notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from kale_pm.record import CellError
from kale_pm.runtime.execution.failure import excerpt, place_in, read_failure
from kale_pm.runtime.execution.monitor import Monitor

SOURCE = "x = 1\nhalf(x)"
TRACEBACK = [
    "\x1b[31mZeroDivisionError\x1b[39m",
    "Cell \x1b[32mIn[3], line 2\x1b[39m\n----> 2 half(x)",
    "Cell \x1b[32mIn[1], line 9\x1b[39m, in half(x)",
]


def failed(
    folder: Path, *outputs: Any, died: BaseException | None = None, **facts: Any
) -> CellError:
    """What is read of a notebook whose second cell failed with these outputs."""
    place = {"kale_pm": {"cell": 7}}
    cell = new_code_cell(SOURCE, execution_count=3, outputs=list(outputs), metadata=place)
    nbformat.write(new_notebook(cells=[new_code_cell(), cell]), folder / "it.ipynb")
    monitor = Monitor()
    monitor.failed_index = 1
    monitor.died = died
    vars(monitor).update(facts)
    return read_failure(folder / "it.ipynb", monitor, None, 1.5)


def test_an_exception_has_its_cell_its_line_and_a_plain_traceback(tmp_path: Path) -> None:
    output = new_output("error", ename="ZeroDivisionError", evalue="by zero", traceback=TRACEBACK)
    error = failed(tmp_path, output)
    assert (error.ename, error.evalue) == ("ZeroDivisionError", "by zero")
    assert (error.cell, error.line, error.source) == (7, 2, "half(x)")
    assert error.traceback.startswith("ZeroDivisionError\nCell In[3], line 2\n")
    assert "\x1b" not in error.traceback


def test_a_cell_that_leaves_python_says_so(tmp_path: Path) -> None:
    output = new_output("error", ename="SystemExit", evalue="0", traceback=[])
    assert "sys.exit(0)" in failed(tmp_path, output).evalue


def test_a_magic_that_fails_is_quoted_by_its_last_words(tmp_path: Path) -> None:
    output = new_output("stream", name="stderr", text="first\n\x1b[31mno such magic\x1b[39m\n")
    error = failed(tmp_path, output)
    assert (error.ename, error.evalue, error.cell) == ("CellFailed", "no such magic", 7)
    assert failed(tmp_path).evalue == "the cell failed without a word"


def test_a_shell_names_no_error_and_is_quoted_by_its_last_words_and_exit_code(
    tmp_path: Path,
) -> None:
    printed = new_output("stream", name="stdout", text="begins\nrm: no such file\n")
    unnamed = new_output("error", ename="", evalue="2", traceback=[])
    error = failed(tmp_path, printed, unnamed)
    assert (error.cell, error.message) == (7, "rm: no such file (exit code 2)")
    assert failed(tmp_path, unnamed).message == "exit code 2"
    words = new_output("error", ename="", evalue="trailing backslash", traceback=[])
    assert failed(tmp_path, words).message == "trailing backslash"


def test_a_dead_kernel_or_a_timeout_is_told_in_words(tmp_path: Path) -> None:
    dead, late = (
        type(name, (Exception,), {})("") for name in ("DeadKernelError", "CellTimeoutError")
    )
    assert "the kernel died while the cell ran" in failed(tmp_path, died=dead).evalue
    assert "its timeout of 1.5 seconds" in failed(tmp_path, died=late).evalue
    assert failed(tmp_path, died=late).line is None


def test_what_a_dead_kernel_held_is_told(tmp_path: Path) -> None:
    dead = type("DeadKernelError", (Exception,), {})("")
    error = failed(tmp_path, died=dead, exit_code=-9, memory=12_300_000_000)
    assert "it held 12.3 GB of memory" in error.evalue
    assert "limit:memory:SIZE" in error.hint


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (1, ["▸ 1 │ a", "  2 │ b"]),
        (5, ["  2 │ b", "  3 │", "  4 │ d", "▸ 5 │ e"]),
        (6, ["  4 │ d", "  5 │ e", "▸ 6 │", "  7 │ g"]),
        (9, ["   7 │ g", "   8 │ h", "▸  9 │ i", "  10 │ j"]),
    ],
)
def test_three_lines_before_and_one_after_are_shown_without_empty_ends(
    line: int, shown: list[str]
) -> None:
    place = place_in("a\nb\n\nd\ne\n\ng\nh\ni\nj", 1, line)
    assert excerpt(place).split("\n") == shown


@pytest.mark.parametrize("there", [True, False])
def test_before_any_cell_ran_the_exception_itself_is_all_there_is(
    tmp_path: Path, there: bool
) -> None:
    if there:
        nbformat.write(new_notebook(), tmp_path / "it.ipynb")
    error = read_failure(tmp_path / "it.ipynb", Monitor(), OSError("no room\nat all"), None)
    assert error == CellError("OSError", "no room")
