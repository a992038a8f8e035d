"""An image without kale-pm, or with another version of it, runs the embedded one."""

from __future__ import annotations

import base64
import io
import lzma
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kale_pm import Pipeline
from kale_pm.kfp.bundle import runtime_archive

Make = Callable[..., Pipeline]
Run = Callable[..., tuple[Path, str]]


def test_a_step_runs_with_the_version_that_compiled_it(
    pipeline: Make, run_under_kfp: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "site" / "kale_pm"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("__version__ = '0.0.0'\n")
    monkeypatch.setenv("PYTHONPATH", str(other.parent))
    made = pipeline(
        [
            ("step:first", "numbers = [1, 2, 3]"),
            ("step:second prev:first", "import kale_pm\nkale_pm.metric('total', sum(numbers))"),
        ]
    )
    folder, _ = run_under_kfp(made)
    executed = (folder / "step-second" / "notebook" / "second.ipynb").read_text()
    assert "total = 6" in executed
    # The page needs what lies beside the modules: the style sheet.
    assert "<style" in (folder / "step-second" / "html").read_text()


def test_the_embedded_runtime_imports_nothing_that_it_lacks(tmp_path: Path) -> None:
    archive = zipfile.ZipFile(io.BytesIO(lzma.decompress(base64.b64decode(runtime_archive()))))
    archive.extractall(tmp_path)
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in archive.namelist()
        if name.endswith(".py")
    ]
    check = f"import importlib\nfor name in {modules!r}: importlib.import_module(name)"
    options: dict[str, Any] = {"cwd": tmp_path, "env": {"PYTHONPATH": str(tmp_path)}}
    done = subprocess.run(
        [sys.executable, "-c", check], check=False, capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stderr
    parts = {name.split("/")[1].removesuffix(".py") for name in archive.namelist()}
    assert not parts & {"kfp", "local", "analysis", "notebook", "cli"}
