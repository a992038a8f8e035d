"""What tests of several folders use."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

sys.path.insert(0, str(Path(__file__).with_name("helpers")))  # imported by name, from any folder
# Tests side by side fill the processors: more threads of libraries would only wait, and spin.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

from tiny_notebooks import write_notebook

_ROOT = Path(__file__).parents[1]
# What the summary counts: each group of tests by the file they stand in.
_COUNTED = {
    "dataflow corpus, static": "tests/unit/analysis/test_corpus.py",
    "dataflow corpus, in kernels": "tests/run/test_corpus.py",
    "dataflow corpus, named cases of the law": "tests/law/test_cases.py",
}
_LAW = "tests/law/test_law.py"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How much of the law was tried: cases of the corpus, and random notebooks."""
    passed, failed = (
        [r for r in terminalreporter.stats.get(outcome, ()) if r.when == "call"]
        for outcome in ("passed", "failed")
    )
    for title, file in _COUNTED.items():
        right = sum(report.nodeid.startswith(file) for report in passed)
        wrong = sum(report.nodeid.startswith(file) for report in failed)
        if right + wrong:
            terminalreporter.write_line(f"{title}: {right} of {right + wrong}")
    for report in (*passed, *failed):
        if report.nodeid.startswith(_LAW):
            notebooks = dict(report.user_properties).get("notebooks", 0)
            terminalreporter.write_line(f"{report.nodeid.split('::')[-1]}: {notebooks} notebooks")


@pytest.fixture(scope="session")
def run_main() -> Callable[..., str]:
    """Run code as the `__main__` of a process of its own, as the steps of a pipeline do.

    ``run_main(code, *arguments)`` gives what it printed; the test fails if the process does.
    """

    def run(code: str, *arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", dedent(code), *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture(scope="session")
def documented_notebook() -> Callable[[str, Path], Path]:
    """``documented_notebook(text, path)`` writes the notebook that a page of docs/ describes."""
    return _write_documented


def _write_documented(text: str, path: Path) -> Path:
    """``# %% TAGS`` begins a cell; before the first may stand ``# metadata:`` and JSON."""
    first, *parts = re.split(r"^# %%", text, flags=re.MULTILINE)
    metadata = json.loads(first.removeprefix("# metadata:") or "{}")
    cells = []
    for part in parts:
        tags, _, source = part.partition("\n")
        cells.append((tags, source.rstrip("\n")))
    return write_notebook(path, cells, metadata)
