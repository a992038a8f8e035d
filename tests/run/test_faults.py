"""What can go wrong around a run, for real: nothing done is lost, nothing is left running."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import until

import kale_pm
from kale_pm.events import Event, StepFinished, StepStarted
from kale_pm.local import RunOptions, read_run, run_pipeline
from kale_pm.local import run as run_module
from kale_pm.record import RunRecord, State

if TYPE_CHECKING:
    from conftest import Runner

_MARK = "KALE_PM_TEST_OF"  # what a command starts inherits it, however far down
_LINUX = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")


@dataclass
class Commands:
    """``kale-pm`` as processes of their own, beside a notebook."""

    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        # A shell starts its background jobs with SIGINT ignored, which children inherit.
        code = (
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "from kale_pm.cli import main; main()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    @property
    def environment(self) -> dict[str, str]:
        root = str(Path(kale_pm.__file__).parents[1])
        return {**os.environ, "PYTHONPATH": root, _MARK: str(self.folder)}

    def running(self) -> list[int]:
        """All processes that come from a command of this test, but for those that are dead."""
        mark = f"{_MARK}={self.folder}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    found += [int(entry.name)] if state not in "ZX" else []
            except OSError:  # it went just now, or belongs to somebody else
                continue
        return found

    def newest(self) -> RunRecord:
        runs = [path for path in (self.folder / ".kale-pm/runs").glob("*-*-*") if path.is_dir()]
        return read_run(max(runs, key=lambda path: path.stat().st_mtime))


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    made = Commands(tmp_path)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
            process.communicate()
    for left in made.running() if Path("/proc/self/environ").exists() else []:
        os.kill(left, signal.SIGKILL)


SLEEP = """
child = subprocess.Popen(["sleep", "1000"])
open("there", "w").close()
while not os.path.exists("go"):
    {}
child.kill()
"""
WAITING = [
    ("imports", "import os, subprocess, time"),
    ("block:quick", "x = 1\nopen('quick', 'a').write('x')"),
    ("block:slow prev:quick", SLEEP.format("time.sleep(100)") + "y = x + 1"),
    ("block:last prev:slow", "print(y)"),
]
# Python code runs in no thread of the process meanwhile: nobody hears a signal.
HOLDING = [(tags, text.replace("time.sleep(100)", "sum(range(10**11))")) for tags, text in WAITING]
IDS = ["sleeping", "holding the interpreter's lock"]


# -- the process that runs the run -------------------------------------------------------------


@_LINUX
@pytest.mark.parametrize("cells", [WAITING, HOLDING], ids=IDS)
def test_of_a_run_that_is_killed_nothing_stays_and_the_next_one_resumes(
    cells: list[tuple[str, str]], run: Runner, commands: Commands
) -> None:
    run.write_cells(cells)
    process = commands.start("run", run.path)
    until((run.folder / "there").exists)

    process.kill()
    process.communicate()

    until(lambda: not commands.running())
    assert commands.newest().state is State.INTERRUPTED
    (run.folder / "go").touch()
    ran = run().raise_for_failures()
    assert ran.executed == ["last", "slow"]
    assert ran.printed("last") == "2\n"
    assert (run.folder / "quick").read_text() == "x"


@_LINUX
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_cell_that_hears_nothing_is_ended_all_the_same(
    number: signal.Signals, run: Runner, commands: Commands
) -> None:
    run.write_cells(HOLDING)
    process = commands.start("run", run.path)
    until((run.folder / "there").exists)

    process.send_signal(number)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 130
    assert said.endswith("interrupted; the next run takes up what is done\n")
    assert commands.running() == []
    record = commands.newest()
    assert {name: step.state.value for name, step in record.steps.items()} == {
        "quick": "done",
        "slow": "interrupted",
        "last": "interrupted",
    }
    (run.folder / "go").touch()
    assert run().executed == ["last", "slow"]


@_LINUX
def test_so_it_is_by_its_timeout(run: Runner, commands: Commands) -> None:
    cells = [(tags.replace("slow", "slow timeout:2", 1), text) for tags, text in HOLDING[:-1]]
    run.write_cells(cells)
    process = commands.start("run", run.path)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "error step slow: cell 3\n" in said
    assert "timeout of 2 seconds" in said
    assert "timeout:SECONDS" in said
    assert commands.running() == []


# -- the kernel --------------------------------------------------------------------------------

KILL = "os.kill(os.getpid(), signal.SIGKILL)"
BOMB = f"""
import os, signal
from pathlib import Path

def arrive():
    if Path("phase").read_text() == "load" and os.environ["KALE_PM_OUTPUT"].endswith("use.json"):
        {KILL}
    return Bomb()

class Bomb:
    def __reduce__(self):
        if Path("phase").read_text() == "save":
            {KILL}
        return arrive, ()
"""
PHASES = [
    ("functions", BOMB),
    ("block:first", "one = 1\nopen('first', 'a').write('x')"),
    (
        "block:make prev:first",
        f"bomb = Bomb()\nif Path('phase').read_text() == 'cell':\n    {KILL}",
    ),
    ("block:use prev:make", "print(one, type(bomb).__name__)"),
]


@pytest.mark.parametrize(
    ("phase", "step", "cell", "said"),
    [
        ("load", "use", None, "while it loaded what the step needs"),
        ("cell", "make", 3, "while the cell ran"),
        ("save", "make", None, "while it stored what the step gives"),
    ],
)
def test_a_kernel_may_be_killed_at_any_time(
    phase: str, step: str, cell: int | None, said: str, run: Runner
) -> None:
    (run.folder / "phase").write_text(phase)
    ran = run(PHASES)
    error = ran.error(step)
    assert (error.ename, error.cell) == ("DeadKernelError", cell)
    assert said in error.evalue
    assert "something outside killed it" in error.evalue
    assert "limit:memory" in error.hint
    assert not (ran.folder / "manifests" / f"{step}.json").exists()
    statuses = [c.metadata["papermill"]["status"] for c in ran.notebook(step).cells]
    assert statuses.count("failed") == 1
    assert set(statuses[statuses.index("failed") + 1 :]) <= {"pending"}

    (run.folder / "phase").write_text("none")
    again = run().raise_for_failures()
    assert again.printed("use") == "1 Bomb\n"
    assert (run.folder / "first").read_text() == "x"


@pytest.mark.parametrize(
    "code",
    [f"import os, signal; {KILL}", "raise SystemExit('no way')", "import sys; sys.exit(0)"],
    ids=["killed", "with words", "without a word"],
)
def test_a_kernel_that_does_not_start_is_told_with_what_it_said(
    code: str, run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_kernel(tmp_path / "jupyter", "dead", [sys.executable, "-c", code], monkeypatch)
    ran = run.with_options(kernel="dead")([("block:a", "x = 1"), ("block:b prev:a", "print(x)")])
    assert ran.states() == {"a": "failed", "b": "skipped"}
    error = ran.error("a")
    assert error.ename == "KernelNotStarted"
    assert error.cell is None
    assert "the kernel did not start" in error.evalue
    if "no way" in code:
        assert "no way" in (ran.folder / "logs" / "a.log").read_text()


def test_a_kernel_whose_program_is_gone_is_told_by_its_path(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = str(tmp_path / "removed" / "bin" / "python")
    install_kernel(tmp_path / "jupyter", "gone", [gone, "-m", "ipykernel_launcher"], monkeypatch)
    ran = run.with_options(kernel="gone")([("block:a", "x = 1")])
    error = ran.error("a")
    assert error.ename == "KernelNotStarted"
    assert gone in error.evalue
    assert "--kernel" in error.hint


def install_kernel(
    place: Path, name: str, argv: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = place / "kernels" / name
    folder.mkdir(parents=True)
    if argv[-1] != "{connection_file}":
        argv = [*argv, "{connection_file}"]
    spec = {"argv": argv, "display_name": name, "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(place))


# -- what cells print --------------------------------------------------------------------------


def test_lines_of_ten_million_characters_arrive_whole(run: Runner) -> None:
    ran = run([("block:a", "for letter in 'ab':\n    print(letter * 10_000_000)\nprint('end')")])
    assert ran.states() == {"a": "done"}
    printed = ran.printed("a")
    assert printed.endswith("end\n")
    assert printed[:10_000_001] == "a" * 10_000_000 + "\n"
    assert len(printed) == 20_000_006


@pytest.mark.slow
def test_two_hundred_megabytes_of_output_end_no_run(run: Runner, commands: Commands) -> None:
    loop = "for number in range(2000):\n    sys.stdout.write('y' * 99_999 + '\\n')"
    run.write_cells(
        [("block:a", f"import sys\n{loop}\nx = 1"), ("block:b prev:a", "print('x is', x)")]
    )
    process = commands.start("run", run.path)
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert commands.newest().state is State.DONE
    assert commands.running() == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os\nos.write(1, b'\\xff\\xfe bad\\n')", ""),
        ("import subprocess\nsubprocess.run(['printf', r'\\377\\376x'])", ""),
        ("!printf '\\377\\376x'", ""),
        ("import sys\nsys.stderr.write('caf\\xe9 \\u2028 \\x00 \\x1b[31m')", ""),
        ("print('\\ud800 alone')", "alone"),
        ("raise ValueError('\\ud800 alone')", "ValueError"),
        ("'\\ud800 alone'", "alone"),
    ],
    ids=["bytes", "of a child", "of a shell", "controls", "surrogate", "raised", "shown"],
)
def test_output_that_is_no_text_ends_no_run(code: str, said: str, run: Runner) -> None:
    ran = run([("block:a", "print('before')"), ("", code), ("", "x = 1"), ("block:b", "y = 2")])
    assert ran.state("b") is State.DONE
    assert ran.state("a") is (State.FAILED if said == "ValueError" else State.DONE)
    assert ran.printed("a").startswith("before\n")
    assert said in str(ran.notebook("a"))
    assert read_run(ran.folder) == ran.record
    if said == "ValueError":
        assert (ran.error("a").cell, ran.error("a").evalue) == (2, r"\ud800 alone")


# -- the disk ----------------------------------------------------------------------------------


_UNSHARED = ("unshare", "--user", "--map-root-user", "--mount")


@dataclass(frozen=True)
class SmallDisk:
    """A file system of its own on a folder, which goes away with the processes that see it."""

    commands: Commands
    folder: Path

    def run(self, script: str, *arguments: object) -> str:
        """What a shell script prints that finds the folder as ``$1``, and ``arguments`` behind."""
        done = subprocess.run(
            [*_UNSHARED, "sh", "-c", script, "sh", str(self.folder), *map(str, arguments)],
            cwd=self.commands.folder,
            env=self.commands.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.stdout + done.stderr


@pytest.fixture
def disk(commands: Commands, tmp_path: Path) -> SmallDisk:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, to mount a small file system")
    (tmp_path / "disk").mkdir()
    made = SmallDisk(commands, tmp_path / "disk")
    if "well" not in (said := made.run('mount -t tmpfs -o size=1m tmpfs "$1" && echo well')):
        pytest.skip(f"no small file system can be mounted here: {said}")
    return made


@_LINUX
@pytest.mark.parametrize(
    "code",
    ["import os\nbig = os.urandom(4_000_000)", "print('y' * 4_000_000)\nbig = 1"],
    ids=["by a variable", "by an output"],
)
def test_a_full_disk_is_told_and_the_next_run_goes_on_where_room_was_made(
    code: str, run: Runner, commands: Commands, disk: SmallDisk
) -> None:
    run.write_cells(
        [
            ("block:a", "x = 1\nopen('a', 'a').write('x')"),
            ("block:b prev:a", code + "\nx += 1"),
            ("block:c prev:b", "print(x, type(big))"),
        ]
    )
    said = disk.run(
        'mount -t tmpfs -o size=2m tmpfs "$1"\n'
        '"$2" -m kale_pm run "$3" --dir "$1"; echo code $?\n'
        'find "$1" -name "*.partial" | sed "s/^/left /"\n'
        'mount -o remount,size=200m "$1"\n'
        '"$2" -m kale_pm run "$3" --dir "$1"; echo code $?\n',
        sys.executable,
        run.path,
    )
    assert "No space left on device" in said
    assert "cannot write" in said
    assert "make room there" in said
    assert "Traceback" not in said
    assert "left " not in said.replace("space left", "")
    assert [line for line in said.splitlines() if line.startswith("code")] == ["code 1", "code 0"]
    assert (run.folder / "a").read_text() == "x"
    assert commands.running() == []


def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(
    run: Runner, disk: SmallDisk
) -> None:
    run.write_cells([("block:a", "open('ran', 'w')")])
    said = disk.run(
        'mount -t tmpfs -o ro tmpfs "$1"\n"$2" -m kale_pm run "$3" --dir "$1"; echo code $?\n',
        sys.executable,
        run.path,
    )
    assert "cannot write to" in said
    assert "Read-only file system" in said
    assert "--dir" in said
    assert "Traceback" not in said
    assert "code 1" in said
    assert not (run.folder / "ran").exists()


# -- what others do meanwhile ------------------------------------------------------------------


@_LINUX
def test_two_runs_of_one_notebook_at_once_do_not_mix(run: Runner, commands: Commands) -> None:
    run.write_cells(
        [
            ("parameters", "n: int = 1"),
            ("block:a", "import time\ntime.sleep(0.5)\nrows = [n] * 3"),
            ("block:b prev:a", "time = 1\nrows.append(n)"),
            ("block:c prev:b", "total = sum(rows)\nprint(total)"),
            ("metrics", "print(total)"),
        ]
    )
    values = [1, 2, 2, 3]
    processes = [commands.start("run", run.path, "-p", f"n={n}", "--json") for n in values]
    for n, process in zip(values, processes, strict=True):
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        told = json.loads(out)
        assert (told["parameters"], told["metrics"]) == ({"n": n}, {"total": 4 * n})
        assert told["state"] == "done"
    assert commands.running() == []
    assert len({record["id"] for record in records(run)}) == len(values)
    for n in (1, 2, 3):
        assert run(None, n=n).states() == dict.fromkeys("abc", "cached")


def records(run: Runner) -> list[dict[str, object]]:
    runs = [path for path in (run.store / "runs").iterdir() if not path.is_symlink()]
    return [json.loads((path / "run.json").read_text()) for path in runs]


def test_a_notebook_that_is_edited_during_its_run_is_run_as_it_was_read(run: Runner) -> None:
    cells = [("block:a", "x = 1"), ("block:b prev:a", "print('old', x)")]
    run.write_cells(cells)

    def edit(event: Event) -> None:
        if isinstance(event, StepFinished) and event.step == "a":
            run.write_cells([cells[0], ("block:b prev:a", "print('new', x)")])

    record, folder = run_pipeline(run.pipeline(), RunOptions(jobs=2), edit)
    assert record.state is State.DONE
    assert "old" in (folder / "notebooks/b.ipynb").read_text()
    ran = run()
    assert ran.states() == {"a": "cached", "b": "done"}
    assert ran.printed("b") == "new 1\n"


def test_times_are_sane_when_the_clock_runs_backwards(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        """Every look at it is an hour before the last one."""

        def __init__(self) -> None:
            self.now = time.time()

        def __call__(self) -> float:
            self.now -= 3600
            return self.now

    cells = [("block:a", "x = 1"), ("block:b prev:a", "print(x)")]
    with monkeypatch.context() as patch:
        patch.setattr(run_module.time, "time", Clock())
        ran = run(cells).raise_for_failures()
        seconds = [ran.record.seconds, *(step.seconds for step in ran.record.steps.values())]
        assert all(took is not None and 0 <= took < 600 for took in seconds)
        assert run().states() == {"a": "cached", "b": "cached"}
    newest = run()
    assert newest.states() == {"a": "cached", "b": "cached"}
    assert (run.store / "runs/latest").resolve() == newest.folder


def test_a_result_that_is_deleted_during_the_run_is_told_and_made_again_by_the_next(
    run: Runner,
) -> None:
    first = [("block:a", "rows = [1, 2, 3]"), ("block:b prev:a", "print(sum(rows))")]
    run(first).raise_for_failures()
    run.write_cells([first[0], ("block:b prev:a", "print(max(rows))")])

    def delete(event: Event) -> None:
        if isinstance(event, StepStarted) and event.step == "b":
            for pack in (run.store / "packs").iterdir():
                pack.unlink()

    record, _ = run_pipeline(run.pipeline(), RunOptions(jobs=2), delete)
    assert record.steps["a"].state is State.CACHED
    error = record.steps["b"].error
    assert error is not None
    assert error.ename == "PackError"
    assert "rows" in error.evalue
    assert "run" in error.evalue

    ran = run().raise_for_failures()
    assert ran.executed == ["a", "b"]
    assert ran.printed("b") == "3\n"


# -- many --------------------------------------------------------------------------------------


@_LINUX
@pytest.mark.slow
def test_two_hundred_steps_sixteen_at_a_time(run: Runner, commands: Commands) -> None:
    run.write_cells(
        [
            *((f"block:s{number}", f"x{number} = {number}") for number in range(200)),
            (
                "block:end " + " ".join(f"prev:s{number}" for number in range(200)),
                "print(" + " + ".join(f"x{number}" for number in range(200)) + ")",
            ),
        ]
    )
    process = commands.start("run", run.path, "-j", 16)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert commands.running() == []
    ran = run()
    assert set(ran.states().values()) == {"cached"}
    assert ran.printed("end") == f"{sum(range(200))}\n"


@_LINUX
@pytest.mark.slow
def test_a_picture_of_half_a_gigabyte_is_left_out_with_a_word(
    run: Runner, commands: Commands
) -> None:
    picture = "display({'image/png': 'A' * 500_000_000}, raw=True)"
    run.write_cells(
        [
            ("block:a", f"from IPython.display import display\n{picture}\nprint('after')\nx = 1"),
            ("block:b prev:a", "print(x)"),
        ]
    )
    process = commands.start("run", run.path)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "500 MB was left out" in said
    record = commands.newest()
    assert record.state is State.DONE
    executed = run.store / "runs" / record.id / "notebooks" / "a.ipynb"
    assert executed.stat().st_size < 1_000_000
    assert "500 MB was left out" in executed.read_text()
    assert "after" in executed.read_text()
