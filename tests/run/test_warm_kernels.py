"""Kernels that are ready before their step: they behave as those that are started for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kale_pm.local.journal import read_journal
from kale_pm.local.kernels.pool import Pool
from kale_pm.runtime.execution.kernel import interpreter_spec
from kale_pm.runtime.execution.kernel_process import Kernel, ask_to_end, end, is_idle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Ran, Runner

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")

PARENT = "import os\nprint(open(f'/proc/{os.getppid()}/cmdline').read().replace(chr(0), ' '))"


@pytest.fixture(params=["warm", pytest.param("cold", marks=pytest.mark.slow)])
def either(request: pytest.FixtureRequest, run: Runner) -> Runner:
    """Runs notebooks on forked kernels, and the same ones on others."""
    return run.with_metadata(kale_pm={"kernels": request.param, "replay": False})


def notes(ran: Ran) -> list[object]:
    """Why kernels were not forked."""
    events = read_journal(ran.folder / "journal.jsonl")
    return [event["text"] for event in events if event["event"] == "Note"]


@contextmanager
def killing(met: Path) -> Iterator[None]:
    """Kill, as soon as it is there, the process whose number the link ``met`` leads to."""

    def kill() -> None:
        limit = time.monotonic() + 60
        while not met.is_symlink() and time.monotonic() < limit:
            time.sleep(0.01)
        os.kill(int(met.readlink().name), signal.SIGKILL)

    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill)
        yield
        killed.result()


def one_step(run: Runner, *cells: str, tags: str = "block:a") -> Ran:
    """A step of those cells."""
    first, *others = cells
    ran = run([(tags, first), *(("", source) for source in others)])
    assert notes(ran) == []
    return ran


# -- which kernels are forked -----------------------------------------------------------------


def test_kernels_are_forked_from_a_template(run: Runner) -> None:
    assert "template.py" in one_step(run, PARENT).raise_for_failures().printed("a")


def test_a_notebook_can_ask_for_cold_kernels(run: Runner) -> None:
    cold = run.with_metadata(kale_pm={"kernels": "cold"})
    assert "template.py" not in one_step(cold, PARENT).raise_for_failures().printed("a")


def test_a_setting_that_is_neither_is_an_error(run: Runner) -> None:
    run.with_metadata(kale_pm={"kernels": "tepid"}).write_cells([("block:a", "x = 1")])
    (problem,) = run.pipeline().errors
    assert "neither cold nor warm" in problem.message


def test_a_step_with_variables_of_its_own_has_them_from_the_beginning(run: Runner) -> None:
    cells = [
        (
            "block:a env:PYTHONHASHSEED:7",
            PARENT + "\nimport sys\nprint(sys.flags.hash_randomization)",
        )
    ]
    printed = run(cells).raise_for_failures().printed("a")
    assert "template.py" not in printed


def test_a_kernelspec_that_is_more_than_plain_ipykernel_is_started_as_it_says(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run.folder / "share" / "kernels" / "mine"
    folder.mkdir(parents=True)
    argv = f'["{sys.executable}", "-m", "ipykernel_launcher", "-f", "{{connection_file}}"]'
    text = (
        f'{{"argv": {argv}, "display_name": "mine", "language": "python", "env": {{"MINE": "1"}}}}'
    )
    (folder / "kernel.json").write_text(text)
    monkeypatch.setenv("JUPYTER_PATH", str(run.folder / "share"))
    code = PARENT + "\nprint('MINE=' + os.environ['MINE'])"
    printed = run.with_options(kernel="mine")([("block:a", code)]).raise_for_failures().printed("a")
    assert "MINE=1" in printed
    assert "template.py" not in printed


@pytest.mark.parametrize("kind", [OSError, RuntimeError], ids=["expected", "of whatever kind"])
def test_without_a_template_the_run_goes_on_and_the_journal_says_why(
    kind: type[Exception], run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise kind("no process today")

    monkeypatch.setattr("kale_pm.local.kernels.pool.Nursery", broken)
    ran = run([("block:a", "x = 1"), ("block:b prev:a", "print(x)")]).raise_for_failures()
    assert ran.printed("b") == "1\n"
    assert ran.warnings == []
    assert notes(ran) == ["kernels are started one by one: no process today"]


def test_a_template_that_is_killed_while_it_boots_is_done_without(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = run.folder / "met"
    (run.folder / "sitecustomize.py").write_text(
        "import sys\n"
        "if any('template.py' in word for word in sys.orig_argv):\n"
        "    import os, time\n"
        f"    os.symlink(str(os.getpid()), {str(met)!r})\n"
        "    time.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(run.folder))
    with killing(met):
        ran = run([("block:a", "x = 1"), ("block:b prev:a", "print(x)")]).raise_for_failures()
    assert ran.printed("b") == "1\n"
    assert notes(ran) == ["kernels are started one by one: it has ended"]


def test_a_template_with_a_second_thread_forks_nothing(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run.folder / "sitecustomize.py").write_text(
        "import sys, threading, time\n"
        "if any('template.py' in word for word in sys.orig_argv):\n"
        "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(run.folder))
    ran = run([("block:a", PARENT)]).raise_for_failures()
    assert "template.py" not in ran.printed("a")
    assert notes(ran) == ["kernels are started one by one: it has 2 threads"]


def test_an_unchanged_pipeline_starts_no_template(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    run([("block:a", "x = 1")]).raise_for_failures()

    def broken(*_: object) -> None:
        pytest.fail("a template was started")

    monkeypatch.setattr("kale_pm.local.kernels.pool.Nursery", broken)
    assert run().states() == {"a": "cached"}


# -- they behave alike ------------------------------------------------------------------------


SOUND = {
    "blas": (
        (
            "import numpy\n"
            "print(round(float((numpy.ones((300, 300)) @ numpy.ones((300, 300))).sum())))"
        ),
        "27000000\n",
    ),
    "openmp": (
        (
            "from sklearn.cluster import KMeans\n"
            "import numpy\n"
            "print(KMeans(3, n_init=2, "
            "random_state=0).fit(numpy.arange(600.0).reshape(-1, 2)).n_iter_ > 0)"
        ),
        "True\n",
    ),
    "arrow": (
        (
            "import pandas\n"
            "pandas.DataFrame({'a': range(9)}).to_parquet('x.parquet')\n"
            "print(pandas.read_parquet('x.parquet').a.sum())"
        ),
        "36\n",
    ),
    "threads": (
        (
            "from concurrent.futures import ThreadPoolExecutor\n"
            "with ThreadPoolExecutor(2) as pool:\n"
            "    print(list(pool.map(abs, [-1, -2])))"
        ),
        "[1, 2]\n",
    ),
    "subprocess": (
        "import subprocess\nprint(subprocess.check_output(['echo', 'below']))",
        "b'below\\n'\n",
    ),
    "fork": (
        (
            "import multiprocessing\n"
            "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
            "    print(pool.map(abs, [-1, -2]))"
        ),
        "[1, 2]\n",
    ),
    "spawn": (
        (
            "import multiprocessing\n"
            "with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
            "    print(pool.map(abs, [-3]))"
        ),
        "[3]\n",
    ),
    "await": ("import asyncio\nawait asyncio.sleep(0.01)\nprint('awaited')", "awaited\n"),
    "shell": ("!echo from the shell", "from the shell\r\n"),
    "bash": ("%%bash\necho from bash", "from bash\n"),
    "identity": (
        (
            "import sys, __main__\n"
            "print(type(get_ipython()).__name__, __name__, __main__.__dict__ is "
            "globals(), sys.flags.hash_randomization)"
        ),
        "ZMQInteractiveShell __main__ True 0\n",
    ),
    "arguments": (
        "import sys\nprint(sys.argv[0].rpartition('/')[2], sys.argv[1], sys.orig_argv[1:3])",
        "ipykernel_launcher.py -f ['-m', 'ipykernel_launcher']\n",
    ),
    "signals": (
        (
            "import signal\n"
            "print([signal.getsignal(n).name if isinstance(signal.getsignal(n), "
            "signal.Handlers) else 'other' for n in (signal.SIGTERM, signal.SIGCHLD, "
            "signal.SIGPIPE)], signal.pthread_sigmask(signal.SIG_BLOCK, []))"
        ),
        "['SIG_DFL', 'SIG_DFL', 'SIG_IGN'] set()\n",
    ),
    "group": ("import os\nprint(os.getpid() == os.getpgid(0) == os.getsid(0))", "True\n"),
    "descriptors": (
        "import os\nprint(os.read(0, 1), sorted(int(n) for n in os.listdir('/proc/self/fd'))[:3])",
        "b'' [0, 1, 2]\n",
    ),
    "not imported": (
        (
            "import sys\n"
            "print([n for n in ('numpy', 'pandas', 'pyarrow', 'papermill', "
            "'kale_pm.local') if n in sys.modules])"
        ),
        "[]\n",
    ),
    "tqdm": ("from tqdm.auto import tqdm\nprint(sum(tqdm(range(4))), tqdm.__module__)", None),
    "parent": ("import os\nprint(os.environ['JPY_PARENT_PID'] == str(os.getppid()))", "True\n"),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_works_in_a_cold_kernel_works(either: Runner, name: str) -> None:
    code, expected = SOUND[name]
    printed = one_step(either, code).raise_for_failures().printed("a")
    if expected is not None:
        assert printed == expected


def compared(run: Runner, code: str) -> list[str]:
    """What the same cell prints in a forked and in a cold kernel."""
    cold = run.named("cold.ipynb").with_metadata(kale_pm={"kernels": "cold"})
    return [one_step(each, code).raise_for_failures().printed("a") for each in (run, cold)]


@pytest.mark.parametrize(
    "code",
    [
        (
            "import sys\n"
            "print(sys.path, sys.flags, sys.getrecursionlimit(), sys.executable, "
            "sys.prefix)"
        ),
        (
            "import os\n"
            "print(sorted(n for n in os.environ if n != 'PYTEST_CURRENT_TEST'), "
            "os.getcwd(), os.umask(18))"
        ),
        "import sys\nprint(sorted(vars(sys.modules['__main__'])))",
        "import threading\nprint(sorted(t.name.partition('-')[0] for t in threading.enumerate()))",
        (
            "import warnings, gc, locale\n"
            "print(warnings.filters, gc.isenabled(), gc.get_threshold(), "
            "locale.getlocale())"
        ),
        "import tqdm.auto\nprint(tqdm.auto.tqdm.__mro__)",
        "import resource\nprint([resource.getrlimit(n) for n in range(10)])",
        "import logging\nprint(logging.getLogger().handlers, logging.getLogger().level)",
    ],
)
def test_both_kinds_see_the_same(run: Runner, code: str) -> None:
    warm, cold = compared(run, code)
    assert warm == cold


def test_pictures_are_shown_inline(either: Runner) -> None:
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nplt.plot([2, 1]);"
    ran = one_step(either, code).raise_for_failures()
    outputs = [o for cell in ran.notebook("a").cells for o in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2


def test_random_numbers_differ_from_step_to_step(either: Runner) -> None:
    code = (
        "import random, uuid, secrets, numpy\n"
        "print(random.random(), uuid.uuid4(), secrets.token_hex(4), "
        "numpy.random.rand())"
    )
    # Equal steps would share one result.
    ran = either([(f"block:{s}", f"{code}\n'{s}'") for s in "abc"]).raise_for_failures()
    printed = [ran.printed(step).split() for step in "abc"]
    assert all(len({words[place] for words in printed}) == 3 for place in range(4))


def test_an_exception_says_the_same(either: Runner) -> None:
    error = one_step(either, "x = 1\n1 / 0").error("a")
    assert (error.ename, error.cell, error.line) == ("ZeroDivisionError", 1, 2)


def test_a_kernel_that_ends_itself_is_known_by_its_exit_code(either: Runner) -> None:
    error = one_step(either, "import os\nos._exit(9)").error("a")
    assert error.ename == "DeadKernelError"
    assert "9" in error.evalue


def test_a_timeout_interrupts_the_cell_and_keeps_where_it_was(either: Runner) -> None:
    ran = one_step(either, "import time\nprint('begun')\ntime.sleep(60)", tags="block:a timeout:2")
    assert ran.error("a").ename == "CellTimeoutError"
    assert ran.printed("a") == "begun\n"
    (trace,) = [
        output
        for cell in ran.notebook("a").cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "error"
    ]
    assert trace["ename"] == "KeyboardInterrupt"


def test_nobody_answers_questions(either: Runner) -> None:
    assert one_step(either, "input('name? ')").error("a").ename == "StdinNotImplementedError"


def test_a_folder_of_the_path_that_an_earlier_step_has_made_is_found(
    either: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(either.folder / "made"))
    make = (
        "import pathlib, time\n"
        "time.sleep(1)\n"  # the kernel of the next step has looked at the path meanwhile
        "pathlib.Path('made').mkdir()\n"
        "pathlib.Path('made/fresh.py').write_text('x = 3')\n"
        "y = 1"
    )
    ran = either([("block:a", make), ("block:b prev:a", "import fresh\nprint(fresh.x, y)")])
    assert ran.raise_for_failures().printed("b") == "3 1\n"


def test_what_is_to_be_done_at_exit_is_done(either: Runner) -> None:
    code = (
        "import atexit, pathlib\n"
        "atexit.register(lambda: pathlib.Path('farewell').write_text('bye'))\n"
        "file = open('unclosed', 'w')\n"
        "file.write('flushed')\n"
        "None"
    )
    one_step(either, code).raise_for_failures()
    assert (either.folder / "farewell").read_text() == "bye"
    assert (either.folder / "unclosed").read_text() == "flushed"


def test_nothing_at_the_exit_waits_for_a_thread_that_is_gone(
    either: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ipykernel's own threads do now and then: the kernel would be killed in the end."""
    ended = either.folder / "ended"
    either.write(
        "ipython/profile_default/startup/exit.py",
        "import atexit\n"
        "def farewell():\n"
        "    import pathlib, sys\n"
        "    sender = sys.stdout.pub_thread\n"
        "    sender.schedule = lambda task: None\n"
        "    sys.stdout.flush()\n"
        "    del sender.schedule\n"
        f"    pathlib.Path({str(ended)!r}).touch()\n"
        "atexit.register(farewell)\n",
    )
    monkeypatch.setenv("IPYTHONDIR", str(either.folder / "ipython"))
    either([("block:a", "x = 1")]).raise_for_failures()
    assert ended.exists()


def test_the_log_has_what_the_process_prints(either: Runner) -> None:
    ran = one_step(either, "import os\nos.write(2, b'from below\\n')\nos._exit(1)")
    assert "from below" in (ran.folder / "logs" / "a.log").read_text()


# -- they die early ---------------------------------------------------------------------------

BOOT = {"before it listens": "ipython_kernel_config.py", "before it answers": "startup/boot.py"}


@pytest.fixture(params=BOOT)
def booting(request: pytest.FixtureRequest, run: Runner, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A link that the first kernel makes, to its process, in the middle of its boot."""
    met, profile = run.folder / "met", run.folder / "ipython" / "profile_default"
    script = profile / BOOT[request.param]
    script.parent.mkdir(parents=True)
    script.write_text(
        f"import os\ntry:\n    os.symlink(str(os.getpid()), {str(met)!r})\n"
        "except FileExistsError:\n    pass\n"
        "else:\n    import time\n    time.sleep(60)\n"
    )
    monkeypatch.setenv("IPYTHONDIR", str(run.folder / "ipython"))
    return met


def test_in_the_place_of_a_ready_kernel_that_is_killed_at_its_boot_comes_another(
    booting: Path, run: Runner
) -> None:
    with killing(booting):
        ran = run([("block:a", "x = 1"), ("block:b prev:a", "print(x)")]).raise_for_failures()
    assert ran.printed("b") == "1\n"
    assert ran.warnings == []
    assert processes_of(run.folder) == []


def test_a_kernel_that_is_killed_at_its_boot_is_told_and_the_next_run_is_whole(
    booting: Path, run: Runner
) -> None:
    cold = run.with_metadata(kale_pm={"kernels": "cold"})
    with killing(booting):
        ran = cold([("block:a", "x = 1"), ("block:b prev:a", "print(x)")])
    assert ran.states() == {"a": "failed", "b": "skipped"}
    error = ran.error("a")
    assert (error.ename, error.cell) == ("KernelNotStarted", None)
    assert error.message == "the kernel did not start: it ended (SIGKILL) before it was ready"
    assert processes_of(run.folder) == []
    assert cold().raise_for_failures().printed("b") == "1\n"


def test_a_step_that_may_be_retried_is_then(booting: Path, run: Runner) -> None:
    cold = run.with_metadata(kale_pm={"kernels": "cold"})
    with killing(booting):
        ran = cold([("block:a retry:1 retry_interval:0", "print('here')")]).raise_for_failures()
    assert ran.printed("a") == "here\n"


# -- nothing leaks ----------------------------------------------------------------------------


LEAK = """
import os, sys, threading
os.environ['LEAK'] = '1'
os.chdir('/')
leaked = 1
sys.path.append('/leak')
sys.modules['leak'] = sys
held = open('/dev/zero')
threading.Thread(target=threading.Event().wait, daemon=True, name='leak').start()
"""

LOOK = """
import os, sys, threading, pathlib
files = [os.path.realpath(place) for place in pathlib.Path('/proc/self/fd').iterdir()]
print('LEAK' in os.environ, os.getcwd() == '/', hasattr(__import__('__main__'), 'lea' + 'ked'))
print('/leak' in sys.path, 'leak' in sys.modules, '/dev/zero' in files)
print(any(thread.name == 'leak' for thread in threading.enumerate()))
"""


def test_nothing_leaks_from_step_to_step(either: Runner) -> None:
    ran = either.with_options(jobs=1)([("block:a", LEAK), ("block:b", LOOK)]).raise_for_failures()
    assert ran.printed("b").split() == ["False"] * 7


# -- nothing is left behind -------------------------------------------------------------------


def processes_of(folder: Path) -> list[str]:
    """Processes that work in ``folder``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").resolve() == folder.resolve() and entry.name != str(os.getpid()):
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    if state != "Z":
                        found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
    return found


def wait_for_none(folder: Path, seconds: float = 2.0) -> list[str]:
    limit = time.monotonic() + seconds
    while processes_of(folder) and time.monotonic() < limit:
        time.sleep(0.02)
    return processes_of(folder)


@pytest.mark.parametrize("code", ["x = 1", "1 / 0", "import os\nos._exit(3)"])
def test_no_process_outlives_a_run(either: Runner, code: str) -> None:
    either([("block:a", code), ("block:b", "y = 2"), ("block:c", "z = 3")])
    assert processes_of(either.folder) == []


@pytest.mark.parametrize(
    "code",
    [
        "import time\nopen('begun', 'w').close()\ntime.sleep(60)",
        "import subprocess\nopen('begun', 'w').close()\nsubprocess.run(['sleep', '60'])",
        "open('begun', 'w').close()\nsum(range(10**10))",  # holds the GIL
    ],
)
def test_no_kernel_outlives_a_run_that_is_killed(either: Runner, code: str) -> None:
    either.write_cells([("block:a", code), ("block:b", "x = 1")])
    script = (
        "from pathlib import Path\nfrom kale_pm.analysis import understand\n"
        "from kale_pm.local import run_pipeline\nfrom kale_pm.notebook import read\nimport sys\n"
        "run_pipeline(understand(read(Path(sys.argv[1]))))"
    )
    command = [sys.executable, "-c", script, str(either.path)]
    with subprocess.Popen(command, cwd="/") as process:
        limit = time.monotonic() + 30
        while not (either.folder / "begun").exists() and time.monotonic() < limit:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert wait_for_none(either.folder) == []


# -- many of them -----------------------------------------------------------------------------


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    refused: list[str] = []
    pool = Pool(interpreter_spec(), tmp_path, ahead=lambda: 2, tell=refused.append)
    yield pool
    pool.close()
    assert refused == []


def printed_by(kernel: Kernel, code: str) -> str:
    request = kernel.connection.execute(code)
    text, is_done = "", False
    while not is_done:
        for message in kernel.connection.receive(10):
            text += message.content["text"] if message.kind == "stream" else ""
            is_done = is_done or (message.parent == request and is_idle(message))
    return text


def use(pool: Pool, number: int, log: Path) -> str:
    with log.open("ab") as file:
        kernel, _ = pool.start({"KALE_PM_NUMBER": str(number)}, file, lambda _: None, 60)
    try:
        return printed_by(kernel, "import os\nprint(os.environ['KALE_PM_NUMBER'])")
    finally:
        ask_to_end(kernel)
        end(kernel, politely=True)


def use_many(pool: Pool, count: int, folder: Path) -> None:
    """Kernels one after another in each of two threads, each of which answers as it should."""
    wrong: list[Any] = []

    def work(first: int) -> None:
        for number in range(first, count, 2):
            if use(pool, number, folder / f"{first}.log") != f"{number}\n":
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_twenty_kernels_one_after_another(pool: Pool, tmp_path: Path) -> None:
    use_many(pool, 20, tmp_path)


@pytest.mark.slow
def test_a_thousand_kernels(pool: Pool, tmp_path: Path) -> None:
    use_many(pool, 1000, tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) < 100
