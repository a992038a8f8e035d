"""The exit task: a report of the whole run from a volume, and nothing left of what was made."""

from __future__ import annotations

import base64
import io
import json
import lzma
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_kubernetes import FakeKubernetes, running

from kale_pm import Pipeline
from kale_pm.errors import ClusterError
from kale_pm.kfp.compiling.bundle import closing_archive
from kale_pm.kfp.compiling.plan import plan
from kale_pm.record import CellError, RunRecord, State, StepRecord
from kale_pm.report import write_report
from kale_pm.runtime.pod import closing, summary
from kale_pm.runtime.pod.closing import tidy_up
from kale_pm.runtime.pod.diary import Diary, open_diary
from kale_pm.runtime.pod.kubernetes import Kubernetes, from_pod
from kale_pm.runtime.pod.summary import publish, run_record

Make = Callable[..., Pipeline]
Run = Callable[..., tuple[Path, str]]
CHAIN = [
    ("parameters", "rows = 3"),
    ("step:a", "x = list(range(rows))"),
    ("step:b prev:a", "x.append(1)\nprint('in b')"),
    ("step:c prev:b", "print(x)"),
]
FAILING = [*CHAIN[:2], ("step:b prev:a", "print('in b')\nraise ValueError('boom')"), CHAIN[3]]
NEW = {"type": "new_pvc", "name": "scratch", "mount_point": "/scratch", "size": 5}
EXISTING = {"type": "pvc", "name": "data", "mount_point": "/data"}


def facts_of(made: Pipeline) -> dict[str, Any]:
    """What the exit task of a pipeline knows."""
    closing = plan(made).closing
    assert closing is not None
    return dict(closing.facts)


@dataclass
class Status:
    state: str


class TestUnderKfp:
    def test_a_run_that_succeeds_is_published_whole(
        self, pipeline: Make, run_under_kfp: Run
    ) -> None:
        folder, log = run_under_kfp(pipeline(CHAIN, marshal_volume=True), rows=4)
        closing = folder / "close-run"
        page = (closing / "html").read_text()
        assert page == (closing / "notebooks" / "report.html").read_text()
        assert "3 done" in page
        assert "rows" in page
        kept = sorted(path.name for path in (closing / "notebooks" / "notebooks").iterdir())
        assert kept == ["a.ipynb", "b.ipynb", "c.ipynb"]
        assert "ended: SUCCEEDED" in log

    def test_a_run_that_fails_too(self, pipeline: Make, run_under_kfp: Run) -> None:
        made = pipeline(FAILING, marshal_volume=True)
        folder, log = run_under_kfp(made, check=False)
        page = (folder / "close-run" / "html").read_text()
        assert "1 done, 1 failed, 1 skipped" in page
        assert "ValueError: boom" in page
        failed = folder / "close-run" / "notebooks" / "notebooks" / "b.ipynb"
        assert "in b" in failed.read_text()
        assert "kale-pm: step b failed: ValueError: boom" in log

    def test_a_step_that_cannot_begin_is_told_with_its_reason(
        self, pipeline: Make, run_under_kfp: Run
    ) -> None:
        cells = [("parameters", "layers = [1]"), ("step:a", "print(layers)")]
        made = pipeline(cells, marshal_volume=True)
        folder, _ = run_under_kfp(made, check=False, layers="1, 2")
        page = (folder / "close-run" / "html").read_text()
        assert "1 failed" in page
        assert "is no JSON for a list" in page
        assert "the pod ended before" not in page

    def test_also_where_no_kale_pm_is_installed(
        self,
        pipeline: Make,
        run_under_kfp: Run,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        other = tmp_path / "site" / "kale_pm"
        other.mkdir(parents=True)
        (other / "__init__.py").write_text("__version__ = '0.0.0'\n")
        monkeypatch.setenv("PYTHONPATH", str(other.parent))
        monkeypatch.chdir(tmp_path)
        folder, _ = run_under_kfp(pipeline(CHAIN[:2], marshal_volume=True))
        page = (folder / "close-run" / "html").read_text()
        assert "1 done" in page


def test_what_the_exit_task_carries_lacks_nothing(tmp_path: Path) -> None:
    archive = zipfile.ZipFile(io.BytesIO(lzma.decompress(base64.b64decode(closing_archive()))))
    archive.extractall(tmp_path)
    names = [name for name in archive.namelist() if name.endswith(".py")]
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in names
    ]
    # The exit task installs what renders notebooks, and nothing of what runs them.
    absent = ("cloudpickle", "dill", "ipykernel", "papermill", "xxhash")
    check = f"""
import importlib, sys
sys.modules.update(dict.fromkeys({absent!r}))
for name in {modules!r}:
    importlib.import_module(name)
"""
    done = subprocess.run(
        [sys.executable, "-c", check],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert "kale_pm.report.page" in modules
    assert not [name for name in modules if ".execution" in name or ".storage" in name]


class TestWhereThereIsOne:
    def test_none_without_volumes(self, pipeline: Make) -> None:
        assert plan(pipeline(CHAIN)).closing is None

    def test_a_report_on_a_claim_that_can_be_written(self, pipeline: Make) -> None:
        closing = plan(pipeline(CHAIN, volumes=[EXISTING])).closing
        assert closing is not None
        assert closing.has_report
        mount = 'kubernetes.mount_pvc(closing, pvc_name="data", mount_path="/data")'
        assert mount in closing.lines
        read_only = plan(pipeline(CHAIN, volumes=[{**EXISTING, "access_mode": "rom"}])).closing
        assert read_only is None

    def test_only_tidying_up_where_all_volumes_are_made_by_the_run(self, pipeline: Make) -> None:
        closing = plan(pipeline(CHAIN, volumes=[NEW])).closing
        assert closing is not None
        assert not closing.has_report
        assert facts_of(pipeline(CHAIN, volumes=[NEW]))["claims"] == ["scratch"]


class TestTheRecord:
    """What is said of a step, by what it left on the volume and by how the run ended."""

    FACTS: dict[str, Any] = {
        "pipeline": "p",
        "notebook": "p.ipynb",
        "steps": {
            "a": {"parents": [], "inputs": [], "needs": [], "report": True},
            "b": {"parents": ["a"], "inputs": ["a"], "needs": ["x"], "report": True},
            "c": {"parents": ["b"], "inputs": [], "needs": [], "report": True},
        },
        "implied": [["b", "c"]],
        "parameters": {"p_rate": {"name": "_rate", "type": "float"}},
    }

    @pytest.fixture
    def diary(self, tmp_path: Path) -> Diary:
        return open_diary(str(tmp_path))

    def record(self, diary: Diary, state: str) -> RunRecord:
        parameters = {"p_rate": "json:NaN"}
        return run_record(self.FACTS, diary, run="1", status=Status(state), parameters=parameters)

    def test_times_metrics_and_parameters(self, diary: Diary) -> None:
        metrics = {"score": float("inf")}
        diary.write(StepRecord("a", State.DONE, started=10.0, seconds=2.0, metrics=metrics))
        diary.write(StepRecord("b", State.DONE, started=13.0, seconds=4.0))
        record = self.record(diary, "SUCCEEDED")
        assert (record.started, record.seconds) == (10.0, 7.0)
        assert record.metrics == metrics
        assert str(record.parameters) == "{'_rate': nan}"
        assert record.implied_edges == (("b", "c"),)
        assert record.steps["b"].inputs == ("a",)

    def test_a_step_that_left_nothing_came_out_of_the_cache_if_the_run_went_on(
        self, diary: Diary
    ) -> None:
        error = CellError("ValueError", "boom", cell=2, line=1)
        diary.write(StepRecord("b", State.FAILED, started=1.0, seconds=1.0, error=error))
        steps = self.record(diary, "FAILED").steps
        assert [step.state for step in steps.values()] == [
            State.CACHED, State.FAILED, State.SKIPPED
        ]  # fmt: skip
        assert steps["b"].error == error

    def test_a_pod_that_was_killed_failed(self, diary: Diary) -> None:
        diary.write(StepRecord("a", State.RUNNING, started=1.0))
        step = self.record(diary, "FAILED").steps["a"]
        assert step.state is State.FAILED
        assert step.error is not None
        assert step.error.message == "the pod ended before the step did"

    def test_unless_somebody_ended_the_run(self, diary: Diary) -> None:
        diary.write(StepRecord("a", State.RUNNING, started=1.0))
        record = self.record(diary, "CANCELED")
        assert record.state is record.steps["a"].state is State.INTERRUPTED

    def test_a_parameter_that_nobody_can_read_is_told_as_it_was_given(self, diary: Diary) -> None:
        facts = {**self.FACTS, "parameters": {"p_layers": {"name": "layers", "type": "list"}}}
        given = {"p_layers": "1, 2"}
        record = run_record(facts, diary, run="1", status=Status("FAILED"), parameters=given)
        assert record.parameters == {"layers": "1, 2"}

    def test_half_a_file_says_nothing(self, diary: Diary) -> None:
        assert diary.folder is not None
        (diary.folder / "a.json").write_text('{"state": "do')
        assert diary.read("a") is None

    def test_a_volume_that_cannot_be_written_fails_no_step(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        for place in ("", str(tmp_path / "missing"), str(tmp_path / "file")):
            diary = open_diary(place)
            diary.write(StepRecord("a", State.RUNNING))
            diary.copy("a", tmp_path / "file")
            assert diary.read("a") is None
            assert diary.notebook("a") is None

    def test_a_page_too_large_for_a_browser_comes_without_notebooks(
        self, diary: Diary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        source = {"id": "1", "cell_type": "markdown", "metadata": {}, "source": "w" * 100_000}
        executed = tmp_path / "executed.ipynb"
        executed.write_text(json.dumps({**notebook, "cells": [source]}))
        diary.copy("a", executed)
        diary.write(StepRecord("a", State.DONE, started=1.0, seconds=1.0))
        monkeypatch.setattr(summary, "LARGEST", 90_000)
        folder, page = tmp_path / "folder", tmp_path / "page"
        record = self.record(diary, "SUCCEEDED")
        publish(record, diary, folder=folder, page=page, write_report=write_report)
        assert "wwww" in (folder / "report.html").read_text()
        assert "wwww" not in page.read_text()
        assert (folder / "notebooks" / "a.ipynb").is_file()

    def test_a_step_whose_report_is_switched_off_keeps_its_notebook_out_of_the_page(
        self, diary: Diary, tmp_path: Path
    ) -> None:
        notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (tmp_path / "executed.ipynb").write_text(json.dumps(notebook))
        diary.copy("a", tmp_path / "executed.ipynb")
        steps = {**self.FACTS["steps"], "a": {**self.FACTS["steps"]["a"], "report": False}}
        record = run_record(
            {**self.FACTS, "steps": steps},
            diary,
            run="1",
            status=Status("SUCCEEDED"),
            parameters={"p_rate": 1},
        )
        assert record.steps["a"].notebook is None
        folder, page = tmp_path / "folder", tmp_path / "page"
        publish(record, diary, folder=folder, page=page, write_report=write_report)
        assert (folder / "notebooks" / "a.ipynb").is_file()


class TestTidyingUp:
    @pytest.fixture
    def cluster(self) -> Iterator[FakeKubernetes]:
        with running() as fake:
            for name in ("run-1-scratch", "run-1-scratch-2", "run-2-scratch", "data"):
                fake.add("persistentvolumeclaims", name)
            for name in ("own", "of-others"):
                fake.add("volumesnapshots", name)
            yield fake

    def tidy(self, cluster: FakeKubernetes, succeeded: bool = True, **facts: Any) -> list[str]:
        known = {"claims": [], "snapshots": [], "own_snapshots": [], **facts}
        reach = Kubernetes(cluster.url, "me", "secret-token")
        return list(
            tidy_up(known, "run-1", succeeded=succeeded, reach=lambda: reach, patience=1, pause=0)
        )

    @pytest.mark.parametrize("succeeded", [True, False])
    def test_removes_what_the_run_made_and_nothing_else(
        self, succeeded: bool, cluster: FakeKubernetes
    ) -> None:
        left = self.tidy(cluster, succeeded, claims=["scratch", "never"], own_snapshots=["own"])
        assert left == []
        assert cluster.names("persistentvolumeclaims") == [
            "data", "run-1-scratch-2", "run-2-scratch"
        ]  # fmt: skip
        assert cluster.names("volumesnapshots") == ["of-others"]
        assert set(cluster.tokens) == {"secret-token"}

    def test_asks_nobody_without_need(self, cluster: FakeKubernetes) -> None:
        assert self.tidy(cluster) == []
        assert cluster.asked == []

    def test_what_is_left_is_named(self, cluster: FakeKubernetes) -> None:
        cluster.refuse("DELETE .*/run-1-scratch", 403)
        (left,) = self.tidy(cluster, claims=["scratch", "scratch-2"])
        assert left.startswith("the claim run-1-scratch is left: ")
        assert "run-1-scratch-2" not in cluster.names("persistentvolumeclaims")

    def test_without_a_service_account_all_names_are_told(self) -> None:
        def nowhere() -> Kubernetes:
            raise ClusterError("no token")

        facts = {"claims": ["scratch"], "snapshots": [], "own_snapshots": ["own"]}
        (left,) = tidy_up(facts, "run-1", succeeded=True, reach=nowhere)
        assert left == "no token; these are left: run-1-scratch, own"

    def test_takes_the_snapshots_that_were_asked_for_before_the_claim_goes(
        self, cluster: FakeKubernetes
    ) -> None:
        wanted = {"name": "trained", "claim": None, "suffix": "scratch"}
        assert self.tidy(cluster, claims=["scratch"], snapshots=[wanted]) == []
        path = "/apis/snapshot.storage.k8s.io/v1/namespaces/me/volumesnapshots/trained"
        assert cluster.objects[path]["spec"] == {
            "source": {"persistentVolumeClaimName": "run-1-scratch"}
        }
        deletion = cluster.asked.index(
            "DELETE /api/v1/namespaces/me/persistentvolumeclaims/run-1-scratch"
        )
        assert cluster.asked.index(f"GET {path}") < deletion

    def test_takes_none_of_a_run_that_failed(self, cluster: FakeKubernetes) -> None:
        wanted = {"name": "trained", "claim": "data", "suffix": None}
        self.tidy(cluster, False, snapshots=[wanted])
        assert "trained" not in cluster.names("volumesnapshots")

    def test_even_where_there_can_be_no_report(
        self, cluster: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def write_report(*_: object, **__: object) -> Path:
            raise OSError("no space left")

        monkeypatch.setattr(closing, "from_pod", lambda: Kubernetes(cluster.url, "me", "token"))
        facts = {
            **TestTheRecord.FACTS,
            "claims": ["scratch"],
            "snapshots": [],
            "own_snapshots": [],
        }
        bundle = base64.b64encode(zlib.compress(json.dumps(facts).encode())).decode()
        places = {
            name: SimpleNamespace(path=str(tmp_path / name)) for name in ("html", "notebooks")
        }
        given = {"status": Status("FAILED"), "run": "run-1", "volume": str(tmp_path), "p_rate": 1}
        with pytest.raises(OSError, match="no space left"):
            closing.close_run(bundle, {**given, **places}, write_report)
        assert "run-1-scratch" not in cluster.names("persistentvolumeclaims")

    def test_replaces_no_snapshot_that_somebody_keeps(self, cluster: FakeKubernetes) -> None:
        wanted = {"name": "of-others", "claim": "data", "suffix": None}
        assert self.tidy(cluster, snapshots=[wanted]) == []
        assert cluster.names("volumesnapshots") == ["of-others", "of-others-run-1", "own"]

    def test_keeps_a_claim_whose_snapshot_failed(self, cluster: FakeKubernetes) -> None:
        cluster.refuse("POST .*/volumesnapshots", 403)
        wanted = {"name": "trained", "claim": None, "suffix": "scratch"}
        troubles = self.tidy(cluster, claims=["scratch"], snapshots=[wanted])
        assert len(troubles) == 2
        assert "run-1-scratch" in cluster.names("persistentvolumeclaims")


class TestReachingKubernetes:
    def test_from_a_pod_by_its_service_account(self, tmp_path: Path) -> None:
        for name, text in (("namespace", "me\n"), ("token", "t\n"), ("ca.crt", "")):
            (tmp_path / name).write_text(text)
        environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
        found = from_pod(environment, tmp_path)
        assert (found.url, found.namespace, found.token) == ("https://[fd00::1]:443", "me", "t")

    def test_not_from_elsewhere(self, tmp_path: Path) -> None:
        with pytest.raises(ClusterError, match="no service account"):
            from_pod({}, tmp_path)


def test_named_snapshots_reach_the_exit_task(pipeline: Make) -> None:
    volumes = [{**EXISTING, "snapshot": True}, {**NEW, "snapshot_name": "trained"}]
    facts = facts_of(pipeline(CHAIN, volumes=volumes))
    assert facts["snapshots"] == [
        {"name": "small-data", "claim": "data", "suffix": None},
        {"name": "trained", "claim": None, "suffix": "scratch"},
    ]
