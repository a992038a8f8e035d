"""Runs on a server become runs here: what kfp.local left, served as a cluster would."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from fake_kfp import Frame, detail, pod_name, pod_number, serving, task_details
from fake_kfp_outputs import (
    ROOT,
    RUN,
    FakeKfpWithOutputs,
    Outcome,
    carried_out,
    executor,
    left_by,
)
from nbformat.v4 import new_code_cell, new_notebook
from typer.testing import CliRunner

import kale_pm
from kale_pm.cli import app
from kale_pm.errors import PackError, ServerError, UsageError
from kale_pm.face import FetchedRun, fetch, find_run, find_runs
from kale_pm.kfp.server.fetch import named_run
from kale_pm.record import CellError, State
from kale_pm.runtime.pod.announce import announce_error

# One process has them all, so that what they begin with is made once.
pytestmark = pytest.mark.xdist_group("fetch")

CELLS = (
    ("parameters", "n = 3"),
    ("step:load_data", "rows = [1, 2] * n\nprint('loading')"),
    ("step:train prev:load_data", "score = len(rows)\nloss = float('nan')"),
    ("step:end prev:train", "def fail(count):\n    raise ValueError(count)\nfail(len(rows))"),
    ("metrics", "score\nloss"),
)
DONE = {"load_data": "SUCCEEDED", "train": "SUCCEEDED"}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Of three steps the last one failed."""
    folder = tmp_path_factory.mktemp("run")
    cells = [new_code_cell(source, metadata={"tags": tags.split()}) for tags, source in CELLS]
    nbformat.write(new_notebook(cells=cells), folder / "small.ipynb")
    return carried_out(kale_pm.load(folder / "small.ipynb"), folder)


@pytest.fixture
def server(outcome: Outcome) -> FakeKfpWithOutputs:
    return left_by(outcome)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


@pytest.fixture
def fetched(here: Path) -> Callable[..., FetchedRun]:
    def bring(server: FakeKfpWithOutputs, step: str | None = None, **options: Any) -> FetchedRun:
        namespace = "me" if server.multi_user else None
        with serving(server):
            options = {"authentication": "none", **options}
            return fetch(RUN, step, host=server.url, namespace=namespace, folder=here, **options)

    return bring


Fetch = Callable[..., FetchedRun]


def texts(notebook: Path | None) -> str:
    assert notebook is not None
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return json.dumps([cell.get("outputs") for cell in cells])


def artifact(server: FakeKfpWithOutputs, task: str, output: str, name: str) -> bytes:
    return (server.store / task / output / name).read_bytes()


class TestAFailedRun:
    def test_its_record_says_what_it_would_have_said_here(
        self, server: FakeKfpWithOutputs, fetched: Fetch
    ) -> None:
        run = fetched(server)
        assert (run.id, run.record.pipeline, run.state) == (RUN, "small", State.FAILED)
        states = {name: step.state for name, step in run.steps.items()}
        assert states == {
            "load_data": State.DONE,
            "train": State.DONE,
            "end": State.FAILED,
        }
        assert run.parameters == {"n": 3}
        assert isinstance(run.parameters["n"], int)
        assert run.metrics["score"] == 6
        assert math.isnan(run.metrics["loss"])
        assert run.record.steps["train"].parents == ("load_data",)
        assert run.record.steps["train"].needs == ("rows",)
        assert run.lacks == {}

    def test_the_error_comes_with_its_places(
        self, server: FakeKfpWithOutputs, fetched: Fetch
    ) -> None:
        error = fetched(server).record.steps["end"].error
        assert error is not None
        assert error.message == "ValueError: 6"
        assert (error.cell, error.line) == (4, 3)
        assert [place.line for place in error.places] == [3, 2]

    def test_all_notebooks_are_there(self, server: FakeKfpWithOutputs, fetched: Fetch) -> None:
        run = fetched(server)
        original = artifact(server, "step-load-data", "notebook", "load_data.ipynb")
        notebook = run.steps["load_data"].notebook
        assert notebook is not None
        assert notebook.read_bytes() == original
        assert "ValueError" in texts(run.steps["end"].notebook)

    def test_the_report_and_the_logs_are_written(
        self, server: FakeKfpWithOutputs, fetched: Fetch
    ) -> None:
        run = fetched(server)
        assert "ValueError: 6" in run.report.read_text(encoding="utf-8")
        log = (run.folder / "logs" / "load_data.log").read_text(encoding="utf-8")
        assert "loading" in log
        assert "KALEPM" not in log

    def test_it_is_found_among_the_runs_of_this_machine(
        self, server: FakeKfpWithOutputs, fetched: Fetch, here: Path
    ) -> None:
        run = fetched(server)
        assert find_run(RUN[:8], near=here).record == run.record
        assert [found.id for found in find_runs(here)] == [RUN]
        assert run.diff(run).differs is False

    def test_what_it_stored_is_known_and_fetched_on_demand(
        self, server: FakeKfpWithOutputs, fetched: Fetch
    ) -> None:
        run = fetched(server)
        assert run.variables["rows"].given_by == "load_data"
        with pytest.raises(PackError):
            run["rows"]
        assert fetched(server, variables=True)["rows"] == [1, 2] * 3


class TestOneStep:
    def test_nothing_else_is_asked_for(self, server: FakeKfpWithOutputs, fetched: Fetch) -> None:
        run = fetched(server, "end")
        assert "ValueError" in texts(run.steps["end"].notebook)
        assert run.steps["train"].notebook is None
        logs = {path for path in server.asked if path.endswith("/log")}
        assert [path.split("/")[-2] for path in logs] == [pod_name("end")]

    def test_an_unknown_one_is_refused(self, server: FakeKfpWithOutputs, fetched: Fetch) -> None:
        with pytest.raises(ServerError, match="has no step 'trian'") as refused:
            fetched(server, "trian")
        assert "train" in refused.value.hint

    def test_the_others_stay_as_an_earlier_fetch_left_them(
        self, server: FakeKfpWithOutputs, fetched: Fetch
    ) -> None:
        whole = fetched(server)
        assert fetched(server, "end").record == whole.record


class TestServersDiffer:
    @pytest.mark.parametrize("route", ["v2beta1", "interface"])
    def test_in_where_logs_are(self, outcome: Outcome, fetched: Fetch, route: str) -> None:
        assert fetched(left_by(outcome, log_route=route)).lacks == {}

    def test_in_how_they_serve_folders(self, outcome: Outcome, fetched: Fetch) -> None:
        server = left_by(outcome, archives=True)
        run = fetched(server, variables=True)
        assert run.lacks == {}
        assert run["rows"] == [1, 2] * 3

    def test_below_a_prefix_with_profiles(self, outcome: Outcome, fetched: Fetch) -> None:
        server = left_by(outcome, multi_user=True, log_route="interface")
        assert fetched(server).lacks == {}
        logs = [each for each in server.received if each.path == "/k8s/pod/logs"]
        assert {each.query["podnamespace"] for each in logs} == {"me"}

    def test_in_who_may_come_in(
        self, outcome: Outcome, fetched: Fetch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = left_by(outcome, guard="token")
        monkeypatch.setenv("KALE_PM_TOKEN", server.token)
        assert fetched(server, authentication="token").lacks == {}

    def test_the_api_alone_gives_what_is_in_the_logs(
        self, outcome: Outcome, fetched: Fetch
    ) -> None:
        run = fetched(left_by(outcome, artifacts=False))
        assert "ValueError" in texts(run.steps["end"].notebook)
        assert run.metrics["score"] == 6
        assert {name: len(lacks) for name, lacks in run.lacks.items()} == {
            "load_data": 1,
            "train": 1,
        }
        assert "ml-pipeline-ui" in run.lacks["train"][0].hint


class TestPodsThatAreGone:
    def test_the_steps_after_one_know_where_its_outputs_lie(
        self, server: FakeKfpWithOutputs, fetched: Fetch
    ) -> None:
        del server.logs[pod_name("load_data")]
        run = fetched(server)
        assert "loading" in texts(run.steps["load_data"].notebook)
        assert "load_data" not in run.lacks

    def test_what_nobody_knows_is_named(self, server: FakeKfpWithOutputs, fetched: Fetch) -> None:
        server.logs.clear()
        run = fetched(server)
        assert set(run.lacks) == {"load_data", "train", "end"}
        (lack,) = run.lacks["end"]
        assert lack.what == "its notebook"
        assert pod_name("end") in lack.reason

    def test_what_was_fetched_before_stays(
        self, server: FakeKfpWithOutputs, fetched: Fetch
    ) -> None:
        whole = fetched(server)
        server.logs.clear()
        again = fetched(server)
        assert again.record == whole.record
        assert again.lacks == {}

    def test_variables_that_are_here_are_not_asked_for_again(
        self, outcome: Outcome, server: FakeKfpWithOutputs, fetched: Fetch
    ) -> None:
        fetched(server, variables=True)
        again = fetched(left_by(outcome, artifacts=False), variables=True)
        assert again.lacks == {}
        assert again["rows"] == [1, 2] * 3

    def test_a_step_that_was_killed_told_nothing(
        self, server: FakeKfpWithOutputs, fetched: Fetch
    ) -> None:
        server.logs[pod_name("end")] = b"kale-pm: end 1/3\n"
        (lack,) = fetched(server).lacks["end"]
        assert "out of memory" in lack.reason

    def test_a_step_that_failed_before_its_first_cell_says_why(
        self, server: FakeKfpWithOutputs, fetched: Fetch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        missing = CellError("StoreError", "the volume takes nothing", hint="let it")
        announce_error("end", 1, missing, started=1.0, seconds=2.0)
        server.logs[pod_name("end")] = capsys.readouterr().out.encode()
        run = fetched(server)
        assert run.record.steps["end"].error == missing
        (lack,) = run.lacks["end"]
        assert lack.reason == "it failed outside of all cells, and there is none"

    def test_a_log_that_was_cut_says_which_lines_it_lacks(
        self, server: FakeKfpWithOutputs, fetched: Fetch
    ) -> None:
        pod = pod_name("end")
        lines = [
            line
            for line in server.logs[pod].splitlines()
            if not line.strip().startswith(b"KALEPM ")
        ]
        server.logs[pod] = b"\n".join([*lines, b"KALEPM end 1 2/3 00000000 AAAA"])
        run = fetched(server)
        assert run.lacks["end"][0].reason == "its notebook: the log lacks 1-3 of 3 lines"
        error = run.record.steps["end"].error
        assert error is not None
        assert error.message == "ValueError: 6"


def test_an_exit_task_publishes_what_is_in_no_log(
    pipeline: Callable[..., kale_pm.Pipeline], fetched: Fetch, tmp_path: Path
) -> None:
    """The process is killed from within; only the volume has its notebook."""
    made = pipeline(
        [
            ("step:first", "rows = [1]\nprint('loading')"),
            ("step:second prev:first", "print('rows', rows)"),
            ("", "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(9)"),
        ],
        marshal_volume=True,
        marshal_volume_size="1Gi",
    )
    server = left_by(carried_out(made, tmp_path))
    assert b"KALEPM" not in server.logs[pod_name("second")]
    run = fetched(server)
    assert run.steps["second"].state is State.FAILED
    notebook = run.steps["second"].notebook
    assert notebook is not None
    assert "os.kill(" in notebook.read_text(encoding="utf-8")
    assert run.lacks == {}
    server.logs.clear()
    shutil.rmtree(run.folder)
    assert set(fetched(server).lacks) == {"first", "second"}


class TestTheCacheOfKfp:
    def test_the_origin_of_a_result_is_found_by_the_step_that_took_it(
        self, server: FakeKfpWithOutputs, fetched: Fetch
    ) -> None:
        steps = {**DONE, "end": "FAILED"}
        server.frames = [Frame("FAILED", steps, cached=frozenset({"load_data"}))]
        del server.logs[pod_name("load_data")]
        run = fetched(server)
        assert run.steps["load_data"].state is State.CACHED
        assert run.record.steps["load_data"].cached_from == RUN
        assert "loading" in texts(run.steps["load_data"].notebook)

    def test_one_that_no_step_took_cannot_be_found(
        self, server: FakeKfpWithOutputs, fetched: Fetch
    ) -> None:
        server.frames = [Frame("SUCCEEDED", DONE, cached=frozenset(DONE))]
        server.logs.clear()
        run = fetched(server)
        assert "KFP's cache had its result" in run.lacks["train"][0].reason

    def test_servers_that_know_their_artifacts_tell(
        self, server: FakeKfpWithOutputs, fetched: Fetch
    ) -> None:
        server.frames = [Frame("FAILED", {**DONE, "end": "FAILED"}, cached=frozenset(DONE))]
        server.logs.clear()
        server.native = {
            (f"step-{task}", output): f"{ROOT}/step-{task}/salt/{output}"
            for task in ("load-data", "train")
            for output in ("notebook", "state")
        }
        run = fetched(server, variables=True)
        assert set(run.lacks) == {"end"}
        assert run.steps["train"].notebook is not None
        assert run["rows"] == [1, 2] * 3


KEEPING = (
    "from pathlib import Path\nPath('out').mkdir()\n"
    "Path('out/page.html').write_text('<b>page</b>')\n"
    "Path('table.csv').write_text('a,b')\nPath('model').write_bytes(bytes([0, 255]))"
)
KEPT = "step:draw artifact:page:out/page.html artifact:table:table.csv artifact:model:model"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A step has kept a page, a table and a file of no kind; another one comes after it."""
    folder = tmp_path_factory.mktemp("kept")
    cells = [
        new_code_cell(KEEPING, metadata={"tags": KEPT.split()}),
        new_code_cell("print('end')", metadata={"tags": ["step:end", "prev:draw"]}),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "small.ipynb")
    return carried_out(kale_pm.load(folder / "small.ipynb"), folder)


class TestFilesThatStepsKeep:
    @pytest.mark.parametrize("archives", [False, True])
    def test_they_are_files_of_the_run_as_those_of_this_machine(
        self, kept: Outcome, fetched: Fetch, archives: bool
    ) -> None:
        run = fetched(left_by(kept, archives=archives))
        assert run.lacks == {}
        assert run.record.steps["draw"].artifacts == {
            "page": "artifacts/draw/page.html",
            "table": "artifacts/draw/table.csv",
            "model": "artifacts/draw/model",
        }
        found = {name: each.content for name, each in run.steps["draw"].artifacts.items()}
        assert found == {"page": b"<b>page</b>", "table": b"a,b", "model": bytes([0, 255])}
        assert 'href="./artifacts/draw/page.html"' in run.report.read_text(encoding="utf-8")

    def test_those_of_a_pod_that_is_gone_lie_beside_its_other_outputs(
        self, kept: Outcome, fetched: Fetch
    ) -> None:
        server = left_by(kept)
        del server.logs[pod_name("draw")]
        # How a file was called only the log has told; of a page the pipeline knows it.
        assert {each.file for each in fetched(server).steps["draw"].artifacts.values()} == {
            "page.html",
            "table",
            "model",
        }

    def test_what_is_here_is_not_asked_for_again_and_stays(
        self, kept: Outcome, fetched: Fetch
    ) -> None:
        whole = fetched(left_by(kept))
        server = left_by(kept)
        assert fetched(server).record == whole.record
        assert not [path for path in server.asked if path.endswith("/page")]
        server.logs.clear()
        assert fetched(server).record.steps["draw"].artifacts["table"].endswith("table.csv")

    def test_they_stay_there_if_nobody_wants_them(self, kept: Outcome, fetched: Fetch) -> None:
        run = fetched(left_by(kept), artifacts=False)
        assert run.record.steps["draw"].artifacts == {}
        assert not (run.folder / "artifacts").exists()
        assert run.lacks == {}

    def test_one_that_is_gone_is_named(self, kept: Outcome, fetched: Fetch, tmp_path: Path) -> None:
        shutil.copytree(kept.folder, tmp_path / "store")
        (tmp_path / "store" / "step-draw" / "table").unlink()
        server = left_by(kept)
        server.store = tmp_path / "store"
        run = fetched(server)
        assert [lack.what for lack in run.lacks["draw"]] == ["its artifact table"]
        assert set(run.record.steps["draw"].artifacts) == {"page", "model"}

    def test_a_name_that_leads_elsewhere_leads_nowhere(self, kept: Outcome, fetched: Fetch) -> None:
        server = left_by(kept)
        text = json.dumps(server.runs[RUN]["pipeline_spec"])
        server.runs[RUN]["pipeline_spec"] = json.loads(text.replace('"table"', '"../../table"'))
        assert set(fetched(server).record.steps["draw"].artifacts) == {"page", "model"}

    def test_the_command_can_leave_them_there(self, kept: Outcome, here: Path) -> None:
        done = TestTheCommand().run(here, left_by(kept), "--no-artifacts")
        assert done.exit_code == 0, done.output
        assert not (here / ".kale-pm" / "runs" / RUN / "artifacts").exists()


def test_steps_that_share_a_component_are_told_apart(
    server: FakeKfpWithOutputs, fetched: Fetch
) -> None:
    del server.logs[pod_name("load_data")]
    text = json.dumps([server.runs[RUN]["pipeline_spec"], task_details(server.frames[0])])
    for number, task in enumerate(("step-load-data", "step-train", "step-end"), start=1):
        text = text.replace(f'"{task}', f'"steps-{number}')
    server.runs[RUN]["pipeline_spec"], server.details = json.loads(text)
    run = fetched(server)
    assert list(run.steps) == ["load_data", "train", "end"]
    assert run.lacks == {}
    assert "loading" in texts(run.steps["load_data"].notebook)


class TestARunThatGoesOn:
    def test_what_is_done_is_there(
        self, server: FakeKfpWithOutputs, fetched: Fetch, here: Path
    ) -> None:
        server.frames = [Frame("RUNNING", {"load_data": "SUCCEEDED", "train": "RUNNING"})]
        server.logs[pod_name("train")] = b"kale-pm: train 1/3\n"
        run = fetched(server)
        assert run.state is State.RUNNING
        assert "loading" in texts(run.steps["load_data"].notebook)
        assert run.steps["train"].notebook is None
        assert run.lacks == {}
        assert find_run(RUN, near=here).state is State.RUNNING

    def test_a_later_fetch_completes_it(
        self, outcome: Outcome, server: FakeKfpWithOutputs, fetched: Fetch
    ) -> None:
        server.frames = [Frame("RUNNING", {"load_data": "SUCCEEDED", "train": "RUNNING"})]
        fetched(server)
        assert fetched(left_by(outcome)).steps["end"].state is State.FAILED


def test_every_try_leaves_its_notebook(server: FakeKfpWithOutputs, fetched: Fetch) -> None:
    number = int(pod_number("end"))
    tried = [executor("end", number + index, index, "FAILED") for index in range(2)]
    below = [{"pod_name": f"wine-x7-{number + index}"} for index in range(2)]
    retried = detail("executor", "FAILED", "wine-x7-77", child_tasks=below)
    retried["pod_name"] = "wine-x7-retry-77"
    step = detail("step-end", "FAILED", "n9", child_tasks=[{"pod_name": "wine-x7-77"}])
    server.details = [step, retried, *tried]
    failed = server.logs[pod_name("end")].decode()
    second = failed.replace("KALEPM end 1 ", "KALEPM end 2 ")
    second = second.replace("KALEPM-ERROR end 1 ", "KALEPM-ERROR end 2 ")
    server.logs = {
        tried[0]["pod_name"]: failed.encode(),
        tried[1]["pod_name"]: second.encode(),
    }
    run = fetched(server)
    assert "ValueError" in texts(run.folder / "notebooks" / "end.attempt-1.ipynb")
    assert "ValueError" in texts(run.steps["end"].notebook)
    assert run.record.steps["end"].why == "it took 2 tries"


class TestWhatIsNoRunOfOurs:
    def test_a_run_that_is_not_there(self, server: FakeKfpWithOutputs, fetched: Fetch) -> None:
        server.runs.clear()
        with pytest.raises(ServerError, match="404"):
            fetched(server)

    def test_another_pipeline(self, server: FakeKfpWithOutputs, fetched: Fetch) -> None:
        server.runs[RUN]["pipeline_spec"] = {"root": {"dag": {"tasks": {"print": {}}}}}
        with pytest.raises(ServerError, match="not compiled by kale-pm"):
            fetched(server)

    def test_names_that_lead_elsewhere(self, server: FakeKfpWithOutputs, fetched: Fetch) -> None:
        tasks = {"step-x": {"taskInfo": {"name": "../../x"}}}
        server.runs[RUN]["pipeline_spec"] = {"root": {"dag": {"tasks": tasks}}}
        with pytest.raises(ServerError, match="not compiled by kale-pm"):
            fetched(server)

    @pytest.mark.parametrize("text", ["", "..", "a b", "https://host/#/runs/details/?x"])
    def test_no_id_at_all(self, text: str) -> None:
        with pytest.raises(UsageError):
            named_run(text)


class TestTheCommand:
    def run(self, here: Path, server: FakeKfpWithOutputs, *arguments: str) -> Any:
        with serving(server):
            page = f"{server.url}/#/runs/details/{RUN}"
            command = ["fetch", page, *arguments, "--dir", str(here), "--authentication", "none"]
            return CliRunner().invoke(app, command)

    def test_it_prints_where_the_report_is(self, server: FakeKfpWithOutputs, here: Path) -> None:
        done = self.run(here, server)
        assert done.exit_code == 0, done.output
        assert str(here / ".kale-pm" / "runs" / RUN / "report.html") in done.output
        assert "ValueError: 6" in done.output

    def test_of_one_step_it_prints_where_the_notebook_is(
        self, server: FakeKfpWithOutputs, here: Path
    ) -> None:
        done = self.run(here, server, "end")
        assert done.exit_code == 0, done.output
        assert Path(done.stdout.strip()).name == "end.ipynb"
        assert Path(done.stdout.strip()).is_file()

    def test_what_is_not_to_be_had_makes_it_fail(
        self, server: FakeKfpWithOutputs, here: Path
    ) -> None:
        server.logs.clear()
        done = self.run(here, server)
        assert done.exit_code == 1
        assert "step end lacks its notebook" in done.output

    def test_json_says_it_all(self, server: FakeKfpWithOutputs, here: Path) -> None:
        server.artifacts = False
        done = self.run(here, server, "--json")
        told = json.loads(done.stdout)
        assert told["steps"]["end"]["error"]["cell"] == 4
        assert told["lacks"]["train"][0]["what"] == "its notebook"
