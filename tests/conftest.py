"""What tests of several folders use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

_ROOT = Path(__file__).parents[1]


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
