"""Volumes of a notebook in the compiled package: what is mounted, made, refused and told.

No pod runs here: whether a cluster does what the package says, no test of ours can show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from kale_pm import Pipeline
from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.plan import plan
from kale_pm.notebook.volumes import _VOLUME_KEYS

Make = Callable[..., Pipeline]
CHAIN = [("step:a", "x = 1"), ("step:b prev:a", "print(x)")]
BRANCHES = [("step:a", "x = 1"), ("step:b", "y = 1")]

NEW = {"type": "new_pvc", "name": "scratch", "mount_point": "/scratch", "size": 5}
EXISTING = {"type": "pvc", "name": "data", "mount_point": "/data"}


class Package:
    """A compiled package, strictly parsed, and what a reader wants to know of it."""

    def __init__(self, made: Pipeline, folder: Path) -> None:
        path = made.compile(folder / "package.yaml").path
        self.spec, *rest = yaml.safe_load_all(path.read_text(encoding="utf-8"))
        platform = rest[0] if rest else {"platforms": {"kubernetes": {}}}
        json_format.ParseDict(self.spec, pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
        self.kubernetes = platform["platforms"]["kubernetes"]
        for settings in self.kubernetes.get("deploymentSpec", {}).get("executors", {}).values():
            json_format.ParseDict(
                settings, kubernetes_executor_config_pb2.KubernetesExecutorConfig()
            )

    @property
    def tasks(self) -> dict[str, Any]:
        """All tasks by their names, those within the exit handler too."""
        found = dict(self.spec["root"]["dag"]["tasks"])
        for component in self.spec["components"].values():
            found |= component.get("dag", {}).get("tasks", {})
        return found

    def settings(self, task: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.kubernetes["deploymentSpec"]["executors"][f"exec-{task}"]
        return found

    def mounts(self, task: str) -> dict[str, Any]:
        """Path -> the claim that is mounted there: its name, or the task that makes it."""
        return {
            mount["mountPath"]: mount["constant"]
            if "constant" in mount
            else mount["taskOutputParameter"]["producerTask"]
            for mount in self.settings(task).get("pvcMount", ())
        }

    def constants(self, task: str) -> dict[str, Any]:
        """The arguments of a task that are written out."""
        given = self.tasks[task]["inputs"]["parameters"]
        return {
            name: value["runtimeValue"]["constant"]
            for name, value in given.items()
            if "runtimeValue" in value
        }


@pytest.fixture
def package(pipeline: Make, tmp_path: Path) -> Callable[..., Package]:
    def make(*volumes: Mapping[str, Any], cells: Any = CHAIN, **metadata: Any) -> Package:
        return Package(pipeline(cells, volumes=list(volumes), **metadata), tmp_path)

    return make


@pytest.fixture
def warnings(pipeline: Make) -> Callable[..., str]:
    def of(*volumes: Mapping[str, Any], cells: Any = CHAIN, **metadata: Any) -> str:
        return "\n".join(plan(pipeline(cells, volumes=list(volumes), **metadata)).warnings)

    return of


class TestExistingClaims:
    def test_are_mounted_by_every_step(self, package: Callable[..., Package]) -> None:
        made = package(EXISTING)
        assert made.mounts("step-a") == made.mounts("step-b") == {"/data": "data"}

    def test_their_place_is_told_where_the_notebook_asks_for_it(
        self, package: Callable[..., Package]
    ) -> None:
        made = package({**EXISTING, "expose_as_env_var": True})
        env = made.spec["deploymentSpec"]["executors"]["exec-step-b"]["container"]["env"]
        assert {"name": "KALE_VOLUME_DATA", "value": "/data"} in env

    def test_steps_know_their_run_without_a_parameter_that_spoils_the_cache(
        self, package: Callable[..., Package]
    ) -> None:
        made = package(EXISTING)
        (variable,) = made.settings("step-a")["fieldPathAsEnv"]
        assert variable == {
            "name": "KALE_PM_RUN", "fieldPath": "metadata.labels['pipeline/runid']"
        }  # fmt: skip
        assert "pipeline_job_uuid" not in str(made.tasks["step-a"])

    @pytest.mark.parametrize("name", ["my.data", "d" * 64])
    def test_of_names_that_no_pod_can_mount_are_refused(self, name: str, pipeline: Make) -> None:
        with pytest.raises(CompileError, match="cannot mount"):
            plan(pipeline(CHAIN, volumes=[{**EXISTING, "name": name}]))

    def test_may_be_mounted_within_each_other(self, package: Callable[..., Package]) -> None:
        inner = {**EXISTING, "name": "models", "mount_point": "/data/models"}
        assert package(EXISTING, inner).mounts("step-b") == {
            "/data": "data", "/data/models": "models"
        }  # fmt: skip

    def test_are_mounted_once_and_nowhere_twice(self, pipeline: Make) -> None:
        with pytest.raises(CompileError, match="mounts a volume once"):
            plan(pipeline(CHAIN, volumes=[EXISTING, {**EXISTING, "mount_point": "/more"}]))
        with pytest.raises(CompileError, match="'data' and volume 'scratch' are both"):
            plan(pipeline(CHAIN, volumes=[EXISTING, {**NEW, "mount_point": "/data/"}]))

    def test_what_the_claim_alone_decides_is_told(self, warnings: Callable[..., str]) -> None:
        said = warnings({**EXISTING, "access_mode": "rom", "annotations": {"a": "b"}})
        assert "annotations are left out" in said
        assert "no read-only mounts" in said


class TestNewClaims:
    def test_are_made_for_the_run_and_mounted(self, package: Callable[..., Package]) -> None:
        made = package({**NEW, "annotations": {"team": "a"}, "storage_class": "fast"})
        assert made.constants("createpvc") == {
            "access_modes": ["ReadWriteOnce"],
            "size": "5Gi",
            "storage_class_name": "fast",
            "annotations": {"team": "a"},
        }
        assert made.mounts("step-a") == {"/scratch": "createpvc"}

    def test_have_the_name_of_the_run_and_never_come_out_of_the_cache(
        self, package: Callable[..., Package]
    ) -> None:
        made = package(NEW)
        name = made.tasks["createpvc"]["inputs"]["parameters"]["pvc_name"]
        assert name == {
            "taskOutputParameter": {"outputParameterKey": "scratch", "producerTask": "claim-names"}
        }
        assert made.constants("claim-names") == {"run": "{{$.pipeline_job_uuid}}"}
        assert not made.tasks["createpvc"]["cachingOptions"]

    @pytest.mark.parametrize(("said", "mode"), [("rwm", "ReadWriteMany"), ("rom", "ReadOnlyMany")])
    def test_access_mode_and_class_of_all_volumes_may_be_said_once(
        self, said: str, mode: str, package: Callable[..., Package]
    ) -> None:
        made = package(NEW, volume_access_mode=said, storage_class_name="fast")
        assert made.constants("createpvc")["access_modes"] == [mode]
        assert made.constants("createpvc")["storage_class_name"] == "fast"

    def test_of_a_volume_that_is_there_ask_for_no_class(
        self, package: Callable[..., Package]
    ) -> None:
        made = package({**NEW, "type": "pv", "name": "disk-7"})
        constants = made.constants("createpvc")
        assert (constants["volume_name"], constants["storage_class_name"]) == ("disk-7", "")

    @pytest.mark.parametrize(
        ("kind", "source"),
        [
            ("clone", {"apiGroup": "", "kind": "PersistentVolumeClaim"}),
            ("snapshot", {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot"}),
        ],
    )
    def test_copies_name_what_they_are_made_of(
        self, kind: str, source: dict[str, str], package: Callable[..., Package]
    ) -> None:
        made = package({**NEW, "type": kind, "name": "home"})
        assert made.constants("createpvc")["data_source"] == {**source, "name": "home"}

    def test_of_like_names_stay_apart(self, package: Callable[..., Package]) -> None:
        other = {**NEW, "name": "Scratch!", "mount_point": "/other"}
        long = {**NEW, "name": "x" * 80, "mount_point": "/long"}
        made = package(NEW, other, long)
        assert made.mounts("step-a") == {
            "/scratch": "createpvc", "/other": "createpvc-2", "/long": "createpvc-3"
        }  # fmt: skip
        source = made.spec["deploymentSpec"]["executors"]["exec-claim-names"]["container"]
        assert "{run}-scratch-2" in str(source)
        # A run's id has 36 characters, and a pod's volume may have 63.
        assert f"{{run}}-{'x' * 23}" in str(source)

    @pytest.mark.parametrize(
        ("name", "suffix"),
        [
            ("1x", "volume-1x"),
            ("class", "volume-class"),
            ("日本", "volume"),
            ("run", "run"),
            ("Output", "output"),
            ("self", "self"),
            ("print", "print"),
        ],
    )
    def test_may_have_any_name(
        self, name: str, suffix: str, package: Callable[..., Package]
    ) -> None:
        made = package({**NEW, "name": name}, {**NEW, "name": "volume 1x", "mount_point": "/b"})
        assert made.mounts("step-a") == {"/scratch": "createpvc", "/b": "createpvc-2"}
        source = made.spec["deploymentSpec"]["executors"]["exec-claim-names"]["container"]
        assert f'{{run}}-{suffix}"' in str(source)
        outputs = made.spec["components"]["comp-claim-names"]["outputDefinitions"]["parameters"]
        assert len(outputs) == 2

    def test_whose_annotations_kfp_would_change_are_refused(self, pipeline: Make) -> None:
        volume = {**NEW, "annotations": {"a": "{{workflow.name}}"}}
        with pytest.raises(CompileError, match=r"'scratch'.* would replace"):
            plan(pipeline(CHAIN, volumes=[volume]))

    def test_without_a_size_are_refused(self, pipeline: Make) -> None:
        volume = {key: value for key, value in NEW.items() if key != "size"}
        with pytest.raises(CompileError, match=r"'scratch'.* needs a size"):
            plan(pipeline(CHAIN, volumes=[volume]))

    @pytest.mark.parametrize("size", ["0Gi", "500m"])
    def test_of_no_size_are_refused(self, size: str, pipeline: Make) -> None:
        with pytest.raises(CompileError, match=f"'{size}' is no size"):
            plan(pipeline(CHAIN, volumes=[{**NEW, "size": size}]))

    def test_the_risks_are_told(self, warnings: Callable[..., str]) -> None:
        assert "KFP asks for the class 'standard'" in warnings(NEW)
        assert "storage_class" not in warnings({**NEW, "storage_class": "fast"})
        assert "none of them is taken from KFP's cache" in warnings(NEW)
        assert "cache" not in warnings(NEW, cache=False)

    def test_steps_that_run_side_by_side_share_a_node(self, warnings: Callable[..., str]) -> None:
        assert "must share one node" in warnings(NEW, cells=BRANCHES)
        assert "must share one node" not in warnings(NEW, cells=CHAIN)
        assert "must share one node" not in warnings(NEW, cells=BRANCHES, access_mode="rwm")


# Key of a volume -> an entry that has it, and what only that gives the package.
KEYS: dict[str, tuple[Mapping[str, Any], str]] = {
    "name": ({**EXISTING, "name": "other-claim"}, "other-claim"),
    "type": ({**NEW, "type": "clone"}, "PersistentVolumeClaim"),
    "mount_point": ({**EXISTING, "mount_point": "/elsewhere"}, "/elsewhere"),
    "size": ({**NEW, "size": "77Mi"}, "77Mi"),
    "annotations": ({**NEW, "annotations": {"owner": "team-7"}}, "team-7"),
    "storage_class": ({**NEW, "storage_class": "fast"}, "fast"),
    "storage_class_name": ({**NEW, "storage_class_name": "fast"}, "fast"),
    "access_mode": ({**NEW, "access_mode": "rwm"}, "ReadWriteMany"),
    "volume_access_mode": ({**NEW, "volume_access_mode": "rom"}, "ReadOnlyMany"),
    "env_variable": ({**EXISTING, "env_variable": "WHERE_DATA_IS"}, "WHERE_DATA_IS"),
}
# What only the exit task reads, in its bundle.
AT_THE_END = {"snapshot": True, "snapshot_name": "kept-for-later"}


def test_every_key_of_a_volume_has_a_row() -> None:
    assert _VOLUME_KEYS.keys() == KEYS.keys() | AT_THE_END.keys()


@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_a_volume_is_found(
    key: str, pipeline: Make, package: Callable[..., Package]
) -> None:
    volume, expected = KEYS[key]
    made = package(volume)
    assert expected in str((made.spec["root"], made.spec["components"], made.kubernetes)) or (
        expected in str(made.spec["deploymentSpec"]["executors"]["exec-step-a"])
    )


@pytest.mark.parametrize("key", AT_THE_END)
def test_and_those_of_the_end_by_the_exit_task(key: str, pipeline: Make) -> None:
    closing = plan(pipeline(CHAIN, volumes=[{**NEW, key: AT_THE_END[key]}])).closing
    assert closing is not None
    expected = "kept-for-later" if key == "snapshot_name" else "small-scratch"
    assert [wanted["name"] for wanted in closing.facts["snapshots"]] == [expected]


def test_no_name_of_the_notebook_hides_one_of_the_file(
    pipeline: Make, tmp_path: Path, package: Callable[..., Package]
) -> None:
    cells = [
        ("parameters", "dsl = 1\nclosing = 2\ntask = 3\nclaims = 4"),
        ("step:claim_scratch", "print(dsl, closing, task, claims)"),
        ("step:closing prev:claim_scratch", "print(1)"),
    ]
    made = package(NEW, EXISTING, cells=cells)
    assert made.mounts("step-closing") == {"/scratch": "createpvc", "/data": "data"}


def test_a_pipeline_without_volumes_has_none_of_this(
    pipeline: Make, tmp_path: Path, package: Callable[..., Package]
) -> None:
    assert set(package().tasks) == {"step-a", "step-b"}


def test_the_file_says_it_in_a_few_lines(pipeline: Make, tmp_path: Path) -> None:
    made = pipeline(CHAIN, volumes=[EXISTING, {**NEW, "storage_class": "fast"}])
    made.compile(tmp_path / "package.yaml", dsl=tmp_path / "package.py")
    text = (tmp_path / "package.py").read_text()
    assert 'kubernetes.mount_pvc(task, pvc_name="data", mount_path="/data")' in text
    assert text.count("kubernetes.mount_pvc(task") == 2
    assert "with dsl.ExitHandler(closing):" in text


class TestTheMarshalVolume:
    def test_without_a_class_may_wait_for_ever(self, warnings: Callable[..., str]) -> None:
        assert "the run waits for ever" in warnings(marshal_volume=True)
        assert "waits for ever" not in warnings(marshal_volume=True, storage_class="fast")
        assert "waits for ever" not in warnings(EXISTING, marshal_path="/data/variables")

    def test_is_that_of_a_path_however_many_slashes_it_has(self, pipeline: Make) -> None:
        made = pipeline(CHAIN, volumes=[EXISTING], marshal_path="//data/variables")
        shared = plan(made).volumes.shared
        assert shared is not None
        assert (shared.path, shared.packs) == ('"/data"', "variables")
        shared = plan(pipeline(CHAIN, marshal_volume=True, marshal_path="//x")).volumes.shared
        assert shared is not None
        assert (shared.is_workspace, shared.packs) == (True, "x")
