"""Runs that share a store: at once, one after the other, and after one that was killed."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kale_pm.local import read_run
from kale_pm.local.journal import read_journal
from kale_pm.record import State

if TYPE_CHECKING:
    from conftest import Ran, Runner

    from kale_pm.record import RunRecord


def test_two_notebooks_in_one_folder_do_not_disturb_each_other(run: Runner) -> None:
    first = [("block:a", "x = 1"), ("block:b prev:a", "print(x)")]
    second = [("block:a", "x = 2"), ("block:b prev:a", "print(x)")]
    other = run.named("other.ipynb")
    run(first)
    assert other(second).printed("b") == "2\n"
    assert run().executed == other().executed == []
    assert run().printed("b") == "1\n"
    runs = run.store / "runs"
    assert (runs / "latest-notebook").resolve().name.startswith("notebook-")
    assert (runs / "latest-other").resolve().name.startswith("other-")


def test_two_runs_at_the_same_time_both_end_well(run: Runner) -> None:
    write = [("block:a", "x = list(range(1000))"), ("block:b prev:a", "print(sum(x))")]
    run.write_cells(write)
    results: list[Ran] = []
    threads = [threading.Thread(target=lambda: results.append(run())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [ran.printed("b") for ran in results] == ["499500\n"] * 2
    assert len({ran.record.id for ran in results}) == 2
    assert run().executed == []


SLOW_CHAIN = [
    ("imports", "import time"),
    ("block:a", "x = [1]\ntime.sleep(0.2)\nopen('made_by_a', 'a').write('x')"),
    ("block:b prev:a", "x.append(2)\ntime.sleep(0.2)\nopen('made_by_b', 'a').write('x')"),
    ("block:c prev:b", "x.append(3)\ntime.sleep(0.2)\nopen('made_by_c', 'a').write('x')"),
    ("block:d prev:c", "print(x)"),
]


@pytest.mark.parametrize("seed", range(6))
def test_a_run_that_was_killed_at_any_moment_is_taken_up(run: Runner, seed: int) -> None:
    run.write_cells(SLOW_CHAIN)
    command = [sys.executable, "-m", "kale_pm", "run", str(run.path), "-j", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = kill_after(process, run.store, lines=random.Random(seed).randint(1, 45))
    finished = {
        str(event["step"]): event["state"] for event in journal if event["event"] == "StepFinished"
    }
    if "RunFinished" not in [event["event"] for event in journal]:
        assert [record.state for record in records(run)] == [State.INTERRUPTED]

    ran = run().raise_for_failures()
    assert ran.printed("d") == "[1, 2, 3]\n"
    for step, state in finished.items():
        assert (state, ran.state(step).value) == ("done", "cached"), (
            "what was done is not done again"
        )
    assert run().executed == []


def kill_after(process: subprocess.Popen[bytes], store: Path, lines: int) -> list[dict[str, Any]]:
    """Kill the run when its journal has so many lines, or let it end; what is in the journal."""
    while process.poll() is None:
        journals = list(store.glob("runs/notebook-*/journal.jsonl"))
        if journals and len(journals[0].read_bytes().splitlines()) >= lines:
            process.kill()
            break
        time.sleep(0.002)
    process.wait()
    return read_journal(next(store.glob("runs/notebook-*/journal.jsonl")))


def records(run: Runner) -> list[RunRecord]:
    return [
        read_run(folder) for folder in (run.store / "runs").glob("notebook-*") if folder.is_dir()
    ]
