"""``kale-pm submit`` and ``Pipeline.submit``: from a notebook to a run that has ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import pytest
from click.testing import Result
from fake_kfp import Answer, FakeKfp, Frame, Trouble, pod_name
from typer.testing import CliRunner

from kale_pm import Pipeline
from kale_pm.cli import app
from kale_pm.errors import ClusterError, CompileError, ParameterError, ServerError, UsageError
from kale_pm.events import CellOutput, Event, StepFinished
from kale_pm.kfp.cluster_run import ClusterRun, Schedule
from kale_pm.kfp.compiling.functions import FOLDED_ABOVE
from kale_pm.kfp.server import following
from kale_pm.record import State

pytestmark = pytest.mark.usefixtures("no_pod")

CELLS = [
    ("parameters", "trees = 3\nwords = ['a']\n_x = 1"),
    ("block:load", "rows = [trees]"),
    ("block:train_all prev:load", "score = len(rows)"),
]
PACE = following.Pace
WELL = {"load": "SUCCEEDED", "train_all": "SUCCEEDED"}


@pytest.fixture
def wine(pipeline: Callable[..., Pipeline]) -> Pipeline:
    return pipeline(CELLS, name="wine", image="example.org/wine:1", install=False)


@pytest.fixture
def submit(wine: Pipeline, server: FakeKfp) -> Callable[..., Result]:
    """``submit("--wait")`` calls the command for the notebook and the server."""

    def call(*arguments: str, host: str | None = server.url) -> Result:
        where = ["--host", host] if host else []
        return CliRunner().invoke(app, ["submit", str(wine.path), *where, *arguments])

    return call


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at a run follow each other without a pause."""
    pace = PACE(0.0, sleep=lambda _: None)
    monkeypatch.setattr(following, "Pace", lambda: pace)


def error(result: Result) -> Any:
    assert result.exception is not None
    return result.exception


def test_the_notebook_is_uploaded_and_a_run_of_it_started(
    submit: Callable[..., Result], server: FakeKfp
) -> None:
    result = submit("-p", "trees=5", "-p", 'words=["b", "c"]', "-p", "_x=2")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{server.url}/#/runs/details/run-1\n"
    assert "uploaded" in result.stderr
    (run,) = server.runs.values()
    assert run["runtime_config"]["parameters"] == {"trees": 5, "words": 'json:["b", "c"]', "x": 2}
    assert run["display_name"].startswith("wine-2")
    assert run["description"].startswith("from small.ipynb")
    (experiment,) = server.experiments.values()
    assert experiment["display_name"] == "Default"
    (version,) = server.versions.values()
    assert version["pipeline_spec"]["pipelineInfo"]["name"] == "wine"


def test_the_same_notebook_again_is_another_run_of_the_same_version(
    submit: Callable[..., Result], server: FakeKfp
) -> None:
    submit()
    again = submit("--experiment", "trees", "--run-name", "the second", "-p", "trees=9")
    assert "the server has it already" in again.stderr
    assert len(server.versions) == 1
    assert server.runs["run-2"]["display_name"] == "the second"
    assert [each["display_name"] for each in server.experiments.values()] == ["Default", "trees"]


def test_json_says_what_was_made(submit: Callable[..., Result], server: FakeKfp) -> None:
    told = json.loads(submit("--json").stdout)
    assert told["run"] == "run-1"
    assert told["link"].endswith("/#/runs/details/run-1")
    assert told["version"] == server.versions["pipeline-version-1"]["display_name"]
    assert told["uploaded"] is True


def test_a_dry_run_asks_no_server(submit: Callable[..., Result], server: FakeKfp) -> None:
    result = submit("--dry-run", "--json", "-p", "trees=5", "--cron", "0 9 * * *", host=None)
    told = json.loads(result.stdout)
    assert told["parameters"] == {"trees": 5}
    assert told["cron"] == "0 0 9 * * *"
    assert told["pipeline"] == "wine"
    shown = submit("--dry-run", "-p", "trees=5").stdout
    assert told["version"] in shown
    assert "trees" in shown
    assert server.asked == []


def test_waiting_ends_with_the_exit_code_of_the_run(
    submit: Callable[..., Result], server: FakeKfp
) -> None:
    server.frames = [Frame("RUNNING", {"load": "RUNNING"}), Frame("SUCCEEDED", WELL)]
    result = submit("--wait")
    assert result.exit_code == 0
    assert "▸ load" in result.stderr
    assert "✓ train_all" in result.stderr
    assert "2 done" in result.stderr


def test_a_run_that_fails_is_told_with_what_gives_its_notebook(
    submit: Callable[..., Result], server: FakeKfp
) -> None:
    server.frames = [Frame("FAILED", {"load": "FAILED"}, errors={"load": "OOMKilled"})]
    server.logs = {pod_name("load"): b"Killed\n"}
    result = submit("--wait", "-v")
    assert result.exit_code == 1
    assert "load | Killed" in result.stderr
    assert "step load: OOMKilled" in result.stderr
    assert f"kale-pm fetch run-1 load --host {server.url} --notebook" in result.stderr


def test_a_canceled_run_has_not_ended_well(submit: Callable[..., Result], server: FakeKfp) -> None:
    server.frames = [Frame("CANCELING"), Frame("CANCELED")]
    result = submit("--wait", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["state"] == "interrupted"
    assert told["steps"]["load"]["state"] == "skipped"


def test_who_stops_waiting_hears_how_to_come_back(
    submit: Callable[..., Result], server: FakeKfp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(_: float) -> NoReturn:
        raise KeyboardInterrupt

    pressed = PACE(0.0, sleep=press)
    monkeypatch.setattr(following, "Pace", lambda: pressed)
    server.frames = [Frame("RUNNING", {"load": "RUNNING"})]
    result = submit("--wait")
    assert result.exit_code == 130
    assert f"the run goes on: {server.url}/#/runs/details/run-1" in result.stderr
    assert f"kale-pm fetch run-1 --host {server.url} --notebook" in result.stderr
    assert not any("terminate" in asked for asked in server.asked)


def test_a_server_that_is_gone_while_waiting_leaves_the_run_alone(
    submit: Callable[..., Result], server: FakeKfp
) -> None:
    look = "GET /apis/v2beta1/runs/run-1"
    server.troubles = [Trouble(look, Answer("", 401, "text/plain"), times=99)]
    result = submit("--wait")
    assert result.exit_code == 1
    assert "the run may well go on" in result.stderr


def test_a_schedule_is_made_in_the_place_of_a_run(
    submit: Callable[..., Result], server: FakeKfp
) -> None:
    result = submit("--cron", "30 9 * * 1-5", "-p", "trees=8")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{server.url}/#/recurringrun/details/recurring-run-1\n"
    (schedule,) = server.recurring_runs.values()
    assert schedule["display_name"] == "wine"
    assert schedule["trigger"]["cron_schedule"]["cron"] == "0 30 9 * * 1-5"
    assert server.runs == {}


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["--cron", "0 9 * *"], UsageError, "no schedule"),
        (["--cron", "0 9 * * *", "--wait"], UsageError, "goes not with --cron"),
        (["-p", "tree=5"], ParameterError, "no such parameter"),
        (["-p", "trees=many"], ParameterError, "trees"),
        (["--authentication", "kerberos"], UsageError, "no way to sign in"),
        (["--insecure", "--ca", "x.pem"], UsageError, "choose one"),
        (["--ca", "nowhere.pem"], UsageError, "there is no file"),
        (["--authentication", "token"], UsageError, "KALE_PM_TOKEN"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(
    submit: Callable[..., Result],
    server: FakeKfp,
    arguments: list[str],
    kind: type[Exception],
    words: str,
) -> None:
    found = error(submit(*arguments))
    assert isinstance(found, kind)
    assert words in str(found)
    assert not server.asked


def test_without_a_server_the_ways_to_name_one_are_told(submit: Callable[..., Result]) -> None:
    found = error(submit(host=None))
    assert "no server is named" in str(found)
    for way in ("--host", "KF_PIPELINES_ENDPOINT", "'host'"):
        assert way in found.hint


def test_too_large_values_are_warned_of_and_refused(
    submit: Callable[..., Result], server: FakeKfp
) -> None:
    words = json.dumps(["x" * 10_000])
    assert (
        "most of them 'words'"
        in json.loads(submit("--dry-run", "--json", "-p", f"words={words}").stdout)["warnings"][-1]
    )
    found = error(submit("-p", f"words={words}"))
    assert "parameters are too large" in str(found)


def test_secrets_reach_no_output(
    submit: Callable[..., Result], server: FakeKfp, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.guard = "token"
    monkeypatch.setenv("KALE_PM_TOKEN", "good-token")
    result = submit("--json", "--wait")
    assert result.exit_code == 0, result.output
    assert "good-token" not in result.output
    monkeypatch.setenv("KALE_PM_TOKEN", "bad-token")
    server.troubles = []
    found = error(submit())
    assert "bad-token" not in f"{found} {found.hint}"


def test_the_python_face_gives_a_run_that_can_be_waited_for(
    wine: Pipeline, server: FakeKfp
) -> None:
    run = wine.submit(server.url, trees=4, authentication="none", service_account="runner")
    assert isinstance(run, ClusterRun)
    assert server.runs["run-1"]["service_account"] == "runner"
    assert server.runs["run-1"]["runtime_config"]["parameters"] == {"trees": 4}
    server.frames = [Frame("RUNNING", {"load": "RUNNING"}), Frame("SUCCEEDED", WELL)]
    assert run.state is State.RUNNING
    record = run.wait()
    assert record.state is State.DONE
    assert list(record.steps) == ["load", "train_all"]
    run.cancel()
    assert server.asked[-1].endswith("run-1:terminate")


def test_the_configuration_of_the_notebook_says_where_and_as_whom(
    pipeline: Callable[..., Pipeline], serve: Callable[..., FakeKfp]
) -> None:
    server = serve(multi_user=True)
    found = pipeline(
        CELLS,
        name="wine",
        image="example.org/wine:1",
        install=False,
        host=server.url,
        namespace="me",
        experiment="trees",
        authentication="none",
        service_account="runner",
        description="About wine.",
    ).submit(cron="@daily")
    assert isinstance(found, Schedule)
    (schedule,) = server.recurring_runs.values()
    assert (schedule["namespace"], schedule["service_account"]) == ("me", "runner")
    assert [each["display_name"] for each in server.experiments.values()] == ["trees"]
    assert [each["description"] for each in server.pipelines.values()] == ["About wine."]


def test_copies_of_own_volumes_are_for_notebook_servers(
    pipeline: Callable[..., Pipeline], server: FakeKfp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NB_PREFIX", raising=False)
    wine = pipeline(CELLS, name="wine", image="example.org/wine:1", snapshot_volumes=True)
    with pytest.raises(ClusterError, match="runs in no notebook server"):
        wine.submit(server.url)
    assert not [asked for asked in server.asked if asked.startswith("POST")]


@pytest.mark.parametrize("snapshots", [False, True])
def test_what_cannot_be_compiled_is_said_before_a_server_or_a_cluster_is_asked(
    pipeline: Callable[..., Pipeline], server: FakeKfp, snapshots: bool
) -> None:
    cells = [("block:a annotation:a:{{workflow.name}}", "x = 1")]
    wine = pipeline(cells, image="example.org/wine:1", snapshot_volumes=snapshots)
    with pytest.raises(CompileError, match="annotation:a"):
        wine.submit(server.url)
    assert server.asked == []


def test_what_the_server_refuses_is_raised(wine: Pipeline, serve: Callable[..., FakeKfp]) -> None:
    with pytest.raises(ServerError, match="may not list experiments in the namespace theirs"):
        wine.submit(serve(multi_user=True).url, namespace="theirs")


def test_what_is_uploaded_is_what_compile_writes(
    wine: Pipeline, server: FakeKfp, tmp_path: Path
) -> None:
    wine.submit(server.url)
    written = wine.compile(tmp_path / "wine.yaml").path.read_bytes()
    assert server.packages == [written]


class TestManySteps:
    """So many that steps of one kind share a component, and are called after that."""

    NAMES = tuple(f"step_{number}" for number in range(FOLDED_ABOVE + 3))

    @pytest.fixture
    def large(self, pipeline: Callable[..., Pipeline]) -> Pipeline:
        cells = [("block:step_0", "rows = [0]")]
        for before, name in pairwise(self.NAMES):
            cells.append((f"block:{name} prev:{before}", "rows.append(len(rows))"))
        return pipeline(cells, name="large", image="example.org/wine:1", install=False)

    def test_are_followed_by_their_own_names(self, large: Pipeline, server: FakeKfp) -> None:
        run = large.submit(server.url, authentication="none")
        assert isinstance(run, ClusterRun)
        keys = {task.name: task.key for task in run.tasks}
        assert tuple(keys) == self.NAMES
        assert len(set(keys.values())) == len(self.NAMES)
        assert not {f"step-{number}" for number in range(99)} & {*keys.values()}
        done = dict.fromkeys(self.NAMES[:-2], "SUCCEEDED")
        running, failing = self.NAMES[-2:]
        server.frames = [
            Frame("RUNNING", {**done, running: "RUNNING"}, keys=keys),
            Frame("FAILED", {**done, running: "SUCCEEDED", failing: "FAILED"}, keys=keys),
        ]
        server.logs = {pod_name(running): f"kale-pm: {running} 1/1\nappended\n".encode()}
        told: list[Event] = []
        record = run.wait(told.append)
        assert tuple(record.steps) == self.NAMES
        assert [step.name for step in record.failures] == [failing]
        finished = [event.step for event in told if isinstance(event, StepFinished)]
        assert tuple(finished) == self.NAMES
        assert [(e.step, e.text) for e in told if isinstance(e, CellOutput)] == [
            (running, "appended\n")
        ]

    def test_are_one_version_in_every_process(self, large: Pipeline) -> None:
        versions = set()
        for seed in ("1", "2"):
            command = [sys.executable, "-m", "kale_pm", "submit", str(large.path)]
            done = subprocess.run(
                [*command, "--dry-run", "--json"],
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ, "PYTHONHASHSEED": seed},
            )
            versions.add(json.loads(done.stdout)["version"])
        assert len(versions) == 1
