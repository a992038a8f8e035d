"""run --watch: every save runs again what changed, until Ctrl-C."""

from __future__ import annotations

import json
import signal
import threading

import pytest

HELPER = "def double(x):\n    return {} * x\n"


class Watching:
    """The running command, and all that it has said so far."""

    def __init__(self, process):
        self.process = process
        self._lines = []
        for stream in (process.stdout, process.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        for line in stream:
            self._lines.append(line)

    @property
    def said(self):
        return "".join(self._lines)

    def rounds(self):
        return self.said.count("Ctrl-C ends it\n")

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


@pytest.fixture
def watching(notebook, start, until, tmp_path):
    """A watched notebook that reads a module and a file; its first run is done."""
    notebook(
        "w.ipynb",
        ("imports", "import helper"),
        ("block:make", "rows = open('rows.txt').read().split()"),
        ("block:count prev:make", "total = helper.double(len(rows))"),
        ("block:count", "open('out.txt', 'w').write(str(total))"),
        ("metrics", "print(total)"),
    )
    (tmp_path / "rows.txt").write_text("a b")
    (tmp_path / "helper.py").write_text(HELPER.format(2))
    found = Watching(start("run", "w.ipynb", "--watch"))
    until(lambda: found.rounds() == 1)
    return found


@pytest.fixture
def save(watching, until, tmp_path):
    """Save a file, and wait until the command has said all that is expected, and waits again."""

    def write(name, text, *expected):
        start, rounds = len(watching.said), watching.rounds()
        (tmp_path / name).write_text(text)
        until(lambda: watching.rounds() > rounds)
        # Two threads read the two streams of the command.
        until(lambda: all(part in watching.said[start:] for part in expected))

    return write


def test_every_save_runs_again_what_changed(watching, save, until, tmp_path):
    until(lambda: "  total = 4\n" in watching.said)
    assert "watching w.ipynb and 2 files; Ctrl-C ends it\n" in watching.said

    save("rows.txt", "a b c", "  rows.txt changed\n", "  total = 6\n")
    save("helper.py", HELPER.format(10), "  helper.py changed\n", "  total = 30\n")
    text = (tmp_path / "w.ipynb").read_text().replace("len(rows)", "len(rows) + 1")
    save("w.ipynb", text, "  w.ipynb changed\n", "= make  cached\n", "▸ count", "  total = 40\n")
    assert "Traceback" not in watching.said
    assert watching.end() == 0
    until(lambda: watching.said.endswith("\nno longer watching\n"))


def test_a_save_that_changes_no_code_runs_nothing(watching, save, tmp_path):
    content = json.loads((tmp_path / "w.ipynb").read_text())
    content["cells"][1]["execution_count"] = 7
    save("w.ipynb", json.dumps(content), "the code is the same\n")
    assert len(list((tmp_path / ".kale-pm/runs").glob("w-*"))) == 1


def test_what_is_broken_is_told_and_the_next_save_mends_it(watching, save, tmp_path):
    text = (tmp_path / "w.ipynb").read_text()
    save("w.ipynb", text[: len(text) // 2], "error w.ipynb: it is not JSON")
    save("w.ipynb", text.replace("len(rows)", "len(rwos)"), "undefined-name")
    save("helper.py", "def double(x) return x\n", "undefined-name")  # the notebook is still wrong
    save("w.ipynb", text, "SyntaxError")
    save("helper.py", HELPER.format(3), "  total = 6\n")
    assert "Traceback" not in watching.said
    assert watching.end(signal.SIGTERM) == 0


def test_interrupted_during_a_run_it_ends_as_a_run_does(watching, until, tmp_path):
    text = (tmp_path / "w.ipynb").read_text()
    slow = "import time, pathlib; pathlib.Path('on').touch(); time.sleep(100)"
    (tmp_path / "w.ipynb").write_text(text.replace("total = ", f"{slow}; total = "))
    until((tmp_path / "on").exists)
    assert watching.end() == 130
    until(lambda: watching.said.endswith("interrupted; the next run takes up what is done\n"))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["missing.ipynb"], 1, "there is no such file"),
        (["chain.ipynb", "-p", "unknown=1"], 2, "there is no such parameter"),
        (["chain.ipynb", "--only", "nothing"], 2, "there is no step 'nothing'"),
        (["chain.ipynb", "--json"], 2, "--watch goes neither with --json nor with --explain"),
    ],
)
def test_what_no_save_would_mend_ends_it_at_once(arguments, code, said, chain, kale):
    answer = kale("run", *arguments, "--watch")

    assert answer.code == code
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_no_secret_is_told_meanwhile(notebook, start, until, tmp_path, monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "s3cr3t-of-the-database")
    tag = "block:a secret:db:password:DB_PASSWORD"
    notebook("shy.ipynb", ("imports", "import os"), (tag, "print(os.environ['DB_PASSWORD'])"))
    watching = Watching(start("run", "shy.ipynb", "--watch", "-v"))
    until(lambda: "a | •••\n" in watching.said)
    until(lambda: watching.rounds() == 1)
    notebook("shy.ipynb", ("imports", "import os"), (tag, "{}[os.environ['DB_PASSWORD']]"))
    until(lambda: watching.rounds() == 2)

    assert "KeyError: '•••'" in watching.said
    assert watching.end() == 0
    assert "s3cr3t" not in watching.said
