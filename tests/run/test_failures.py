"""Failures: what is kept, what is said, what goes on."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import has_ended, until

from kale_pm.errors import PipelineError, UsageError
from kale_pm.events import StepRetried
from kale_pm.face import Run
from kale_pm.local import failures, read_run
from kale_pm.local import step as step_module
from kale_pm.local.journal import read_journal
from kale_pm.record import State

if TYPE_CHECKING:
    from conftest import Ran, Runner

    from kale_pm.model import Pipeline

FORK = [
    ("imports", "import os, time"),
    ("block:load", "rows = [1, 2, 3]"),
    ("block:broken prev:load", "total = sum(rows)"),
    ("", "share = total / 2\nshare / 0\nprint('never')"),
    ("", "print('nor this')"),
    ("block:other prev:load", "time.sleep(0.5)\nprint(max(rows))"),
    ("block:report prev:broken prev:other", "print(share)"),
    ("block:archive prev:report", "print('done')"),
]


def test_a_failing_cell_is_named_and_everything_independent_finishes(run: Runner) -> None:
    ran = run(FORK)
    assert ran.record.state is State.FAILED
    assert ran.states() == {
        "load": "done",
        "broken": "failed",
        "other": "done",
        "report": "skipped",
        "archive": "skipped",
    }
    error = ran.error("broken")
    assert (error.ename, error.evalue) == ("ZeroDivisionError", "float division by zero")
    assert (error.cell, error.line, error.source) == (4, 2, "share / 0")
    assert "ZeroDivisionError" in error.traceback
    assert "\x1b" not in error.traceback
    assert ran.why("report") == "broken did not succeed"

    # The executed notebook is kept with the output so far, and its statuses are true.
    cells = ran.notebook("broken").cells
    statuses = {
        c.metadata["kale_pm"].get("cell") or c.metadata["kale_pm"]["role"]: c.metadata["papermill"][
            "status"
        ]
        for c in cells
    }
    assert statuses == {1: "completed", "load": "completed", 3: "completed", 4: "failed"} | {
        5: "pending",
        "save": "pending",
    }

    # One error says it all, run.json and the journal tell the same.
    (told,) = failures(ran.record, ran.folder)
    assert "broken" in str(told)
    assert str(told).splitlines() == [
        "step broken: cell 4, line 2",
        "      1 │ share = total / 2",
        "    ▸ 2 │ share / 0",
        "      3 │ print('never')",
        "ZeroDivisionError: float division by zero",
    ]
    assert told.hint == f"look at {told.notebook}"
    assert Path(told.notebook).is_file()
    assert read_run(ran.folder) == ran.record
    last = [e for e in read_journal(ran.folder / "journal.jsonl") if e["event"] == "StepFinished"]
    assert {e["step"]: e["state"] for e in last} == ran.states()


def test_an_error_inside_a_function_of_the_prelude_is_blamed_on_the_calling_cell(
    run: Runner,
) -> None:
    ran = run(
        [
            ("functions", "def half(x):\n    y = x\n    return y / 0"),
            ("block:a", "x = 1\nprint(x)\nz = half(\n    x)"),
        ]
    )
    error = ran.error("a")
    assert (error.cell, error.source) == (2, "z = half(")
    assert error.line == 3
    assert "return y / 0" in error.traceback


def told(ran: Ran, step: str) -> list[str]:
    """What the error of a step says, line by line."""
    (error,) = (error for error in failures(ran.record, ran.folder) if error.step == step)
    return str(error).splitlines()


def test_where_a_call_ends_in_another_cell_both_lines_are_shown(run: Runner) -> None:
    ran = run(
        [
            (
                "functions",
                "import json\n\n\ndef half(text):\n    copy = text\n    return json.loads(copy)",
            ),
            ("block:a", "x = 1\nhalf(\n    'no')\nprint(x)"),
        ]
    )
    first, last = ran.error("a").places
    assert (first.cell, first.line, first.function) == (2, 2, "")
    assert (last.cell, last.line, last.function) == (1, 6, "half")
    assert told(ran, "a") == [
        "step a: cell 2, line 2",
        "      1 │ x = 1",
        "    ▸ 2 │ half(",
        "      3 │     'no')",
        "  called cell 1, line 6, in half",
        "      4 │ def half(text):",
        "      5 │     copy = text",
        "    ▸ 6 │     return json.loads(copy)",
        "JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
    ]


def test_so_they_are_where_the_function_was_made_by_another_step(run: Runner) -> None:
    ran = run(
        [
            ("block:a", "def share(whole):\n    return 1 / whole"),
            ("block:b prev:a", "x = 0\nshare(x)"),
        ]
    )
    assert told(ran, "b") == [
        "step b: cell 2, line 2",
        "      1 │ x = 0",
        "    ▸ 2 │ share(x)",
        "  called cell 1, line 2, in share",
        "      1 │ def share(whole):",
        "    ▸ 2 │     return 1 / whole",
        "ZeroDivisionError: division by zero",
    ]


def test_of_chained_exceptions_the_last_one_counts(run: Runner) -> None:
    code = (
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('x') from error"
    )
    error = run([("block:a", code)]).error("a")
    assert (error.ename, error.line) == ("ValueError", 4)


def test_lines_are_those_of_the_notebook_where_a_slice_has_others(run: Runner) -> None:
    ran = run(
        [
            ("parameters", "a = 1\nb = 0\n\nshare = a / b"),
            ("parameters", "c = 3"),
            ("block:a", "print(share, c)"),
        ]
    )
    error = ran.error("a")
    assert (error.cell, error.line, error.source) == (1, 4, "share = a / b")
    assert error.places[0].lines == ("a = 1", "b = 0", "", "share = a / b")


@pytest.mark.parametrize(
    ("module", "package"), [("no_such_module", "no_such_module"), ("cv2.aruco", "opencv-python")]
)
def test_a_missing_package_is_told_with_the_interpreter_that_lacks_it(
    module: str, package: str, run: Runner
) -> None:
    ran = run([("block:a", f"import {module}")])
    hint = ran.error("a").hint
    assert hint.startswith(f"step a runs in {sys.executable}, which lacks it")
    assert hint.endswith(f"{sys.executable} -m pip install {package}")


def test_an_error_that_a_cell_only_shows_fails_its_step_as_papermill_has_it(run: Runner) -> None:
    run.write("train.py", "raise RuntimeError('it does not converge')")
    ran = run([("block:a", "%run -i train.py"), ("block:b prev:a", "print('after')")])
    assert ran.states() == {"a": "failed", "b": "skipped"}
    assert "it does not converge" in ran.error("a").message


def test_an_exception_without_words_is_told_by_its_name(run: Runner) -> None:
    ran = run([("block:a", "assert 1 == 2"), ("block:b", "{}['x']")])
    assert told(ran, "a")[-1] == "AssertionError"
    assert told(ran, "b")[-1] == "KeyError: 'x'"


def test_an_error_in_the_prelude_is_blamed_on_the_cell_of_the_prelude(run: Runner) -> None:
    ran = run([("imports", "import os\nimport no_such_module_here"), ("block:a", "x = 1")])
    error = ran.error("a")
    assert (error.ename, error.cell, error.line) == ("ModuleNotFoundError", 1, 2)


def test_a_syntax_error_at_run_time_is_an_error_of_its_cell(run: Runner) -> None:
    ran = run([("block:a", "code = '1 +'\nx = eval(code)")])
    error = ran.error("a")
    assert (error.ename, error.cell, error.line) == ("SyntaxError", 1, 2)


def test_a_defect_of_our_own_fails_one_step_and_the_others_go_on(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = step_module.cut

    def broken(pipeline: Pipeline, name: str) -> object:
        if name == "a":
            raise RuntimeError("nobody thought of this")
        return cut(pipeline, name)

    monkeypatch.setattr(step_module, "cut", broken)
    ran = run([("block:a", "x = 1"), ("block:b prev:a", "print(x)"), ("block:c", "print(2)")])
    assert ran.states() == {"a": "failed", "b": "skipped", "c": "done"}
    error = ran.error("a")
    assert error.ename == "RuntimeError"
    assert "nobody thought of this" in error.evalue
    assert "a defect of kale-pm" in error.evalue
    assert "in broken" in error.traceback
    assert read_run(ran.folder) == ran.record


def test_a_result_that_cannot_be_kept_is_a_warning_not_a_failure(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    cells = [("block:a", "x = 1"), ("block:b prev:a", "print(x)")]
    with monkeypatch.context() as patch:
        patch.setattr(step_module.entries, "remember", full)
        ran = run(cells)
    assert ran.states() == {"a": "done", "b": "done"}
    assert ran.printed("b") == "1\n"
    assert len(ran.warnings) == 2
    assert "No space left on device" in ran.warnings[0]
    assert run().executed == ["a", "b"]


def test_the_prelude_may_import_main(run: Runner) -> None:
    ran = run([("imports", "import __main__"), ("block:a", "print(__main__.__name__)")])
    assert ran.raise_for_failures().printed("a") == "__main__\n"


def test_a_notebook_with_an_error_does_not_start(run: Runner) -> None:
    with pytest.raises(PipelineError):
        run([("block:a", "x = (1 +"), ("block:b prev:a", "print(x)")])
    assert not run.store.exists()


@pytest.mark.parametrize(
    ("code", "ename", "said"),
    [
        ("import sys\nsys.exit(0)", "SystemExit", "sys.exit(0)"),
        ("import sys\nsys.exit()", "SystemExit", "sys.exit()"),
        ("raise SystemExit(3)", "SystemExit", "sys.exit(3)"),
        ("exit()", "SystemExit", "exit() or quit()"),
        ("quit", "SystemExit", "exit() or quit()"),
        ("import os\nos._exit(0)", "DeadKernelError", "it ended itself with exit code 0"),
        ("import os\nos._exit(3)", "DeadKernelError", "exit code 3, as os._exit does"),
        ("import os, signal\nos.kill(os.getpid(), 9)", "DeadKernelError", "outside killed it"),
        ("import os, signal\nos.kill(os.getpid(), 11)", "DeadKernelError", "crashed (SIGSEGV)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", "the cell was interrupted"),
        ("class Odd(Exception):\n    pass\nraise Odd", "Odd", ""),
    ],
)
def test_every_way_to_end_a_cell_early_is_a_failure_with_true_statuses(
    run: Runner, code: str, ename: str, said: str
) -> None:
    ran = run([("block:a", "print('before')"), ("", code), ("", "print('after')")])
    assert ran.states() == {"a": "failed"}
    error = ran.error("a")
    assert (error.ename, error.cell) == (ename, 2)
    assert said in error.evalue
    assert ran.printed("a") == "before\n"
    statuses = [c.metadata["papermill"]["status"] for c in ran.notebook("a").cells]
    assert statuses == ["completed", "completed", "failed", "pending", "pending"]
    assert not (ran.folder / "manifests" / "a.json").exists()


def test_no_tag_lets_a_step_go_on_without_its_kernel(run: Runner) -> None:
    ran = run([("block:a raises-exception", "exit()"), ("", "print('after')")])
    assert (ran.error("a").ename, ran.error("a").cell) == ("SystemExit", 1)
    assert ran.printed("a") == ""


def test_a_cell_that_asks_to_keep_the_kernel_has_not_ended_anything(run: Runner) -> None:
    ran = run([("block:a", "exit(keep_kernel=True)"), ("", "print('after')")])
    assert ran.raise_for_failures().printed("a") == "after\n"


@pytest.mark.parametrize("half", ["\\udce4", "\\ud83d"], ids=["of a file name", "of an emoji"])
def test_what_is_no_character_in_an_exception_is_told_as_an_escape(run: Runner, half: str) -> None:
    ran = run([("block:a", f"name = 'caf' + '{half}'\nraise ValueError(name + ' is bad')")])
    said = f"caf{half} is bad"
    assert ran.error("a").evalue == said
    assert told(ran, "a")[-1] == f"ValueError: {said}"
    assert read_run(ran.folder) == ran.record
    last = [e for e in read_journal(ran.folder / "journal.jsonl") if e["event"] == "StepFinished"]
    assert last[0]["error"]["evalue"] == said  # type: ignore[index]
    (output,) = (o for cell in ran.notebook("a").cells for o in cell.outputs)
    assert output["evalue"] == said
    assert said in Run(ran.record, ran.folder).write_report().read_text(encoding="utf-8")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="nobody tells the memory")
def test_of_a_kernel_that_is_killed_the_memory_is_told_that_it_held(run: Runner) -> None:
    code = "big = b'x' * 700_000_000\ntime.sleep(2)\nos.kill(os.getpid(), 9)"
    ran = run([("imports", "import os, time"), ("block:a", code)])
    error = ran.error("a")
    assert re.search(r"it held (0\.[7-9]|1\.\d) GB of memory", error.evalue)
    assert "limit:memory:SIZE" in error.hint


def test_a_step_over_its_timeout_is_ended_with_all_that_it_started(run: Runner) -> None:
    ran = run(
        [
            ("imports", "import subprocess, time"),
            (
                "block:a timeout:2",
                (
                    "child = subprocess.Popen(['sleep', '60'])\n"
                    "open('child', 'w').write(str(child.pid))\n"
                    "time.sleep(60)"
                ),
            ),
        ]
    )
    error = ran.error("a")
    assert (error.ename, error.cell) == ("CellTimeoutError", 2)
    assert "timeout of 2 seconds" in error.evalue
    assert "timeout:SECONDS" in error.hint
    until(lambda: has_ended(int((run.folder / "child").read_text())))


def test_a_step_that_may_be_retried_is_and_keeps_the_last_attempt(run: Runner) -> None:
    ran = run(
        [
            ("imports", "from pathlib import Path"),
            (
                "block:a retry:2 retry_interval:0",
                (
                    "tries = Path('tries')\n"
                    "number = len(tries.read_text()) if tries.exists() else 0\n"
                    "tries.write_text('x' * (number + 1))\n"
                    "print('attempt', number)\n"
                    "assert number == 2"
                ),
            ),
        ]
    )
    assert ran.states() == {"a": "done"}
    assert ran.printed("a") == "attempt 2\n"
    retried = [event for event in ran.events if isinstance(event, StepRetried)]
    assert [(e.attempt, e.error.ename) for e in retried] == [
        (2, "AssertionError"),
        (3, "AssertionError"),
    ]


def test_retries_come_to_an_end(run: Runner) -> None:
    ran = run([("block:a retry:1 retry_interval:0", "1 / 0")])
    assert ran.states() == {"a": "failed"}
    assert sum(isinstance(event, StepRetried) for event in ran.events) == 1


def test_a_python_kernel_that_is_not_here_is_replaced_with_one_warning(run: Runner) -> None:
    spec = {"name": "python-of-somebody", "display_name": "x", "language": "python"}
    other = run.with_metadata(kernelspec=spec)
    ran = other([("block:a", "import sys\nprint(sys.executable)"), ("block:b", "print(1)")])
    assert ran.states() == {"a": "done", "b": "done"}
    assert len(ran.warnings) == 1
    assert "python-of-somebody" in ran.warnings[0]


def test_a_kernel_that_was_asked_for_and_is_not_here_is_an_error(run: Runner) -> None:
    with pytest.raises(UsageError, match="no-such-kernel") as caught:
        run.with_options(kernel="no-such-kernel")([("block:a", "x = 1")])
    assert "python3" in caught.value.hint
    assert not run.store.exists()


@pytest.mark.parametrize(
    ("code", "path", "hint"),
    [
        ("it = (i for i in range(3))", "it", "list"),
        ("it = {'rows': [open('data.txt', 'w')]}", "it['rows'][0]", "path"),
        ("import socket\nit = [socket.socket()]", "it[0]", "connect in each step"),
        ("import socket\nit = {}\nit['db'] = socket.socket()", "it['db']", "connect in each step"),
        ("import socket\nit = {}\nit['a: b'] = socket.socket()", "it['a: b']", "connect in each"),
    ],
)
def test_a_variable_that_cannot_be_stored_is_named_with_a_hint_and_nothing_is_left(
    run: Runner, code: str, path: str, hint: str
) -> None:
    ran = run([("block:a", code + "\nfine = list(range(10))"), ("block:b prev:a", "it, fine")])
    assert ran.states() == {"a": "failed", "b": "skipped"}
    error = ran.error("a")
    assert error.ename == "SaveError"
    assert (error.variable, error.path, error.needed_by) == ("it", path, ("b",))
    assert path in error.evalue
    assert hint in error.evalue
    assert "kale_pm/" not in error.traceback
    assert "needed by step b" in error.evalue
    assert (error.cell, error.source) == (1, code.splitlines()[-1])
    assert list((run.store / "packs").iterdir()) == []
    assert list((ran.folder / "manifests").iterdir()) == []
    assert list((run.store / "cache").iterdir()) == []


def test_what_no_later_step_wants_may_be_anything(run: Runner) -> None:
    ran = run([("block:a", "it = (i for i in range(3))\nx = 1"), ("block:b prev:a", "print(x)")])
    assert ran.states() == {"a": "done", "b": "done"}


def test_the_run_resumes_after_a_failure_was_mended(run: Runner) -> None:
    run(FORK)
    mended = [(tags, source.replace("share / 0\n", "")) for tags, source in FORK]
    ran = run(mended).raise_for_failures()
    assert ran.executed == ["archive", "broken", "report"]


def test_the_log_of_a_step_holds_what_its_kernel_process_printed(run: Runner) -> None:
    ran = run([("block:a", "import os\nos.write(2, b'from below\\n')\nos._exit(1)")])
    assert "from below" in (ran.folder / "logs" / "a.log").read_text()
    assert ran.state("a") is State.FAILED


def test_run_json_of_a_failed_run_is_plain_json_with_the_exit_record(run: Runner) -> None:
    ran = run([("block:a", "x = 1\nraise ValueError('no ' + 'good')")])
    content = json.loads((ran.folder / "run.json").read_text())
    step = content["steps"]["a"]
    assert content["state"] == step["state"] == "failed"
    assert step["notebook"] == "notebooks/a.ipynb"
    assert step["error"]["cell"] == 1
    assert step["error"]["line"] == 2
    assert step["error"]["source"] == "raise ValueError('no ' + 'good')"
    assert step["error"]["ename"] == "ValueError"
    assert step["error"]["evalue"] == "no good"
    assert content["process"] == os.getpid()
