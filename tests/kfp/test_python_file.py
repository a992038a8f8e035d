"""The readable file that ``compile --py`` writes: it works alone, and makes the same package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_kfp import FakeKfp, Request, body, keep, serving

from kale_pm import Pipeline
from kale_pm.errors import CompileError
from kale_pm.kfp.compiling import plan
from kale_pm.kfp.compiling.package import compiled

Make = Callable[..., Pipeline]
Compile = Callable[[Pipeline], tuple[Path, Path]]

CELLS = [
    ("parameters", "count = 3\nrate = 0.5\nword = 'x'\nlayers = [1, 2]\nfast = True"),
    ("step:first", "total = [rate] * count"),
    ("step:second prev:first", "print(sum(total), word, layers, fast)"),
]
# Runs a file as if kale-pm were nowhere to be found.
ALONE = (
    "import runpy, sys; sys.modules['kale_pm'] = None; sys.argv = sys.argv[1:]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


def run(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ALONE, str(file), *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=file.parent,
    )


@pytest.fixture
def both(tmp_path: Path) -> Compile:
    """The compiled package, and the file that makes it."""

    def make(pipeline: Pipeline) -> tuple[Path, Path]:
        result = pipeline.compile(tmp_path / "compiled.yaml", dsl=tmp_path / "pipeline.py")
        assert result.dsl_path is not None
        return result.path, result.dsl_path

    return make


def same_package(package: Path, file: Path) -> bool:
    done = run(file, "made.yaml")
    assert done.returncode == 0, done.stderr
    return (file.parent / "made.yaml").read_bytes() == package.read_bytes()


def test_it_makes_the_very_package_without_kale_pm(pipeline: Make, both: Compile) -> None:
    assert same_package(*both(pipeline(CELLS)))


@pytest.mark.parametrize("text", ["one\ntwo", "'", '"', "# no: [comment", "\\n", "ü\u2028\x85"])
def test_any_text_may_be_a_default(pipeline: Make, both: Compile, text: str) -> None:
    cells = [("parameters", f"word = {text!r}"), ("step:a", "print(word)")]
    package, file = both(pipeline(cells))
    assert same_package(package, file)
    root = yaml.safe_load(package.read_text(encoding="utf-8"))["root"]
    assert root["inputDefinitions"]["parameters"]["word"]["defaultValue"] == text


@pytest.mark.parametrize("text", ["two\nlines", "a\x00b", "bell \x07", "\ud800", "emoji 👩‍🔬"])
def test_any_description_is_taken(pipeline: Make, both: Compile, text: str) -> None:
    package, file = both(pipeline(CELLS, description=text))
    assert same_package(package, file)
    info = yaml.safe_load(package.read_text(encoding="utf-8"))["pipelineInfo"]
    expected = text.translate(dict.fromkeys((0, 7, 0xD800)))
    assert info.get("description", "") == expected


@pytest.mark.parametrize("largest", [100_000, 3_000], ids=["one graph", "parts"])
def test_it_shares_and_divides_as_compiling_does(
    pipeline: Make, both: Compile, monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    from kale_pm.kfp.compiling.parts import parts

    monkeypatch.setattr(plan, "FOLDED_ABOVE", 3)
    monkeypatch.setattr(plan, "parts", lambda steps, texts: parts(steps, texts, largest))
    cells = [("step:s0 node:disk:ssd", "total = 0")]
    cells += [(f"step:s{n} prev:s{n - 1}", f"total += {n}") for n in range(1, 8)]
    package, file = both(pipeline(cells))
    spec = next(yaml.safe_load_all(package.read_text(encoding="utf-8")))
    assert ("comp-part-2" in spec["components"]) == (largest == 3_000)
    assert same_package(package, file)


class AnyRun(FakeKfp):
    """Takes runs of a package that comes with the run, as KFP does."""

    def list_experiments(self, request: Request) -> dict[str, Any]:
        return {"experiments": list(self.experiments.values())}

    def create_run(self, request: Request) -> dict[str, Any]:
        return keep(self.runs, "run_id", body(request, "V2beta1Run"))


@pytest.fixture
def server() -> Iterator[FakeKfp]:
    with serving(AnyRun(guard="token", multi_user=True)) as found:
        yield found


def test_it_starts_a_run(pipeline: Make, both: Compile, server: FakeKfp) -> None:
    package, file = both(pipeline(CELLS))
    arguments = ["--token", "good-token", "--namespace", "me", "--experiment", "trials"]
    values = ["count=5", "rate=2", "word=true", "layers=[3]", "fast=false"]
    given = [part for value in values for part in ("-p", value)]
    done = run(file, "made.yaml", "--host", server.url, *arguments, *given)
    assert done.returncode == 0, done.stderr
    (experiment,) = server.experiments.values()
    assert (experiment["display_name"], experiment["namespace"]) == ("trials", "me")
    (made,) = server.runs.values()
    assert made["pipeline_spec"] == yaml.safe_load(package.read_text(encoding="utf-8"))
    assert made["runtime_config"]["parameters"] == {
        "count": 5, "rate": 2, "word": "true", "layers": "[3]", "fast": False,
    }  # fmt: skip
    assert f"runs/details/{made['run_id']}" in done.stdout


def test_a_parameter_that_is_not_there_is_said(pipeline: Make, both: Compile) -> None:
    _, file = both(pipeline(CELLS))
    done = run(file, "--host", "http://127.0.0.1:9", "-p", "coutn=5")
    assert done.returncode == 1
    assert "there is no parameter coutn; there are: count, rate" in done.stderr


@pytest.mark.parametrize("error", ["TypeError('x')", "ValueError('x')", "RuntimeError('x')"])
def test_what_kfp_refuses_is_an_error_of_compiling(error: str) -> None:
    with pytest.raises(CompileError, match=rf"KFP .* refuses the pipeline: {error[:9]}"):
        compiled(f"raise {error}")


def test_help_names_all_options(pipeline: Make, both: Compile) -> None:
    _, file = both(pipeline(CELLS))
    help_text = run(file, "--help").stdout
    for option in ("--host", "--token", "--namespace", "--experiment", "-p"):
        assert option in help_text


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("count=seven", "parameter count: 'seven' is no int"),
        ("count=1.5", "parameter count: '1.5' is no int"),
        ("count=true", "parameter count: 'true' is no int"),
        ("fast=1", "parameter fast: '1' is no bool"),
        ("rate", "write NAME=VALUE"),
    ],
)
def test_a_value_of_another_type_is_said(
    pipeline: Make, both: Compile, argument: str, said: str
) -> None:
    _, file = both(pipeline(CELLS))
    done = run(file, "-p", argument)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_place_that_cannot_be_written_is_said(pipeline: Make, both: Compile) -> None:
    _, file = both(pipeline(CELLS))
    done = run(file, "nowhere/made.yaml")
    assert done.returncode == 1
    assert done.stderr == "cannot write nowhere/made.yaml: No such file or directory\n"
