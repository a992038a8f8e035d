"""A failing cell, Ctrl-C and SIGTERM: said plainly, ended in order, taken up again."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import nbformat
import pytest
from processes import has_ended


def latest(folder: Path) -> Path:
    return (folder / ".kale-pm" / "runs" / "latest").resolve()


def states(folder: Path) -> dict[str, str]:
    record = json.loads((latest(folder) / "run.json").read_text(encoding="utf-8"))
    return {name: step["state"] for name, step in record["steps"].items()}


def test_a_failing_cell_is_named_and_what_does_not_need_it_goes_on(notebook, kale, tmp_path):
    path = notebook(
        "broken.ipynb",
        ("block:make", "x = 1"),
        ("block:fail prev:make", "y = x\n\nresult = y / 0"),
        ("block:other prev:make", "import time\ntime.sleep(1)\nz = x"),
        ("block:last prev:fail prev:other", "print(result, z)"),
    )

    answer = kale("run", "broken.ipynb")

    assert answer.code == 1
    executed = latest(tmp_path) / "notebooks/fail.ipynb"
    assert "error step fail: cell 2, line 3\n" in answer.err
    assert "    ▸ 3 │ result = y / 0\n" in answer.err
    assert "ZeroDivisionError: division by zero\n" in answer.err
    assert f"look at {executed}\n" in answer.err
    assert "Traceback" not in answer.err
    assert "2 done, 1 failed, 1 skipped" in answer.out
    assert states(tmp_path) == {
        "make": "done",
        "fail": "failed",
        "other": "done",
        "last": "skipped",
    }
    outputs = [o for c in nbformat.read(executed, as_version=4).cells for o in c.get("outputs", ())]
    assert [o.ename for o in outputs if o.output_type == "error"] == ["ZeroDivisionError"]
    page = (latest(tmp_path) / "report.html").read_text(encoding="utf-8")
    assert "ZeroDivisionError" in page

    path.write_text(path.read_text().replace("y / 0", "y / 2"))
    mended = kale("run", "broken.ipynb")
    assert mended.code == 0, mended.err
    assert mended.started == ["fail", "last"]


def test_the_message_of_a_thousand_lines_fits_a_screen(notebook, kale):
    notebook("long.ipynb", ("block:one", "raise ValueError('\\n'.join(map(str, range(1000))))"))
    answer = kale("run", "long.ipynb")

    assert answer.code == 1
    assert len(answer.err.splitlines()) < 24
    assert "more lines" in answer.err
    assert "look at" in answer.err


def test_a_kernel_that_dies_is_told_with_its_cell(notebook, kale, tmp_path):
    notebook("dies.ipynb", ("block:one", "x = 1"), ("block:one", "import os\nos._exit(3)"))
    answer = kale("run", "dies.ipynb")

    assert answer.code == 1
    assert "step one: cell 2" in answer.err
    assert "the kernel died" in answer.err
    assert (latest(tmp_path) / "notebooks/one.ipynb").is_file()


SLEEPER = """
import os, pathlib, subprocess, time
child = subprocess.Popen(["sleep", "100"])
pathlib.Path("pids").write_text(f"{os.getpid()} {child.pid}")
while not pathlib.Path("go_on").exists():
    try:
        time.sleep(100)
    except KeyboardInterrupt:
        pass
child.kill()
"""


@pytest.mark.parametrize(
    "signals",
    [
        [signal.SIGTERM],
        [signal.SIGINT, signal.SIGINT, signal.SIGTERM],
        [signal.SIGHUP, signal.SIGTERM, signal.SIGINT] * 5,
    ],
    ids=["one", "three at once", "many at once"],
)
def test_an_interrupted_run_leaves_nothing_behind_and_goes_on_next_time(
    signals, notebook, start, kale, until, tmp_path
):
    notebook(
        "slow.ipynb",
        ("block:quick", "x = 1"),
        ("block:slow prev:quick", SLEEPER + "y = x"),
        ("block:last prev:slow", "print(y)"),
    )
    process = start("run", "slow.ipynb")
    pids = tmp_path / "pids"
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    kernel_and_child = [int(pid) for pid in pids.read_text().split()]

    for number in signals:
        process.send_signal(number)
    until(lambda: all(map(has_ended, kernel_and_child)))
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert err.endswith("interrupted; the next run takes up what is done\n")
    assert "Traceback" not in err
    record = json.loads((latest(tmp_path) / "run.json").read_text(encoding="utf-8"))
    assert record["state"] == "interrupted"
    assert states(tmp_path) == {"quick": "done", "slow": "interrupted", "last": "interrupted"}
    assert (latest(tmp_path) / "notebooks/slow.ipynb").is_file()
    (tmp_path / "go_on").touch()
    again = kale("run", "slow.ipynb")
    assert again.code == 0, again.err
    assert again.started == ["last", "slow"]


def test_signals_without_end_do_not_disturb_the_end(notebook, start, until, tmp_path):
    notebook("slow.ipynb", ("block:slow", SLEEPER), ("block:last prev:slow", "print(1)"))
    process = start("run", "slow.ipynb")
    pids = tmp_path / "pids"
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2)

    def send_and_see() -> bool:
        process.send_signal(signal.SIGINT)
        return (latest(tmp_path) / "run.json").exists()

    until(send_and_see)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Traceback" not in err
    assert states(tmp_path) == {"slow": "interrupted", "last": "interrupted"}
    assert all(has_ended(int(pid)) for pid in pids.read_text().split())


def test_a_script_that_is_told_to_end_does_so_when_its_run_has_ended(
    notebook, start_python, until, tmp_path
):
    notebook("slow.ipynb", ("block:slow", SLEEPER))
    process = start_python("import kale_pm; kale_pm.run('slow.ipynb')")
    pids = tmp_path / "pids"
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert process.returncode == -signal.SIGTERM
    assert states(tmp_path) == {"slow": "interrupted"}
    assert all(has_ended(int(pid)) for pid in pids.read_text().split())


def test_a_run_that_was_killed_reads_interrupted(notebook, start, kale, until, tmp_path):
    notebook("slow.ipynb", ("block:slow", SLEEPER))
    process = start("run", "slow.ipynb")
    pids = tmp_path / "pids"
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    process.kill()
    process.communicate(timeout=60)

    (run,) = (tmp_path / ".kale-pm/runs").glob("slow-*")
    assert kale("report", run.name, "--json").json["state"] == "interrupted"
    until(lambda: all(has_ended(int(pid)) for pid in pids.read_text().split()))
