"""Runs code as the `__main__` of a process of its own, as the steps of a pipeline do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

_ROOT = Path(__file__).parents[2]


def run_main(code: str, *arguments: object) -> str:
    """Run ``code``; ``sys.argv[1:]`` are the arguments.  What it printed; fails if it failed."""
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
