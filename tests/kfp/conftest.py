"""``pipeline(cells)``: a tiny notebook, written and understood; ``run_under_kfp``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import kale_pm
from kale_pm import Pipeline

Cells = Sequence[tuple[str, str]]  # tags, separated by spaces, and source

RUN_UNDER_KFP = """
import json, sys
from kfp import local
from kfp.components import load_component_from_file

package, root, parameters = sys.argv[1:]
runner = local.SubprocessRunner(use_venv=False)
local.init(runner=runner, pipeline_root=root, workspace_root=root + "-scratch")
load_component_from_file(package)(**json.loads(parameters))
"""


def write_notebook(path: Path, cells: Cells, metadata: Mapping[str, Any] | None = None) -> Path:
    content = {
        "cells": [
            {
                "cell_type": "code", "id": f"cell-{index}", "metadata": {"tags": tags.split()},
                "source": source, "outputs": [], "execution_count": None,
            }
            for index, (tags, source) in enumerate(cells)
        ],
        "metadata": {"kale_pm": dict(metadata or {})},
        "nbformat": 4,
        "nbformat_minor": 5,
    }  # fmt: skip
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def pipeline(tmp_path: Path) -> Callable[..., Pipeline]:
    def make(cells: Cells, **metadata: Any) -> Pipeline:
        folder = tmp_path / "folder"
        folder.mkdir(exist_ok=True)
        return kale_pm.load(write_notebook(folder / "small.ipynb", cells, metadata))

    return make


@pytest.fixture
def run_under_kfp(tmp_path: Path) -> Callable[..., tuple[Path, str]]:
    """Compile and run under kfp.local; the folder of the tasks, and what was logged.

    The runner takes over the standard output, so it gets a process of its own.
    """

    def run(pipeline: Pipeline, check: bool = True, **parameters: Any) -> tuple[Path, str]:
        package = pipeline.compile(tmp_path / "package.yaml", install=False).path
        root = tmp_path / "root"
        python = Path(sys.executable).parent
        done = subprocess.run(
            [sys.executable, "-c", RUN_UNDER_KFP, package, root, json.dumps(parameters)],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": f"{python}{os.pathsep}{os.environ['PATH']}"},
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        (folder,) = root.iterdir()
        return folder, done.stdout

    return run
