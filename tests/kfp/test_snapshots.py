"""Snapshots of claims, over HTTP: the official client on one side, a fake API server on the other.

The server is ours and says what we have read that Kubernetes says; no cluster was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
import yaml
from fake_kubernetes import FakeKubernetes, running

from kale_pm import Pipeline
from kale_pm.errors import ClusterError, CompileError
from kale_pm.kfp.cluster.notebook_server import Mount, NotebookServer
from kale_pm.kfp.cluster.preflight import Readiness, preflight
from kale_pm.kfp.cluster.roles import SNAPSHOT_RULES, role
from kale_pm.kfp.cluster.snapshots import (
    LABELS,
    SnapshotEvent,
    SnapshotReady,
    SnapshotStarted,
    delete_snapshots,
    take_snapshots,
)
from kale_pm.kfp.compiling.plan import plan
from kale_pm.kfp.own_volumes import Prepared, prepared, with_snapshots, with_storage_class

Make = Callable[..., Pipeline]
CELLS = [("step:a", "x = 1"), ("step:b prev:a", "print(x)")]
DRIVER = "disk.example.com"


@pytest.fixture
def cluster() -> Iterator[FakeKubernetes]:
    """Two claims of a driver that takes snapshots, and two classes of which one is the default."""
    with running() as fake:
        for name, size in (("home", "10Gi"), ("data", "2Gi")):
            spec = {
                "storageClassName": "fast",
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": size}},
            }
            fake.add("persistentvolumeclaims", name, spec=spec)
        fake.add("storageclasses", "fast", provisioner=DRIVER, metadata=default("storageclass"))
        fake.add("storageclasses", "shared", provisioner="files.example.com")
        fake.add("volumesnapshotclasses", "another", driver=DRIVER)
        fake.add("volumesnapshotclasses", "usual", driver=DRIVER, metadata=default("snapshot"))
        yield fake


def default(kind: str) -> dict[str, Any]:
    group = "storageclass" if kind == "storageclass" else "snapshot.storage"
    domain = "kubernetes.io"
    return {"annotations": {f"{group}.{domain}/is-default-class": "true"}}


def check(cluster: FakeKubernetes, *claims: str) -> Readiness:
    return preflight(cluster.client(), "me", "default-editor", claims)


def take(cluster: FakeKubernetes, *claims: str, **options: Any) -> Any:
    told: list[SnapshotEvent] = []
    ready = check(cluster, *claims)
    options = {"pause": 0, **options}
    taken = take_snapshots(cluster.client(), "me", ready, listener=told.append, **options)
    return taken, told


class TestPreflight:
    def test_finds_the_default_class_of_the_claims_driver(self, cluster: FakeKubernetes) -> None:
        assert check(cluster, "home", "data").classes == {"home": "usual", "data": "usual"}

    def test_a_cluster_without_snapshots_says_what_else_there_is(
        self, cluster: FakeKubernetes
    ) -> None:
        cluster.has_snapshots = False
        with pytest.raises(ClusterError, match=r"does not have snapshot\.storage\.k8s\.io/v1") as e:
            check(cluster, "home")
        assert "type clone" in e.value.hint

    def test_missing_rights_are_named_with_the_role_to_apply(self, cluster: FakeKubernetes) -> None:
        cluster.denied = {("create", "volumesnapshots"), ("delete", "volumesnapshots")}
        with pytest.raises(ClusterError) as caught:
            check(cluster, "home")
        assert "you may not create volumesnapshots, delete volumesnapshots" in str(caught.value)
        text = caught.value.hint.split("\n\n", maxsplit=1)[1]
        role, binding = yaml.safe_load_all(text)
        assert role["rules"] == [
            {
                "apiGroups": ["snapshot.storage.k8s.io"],
                "resources": ["volumesnapshots"],
                "verbs": ["create", "get", "delete"],
            },
            {
                "apiGroups": [""],
                "resources": ["persistentvolumeclaims"],
                "verbs": ["create", "get", "delete"],
            },
        ]
        assert role["metadata"] == {"name": "kale-pm-snapshots", "namespace": "me"}
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "default-editor", "namespace": "me"}
        ]

    def test_the_role_is_the_one_of_the_documentation(self) -> None:
        text = role("kale-pm-snapshots", "NAMESPACE", "default-editor", SNAPSHOT_RULES)
        documentation = (Path(__file__).parents[2] / "docs" / "volumes.md").read_text("utf-8")
        assert indent(text.split("---")[0], "    ") in documentation

    def test_a_driver_without_a_class_is_named(self, cluster: FakeKubernetes) -> None:
        spec = {
            "storageClassName": "shared",
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "1Gi"}},
        }
        cluster.add("persistentvolumeclaims", "team", spec=spec)
        with pytest.raises(ClusterError, match=r"claim team: it is made by files\.example\.com"):
            check(cluster, "home", "team")

    def test_who_may_not_look_at_the_classes_leaves_the_choice_to_the_cluster(
        self, cluster: FakeKubernetes
    ) -> None:
        cluster.refuse(r"GET .*/storageclasses", 403)
        ready = check(cluster, "home")
        assert ready.classes == {"home": None}
        assert "list the storage classes" in ready.warnings[0]
        take_snapshots(cluster.client(), "me", ready, listener=lambda _: None, pause=0)
        (name,) = cluster.names("volumesnapshots")
        path = f"/apis/snapshot.storage.k8s.io/v1/namespaces/me/volumesnapshots/{name}"
        assert "volumeSnapshotClassName" not in cluster.objects[path]["spec"]

    def test_a_claim_that_is_not_there_is_named(self, cluster: FakeKubernetes) -> None:
        with pytest.raises(ClusterError, match="read the claim lost in me"):
            check(cluster, "lost")


class TestTakingSnapshots:
    def test_waits_until_all_are_ready_and_tells_meanwhile(self, cluster: FakeKubernetes) -> None:
        cluster.restore_size = "5Gi"
        taken, told = take(cluster, "home", "data")
        assert [(s.claim, s.size) for s in taken] == [("home", "10Gi"), ("data", "5Gi")]
        assert {(s.storage_class, s.access_mode) for s in taken} == {("fast", "ReadWriteOnce")}
        names = {snapshot.claim: snapshot.name for snapshot in taken}
        assert told[:2] == [SnapshotStarted(claim, name) for claim, name in names.items()]
        assert {(e.claim, e.name) for e in told[2:]} == set(names.items())
        assert all(isinstance(event, SnapshotReady) for event in told[2:])
        assert cluster.names("volumesnapshots") == sorted(names.values())

    def test_a_driver_that_says_no_size_gives_that_of_the_claim(
        self, cluster: FakeKubernetes
    ) -> None:
        cluster.restore_size = None
        (snapshot,), _ = take(cluster, "data")
        assert snapshot.size == "2Gi"

    def test_are_told_from_those_that_a_notebook_keeps(self, cluster: FakeKubernetes) -> None:
        """By the labels that the documentation names, to find what was left behind."""
        (snapshot,), _ = take(cluster, "home")
        path = f"/apis/snapshot.storage.k8s.io/v1/namespaces/me/volumesnapshots/{snapshot.name}"
        labels = cluster.objects[path]["metadata"]["labels"]
        assert labels == LABELS
        documentation = (Path(__file__).parents[2] / "docs" / "volumes.md").read_text("utf-8")
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        assert f"-l {selector}" in documentation

    def test_each_time_anew(self, cluster: FakeKubernetes) -> None:
        take(cluster, "home")
        take(cluster, "home")
        assert len(cluster.names("volumesnapshots")) == 2

    @pytest.mark.parametrize("trouble", ["the driver", "no time", "refusal"])
    def test_when_one_fails_none_is_left(self, trouble: str, cluster: FakeKubernetes) -> None:
        options: dict[str, float] = {}
        if trouble == "the driver":
            cluster.snapshot_error = "quota exceeded"
            expected = "no snapshot of the claim home: quota exceeded"
        elif trouble == "no time":
            cluster.polls, options["patience"] = 10**9, 0.0
            expected = "not ready, and the time for them is over"
        else:
            cluster.refuse("GET .*/volumesnapshots/data-.*", 403)
            expected = "refuses to look at the snapshot"
        with pytest.raises(ClusterError, match=expected):
            take(cluster, "home", "data", **options)
        assert cluster.names("volumesnapshots") == []

    def test_trouble_that_passes_is_none(self, cluster: FakeKubernetes) -> None:
        cluster.snapshot_error = "the object has been modified"
        looks = 0

        def recover(method: str, path: str, body: Any) -> Any:
            nonlocal looks
            looks += "/volumesnapshots/" in path
            if looks > 2:
                cluster.snapshot_error = ""
            return FakeKubernetes.answer(cluster, method, path, body)

        cluster.answer = recover  # type: ignore[method-assign]
        (snapshot,), _ = take(cluster, "home")
        assert snapshot.claim == "home"

    def test_only_what_is_named_is_deleted(self, cluster: FakeKubernetes) -> None:
        for name in ("mine", "mine-too", "of-others"):
            cluster.add("volumesnapshots", name)
        delete_snapshots(cluster.client(), "me", ["mine", "gone", "mine-too"])
        assert cluster.names("volumesnapshots") == ["of-others"]

    def test_one_that_cannot_be_deleted_keeps_no_other(self, cluster: FakeKubernetes) -> None:
        for name in ("first", "second"):
            cluster.add("volumesnapshots", name)
        cluster.refuse("DELETE .*/first", 403)
        with pytest.raises(ClusterError, match="delete the snapshot first"):
            delete_snapshots(cluster.client(), "me", ["first", "second"])
        assert cluster.names("volumesnapshots") == ["first"]


class TestOwnVolumes:
    @pytest.fixture
    def server(self) -> NotebookServer:
        mounts = (Mount("home", "/home/jovyan"), Mount("data", "/data"))
        return NotebookServer("notebook-0", "me", "image", "default-editor", mounts)

    def prepare(self, made: Pipeline, cluster: FakeKubernetes, server: NotebookServer) -> Prepared:
        return with_snapshots(made, cluster.client(), server, listener=lambda _: None, pause=0)

    def test_are_copied_into_the_run_at_the_same_paths(
        self, pipeline: Make, cluster: FakeKubernetes, server: NotebookServer, tmp_path: Path
    ) -> None:
        ready = self.prepare(pipeline(CELLS, snapshot_volumes=True), cluster, server)
        path = ready.pipeline.compile(tmp_path / "package.yaml", dsl=tmp_path / "it.py").path
        text = (tmp_path / "it.py").read_text()
        for snapshot, place in zip(ready.snapshots, ("/home/jovyan", "/data"), strict=True):
            assert f'"kind": "VolumeSnapshot", "name": "{snapshot.name}"' in text
            assert f'mount_path="{place}"' in text
        # A snapshot that was larger than its claim makes a larger copy.
        assert text.count('storage_class_name="fast"') == 2
        assert text.count('size="5Gi"') == text.count('size="10Gi"') == 1
        assert path.stat().st_size

    def test_that_a_step_cannot_mount_are_not_copied_at_all(
        self, pipeline: Make, cluster: FakeKubernetes, server: NotebookServer
    ) -> None:
        made = pipeline([("step:a secret_files:keys:/data", "x = 1")], snapshot_volumes=True)
        with pytest.raises(CompileError, match="'data' and secret 'keys' are both mounted at"):
            self.prepare(made, cluster, server)
        assert cluster.asked == []

    def test_that_the_notebook_has_mounted_itself_stay_as_they_are(
        self, pipeline: Make, cluster: FakeKubernetes, server: NotebookServer
    ) -> None:
        volume = {"type": "pvc", "name": "data", "mount_point": "/data/"}
        made = pipeline(CELLS, volumes=[volume], snapshot_volumes=True)
        assert [s.claim for s in self.prepare(made, cluster, server).snapshots] == ["home"]

    def test_the_exit_task_knows_which_snapshots_to_remove(
        self, pipeline: Make, cluster: FakeKubernetes, server: NotebookServer
    ) -> None:
        ready = self.prepare(pipeline(CELLS, snapshot_volumes=True), cluster, server)
        closing = plan(ready.pipeline).closing
        assert closing is not None
        facts = closing.facts
        assert facts["own_snapshots"] == [snapshot.name for snapshot in ready.snapshots]
        assert len(facts["claims"]) == 2

    def test_runs_that_recur_copy_the_claims_themselves(
        self, pipeline: Make, cluster: FakeKubernetes, pod: dict[str, Any], tmp_path: Path
    ) -> None:
        made = pipeline(CELLS, snapshot_volumes=True)
        with prepared(made, recurring=True, listener=lambda _: None, **pod) as ready:
            ready.pipeline.compile(tmp_path / "package.yaml", dsl=tmp_path / "it.py")
        text = (tmp_path / "it.py").read_text()
        assert '"kind": "PersistentVolumeClaim", "name": "home"' in text
        assert 'size="10Gi"' in text
        assert cluster.names("volumesnapshots") == []

    @pytest.fixture
    def pod(self, cluster: FakeKubernetes, tmp_path: Path) -> dict[str, Any]:
        """This process as if it ran in a notebook server with one volume."""
        account = tmp_path / "account"
        account.mkdir()
        (account / "namespace").write_text("me")
        (account / "token").write_text("t")
        spec = {
            "serviceAccountName": "default-editor",
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "home"}}],
            "containers": [
                {
                    "name": "notebook",
                    "image": "image",
                    "volumeMounts": [{"name": "v", "mountPath": "/home/jovyan"}],
                }
            ],
        }
        labels = {"labels": {"notebook-name": "notebook"}}
        cluster.add("pods", "notebook-0", spec=spec, metadata=labels)
        cluster.polls = 0
        environment = {
            "NB_PREFIX": "/notebook/me/notebook",
            "HOSTNAME": "notebook-0",
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        }
        return {"environment": environment, "folder": account, "client": cluster.client()}

    def test_a_submission_that_fails_leaves_no_snapshot(
        self, pipeline: Make, cluster: FakeKubernetes, pod: dict[str, Any]
    ) -> None:
        made = pipeline(CELLS, snapshot_volumes=True)

        def submit() -> None:
            with prepared(made, listener=lambda _: None, **pod) as ready:
                assert cluster.names("volumesnapshots") == [s.name for s in ready.snapshots]
                raise RuntimeError("the server is gone")

        with pytest.raises(RuntimeError):
            submit()
        assert cluster.names("volumesnapshots") == []

    def test_a_submission_leaves_them_to_the_run(
        self, pipeline: Make, cluster: FakeKubernetes, pod: dict[str, Any]
    ) -> None:
        made = pipeline(CELLS, snapshot_volumes=True)
        with prepared(made, listener=lambda _: None, **pod) as ready:
            (volume,) = ready.pipeline.configuration.volumes
        assert volume.mount_point == "/home/jovyan"
        assert cluster.names("volumesnapshots") == [volume.name]

    def test_elsewhere_there_are_none(self, pipeline: Make, tmp_path: Path) -> None:
        made = pipeline(CELLS, snapshot_volumes=True)
        with (
            pytest.raises(ClusterError, match="no notebook server"),
            prepared(made, {}, listener=lambda _: None, folder=tmp_path),
        ):
            pass

    def test_a_pipeline_without_volumes_asks_nobody(
        self, pipeline: Make, cluster: FakeKubernetes, pod: dict[str, Any]
    ) -> None:
        made = pipeline(CELLS)
        with prepared(made, listener=lambda _: None, **pod) as ready:
            assert ready.pipeline == made
        assert cluster.asked == []

    def test_compiling_alone_says_that_it_takes_none(self, pipeline: Make) -> None:
        said = " ".join(plan(pipeline(CELLS, snapshot_volumes=True)).warnings)
        assert "snapshot_volumes is left out" in said


class TestStorageClasses:
    NEW = {"type": "new_pvc", "name": "scratch", "mount_point": "/scratch", "size": 5}

    def test_the_default_one_is_named_for_new_claims(
        self, pipeline: Make, cluster: FakeKubernetes
    ) -> None:
        ready = with_storage_class(pipeline(CELLS, volumes=[self.NEW]), cluster.client())
        assert ready.pipeline.configuration.storage_class == "fast"
        assert "'standard'" not in " ".join(plan(ready.pipeline).warnings)

    def test_one_that_is_named_stays(self, pipeline: Make, cluster: FakeKubernetes) -> None:
        made = pipeline(CELLS, volumes=[self.NEW], storage_class="shared")
        ready = with_storage_class(made, cluster.client())
        assert ready.pipeline.configuration.storage_class == "shared"

    def test_nothing_is_asked_without_need(self, pipeline: Make, cluster: FakeKubernetes) -> None:
        with_storage_class(pipeline(CELLS), cluster.client())
        assert cluster.asked == []

    def test_who_may_not_list_them_is_told(self, pipeline: Make, cluster: FakeKubernetes) -> None:
        cluster.refuse("GET .*/storageclasses", 403)
        made = pipeline(CELLS, volumes=[self.NEW])
        ready = with_storage_class(made, cluster.client())
        assert ready.pipeline == made
        assert "list the storage classes" in ready.warnings[0]

    @pytest.fixture
    def without_default(self, cluster: FakeKubernetes) -> FakeKubernetes:
        cluster.add("storageclasses", "fast", provisioner=DRIVER)
        return cluster

    @pytest.mark.parametrize(
        ("settings", "lacking"),
        [
            ({"volumes": [NEW]}, "no storage class 'standard'"),
            ({"marshal_volume": True}, "no default storage class"),
            (
                {"marshal_volume": True, "storage_class": "lost", "access_mode": "rwm"},
                "no storage class 'lost'",
            ),
        ],
    )
    def test_one_that_is_not_there_is_told_before_a_run_waits_for_it(
        self,
        settings: dict[str, Any],
        lacking: str,
        pipeline: Make,
        without_default: FakeKubernetes,
    ) -> None:
        ready = with_storage_class(pipeline(CELLS, **settings), without_default.client())
        (warning,) = ready.warnings
        assert lacking in warning
        assert "fast, shared" in warning

    def test_the_default_one_is_named_for_the_marshal_volume(
        self, pipeline: Make, cluster: FakeKubernetes
    ) -> None:
        ready = with_storage_class(pipeline(CELLS, marshal_volume=True), cluster.client())
        assert ready.pipeline.configuration.storage_class == "fast"
        assert ready.warnings == ()

    def test_a_marshal_volume_is_offered_to_one_node_too(
        self, pipeline: Make, cluster: FakeKubernetes
    ) -> None:
        cluster.add("storageclasses", "ebs", provisioner="ebs.csi.aws.com")
        made = pipeline(CELLS, marshal_volume=True, storage_class="ebs", access_mode="rwm")
        (warning,) = with_storage_class(made, cluster.client()).warnings
        assert "the marshal volume is to be ReadWriteMany" in warning
        assert "write access_mode: rwo" in warning

    def test_they_are_listed_only_where_that_decides_something(
        self, pipeline: Make, cluster: FakeKubernetes
    ) -> None:
        made = pipeline(CELLS, volumes=[{**self.NEW, "storage_class": "shared"}])
        with_storage_class(made, cluster.client())
        assert cluster.asked == []

    def test_what_one_node_only_can_have_is_offered_so(
        self, pipeline: Make, cluster: FakeKubernetes
    ) -> None:
        cluster.add("storageclasses", "ebs", provisioner="ebs.csi.aws.com")
        volume = {**self.NEW, "storage_class": "ebs", "access_mode": "rwm"}
        ready = with_storage_class(pipeline(CELLS, volumes=[volume]), cluster.client())
        (warning,) = ready.warnings
        assert "write access_mode: rwo" in warning
