"""The tags of a step as lines of the DSL, and quantities that Kubernetes would refuse."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.component import components
from kale_pm.kfp.compiling.options import not_carried, service_task_settings, task_settings
from kale_pm.model import Pipeline, Step
from kale_pm.settings import Configuration, Secret, SecretFiles, StepOptions, Volume


def lines(**options: Any) -> tuple[str, ...]:
    step = Step("train", (), options=StepOptions(**options))
    return task_settings("task", step, Configuration("nb")).lines


@pytest.mark.parametrize(
    ("written", "carried"),
    [
        ("2Gi", "2Gi"),
        ("1.5Gi", "1610612736"),
        ("512k", "512000"),
        ("512K", "512000"),
        ("1e3", "1000"),
    ],
)
def test_memory_is_spelt_as_kfp_takes_it(written: str, carried: str) -> None:
    assert f'task.set_memory_limit("{carried}")' in lines(limits={"memory": written})


@pytest.mark.parametrize(
    ("written", "carried"), [("500m", "500m"), ("0.5", "0.5"), ("1e0", "1000m")]
)
def test_cpus_are_spelt_as_kfp_takes_them(written: str, carried: str) -> None:
    assert f'task.set_cpu_request("{carried}")' in lines(requests={"cpu": written})


@pytest.mark.parametrize("text", ["lots", "", "-1", "2GB", "NaN", "inf", "1e99", "10E"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(CompileError, match=f"step train: limit:memory:{text}"):
        lines(limits={"memory": text})


def test_a_request_above_its_limit_is_refused() -> None:
    with pytest.raises(CompileError, match="more than limit:memory:1Gi"):
        lines(limits={"memory": "1Gi"}, requests={"memory": "2Gi"})


def test_a_step_gets_one_kind_of_accelerator() -> None:
    assert 'task.set_accelerator_type("amd.com/gpu")' in lines(requests={"amd.com/gpu": "2"})
    with pytest.raises(CompileError, match=r"amd\.com/gpu, nvidia\.com/gpu"):
        lines(limits={"amd.com/gpu": "1", "nvidia.com/gpu": "1"})


def test_no_accelerator_is_an_answer_to_steps_defaults() -> None:
    assert lines(limits={"nvidia.com/gpu": "0"}) == lines()
    assert 'task.set_accelerator_type("amd.com/gpu")' in lines(
        limits={"nvidia.com/gpu": "0", "amd.com/gpu": "1"}
    )


@pytest.mark.parametrize("tag", ["env", "annotations"])
def test_what_kfp_would_replace_is_refused(tag: str) -> None:
    with pytest.raises(CompileError, match=f"step train: {tag.removesuffix('s')}:A") as caught:
        lines(**{tag: {"A": "{{workflow.name}}"}})
    assert caught.value.hint
    assert lines(**{tag: {"A": "{ workflow }"}})
    defaults = StepOptions(**{tag: {"A": "{{$}}"}})
    with pytest.raises(CompileError, match="step of steps_defaults"):
        service_task_settings("task", Configuration("nb", steps_defaults=defaults))


class TestMounts:
    """Where the files of secrets are, beside each other and beside volumes."""

    def settle(self, *secrets: str, volumes: tuple[str, ...] = ()) -> None:
        options = StepOptions(
            secret_files=tuple(SecretFiles(f"s{n}", path) for n, path in enumerate(secrets))
        )
        mounted = tuple(Volume("pvc", f"v{n}", path) for n, path in enumerate(volumes))
        step = Step("train", (), options=options)
        task_settings("task", step, Configuration("nb", volumes=mounted))

    def refusal(self, *secrets: str, volumes: tuple[str, ...] = ()) -> str:
        with pytest.raises(CompileError) as caught:
            self.settle(*secrets, volumes=volumes)
        assert caught.value.hint
        return str(caught.value)

    def test_two_in_one_place_are_refused(self) -> None:
        said = self.refusal("/keys", "//keys")
        assert said == "step train: secret 's0' and secret 's1' are both mounted at /keys"
        said = self.refusal("/keys", volumes=("/keys/",))
        assert said == "step train: volume 'v0' and secret 's0' are both mounted at /keys"

    def test_nothing_can_be_within_the_files_of_a_secret(self) -> None:
        assert "volume 'v0' cannot be mounted at /keys/in" in self.refusal(
            "/keys", volumes=("/keys/in",)
        )
        assert "secret 's1' cannot be mounted at /keys/in" in self.refusal("/keys", "/keys/in")

    def test_a_volume_takes_others_into_it_as_notebook_servers_do(self) -> None:
        self.settle("/home/me/.aws", volumes=("/home/me", "/home/me/data"))
        self.settle("/keys", "/keys2")


def test_no_text_of_a_tag_becomes_code() -> None:
    evil = "\"); import os  # \\\n'"
    made = lines(env={evil: evil}, labels={evil: evil}, secrets=(Secret(evil, evil, evil),))
    for line in made:
        (statement,) = ast.parse(line).body
        assert isinstance(statement, ast.Expr)
        assert isinstance(statement.value, ast.Call)


def test_one_key_of_a_secret_may_be_two_variables() -> None:
    secrets = (Secret("db", "password", "A"), Secret("db", "password", "B"))
    made = lines(secrets=secrets)
    assert [line for line in made if '"A"' in line or '"B"' in line] == [
        'kubernetes.use_secret_as_env(task, secret_name="db", secret_key_to_env={"password": "A"})',
        'kubernetes.use_secret_as_env(task, secret_name="db", secret_key_to_env={"password": "B"})',
    ]


def test_identities_are_set() -> None:
    security = {"run_as_user": 1000, "run_as_non_root": True}
    configuration = Configuration("nb", security_context=security)
    made = task_settings("task", Step("train", ()), configuration).lines
    assert "kubernetes.set_security_context(task, run_as_user=1000, run_as_non_root=True)" in made


def test_what_only_submit_can_do_is_said() -> None:
    (warning,) = not_carried(Configuration("nb", snapshot_volumes=True))
    assert "snapshot_volumes" in warning
    assert "submit" in warning
    assert not_carried(Configuration("nb")) == ()


@pytest.mark.parametrize("pair", [("a", "a_"), ("a_b", "a__b"), ("_a", "a")])
def test_two_steps_that_kfp_would_take_for_one_are_refused(pair: tuple[str, str]) -> None:
    steps = tuple(Step(name, ()) for name in pair)
    pipeline = Pipeline(Path("nb.ipynb"), Configuration("nb"), (), steps)
    with pytest.raises(CompileError, match="name-collision") as caught:
        components(pipeline, {})
    assert all(f"'{name}'" in str(caught.value) for name in pair)


@pytest.mark.parametrize("excess", [0, 2])
def test_a_name_that_argo_would_refuse_is_refused_before(excess: int) -> None:
    name = "a" * (128 - len("step--driver") + excess)
    pipeline = Pipeline(Path("nb.ipynb"), Configuration("nb"), (), (Step(name, ()),))
    if not excess:
        assert components(pipeline, {})
        return
    with pytest.raises(CompileError, match="too long for Kubeflow by 2 characters"):
        components(pipeline, {})


def test_variables_of_the_file_never_hide_each_other() -> None:
    steps = tuple(Step(name, ()) for name in ("class", "step_a", "a", "kubernetes"))
    pipeline = Pipeline(Path("nb.ipynb"), Configuration("nb"), (), steps)
    tasks = [part.task for part in components(pipeline, {})]
    assert tasks == ["class_task", "step_a_task", "a", "kubernetes_task"]


def test_tasks_of_our_own_ask_for_no_accelerator() -> None:
    defaults = StepOptions(
        limits={"cpu": "1", "nvidia.com/gpu": "1"}, retry=3, timeout=5, shared_memory="1Gi"
    )
    configuration = Configuration("nb", steps_defaults=defaults)
    assert service_task_settings("task", configuration) == ('task.set_cpu_limit("1")',)
