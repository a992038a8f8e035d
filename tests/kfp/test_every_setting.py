"""Every tag and every setting reaches the compiled pipeline, or is told to be of no use there.

Each word of the language has a row here; a new one without a row fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from kale_pm import Pipeline
from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.plan import plan
from kale_pm.notebook.configuration import _ADVICE, _KEYS
from kale_pm.notebook.vocabulary import WORDS
from kale_pm.runtime.pod.packing import unpacked

Make = Callable[..., Pipeline]

STEP = [("step:a", "x = 1")]
# Five steps: more than carry the runtime each by itself.
MANY = [("step:a", "x = 1"), *((f"step:{name} prev:a", "print(x)") for name in "bcde")]


@dataclass(frozen=True)
class Compiled:
    """The two documents of the package of a pipeline, and what the compiler said."""

    pipeline: Pipeline
    spec: dict[str, Any]
    platform: dict[str, Any]
    warnings: tuple[str, ...]

    def container(self, task: str = "step-a") -> dict[str, Any]:
        found: dict[str, Any] = self.spec["deploymentSpec"]["executors"][f"exec-{task}"]
        return dict(found["container"])

    def task(self, name: str = "step-a") -> dict[str, Any]:
        return dict(self.spec["root"]["dag"]["tasks"][name])

    def outputs(self, task: str = "step-a") -> dict[str, Any]:
        return dict(self.spec["components"][f"comp-{task}"]["outputDefinitions"]["artifacts"])

    def pod(self, task: str = "step-a") -> dict[str, Any]:
        kubernetes = self.platform.get("platforms", {}).get("kubernetes", {})
        executors = kubernetes.get("deploymentSpec", {}).get("executors", {})
        return dict(executors.get(f"exec-{task}", {}))

    def facts(self) -> dict[str, Any]:
        """What the pod of step a is told beside its notebook."""
        return dict(unpacked(plan(self.pipeline).bundles["a"])["facts"])

    def environment(self, task: str = "step-a") -> dict[str, str]:
        return {each["name"]: each["value"] for each in self.container(task).get("env", ())}

    def installs(self, task: str = "step-a") -> str:
        """The shell's line that installs the packages, empty if there is none."""
        lines = "\n".join(self.container(task)["command"]).splitlines()
        return next((line for line in lines if "pip install" in line), "")


@pytest.fixture
def compiled(pipeline: Make, tmp_path: Path) -> Callable[..., Compiled]:
    """``compiled(tag="retry:1")`` or ``compiled(retry=1)``; the package is read strictly."""

    def compile_(cells: Any = STEP, *, tag: str = "", **settings: Any) -> Compiled:
        (tags, source), *others = cells
        made = pipeline([(f"{tags} {tag}", source), *others], **settings)
        assert made.problems == ()
        result = made.compile(tmp_path / "out.yaml")
        spec, *platform = yaml.safe_load_all(result.path.read_text(encoding="utf-8"))
        found = Compiled(made, spec, platform[0] if platform else {}, result.warnings)
        json_format.ParseDict(found.spec, pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(found.platform, pipeline_spec_pb2.PlatformSpec())
        for task in found.spec["deploymentSpec"]["executors"]:
            settings_ = found.pod(task.removeprefix("exec-"))
            json_format.ParseDict(settings_, kubernetes_pb2.KubernetesExecutorConfig())
        return found

    return compile_


def _secret(entry: dict[str, Any]) -> object:
    return entry["secretNameParameter"]["runtimeValue"]["constant"]


# Word -> tag, where it is found, and what is found there.
OPTIONS: dict[str, tuple[str, Callable[[Compiled], object], object]] = {
    "image": ("image:host:5000/a:1", lambda c: c.container()["image"], "host:5000/a:1"),
    "pull": ("pull:Always", lambda c: c.pod()["imagePullPolicy"], "Always"),
    "install": ("install:disabled", lambda c: c.installs(), ""),
    "package": (
        "package:tabulate-like[fast]>=2 package:Other==1",
        lambda c: ("'tabulate-like[fast]>=2'" in c.installs(), "'Other==1'" in c.installs()),
        (True, True),
    ),
    "cache": ("cache:disabled", lambda c: c.task().get("cachingOptions", {}), {}),
    "report": ("report:disabled", lambda c: c.facts()["report"], False),
    "limit": (
        "limit:memory:1Gi",
        lambda c: c.container()["resources"]["resourceMemoryLimit"],
        "1Gi",
    ),
    "request": (
        "request:cpu:500m",
        lambda c: c.container()["resources"]["resourceCpuRequest"],
        "500m",
    ),
    "retry": ("retry:3", lambda c: c.task()["retryPolicy"]["maxRetryCount"], 3),
    "retry_interval": (
        "retry:1 retry_interval:7",
        lambda c: c.task()["retryPolicy"]["backoffDuration"],
        "7s",
    ),
    "retry_factor": (
        "retry:1 retry_factor:1.5",
        lambda c: c.task()["retryPolicy"]["backoffFactor"],
        1.5,
    ),
    "retry_max_interval": (
        "retry:1 retry_max_interval:50",
        lambda c: c.task()["retryPolicy"]["backoffMaxDuration"],
        "50s",
    ),
    # The step ends itself after 90 seconds; the pod has half an hour to start and to save.
    "timeout": (
        "timeout:90",
        lambda c: (c.facts()["timeout"], c.pod()["activeDeadlineSeconds"]),
        (90, "1890"),
    ),
    "artifact": (
        "artifact:page:out/page.html artifact:model:model.bin",
        lambda c: (
            c.facts()["artifacts"],
            {
                name: each["artifactType"]["schemaTitle"]
                for name, each in c.outputs().items()
                if name in ("page", "model")
            },
        ),
        (
            {"page": "out/page.html", "model": "model.bin"},
            {"page": "system.HTML", "model": "system.Artifact"},
        ),
    ),
    "env": ("env:MODE:a:b", lambda c: c.environment()["MODE"], "a:b"),
    "node": ("node:disk:ssd", lambda c: c.pod()["nodeSelector"]["labels"], {"disk": "ssd"}),
    "toleration": (
        "toleration:gpu:yes:NoSchedule toleration:spot",
        lambda c: c.pod()["tolerations"],
        [
            {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},
            {"key": "spot", "operator": "Exists"},
        ],
    ),
    "shm": (
        "shm:2Gi",
        lambda c: c.pod()["emptyDirMounts"],
        [
            {
                "volumeName": "shared-memory",
                "mountPath": "/dev/shm",
                "medium": "Memory",
                "sizeLimit": "2Gi",
            }
        ],
    ),
    "secret": (
        "secret:db:.key:DB",
        lambda c: [(_secret(each), each["keyToEnv"]) for each in c.pod()["secretAsEnv"]],
        [("db", [{"secretKey": ".key", "envVar": "DB"}])],
    ),
    "secret_files": (
        "secret_files:db:/etc/db",
        lambda c: [(_secret(each), each["mountPath"]) for each in c.pod()["secretAsVolume"]],
        [("db", "/etc/db")],
    ),
    "label": (
        "label:app.io/team:blue",
        lambda c: c.pod()["podMetadata"]["labels"],
        {"app.io/team": "blue"},
    ),
    "annotation": (
        "annotation:url:scheme://host:80/y",
        lambda c: c.pod()["podMetadata"]["annotations"],
        {"url": "scheme://host:80/y"},
    ),
}

INDEX = "https://packages.example.org/simple"
WEEK = 7 * 24 * 3600

# Setting -> its value, where it is found, and what is found there.
SETTINGS: dict[str, tuple[Any, Callable[[Compiled], object], object]] = {
    "name": ("wine", lambda c: c.spec["pipelineInfo"]["name"], "wine"),
    "description": ("A test.", lambda c: c.spec["pipelineInfo"]["description"], "A test."),
    "image": ("host/a:1", lambda c: c.container()["image"], "host/a:1"),
    "image_pull_policy": ("Never", lambda c: c.pod()["imagePullPolicy"], "Never"),
    "image_pull_secrets": (
        ["one", "two"],
        lambda c: [each["secretName"] for each in c.pod()["imagePullSecret"]],
        ["one", "two"],
    ),
    "install": (False, lambda c: c.installs(), ""),
    "packages": (
        ["tabulate-like>=2"],
        lambda c: "'tabulate-like>=2'" in c.installs(),
        True,
    ),
    "package_indexes": (
        [INDEX, f"{INDEX}/extra"],
        lambda c: c.installs().count(f"--index-url {INDEX} --extra-index-url {INDEX}/extra '"),
        2,  # for the packages, and for KFP's own
    ),
    "cache": (False, lambda c: c.task().get("cachingOptions", {}), {}),
    "timeout": (
        WEEK,
        lambda c: c.platform["platforms"]["kubernetes"]["pipelineConfig"]["activeDeadlineSeconds"],
        WEEK,
    ),
    "security_context": (
        {"run_as_user": 1000, "run_as_group": 100, "run_as_non_root": True},
        lambda c: c.pod()["securityContext"],
        {"runAsUser": "1000", "runAsGroup": "100", "runAsNonRoot": True},
    ),
}

# Settings that say nothing to a pod of the compiled pipeline, and who reads them instead.
ELSEWHERE = {
    "files": "the step's bundle: test_travelling",
    "replay": "the step's notebook: tests/unit/test_slicing.py",
    "kernels": "runs on this machine",
    "secrets_dir": "runs on this machine",
    "experiment": "submit",
    "host": "submit",
    "namespace": "submit",
    "authentication": "submit",
    "ca": "submit",
    "service_account": "submit",
    "trusted_hosts": "beside package_indexes: test_install_lines",
    "volumes": "test_volumes",
    "access_mode": "test_volumes",
    "storage_class": "test_volumes",
    "snapshot_volumes": "test_volumes",
    "marshal_volume": "test_volumes",
    "marshal_volume_size": "test_volumes",
    "marshal_path": "test_volumes",
}


class TestTags:
    def test_each_has_a_row(self) -> None:
        assert OPTIONS.keys() == {word for word in WORDS if WORDS[word].kind == "option"}

    @pytest.mark.parametrize("word", OPTIONS)
    def test_each_is_found(self, word: str, compiled: Callable[..., Compiled]) -> None:
        tag, find, expected = OPTIONS[word]
        assert find(compiled(tag=tag)) == expected

    @pytest.mark.parametrize("word", OPTIONS)
    def test_each_may_stand_in_steps_defaults(
        self, word: str, compiled: Callable[..., Compiled]
    ) -> None:
        tag, find, expected = OPTIONS[word]
        assert find(compiled(steps_defaults=tag.split())) == expected

    def test_the_other_words_make_steps_or_are_refused(self) -> None:
        others = {word for word in WORDS if word not in OPTIONS}
        assert {WORDS[word].kind for word in others} == {"step", "prev", "role", "reserved"}


class TestSettings:
    def test_each_has_a_row(self) -> None:
        assert {field for field, _ in _KEYS.values()} == {*SETTINGS, *ELSEWHERE}

    @pytest.mark.parametrize("key", SETTINGS)
    def test_each_is_found(self, key: str, compiled: Callable[..., Compiled]) -> None:
        value, find, expected = SETTINGS[key]
        assert find(compiled(**{key: value})) == expected

    @pytest.mark.parametrize("key", [key for key in _KEYS if key not in SETTINGS])
    def test_other_words_for_a_setting_are_the_same_setting(self, key: str) -> None:
        field, _ = _KEYS[key]
        assert field in SETTINGS or field in ELSEWHERE

    @pytest.mark.parametrize("key", _ADVICE)
    def test_those_without_a_meaning_are_answered(self, key: str, pipeline: Make) -> None:
        (problem,) = pipeline(STEP, **{key: True}).problems
        assert f"'{key}'" in problem.message


class TestTheLargest:
    """What the tags and settings let pass, the compiler takes."""

    def test_timeouts(self, compiled: Callable[..., Compiled]) -> None:
        found = compiled(tag="timeout:999999999 retry:999999999", timeout=2**31 - 1)
        assert found.pod()["activeDeadlineSeconds"] == str(999_999_999 + 1800)
        assert found.task()["retryPolicy"]["maxRetryCount"] == 999_999_999
        configured = found.platform["platforms"]["kubernetes"]["pipelineConfig"]
        assert configured["activeDeadlineSeconds"] == 2**31 - 1

    def test_users(self, compiled: Callable[..., Compiled]) -> None:
        context = {"run_as_user": 2**31 - 1, "run_as_group": 0}
        found = compiled(security_context=context).pod()["securityContext"]
        assert found == {"runAsUser": str(2**31 - 1), "runAsGroup": "0"}

    @pytest.mark.parametrize("image", ["a b", "UPPER", "a\nb"])
    def test_an_image_of_the_call_is_checked_too(
        self, image: str, pipeline: Make, tmp_path: Path
    ) -> None:
        with pytest.raises(CompileError, match="no reference of an image"):
            pipeline(STEP).compile(tmp_path / "out.yaml", image=image)


class TestWhichHolds:
    def test_a_steps_own_accelerator(self, compiled: Callable[..., Compiled]) -> None:
        found = compiled(
            [("step:a limit:amd.com/gpu:2", "x = 1"), ("step:b prev:a", "print(x)")],
            steps_defaults=["limit:nvidia.com/gpu:1"],
        )
        kinds = {
            task: found.container(task)["resources"]["accelerator"]["resourceType"]
            for task in ("step-a", "step-b")
        }
        assert kinds == {"step-a": "amd.com/gpu", "step-b": "nvidia.com/gpu"}

    def test_a_tag_beside_a_setting(self, compiled: Callable[..., Compiled]) -> None:
        found = compiled(
            tag="image:tag:1 pull:Never cache:enabled install:enabled",
            image="setting:1", image_pull_policy="Always", cache=False, install=False,
        )  # fmt: skip
        assert found.container()["image"] == "tag:1"
        assert found.pod()["imagePullPolicy"] == "Never"
        assert found.task()["cachingOptions"] == {"enableCache": True}
        assert found.installs()

    def test_a_step_with_an_image_of_its_own_beside_stock_ones(
        self, compiled: Callable[..., Compiled]
    ) -> None:
        found = compiled(MANY, tag="image:full:1 install:disabled")
        assert (found.container()["image"], found.installs()) == ("full:1", "")
        assert found.container("step-b")["image"].startswith("python:")
        assert "papermill==" in found.installs("step-b")
        assert found.warnings == ()


class TestDisplay:
    def test_tasks_and_the_pipeline_show_the_users_own_names(
        self, compiled: Callable[..., Compiled]
    ) -> None:
        found = compiled([("step:_load_all", "1")], name="my-wine")
        assert found.task("step-load-all")["taskInfo"]["name"] == "_load_all"
        assert found.spec["pipelineInfo"]["displayName"] == "my-wine"


class TestServiceTasks:
    """The task that carries the runtime is a pod of the pipeline like any other."""

    def test_it_gets_what_a_cluster_demands_of_every_pod(
        self, compiled: Callable[..., Compiled]
    ) -> None:
        found = compiled(
            MANY,
            security_context={"run_as_user": 1000},
            image_pull_secrets=["registry"],
            image_pull_policy="IfNotPresent",
            steps_defaults=[
                "toleration:team:blue", "node:pool:blue", "label:team:blue", "annotation:a:b",
                "limit:cpu:1", "limit:memory:1Gi", "limit:nvidia.com/gpu:1", "env:HTTPS_PROXY:p",
                "secret:index:url:PIP_EXTRA_INDEX_URL", "timeout:5", "shm:1Gi",
            ],
        )  # fmt: skip
        own, other = found.pod("carry-runtime"), found.pod()
        for key in (
            "securityContext", "imagePullSecret", "imagePullPolicy", "tolerations", "nodeSelector",
            "podMetadata", "secretAsEnv",
        ):  # fmt: skip
            assert own[key] == other[key], key
        assert own.keys() & {"activeDeadlineSeconds", "emptyDirMounts"} == set()
        assert found.container("carry-runtime")["resources"].keys() == {
            "cpuLimit", "memoryLimit", "resourceCpuLimit", "resourceMemoryLimit"
        }  # fmt: skip
        assert found.environment("carry-runtime") == {"HTTPS_PROXY": "p", "HOME": "/tmp"}

    def test_it_installs_nothing_where_steps_do_not(
        self, compiled: Callable[..., Compiled]
    ) -> None:
        assert compiled(MANY, install=False, image="full:1").installs("carry-runtime") == ""

    def test_its_packages_come_from_the_same_index(self, compiled: Callable[..., Compiled]) -> None:
        line = compiled(MANY, package_indexes=[INDEX]).installs("carry-runtime")
        assert f"--index-url {INDEX} 'kfp==" in line


def test_no_value_of_a_setting_becomes_code(compiled: Callable[..., Compiled]) -> None:
    evil = "\"); import os  # \\\n'"
    found = compiled(description=evil, steps_defaults=[f"env:A:{evil}", f"annotation:a:{evil}"])
    assert found.environment()["A"] == evil
    assert found.pod()["podMetadata"]["annotations"] == {"a": evil}
    assert json.dumps(found.spec["pipelineInfo"]["description"])
