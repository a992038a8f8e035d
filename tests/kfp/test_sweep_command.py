"""``kale-pm sweep --kfp``: what the command writes, says and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from kale_pm import Pipeline
from kale_pm.cli import app
from kale_pm.errors import CompileError, UsageError

CELLS = [
    ("parameters", "lr = 0.1\ndepth = 3"),
    ("block:load", "rows = [1, 2, 3]"),
    ("block:train prev:load", "accuracy = lr * len(rows) / depth"),
    ("metrics", "accuracy"),
]


@pytest.fixture
def wine(pipeline: Callable[..., Pipeline]) -> Pipeline:
    return pipeline(CELLS, name="wine", image="example.org/wine:1", install=False)


def sweep(wine: Pipeline, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["sweep", str(wine.path), *arguments])


def test_the_package_lies_beside_the_notebook_and_not_in_the_place_of_another(
    wine: Pipeline,
) -> None:
    result = sweep(wine, "--kfp", "-p", "lr=1,2", "--best", "accuracy:max")
    assert result.exit_code == 0, result.output
    package = wine.path.with_suffix(".sweep.yaml")
    assert result.stdout.startswith(f"{package}  ")
    assert result.stdout.endswith("2 trials\n")
    assert "parameterIterator" in package.read_text()


def test_files_and_parallelism_are_as_asked_for(wine: Pipeline, tmp_path: Path) -> None:
    package, dsl = tmp_path / "a.yaml", tmp_path / "a.py"
    options = ["-o", str(package), "--py", str(dsl), "--parallelism", "3"]
    found = sweep(wine, "--kfp", "-p", "lr=1,2", "--best", "accuracy:max", "--json", *options)
    told = json.loads(found.stdout)
    assert told["package"] == str(package)
    assert [trial["parameters"]["lr"] for trial in told["trials"]] == [1.0, 2.0]
    assert "parallelism=3" in dsl.read_text()


def test_a_dry_run_writes_nothing(wine: Pipeline) -> None:
    before = set(wine.folder.iterdir())
    found = sweep(wine, "--kfp", "-p", "lr=1,2", "--best", "accuracy:max", "--dry-run")
    assert "2 trials: 3 step executions" in found.stdout
    assert set(wine.folder.iterdir()) == before


def test_the_last_step_needs_a_goal(wine: Pipeline) -> None:
    found = sweep(wine, "--kfp", "-p", "lr=1,2").exception
    assert isinstance(found, UsageError)
    assert "--best" in found.hint


def test_so_many_trials_are_pointed_to_runs_of_their_own(wine: Pipeline) -> None:
    found = sweep(wine, "--kfp", "-p", "lr=0..1 5000", "--best", "accuracy:max").exception
    assert isinstance(found, CompileError)
    assert "--as-runs" in found.hint


@pytest.mark.parametrize(
    ("arguments", "words", "hint"),
    [
        (["--kfp", "--host", "x"], "--host goes not with --kfp", "add --as-runs"),
        (["--kfp", "--csv"], "--csv goes not with --kfp", "leave it out"),
        (["--kfp", "--as-runs"], "--as-runs goes not with --kfp", "choose one"),
        (["--image", "x"], "--image is for a sweep on a cluster", "--kfp or --as-runs"),
        (["-o", "x.yaml"], "-o is for a sweep on a cluster", "add --kfp"),
    ],
)
def test_options_that_go_not_together_are_refused(
    wine: Pipeline, arguments: list[str], words: str, hint: str
) -> None:
    found = sweep(wine, "-p", "lr=1,2", *arguments).exception
    assert isinstance(found, UsageError)
    assert words in str(found)
    assert hint in found.hint
