"""Scripts of the SDK: ``script(text)`` writes one, ``python_file(name, ...)`` starts it."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest


@pytest.fixture
def script(tmp_path):
    def write(text, name="script.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def python_file(tmp_path):
    """``python script.py ARGUMENTS`` in the folder of the script."""

    def call(*arguments):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return call
