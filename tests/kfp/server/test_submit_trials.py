"""``kale-pm sweep --as-runs``: a run for each trial, which the server compares side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from fake_kfp import Answer, FakeKfp, Trouble
from typer.testing import CliRunner

from kale_pm import Pipeline
from kale_pm.cli import app
from kale_pm.errors import ParameterError, ServerError, UsageError
from kale_pm.kfp.server.access import Access
from kale_pm.kfp.submission import SubmitOptions
from kale_pm.kfp.submit_trials import TrialRun, submit_trials

pytestmark = pytest.mark.usefixtures("no_pod")

CELLS = [
    ("parameters", "lr = 0.1\ndepth = 3\nwords = ['a']\nseed = 1"),
    ("block:load", "rows = [seed, 2, 3]"),
    ("block:train prev:load", "accuracy = lr * len(rows) / depth + len(words)"),
    ("metrics", "accuracy"),
]
RUNS = "/apis/v2beta1/runs"


@pytest.fixture
def wine(pipeline: Callable[..., Pipeline]) -> Pipeline:
    return pipeline(CELLS, name="wine", image="example.org/wine:1", install=False)


@pytest.fixture
def sweep(wine: Pipeline, server: FakeKfp) -> Callable[..., Result]:
    """``sweep("-p", "lr=1,2")`` calls the command for the notebook and the server."""

    def call(*arguments: str, host: str | None = server.url) -> Result:
        where = ["--host", host] if host else []
        return CliRunner().invoke(app, ["sweep", str(wine.path), "--as-runs", *where, *arguments])

    return call


def told(server: FakeKfp, key: str) -> list[Any]:
    return [run[key] for run in server.runs.values()]


def test_every_trial_is_a_run_of_one_version_in_one_experiment(
    sweep: Callable[..., Result], server: FakeKfp
) -> None:
    result = sweep("-p", "lr=0.5,1", "-p", "depth=3,5", "--experiment", "trees")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"{server.url}/#/runs/details/run-{number}" for number in range(1, 5)
    ]
    assert "4 runs in the experiment trees" in result.stderr
    assert [config["parameters"] for config in told(server, "runtime_config")] == [
        {"lr": 0.5, "depth": 3},
        {"lr": 0.5, "depth": 5},
        {"lr": 1.0, "depth": 3},
        {"lr": 1.0, "depth": 5},
    ]
    assert len(server.versions) == len(server.experiments) == 1
    assert server.asked.count("POST /apis/v2beta1/pipelines/upload_version") == 1
    assert len(set(told(server, "experiment_id"))) == 1


def test_names_tell_the_trials_apart(sweep: Callable[..., Result], server: FakeKfp) -> None:
    sweep("-p", 'words=["a"],["b", "c"]', "-p", "lr=0.5,1", "--run-name", "tuning")
    assert told(server, "display_name") == [
        'tuning 1: words=["a"], lr=0.5',
        'tuning 2: words=["a"], lr=1.0',
        'tuning 3: words=["b", "c"], lr=0.5',
        'tuning 4: words=["b", "c"], lr=1.0',
    ]
    assert len(set(told(server, "description"))) == 4


def test_a_long_name_keeps_within_what_a_server_takes(
    sweep: Callable[..., Result], server: FakeKfp
) -> None:
    sweep("-p", f'words=["{"x" * 300}"],["b"]')
    assert max(map(len, told(server, "display_name"))) <= 120


def test_what_is_fixed_goes_along_where_it_is_not_the_default(
    sweep: Callable[..., Result], server: FakeKfp
) -> None:
    sweep("-p", "lr=1,2", "-p", "depth=3", "-p", "seed=7")
    assert told(server, "runtime_config")[0]["parameters"] == {"lr": 1.0, "seed": 7}


def test_json_has_the_runs_with_their_trials(sweep: Callable[..., Result], server: FakeKfp) -> None:
    found = json.loads(sweep("-p", "lr=0.5,1", "--json").stdout)
    assert [(run["trial"], run["parameters"], run["run"]) for run in found["runs"]] == [
        (1, {"lr": 0.5}, "run-1"),
        (2, {"lr": 1.0}, "run-2"),
    ]
    assert found["runs"][0]["link"].startswith(server.url)


def test_a_dry_run_asks_no_server(sweep: Callable[..., Result], server: FakeKfp) -> None:
    found = json.loads(sweep("-p", "lr=0.5,1", "--dry-run", "--json", host=None).stdout)
    assert [trial["parameters"] for trial in found["trials"]] == [{"lr": 0.5}, {"lr": 1.0}]
    assert "2 runs to be started" in sweep("-p", "lr=0.5,1", "--dry-run", host=None).stdout
    assert server.asked == []


def test_what_every_run_repeats_is_warned_of(sweep: Callable[..., Result]) -> None:
    shared = sweep("-p", "lr=0.5,1", "--dry-run", host=None).stderr
    assert "every run executes load for itself" in shared
    assert "for itself" not in sweep("-p", "seed=2,3", "--dry-run", host=None).stderr


def test_the_best_is_chosen_by_who_compares(sweep: Callable[..., Result]) -> None:
    result = sweep("-p", "lr=0.5,1", "--best", "accuracy:max", "--dry-run", host=None)
    assert "--best accuracy:max is left out" in result.stderr


def test_a_server_that_stops_taking_runs_leaves_those_that_it_took(
    wine: Pipeline, server: FakeKfp
) -> None:
    plan = wine.plan_sweep(lr=[1, 2, 3])
    begun: list[TrialRun] = []

    def tell(run: TrialRun) -> None:
        begun.append(run)
        if len(begun) == 2:
            refusal = Answer({"error": "quota exceeded", "code": 8, "message": "no"}, 429)
            server.troubles = [Trouble(f"POST {RUNS}", refusal, times=20)]

    with pytest.raises(ServerError) as raised:
        submit_trials(
            wine,
            plan,
            Access(server.url, authentication="none").settled(),
            SubmitOptions(),
            warn=lambda _: None,
            tell=tell,
        )
    assert "trial 3 was not started; the runs of 2 before it go on" in raised.value.message
    assert [run.number for run in begun] == [1, 2]
    assert raised.value.status == 429


def test_values_that_no_run_can_carry_are_refused_before_anything_is_sent(
    sweep: Callable[..., Result], server: FakeKfp
) -> None:
    found = sweep("-p", "lr=0.5,inf").exception
    assert isinstance(found, ParameterError)
    assert "KFP cannot carry inf as float" in str(found)
    assert "'lr: float | None'" in found.hint
    assert not [asked for asked in server.asked if asked.startswith("POST")]


def test_too_large_values_are_warned_of(sweep: Callable[..., Result]) -> None:
    words = json.dumps(["x" * 10_000])
    result = sweep("-p", f'words=["a"],{words}', "--dry-run", host=None)
    assert "most of them 'words'" in result.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--parallelism", "3"], "--parallelism goes not with --as-runs"),
        (["-j", "2"], "-j goes not with --as-runs"),
        (["--insecure", "--ca", "x.pem"], "--insecure believes any certificate"),
    ],
)
def test_options_of_other_ways_are_refused(
    sweep: Callable[..., Result], server: FakeKfp, arguments: list[str], words: str
) -> None:
    found = sweep("-p", "lr=1,2", *arguments).exception
    assert isinstance(found, UsageError)
    assert words in str(found)
    assert not server.asked
