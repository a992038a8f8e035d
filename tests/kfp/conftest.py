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
from tiny_notebooks import write_notebook

import kale_pm
from kale_pm import Pipeline

# The servers that stand for those of a cluster are modules of this folder.
sys.path.insert(0, str(Path(__file__).parent))

Cells = Sequence[tuple[str, str]]  # tags, separated by spaces, and source

RUN_UNDER_KFP = """
import json, sys, traceback
from kfp import local
from kfp.components import load_component_from_file

failed = False
for package, root, parameters in json.loads(sys.argv[1]):
    runner = local.SubprocessRunner(use_venv=False)
    local.init(runner=runner, pipeline_root=root, workspace_root=root + "-scratch")
    try:
        load_component_from_file(package)(**parameters)
    except Exception:
        traceback.print_exc()
        failed = True
sys.exit(failed)
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Callable[..., Pipeline]:
    def make(cells: Cells, **metadata: Any) -> Pipeline:
        folder = tmp_path / f"folder-{len(list(tmp_path.glob('folder-*')))}"
        folder.mkdir()
        return kale_pm.load(write_notebook(folder / "small.ipynb", cells, {"kale_pm": metadata}))

    return make


def packages_under_kfp(
    packages: Sequence[tuple[Path, Path, Mapping[str, Any]]],
) -> subprocess.CompletedProcess[str]:
    """Run compiled pipelines under kfp.local: each is a file, a root folder, and parameters.

    The runner takes over the standard output, so it gets a process of its own.
    """
    python = Path(sys.executable).parent
    return subprocess.run(
        [sys.executable, "-c", RUN_UNDER_KFP, json.dumps(packages, default=str)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{python}{os.pathsep}{os.environ['PATH']}"},
    )


@pytest.fixture
def run_under_kfp(tmp_path: Path) -> Callable[..., tuple[Path, str]]:
    """Compile and run under kfp.local; the folder of the tasks, and what was logged."""

    def run(pipeline: Pipeline, check: bool = True, **parameters: Any) -> tuple[Path, str]:
        package = pipeline.compile(tmp_path / "package.yaml", install=False).path
        root = tmp_path / "root"
        done = packages_under_kfp([(package, root, parameters)])
        assert not check or done.returncode == 0, done.stdout + done.stderr
        (folder,) = root.iterdir()
        return folder, done.stdout

    return run


@pytest.fixture
def run_all_under_kfp() -> Callable[[Sequence[Pipeline]], list[Path]]:
    """Compile and run in one process, whose start is half of what a small pipeline takes.

    Gives the folders of the tasks.
    """

    def run(pipelines: Sequence[Pipeline]) -> list[Path]:
        packages = [each.compile(install=False).path for each in pipelines]
        roots = [each.folder / "root" for each in pipelines]
        done = packages_under_kfp([(*both, {}) for both in zip(packages, roots, strict=True)])
        assert done.returncode == 0, done.stdout + done.stderr
        return [folder for root in roots for folder in root.iterdir()]

    return run
