"""The engine by itself: under plain papermill, with large outputs, and when it is interrupted."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from kale_pm.events import CellOutput
from kale_pm.record import State
from kale_pm.runtime.execution import outputs
from kale_pm.runtime.execution.engine import Engine
from kale_pm.runtime.execution.monitor import Monitor

if TYPE_CHECKING:
    from conftest import Runner
    from nbformat import NotebookNode


class Listening(Monitor):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def notebook(*cells: str) -> NotebookNode:
    found = new_notebook(cells=[new_code_cell(source) for source in cells])
    found.metadata["kernelspec"] = {"name": "python3", "display_name": "x", "language": "python"}
    return found


def execute(tmp_path: Path, *cells: str, monitor: Monitor | None = None, **options: Any) -> Any:
    """Run the cells; the executed notebook as it was written."""
    content = notebook(*cells)
    content.metadata["papermill"] = {}
    path = tmp_path / "executed.ipynb"
    try:
        Engine.execute_notebook(
            content, "python3", str(path), monitor=monitor, progress_bar=False, **options
        )
    except Exception as error:
        error.notebook = nbformat.read(path, as_version=4)  # type: ignore[attr-defined]
        raise
    return nbformat.read(path, as_version=4)


def statuses(executed: NotebookNode) -> list[str]:
    return [cell.metadata.papermill.status for cell in executed.cells]


def test_a_notebook_leaves_the_memory_with_its_last_user_not_with_the_garbage(
    tmp_path: Path,
) -> None:
    content = notebook("print(1)")
    content.metadata["papermill"] = {}
    seen = weakref.ref(content)
    gc.disable()
    try:
        Engine.execute_notebook(content, "python3", str(tmp_path / "a.ipynb"), progress_bar=False)
        del content
        assert seen() is None
    finally:
        gc.enable()


# -- under papermill --------------------------------------------------------------------------


def papermill(tmp_path: Path, content: NotebookNode, *options: str) -> tuple[Any, NotebookNode]:
    nbformat.write(content, tmp_path / "in.ipynb")
    command = [sys.executable, "-m", "papermill", "--engine", "kale-pm", "in.ipynb", "out.ipynb"]
    done = subprocess.run(
        [*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    return done, nbformat.read(tmp_path / "out.ipynb", as_version=4)


def test_papermill_itself_runs_a_notebook_with_the_engine(tmp_path: Path) -> None:
    content = notebook("rate = 1", "print('rate', rate)", "rate + 1")
    content.cells[0].metadata.tags = ["parameters"]
    done, executed = papermill(tmp_path, content, "-p", "rate", "7", "--log-output")
    assert done.returncode == 0, done.stderr
    assert "rate 7" in done.stderr
    assert executed.cells[2].outputs[0].text == "rate 7\n"
    assert executed.cells[3].outputs[0].data["text/plain"] == "8"
    assert statuses(executed) == ["completed"] * 4
    assert executed.metadata.language_info.name == "python"
    assert executed.metadata.papermill.parameters == {"rate": 7}


def test_papermill_ends_with_its_own_exit_codes(tmp_path: Path) -> None:
    done, executed = papermill(tmp_path, notebook("x = 1", "1 / 0", "print(2)"))
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    # The first of the markdown cells that papermill puts there is at the top.
    assert [
        c.metadata.papermill.status
        for c in executed.cells
        if "status" in c.metadata.get("papermill", {})
    ] == ["completed", "failed", "pending"]
    done, _ = papermill(tmp_path, notebook("import os\nos._exit(1)"))
    assert done.returncode == 138


def test_papermill_s_own_time_limit_for_a_cell_holds(tmp_path: Path) -> None:
    content = notebook("import time\ntime.sleep(60)", "print(2)")
    done, executed = papermill(tmp_path, content, "--execution-timeout", "1")
    assert done.returncode == 1
    assert statuses(executed) == ["failed", "pending"]
    assert executed.cells[0].outputs[0].ename == "KeyboardInterrupt"


# -- outputs ----------------------------------------------------------------------------------


def test_what_is_printed_in_pieces_is_one_output(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "for i in range(3):\n"
        "    print(i, flush=True)\n"
        "    time.sleep(0.3)\n"
        "print('e', file=sys.stderr)"
    )
    (cell,) = execute(tmp_path, code).cells
    assert [(output.name, output.text) for output in cell.outputs] == [
        ("stdout", "0\n1\n2\n"),
        ("stderr", "e\n"),
    ]


def test_a_progress_bar_is_kept_as_it_looked_at_last(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "for i in range(3):\n"
        "    print(f'\\r{i} of 2', end='', flush=True)\n"
        "    time.sleep(0.1)\n"
        "print()"
    )
    (cell,) = execute(tmp_path, code).cells
    assert cell.outputs[0].text.strip("\r") == "2 of 2\n"


def test_displays_change_where_they_were_first_shown(tmp_path: Path) -> None:
    first = "shown = display('before', display_id=True)"
    second = (
        "shown.update('after')\n"
        "from IPython.display import clear_output\n"
        "print('gone')\n"
        "clear_output(wait=True)\n"
        "print('stays')"
    )
    cells = execute(tmp_path, first, second).cells
    assert cells[0].outputs[0].data["text/plain"] == "'after'"
    assert [output.text for output in cells[1].outputs] == ["stays\n"]


def test_printed_text_beyond_the_limit_keeps_its_beginning_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "TEXT", 1000)
    code = "print('begin')\nfor i in range(2000):\n    print(i)\nprint('end')"
    (cell,) = execute(tmp_path, code).cells
    (output,) = cell.outputs
    assert output.text.startswith("begin\n0\n1\n")
    assert output.text.endswith("1998\n1999\nend\n")
    assert "kale-pm left out" in output.text
    assert len(output.text) < 1200


@pytest.mark.parametrize("pieces", [["ab"] * 30, ["x" * 95], ["x" * 9, "y" * 80], list("abc" * 40)])
def test_a_long_text_is_never_longer_than_its_limit(pieces: list[str]) -> None:
    text = outputs.Text(20)
    for piece in pieces:
        text.add(piece)
    whole, kept = "".join(pieces), str(text)
    begin, _, end = kept.partition("\n[kale-pm left out ")
    assert begin == whole[:10]
    assert end.partition("here]\n")[2] == whole[-10:]


def test_a_text_that_fits_is_kept_as_it_is() -> None:
    text = outputs.Text(20)
    for piece in ("abc", "d" * 9, "e" * 8):
        text.add(piece)
    assert str(text) == "abc" + "d" * 9 + "e" * 8


def test_pictures_beyond_the_limit_are_left_out_with_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "PICTURES", 100_000)
    code = (
        "from IPython.display import display, HTML\n"
        "display(HTML('small'))\n"
        "for i in range(3):\n"
        "    display(HTML('x' * 90_000))\n"
        "display(HTML('small again'))"
    )
    monitor = Listening()
    cells = execute(tmp_path, code, "print('goes on')", monitor=monitor).cells
    shown = [len(output.data["text/html"]) for output in cells[0].outputs if "data" in output]
    assert shown == [5, 90_000, 11]
    (said,) = [output.text for output in cells[0].outputs if "data" not in output]
    assert said.startswith("kale-pm: an output of 0 MB was left out")
    assert len(monitor.warnings) == 1
    assert cells[1].outputs[0].text == "goes on\n"


def test_half_of_a_character_does_no_harm(tmp_path: Path) -> None:
    cells = execute(tmp_path, "'\\ud800 alone'", "print('after')").cells
    assert "alone" in cells[0].outputs[0].data["text/plain"]
    assert cells[1].outputs[0].text == "after\n"


def test_cells_that_may_fail_and_cells_that_are_skipped(tmp_path: Path) -> None:
    content = notebook("1 / 0", "raise SystemExit", "print('ran')", "")
    content.metadata["papermill"] = {}
    content.cells[0].metadata.tags = ["raises-exception"]
    content.cells[1].metadata.tags = ["skip-execution"]
    path = tmp_path / "executed.ipynb"
    Engine.execute_notebook(content, "python3", str(path))
    cells = nbformat.read(path, as_version=4).cells
    assert cells[0].outputs[0].ename == "ZeroDivisionError"
    assert cells[1].outputs == []
    assert cells[2].outputs[0].text == "ran\n"


# -- saving -----------------------------------------------------------------------------------


def test_a_notebook_is_saved_at_its_beginning_and_end_and_seldom_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kale_pm.runtime.execution import keeper

    written: list[int] = []
    write = keeper.write_notebook

    def count(*arguments: Any) -> None:
        written.append(1)
        write(*arguments)

    monkeypatch.setattr(keeper, "write_notebook", count)
    execute(tmp_path, *["x = 1\nprint(x)"] * 20)
    assert len(written) <= 3


def test_the_longer_a_save_takes_the_longer_it_is_until_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kale_pm.runtime.execution import keeper

    now = 0.0
    saved: list[float] = []

    def slow(*_: Any) -> None:
        nonlocal now
        saved.append(now)
        now += 10

    monkeypatch.setattr(keeper, "write_notebook", slow)
    monkeypatch.setattr(keeper.time, "monotonic", lambda: now)
    kept = keeper.Keeper(notebook("x"), Monitor(), str(tmp_path / "a.ipynb"), progress_bar=False)
    while now < 1000:
        kept.save()
        now += 1
    assert 3 <= len(saved) <= 6
    kept.save(force=True)
    assert saved[-1] >= 1000


# -- the end ----------------------------------------------------------------------------------


def test_a_kernel_that_dies_leaves_a_notebook_with_true_statuses(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        execute(
            tmp_path,
            "print(1)",
            # What the kernel's own thread has not sent yet dies with it.
            "import os, time\nprint('last words', flush=True)\ntime.sleep(0.5)\nos._exit(3)",
            "2",
        )
    executed = caught.value.notebook  # type: ignore[attr-defined]
    assert type(caught.value).__name__ == "DeadKernelError"
    assert statuses(executed) == ["completed", "failed", "pending"]
    assert executed.cells[1].outputs[0].text == "last words\n"


@pytest.mark.parametrize("after", [0.0, 0.05, 0.15, 0.3])
def test_an_execution_may_be_interrupted_while_its_kernel_starts(
    tmp_path: Path, after: float
) -> None:
    monitor = Monitor()
    timer = threading.Timer(after, monitor.interrupt)
    timer.start()
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it meets first
        execute(tmp_path, "import time\ntime.sleep(60)", monitor=monitor)
    executed = caught.value.notebook  # type: ignore[attr-defined]
    assert statuses(executed)[0] in ("pending", "failed")
    timer.join()


def test_a_kernel_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kale_pm.runtime.execution import kernel_process

    monkeypatch.setattr(kernel_process, "_PATIENCE", 0.5)
    code = "import atexit, time, os\natexit.register(time.sleep, 60)\nprint(os.getpid())"
    (cell,) = execute(tmp_path, code).cells
    process = int(cell.outputs[0].text)
    assert not Path(f"/proc/{process}").exists() or "Z" in Path(f"/proc/{process}/stat").read_text()


def test_what_has_been_done_is_not_interrupted_when_only_the_kernel_is_left_to_end(
    tmp_path: Path,
) -> None:
    class Late(Monitor):
        def kernel_ending(self) -> None:
            super().kernel_ending()
            self.interrupt()

    monitor = Late()
    executed = execute(tmp_path, "print(1)", monitor=monitor)
    assert statuses(executed) == ["completed"]
    assert not monitor.interrupted


def test_output_is_heard_while_the_cell_runs(run: Runner) -> None:
    ran = run([("block:a", "print('one', flush=True)\nimport time\ntime.sleep(0.4)\nprint('two')")])
    heard = [event.text for event in ran.events if isinstance(event, CellOutput)]
    assert heard == ["one\n", "two\n"]
    assert ran.state("a") is State.DONE


# -- large ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_hundred_megabytes_and_long_lines(tmp_path: Path) -> None:
    code = "import sys\nfor i in range(20):\n    sys.stdout.write('y' * 10_000_000 + '\\n')"
    cells = execute(tmp_path, code, "print('after')").cells
    assert sum(len(output.text) for output in cells[0].outputs) < 33_000_000
    assert cells[1].outputs[0].text == "after\n"


@pytest.mark.slow
def test_half_a_gigabyte_of_pictures_is_refused_and_the_run_goes_on(tmp_path: Path) -> None:
    code = (
        "from IPython.display import display\ndisplay({'image/png': 'A' * 500_000_000}, raw=True)"
    )
    cells = execute(tmp_path, code, "print('after')").cells
    assert "an output of 500 MB was left out" in cells[0].outputs[0].text
    assert cells[1].outputs[0].text == "after\n"
