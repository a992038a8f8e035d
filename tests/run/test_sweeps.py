"""Sweeps with real kernels: what is shared is executed once, and nothing that is done is lost."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from processes import driving, has_ended, until

from kale_pm.events import CellFinished, CellStarted, OfTrial, StepStarted, SweepEvent, Warned
from kale_pm.local import RunOptions, read_run
from kale_pm.local.results.variables import RunVariables
from kale_pm.local.sweeping import (
    SweepOptions,
    find_sweep,
    read_sweep,
    run_sweep,
    stored,
    unfinished,
    write_page,
)
from kale_pm.record import State, SweepRecord
from kale_pm.sweep import Plan, plan_sweep, space_of, trials

if TYPE_CHECKING:
    from conftest import Runner

CELLS = [
    ("imports", "import os, time"),
    ("parameters", "rate = 0.5\ndepth = 3"),
    ("block:load", "x = [1, 2, 3]"),
    ("block:scale prev:load", "scaled = [rate * each for each in x]"),
    ("block:grow prev:load", "grown = depth + len(x)"),
    ("block:judge prev:scale prev:grow", "score = sum(scaled) * grown"),
    ("metrics", "score"),
]
RATES, DEPTHS = [0.5, 1.0], [3, 5]


@dataclass
class Swept:
    """What a sweep did."""

    record: SweepRecord
    folder: Path
    plan: Plan
    events: list[SweepEvent]

    @property
    def executed(self) -> list[tuple[int, str]]:
        return sorted(
            (event.number, event.event.step)
            for event in self.events
            if isinstance(event, OfTrial) and isinstance(event.event, StepStarted)
        )

    @property
    def states(self) -> list[str]:
        return [trial.state.value for trial in self.record.trials]

    def run_folder(self, number: int) -> Path:
        return self.folder.parent.parent / "runs" / str(self.record.trials[number - 1].run)

    def load(self, number: int, name: str) -> Any:
        folder = self.run_folder(number)
        return RunVariables(folder, read_run(folder)).load(name)


def plan_of(run: Runner, **given: Any) -> Plan:
    pipeline = run.pipeline()
    space = space_of(pipeline.parameters, given)
    found, _ = trials(pipeline.parameters, space)
    return plan_sweep(pipeline, found, space.names)


def sweep(run: Runner, jobs: int = 2, **given: Any) -> Swept:
    plan = plan_of(run, **given)
    events: list[SweepEvent] = []
    options = SweepOptions(RunOptions(jobs=jobs))
    record, folder = run_sweep(run.pipeline(), plan, options, events.append)
    return Swept(record, folder, plan, events)


def test_every_step_is_executed_once_for_its_inputs_and_gives_each_trial_its_own(
    run: Runner,
) -> None:
    run.write_cells(CELLS)
    swept = sweep(run, rate=RATES, depth=DEPTHS)
    assert swept.states == ["done"] * 4
    assert swept.plan.by_step == {"load": 1, "scale": 2, "grow": 2, "judge": 4}
    assert len(swept.executed) == len(set(swept.executed)) == swept.plan.count == 9
    for number, (rate, depth) in enumerate([(r, d) for r in RATES for d in DEPTHS], 1):
        assert swept.record.trials[number - 1].metrics == {"score": 6 * rate * (depth + 3)}
        assert swept.load(number, "scaled") == [rate, 2 * rate, 3 * rate]
        assert swept.load(number, "grown") == depth + 3
        books = sorted(path.stem for path in (swept.run_folder(number) / "notebooks").iterdir())
        assert books == ["grow", "judge", "load", "scale"]
    assert stored(run.pipeline(), swept.plan, RunOptions()) == 9
    assert sweep(run, rate=RATES, depth=DEPTHS).executed == []


def test_a_run_takes_up_what_a_sweep_has_done_and_a_sweep_what_a_run_has(run: Runner) -> None:
    run(CELLS, rate=1.0)
    swept = sweep(run, rate=RATES, depth=[3])
    assert swept.executed == [(1, "judge"), (1, "scale")]
    assert run(None, rate=0.5, depth=3).executed == []


def test_a_failing_trial_is_marked_and_tried_again_alone(run: Runner) -> None:
    run.write_cells(
        [
            *CELLS[:-2],
            (
                "block:judge prev:scale prev:grow",
                "if depth == 5 and not os.path.exists('mended'):\n    1 / 0\nscore = rate",
            ),
            ("metrics", "score"),
        ]
    )
    first = sweep(run, rate=RATES, depth=DEPTHS)
    assert first.states == ["done", "failed", "done", "failed"]
    assert first.record.trials[1].error == "judge: ZeroDivisionError: division by zero"
    run.write("mended", "")
    pipeline = run.pipeline()
    plan = plan_sweep(pipeline, unfinished(pipeline, read_sweep(first.folder)), ("rate", "depth"))
    events: list[SweepEvent] = []
    record, folder = run_sweep(
        pipeline, plan, SweepOptions(retry=read_sweep(first.folder)), events.append
    )
    again = Swept(record, folder, plan, events)
    assert again.executed == [(2, "judge"), (4, "judge")]
    assert again.states == ["done"] * 4
    assert again.record.trials[0] == first.record.trials[0]


def test_a_failing_prefix_fails_all_at_once(run: Runner) -> None:
    run.write_cells([*CELLS[:2], ("block:load", "x = 1 / 0"), *CELLS[3:]])
    swept = sweep(run, rate=RATES, depth=DEPTHS)
    assert swept.states == ["failed"] * 4
    assert swept.executed == [(1, "load")]
    assert {trial.error for trial in swept.record.trials} == {
        "load: ZeroDivisionError: division by zero"
    }
    assert "ZeroDivisionError" in (swept.run_folder(3) / "notebooks/load.ipynb").read_text()


def test_an_edit_between_two_sweeps_is_executed_and_nothing_else(run: Runner) -> None:
    run.write_cells(CELLS)
    sweep(run, rate=RATES, depth=DEPTHS)
    edited = [(tags, text.replace("depth + len(x)", "depth * len(x)")) for tags, text in CELLS]
    run.write_cells(edited)
    swept = sweep(run, rate=RATES, depth=DEPTHS)
    assert {step for _, step in swept.executed} == {"grow", "judge"}
    assert len(swept.executed) == 2 + 4
    assert [trial.metrics["score"] for trial in swept.record.trials] == [
        6 * rate * depth * 3 for rate in RATES for depth in DEPTHS
    ]


@pytest.mark.parametrize("jobs", [1, 2])
def test_trials_and_steps_share_one_pool_of_workers(run: Runner, jobs: int) -> None:
    run.write_cells(CELLS)
    at_once: list[int] = [0]

    def listen(event: SweepEvent) -> None:
        if isinstance(event, OfTrial) and isinstance(event.event, CellStarted | CellFinished):
            change = 1 if isinstance(event.event, CellStarted) else -1
            at_once.append(at_once[-1] + change)

    options = SweepOptions(RunOptions(jobs=jobs))
    plan = plan_of(run, rate=[1.0, 2.0, 3.0], depth=DEPTHS)
    run_sweep(run.pipeline(), plan, options, listen)
    assert max(at_once) <= jobs
    assert at_once[-1] == 0


FILED = [
    ("imports", "import time"),
    ("parameters", "q = 1\nk = 0"),
    ("block:train", "with open('model.txt', 'w') as file:\n    file.write(str(k))"),
    ("block:judge prev:train", "time.sleep(0.1)\nread = 10 * int(open('model.txt').read()) + q"),
    ("metrics", "read"),
]


# Trials with k=1 and k=2 are executed at the same time.
TOGETHER = """
open(f'there{k}', 'w').close()
while not os.path.exists(f'there{3 - k}'):
    time.sleep(0.02)
"""


def test_one_job_reads_in_each_trial_the_file_that_this_trial_wrote(run: Runner) -> None:
    run.write_cells(FILED)
    for _ in range(2):  # the second time with what is stored
        swept = sweep(run, 1, q=[1, 2], k=[1, 2, 3])
        read = [trial.metrics["read"] for trial in swept.record.trials]
        assert read == [11, 21, 31, 12, 22, 32]
    assert run(None, q=1, k=2).record.metrics == {"read": 21}


def test_no_result_is_kept_whose_file_another_trial_wrote_meanwhile(run: Runner) -> None:
    train = f"{FILED[2][1]}\n{TOGETHER}"
    cells = [("imports", "import os, time"), *FILED[1:2], ("block:train", train), *FILED[3:]]
    run.write_cells(cells)
    swept = sweep(run, 2, k=[1, 2])
    inner = [event.event for event in swept.events if isinstance(event, OfTrial)]
    told = [event.message for event in inner if isinstance(event, Warned)]
    (warning,) = (text for text in told if "at the same time" in text)
    assert warning.startswith("model.txt was written by others at the same time")
    for left in ("1", "2"):
        for k in (1, 2):
            run.write("model.txt", left)
            assert run(None, k=k).record.metrics == {"read": 10 * k + 1}


def test_parallel_steps_that_open_one_database_are_kept(run: Runner) -> None:
    import sqlite3

    with sqlite3.connect(run.folder / "rows.db") as database:
        database.execute("create table rows (x)")
    database.close()
    read = "rows = sqlite3.connect('rows.db').execute('select * from rows').fetchall()"
    run.write_cells(
        [
            ("imports", "import os, sqlite3, time"),
            ("parameters", "k = 1"),
            ("block:a", f"{read}\n{TOGETHER}"),
        ]
    )
    assert len(sweep(run, 2, k=[1, 2]).executed) == 2
    assert sweep(run, 2, k=[1, 2]).executed == []


# Of these the trial with k=2 writes last.
SECOND = "while k == 2 and not os.path.exists('there1'):\n    time.sleep(0.02)"


OUTSIDE = "open('data.txt').close()\n    subprocess.run('echo >> data.txt', shell=True)"


@pytest.mark.parametrize(("end", "state"), [("1 / 0", "failed"), (OUTSIDE, "done")])
def test_nor_if_the_result_of_the_other_trial_is_not_stored(
    run: Runner, end: str, state: str
) -> None:
    run.write("data.txt", "")
    train = f"{SECOND}\n{FILED[2][1]}\n{TOGETHER}\nif k == 2:\n    {end}"
    cells = [
        ("imports", "import os, subprocess, time"),
        *FILED[1:2],
        ("block:train", train),
        *FILED[3:],
    ]
    run.write_cells(cells)
    swept = sweep(run, 2, k=[1, 2])
    assert swept.states == ["done", state]
    run.write("model.txt", "2")
    assert run(None, k=1).record.metrics == {"read": 11}


@pytest.mark.parametrize(
    "write",
    [
        "os.system(f'echo {k} > model.txt')",
        "!echo {k} > model.txt",
        "import store\nstore.to_model(k, 'model.txt')",
    ],
)
def test_nor_if_the_file_was_written_unseen(run: Runner, write: str) -> None:
    by_another_process = "['sh', '-c', f'echo {value} > {path}']"
    run.write(
        "store.py",
        "import subprocess\n\n\ndef to_model(value, path):\n"
        f"    subprocess.run({by_another_process}, check=True)\n",
    )
    train = f"{SECOND}\n{write}\n{TOGETHER}"
    cells = [("imports", "import os, time"), *FILED[1:2], ("block:train", train), *FILED[3:]]
    run.write_cells(cells)
    sweep(run, 2, k=[1, 2])
    run.write("model.txt", "2\n")
    assert run(None, k=1).record.metrics == {"read": 11}


@pytest.mark.parametrize("end", ["", "if k == 2:\n    1 / 0"])
def test_trials_that_write_files_of_their_own_keep_their_results(run: Runner, end: str) -> None:
    write = "os.makedirs('out', exist_ok=True)\nos.system(f'echo {k} > out/model-{k}.txt')"
    train = f"{write}\n{TOGETHER}\n{end}"
    judge = "read = int(open(f'out/model-{k}.txt').read())"
    run.write_cells(
        [
            ("imports", "import os, time"),
            ("parameters", "k = 0"),
            ("block:train", train),
            ("block:judge prev:train", judge),
            ("metrics", "read"),
        ]
    )
    assert sweep(run, 2, k=[1, 2]).record.warnings == ()
    assert run(None, k=1).record.metrics == {"read": 1}
    assert run(None, k=1).executed == []


def test_what_is_warned_of_while_it_goes_on_is_kept_once(run: Runner) -> None:
    run.write("data.txt", "1")
    train = (
        "open('data.txt').close()\n"
        "subprocess.run(['sh', '-c', 'sleep 0.01; echo 2 >> ' + place], check=True)"
    )
    run.write_cells(
        [
            ("imports", "import subprocess\nplace = 'data' + '.txt'"),
            ("parameters", "k = 0"),
            ("block:train", f"k\n{train}"),
        ]
    )
    swept = sweep(run, 1, k=[1, 2])
    told = "train: data.txt changed while the step ran: its result will not be used again"
    assert swept.record.warnings == (told,)
    assert read_sweep(swept.folder).warnings == (told,)
    assert told in (swept.folder / "results.json").read_text()


def test_the_page_leads_to_every_notebook_that_was_executed(run: Runner) -> None:
    import re

    run.write_cells(CELLS)
    swept = sweep(run, rate=RATES, depth=DEPTHS)
    page = write_page(swept.record, swept.folder)
    links = re.findall(r'href="(\.\./[^"]+)"', page.read_text())
    assert len(links) == swept.plan.count
    assert all((page.parent / link).exists() for link in links)


# -- the end from outside -------------------------------------------------------------------------

# A shell starts its background jobs with SIGINT ignored, and their children inherit that.
SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from kale_pm.analysis import understand
from kale_pm.local import RunOptions
from kale_pm.local.sweeping import SweepOptions, run_sweep
from kale_pm.notebook import read
from kale_pm.sweep import plan_sweep, space_of, trials
pipeline = understand(read(Path(sys.argv[1])))
space = space_of(pipeline.parameters, {"number": [1, 2, 3, 4]})
plan = plan_sweep(pipeline, trials(pipeline.parameters, space)[0], space.names)
run_sweep(pipeline, plan, SweepOptions(RunOptions(jobs=1)))
"""
SLOW = [
    ("imports", "import os, time"),
    ("parameters", "number = 1"),
    ("block:load", "x = 1"),
    ("block:work prev:load", "print('so far')\nwaits = number == 3 and not os.path.exists('go')"),
    ("", "if waits:\n    open('started', 'w').write(str(os.getpid()))\n    time.sleep(60)"),
    ("", "y = x * number"),
]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_sweep_that_is_ended_says_so_leaves_no_kernel_and_resumes(
    run: Runner, number: signal.Signals
) -> None:
    run.write_cells(SLOW)
    before = sweep(run, number=[7]).folder
    flag = run.folder / "started"
    with driving(SCRIPT, run.path) as driver:
        until(lambda: driver.poll() is not None or is_waiting(run))
        driver.send_signal(number)
        said = driver.communicate(timeout=60)[1]
    assert driver.returncode != 0
    assert flag.exists(), said
    until(lambda: has_ended(int(flag.read_text())))
    folder = find_sweep("latest", run.folder)
    assert folder == find_sweep("latest-notebook", run.folder) != before
    record = read_sweep(folder)
    assert record.state is State.INTERRUPTED
    assert [t.state.value for t in record.trials] == ["done", "done", "interrupted", "interrupted"]
    third = run.store / "runs" / f"{record.id}.0003"
    assert record.trials[2].run == third.name
    assert record.trials[3].run is None
    assert read_run(third).state is State.INTERRUPTED
    if number == signal.SIGINT:
        assert (folder / "results.csv").read_text().count("\n") == 5
        assert "so far" in (third / "notebooks" / "work.ipynb").read_text()
    run.write("go", "")
    swept = sweep(run, number=[1, 2, 3, 4])
    assert swept.states == ["done"] * 4
    assert swept.executed == [(3, "work"), (4, "work")]


def test_a_sweep_that_was_killed_can_be_finished_in_its_place(run: Runner) -> None:
    run.write_cells(SLOW)
    flag = run.folder / "started"
    with driving(SCRIPT, run.path) as driver:
        until(lambda: driver.poll() is not None or is_waiting(run))
        driver.kill()
        driver.communicate(timeout=60)
    until(lambda: has_ended(int(flag.read_text())))
    run.write("go", "")
    (folder,) = (p for p in (run.store / "sweeps").iterdir() if not p.is_symlink())
    before = read_sweep(folder)
    pipeline = run.pipeline()
    plan = plan_sweep(pipeline, unfinished(pipeline, before), before.varied)
    record, again = run_sweep(pipeline, plan, SweepOptions(retry=before))
    assert again == folder
    assert [trial.state for trial in record.trials] == [State.DONE] * 4
    assert [trial.run for trial in record.trials] == [
        f"{record.id}.{end}" for end in ("0001", "0002", "0003r2", "0004")
    ]


def is_waiting(run: Runner) -> bool:
    """Whether two trials have ended, and the third waits."""
    flag = run.folder / "started"
    ended = (path.read_text() for path in run.store.glob("sweeps/*-*-*/trials.jsonl"))
    return flag.exists() and bool(flag.read_text()) and any(t.count("\n") == 2 for t in ended)
