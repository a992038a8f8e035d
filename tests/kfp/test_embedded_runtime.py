"""An image without kale-pm, or with another version of it, runs the embedded one."""

from __future__ import annotations

import ast
import base64
import io
import lzma
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import kale_pm
from kale_pm import Pipeline
from kale_pm.kfp.compiling.bundle import closing_archive, runtime_archive
from kale_pm.kfp.compiling.plan import SHARED_ABOVE, plan

Make = Callable[..., Pipeline]
Run = Callable[..., tuple[Path, str]]


@pytest.mark.parametrize("steps", [2, SHARED_ABOVE + 1], ids=["in every step", "carried once"])
def test_a_step_runs_with_the_version_that_compiled_it(
    steps: int,
    pipeline: Make,
    run_under_kfp: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tmp_path / "site" / "kale_pm"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("__version__ = '0.0.0'\n")
    monkeypatch.setenv("PYTHONPATH", str(other.parent))
    # python -m looks into the working directory first, where the checkout may be.
    monkeypatch.chdir(tmp_path)
    cells = [("step:s0", "import kale_pm\ntotal = 0\nprint(kale_pm.__file__)")]
    cells += [(f"step:s{i} prev:s{i - 1}", "total += 1") for i in range(1, steps - 1)]
    cells += [(f"step:last prev:s{steps - 2}", "import kale_pm\nkale_pm.metric('total', total)")]
    folder, log = run_under_kfp(pipeline(cells))
    last = folder / "step-last"
    assert f"total = {steps - 2}" in (last / "notebook" / "last.ipynb").read_text()
    # The page needs what lies beside the modules: the style sheet.
    assert "<style" in (last / "html").read_text()
    assert str(Path(kale_pm.__file__).parent) not in log


def test_helpers_that_import_the_sdk_find_it_without_kale_pm(
    run_under_kfp: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "site" / "kale_pm"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("__version__ = '0.0.0'\n")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "helpers.py").write_text(
        "from kale_pm.sdk import artifact, metric, step\n\n\n"
        "@artifact('page', 'page.html')\n@step(name='double_it', retry_count=2)\n"
        "def double(number):\n    metric('doubled', number)\n    return 2 * number\n"
    )
    (folder / "flow.py").write_text(
        "import helpers\nfrom kale_pm.sdk import pipeline, step\n\n\n"
        "@step\ndef load(n):\n    return helpers.double(n)\n\n\n"
        "@step\ndef show(number):\n    print('it is', number)\n\n\n"
        "@pipeline\ndef flow(n: int = 4):\n    show(load(n))\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    made = import_module("flow").flow.to_pipeline()
    monkeypatch.setenv("PYTHONPATH", str(other.parent))
    monkeypatch.chdir(tmp_path)
    ran, _ = run_under_kfp(made)
    assert "it is 8" in (ran / "step-show" / "notebook" / "show.ipynb").read_text()
    assert "doubled = 4" in (ran / "step-load" / "notebook" / "load.ipynb").read_text()


def test_a_step_with_much_of_its_own_leaves_the_runtime_to_a_task(
    pipeline: Make, run_under_kfp: Run
) -> None:
    noise = base64.b64encode(random.Random(0).randbytes(45_000)).decode()
    made = pipeline([("step:s0", f"text = '{noise}'"), ("step:s1 prev:s0", "print(len(text))")])
    assert plan(made).shared
    folder, _ = run_under_kfp(made)
    assert "60000" in (folder / "step-s1" / "notebook" / "s1.ipynb").read_text()


def test_the_embedded_runtime_imports_nothing_that_it_lacks(tmp_path: Path) -> None:
    archive = zipfile.ZipFile(io.BytesIO(lzma.decompress(base64.b64decode(runtime_archive()))))
    archive.extractall(tmp_path)
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in archive.namelist()
        if name.endswith(".py")
    ]
    # papermill loads the engine by itself, and does not like to be second.
    check = f"import importlib, papermill\nfor name in {modules!r}: importlib.import_module(name)"
    options: dict[str, Any] = {"cwd": tmp_path, "env": {"PYTHONPATH": str(tmp_path)}}
    done = subprocess.run(
        [sys.executable, "-c", check], check=False, capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stderr
    parts = {name.split("/")[1].removesuffix(".py") for name in archive.namelist()}
    assert not parts & {"kfp", "local", "analysis", "notebook", "cli"}


def test_the_code_that_travels_is_as_it_was_written_so_that_every_python_reads_it() -> None:
    packed = lzma.decompress(base64.b64decode(runtime_archive()))
    package = Path(kale_pm.__file__).parent
    with zipfile.ZipFile(io.BytesIO(packed)) as travelling:
        for name in filter(lambda name: name.endswith(".py"), travelling.namelist()):
            written = (package.parent / name).read_text("utf-8").splitlines()
            lines = travelling.read(name).decode().splitlines()
            assert {line for line in lines if line.strip() not in ("", "pass")} <= set(written)


@pytest.mark.parametrize("packed", [runtime_archive, closing_archive])
def test_the_code_that_travels_lacks_its_docstrings_and_nothing_else(
    packed: Callable[[], str],
) -> None:
    archive = zipfile.ZipFile(io.BytesIO(lzma.decompress(base64.b64decode(packed()))))
    package = Path(kale_pm.__file__).parent
    for name in filter(lambda name: name.endswith(".py"), archive.namelist()):
        written = (package.parent / name).read_text("utf-8")
        assert program(archive.read(name).decode()) == program(written), name


def test_a_text_keeps_its_lines_that_look_like_comments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "kale_pm"
    shutil.copytree(Path(kale_pm.__file__).parent, folder)
    module = folder / "runtime" / "atomic.py"
    texts = 'TEXT = """one\n# two\n"""\nOTHER = "one \\\n# two"\n# A comment.\n'
    module.write_text(module.read_text("utf-8") + texts, encoding="utf-8")
    monkeypatch.setattr(kale_pm, "__file__", str(folder / "__init__.py"))
    packed = lzma.decompress(base64.b64decode(runtime_archive.__wrapped__()))
    with zipfile.ZipFile(io.BytesIO(packed)) as travelling:
        text = travelling.read("kale_pm/runtime/atomic.py").decode()
    found: dict[str, str] = {}
    exec(text[text.index("TEXT") :], found)
    assert (found["TEXT"], found["OTHER"]) == ("one\n# two\n", "one # two")
    assert "comment" not in text


def program(text: str) -> str:
    """What the code says, but for docstrings and what stands in their place."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
            node.body = [each for each in node.body if not isinstance(each, ast.Pass)]
    return ast.dump(tree)
