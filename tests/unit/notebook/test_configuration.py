"""Settings: every key of Kale is answered, and the nearer source overrides the farther."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kale_pm.model import Cell, Problem
from kale_pm.notebook import Document, read_configuration
from kale_pm.notebook.configuration import legal_pipeline_name
from kale_pm.settings import Configuration, StepOptions, Volume

PACKAGES = ("pandas>=2", "torch==2.3.0+cpu")
INDEX = "https://packages.example.org:8443/team/simple/"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a pyproject.toml of its own, so that none from above is found."""
    (tmp_path / "pyproject.toml").write_text("")
    return tmp_path


def read(
    folder: Path, overrides: dict[str, object] | None = None, **metadata: Any
) -> tuple[Configuration, list[Problem]]:
    cell = Cell(1, "a", "code", "x = 1", ("block:a",))
    document = Document(folder / "My Wine_2.ipynb", (cell,), metadata, {}, "python")
    return read_configuration(document, overrides or {})


def settings(folder: Path, **kale: Any) -> Configuration:
    configuration, problems = read(folder, kubeflow_notebook=kale)
    assert problems == []
    return configuration


def problem(folder: Path, **kale: Any) -> Problem:
    _, problems = read(folder, kubeflow_notebook=kale)
    (found,) = problems
    assert found.code == "bad-configuration"
    assert found.hint
    return found


class TestNames:
    def test_the_default_is_the_legal_form_of_the_stem(self, folder: Path) -> None:
        assert read(folder)[0] == Configuration(name="my-wine-2")

    @pytest.mark.parametrize(
        ("text", "legal"),
        [
            ("wine", "wine"),
            ("My Notebook (1)", "my-notebook-1"),
            ("--a__b--", "a-b"),
            ("Café", "cafe"),
            ("日本", "pipeline"),
            ("../../etc", "etc"),
            ("2020", "2020"),
        ],
    )
    def test_legal_names(self, text: str, legal: str) -> None:
        assert legal_pipeline_name(text) == legal

    def test_an_illegal_name_is_made_legal_with_a_warning(self, folder: Path) -> None:
        configuration, problems = read(folder, kale_pm={"name": "My Wine"})
        assert configuration.name == "my-wine"
        assert [(found.severity, found.code) for found in problems] == [
            ("warning", "bad-configuration")
        ]


class TestKeysOfKale:
    @pytest.mark.parametrize(
        ("key", "value", "field", "expected"),
        [
            ("pipeline_name", "wine", "name", "wine"),
            ("experiment_name", "Tests", "experiment", "Tests"),
            ("experiment", {"id": "new", "name": "Tests"}, "experiment", "Tests"),
            ("pipeline_description", "About wine", "description", "About wine"),
            ("docker_image", "python:3.11", "image", "python:3.11"),
            ("docker_image", "", "image", None),
            ("base_image", "python:3.12", "image", "python:3.12"),
            ("enable_caching", False, "cache", False),
            ("timeout", 60, "timeout", 60),
            ("timeout", "60", "timeout", 60),
            ("image_pull_policy", "ifnotpresent", "image_pull_policy", "IfNotPresent"),
            ("image_pull_secrets", ["registry"], "image_pull_secrets", ("registry",)),
            ("image_pull_secrets", "registry", "image_pull_secrets", ("registry",)),
            ("install", False, "install", False),
            ("packages", ["pandas >= 2", "torch==2.3.0+cpu"], "packages", PACKAGES),
            ("packages", "pandas>=2", "packages", ("pandas>=2",)),
            ("package_indexes", [INDEX], "package_indexes", (INDEX,)),
            ("trusted_hosts", ["here.example:80"], "trusted_hosts", ("here.example:80",)),
            ("kfp_host", "http://kfp", "host", "http://kfp"),
            ("namespace", "team-blue", "namespace", "team-blue"),
            ("authentication", "token", "authentication", "token"),
            ("ca", "cluster.pem", "ca", "cluster.pem"),
            ("service_account", "pipeline-runner", "service_account", "pipeline-runner"),
            ("secrets_dir", "~/secrets", "secrets_dir", "~/secrets"),
            ("storage_class_name", "fast", "storage_class", "fast"),
            ("volume_access_mode", "rwm", "access_mode", "ReadWriteMany"),
            ("volume_access_mode", "ReadWriteOnce", "access_mode", "ReadWriteOnce"),
            ("snapshot_volumes", True, "snapshot_volumes", True),
            ("marshal_volume", True, "marshal_volume", True),
            ("marshal_path", "/marshal", "marshal_path", "/marshal"),
            ("volumes", [], "volumes", ()),
            ("steps_defaults", [], "image", None),
            (
                "security_context",
                {"enabled": True, "run_as_user": 1, "run_as_non_root": True},
                "security_context",
                {"run_as_user": 1, "run_as_non_root": True},
            ),
            ("security_context", {"enabled": False, "run_as_user": 1}, "security_context", {}),
        ],
    )
    def test_mapped(
        self, folder: Path, key: str, value: object, field: str, expected: object
    ) -> None:
        assert getattr(settings(folder, **{key: value}), field) == expected

    @pytest.mark.parametrize(
        ("key", "value", "advice"),
        [
            ("autosnapshot", True, "remove"),
            ("katib_run", True, "kale-pm run"),
            ("katib_metadata", {"maxTrialCount": 3}, "kale-pm run"),
            ("abs_working_dir", "/home/jovyan", "files"),
            ("output_path", "out.py", "compile"),
            ("notebook_path", "wine.ipynb", "remove"),
        ],
    )
    def test_answered_with_what_to_use(
        self, folder: Path, key: str, value: object, advice: str
    ) -> None:
        found = problem(folder, **{key: value})
        assert found.severity == "warning"
        assert f"'{key}'" in found.message
        assert advice in found.hint

    @pytest.mark.parametrize("key", ["autosnapshot", "katib_run"])
    def test_what_is_switched_off_says_nothing(self, folder: Path, key: str) -> None:
        assert settings(folder, **{key: False}) == settings(folder)

    def test_the_newer_of_two_words_holds(self, folder: Path) -> None:
        assert settings(folder, base_image="new", docker_image="old").image == "new"
        found = settings(folder, experiment_name="b", experiment={"name": "a"})
        assert found.experiment == "b"

    def test_volumes(self, folder: Path) -> None:
        data = {
            "annotations": [{"key": "rok/origin", "value": "x"}, {"key": "", "value": ""}],
            "mount_point": "/data",
            "name": "my-data",
            "size": 5,
            "size_type": "Gi",
            "snapshot": False,
            "snapshot_name": "",
            "type": "new_pvc",
        }
        home = {
            "name": "my-home",
            "type": "pvc",
            "mount_point": "/home",
            "expose_as_env_var": True,
            "storage_class_name": "fast",
            "volume_access_mode": "rwo",
            "annotations": {"a": "b"},
        }
        assert settings(folder, volumes=[data, home]).volumes == (
            Volume("new_pvc", "my-data", "/data", "5Gi", {"rok/origin": "x"}),
            Volume(
                "pvc",
                "my-home",
                "/home",
                annotations={"a": "b"},
                storage_class="fast",
                access_mode="ReadWriteOnce",
                env_variable="KALE_VOLUME_MY_HOME",
            ),
        )

    def test_an_unknown_key_of_a_volume(self, folder: Path) -> None:
        volume = {"name": "a", "type": "pvc", "mount_point": "/a", "mount_piont": "/b"}
        assert "mount_point" in problem(folder, volumes=[volume]).hint


class TestSlips:
    def test_an_unknown_key_is_a_warning_with_the_nearest(self, folder: Path) -> None:
        found = problem(folder, pipeline_nam="wine")
        assert found.severity == "warning"
        assert "'pipeline_name'" in found.hint

    def test_the_case_of_letters_is_no_difference(self, folder: Path) -> None:
        assert problem(folder, KFP_HOST="x").hint == "did you mean 'kfp_host'?"

    def test_an_unknown_key_near_to_none_lists_them(self, folder: Path) -> None:
        assert "marshal_volume" in problem(folder, zzz=1).hint

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("base_image", 3),
            ("enable_caching", "no"),
            ("timeout", "soon"),
            ("timeout", True),
            ("timeout", 0),
            ("volume_access_mode", "all"),
            ("security_context", {"run_as_user": "root"}),
            ("security_context", 3),
            ("steps_defaults", "limit:cpu:2"),
            ("steps_defaults", [3]),
            ("volumes", {}),
            ("volumes", ["a"]),
            ("volumes", [{"name": "a"}]),
            ("volumes", [{"name": "a", "type": "disk", "mount_point": "/a"}]),
            ("volumes", [{"name": "a", "type": "pvc", "mount_point": "a"}]),
            ("experiment_name", ["x"]),
            ("image_pull_policy", "sometimes"),
            ("image_pull_secrets", ["Registry"]),
            ("install", "no"),
            ("packages", ["pandas", 3]),
            ("packages", ["--editable ."]),
            ("packages", ["./wheels/ours.whl"]),
            ("packages", ["ours @ file:///home/me/ours"]),
            ("packages", ["ours @ ../ours"]),
            ("packages", ["ours; sys_platform == '$(whoami)'"]),
            ("package_indexes", ["packages.example.org"]),
            ("package_indexes", ["https://packages.example.org/simple; reboot"]),
            ("package_indexes", ["https://[broken"]),
            ("trusted_hosts", ["https://packages.example.org"]),
            ("namespace", "Team Blue"),
            ("service_account", "pipeline runner"),
            ("timeout", 2**31),
            ("timeout", str(2**31)),
            ("image", "a b"),
            ("image", "python:3.12\n"),
            ("storage_class", "Fast Disks"),
            ("storage_class_name", "fast/disks"),
            ("image_pull_secrets", ["a..b"]),
            ("security_context", {"run_as_user": -1}),
            ("security_context", {"run_as_user": 10**20}),
            ("security_context", {"run_as_group": 2**31}),
            ("security_context", {"run_as_user": 0, "run_as_non_root": True}),
        ],
    )
    def test_a_value_that_cannot_be_used_is_an_error(
        self, folder: Path, key: str, value: object
    ) -> None:
        found = problem(folder, **{key: value})
        assert found.severity == "error"
        assert f"'{key}'" in found.message

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("packages", ["ours @ git+https://me:hunter2@git.example.org/ours"]),
            ("packages", ["ours @ https://hunter2@files.example.org/ours.whl"]),
            ("package_indexes", ["https://me:hunter2@packages.example.org/simple"]),
            ("package_indexes", ["https://hunter2@packages.example.org/simple"]),
        ],
    )
    def test_a_password_is_refused_and_not_repeated(
        self, folder: Path, key: str, value: object
    ) -> None:
        found = problem(folder, **{key: value})
        assert found.severity == "error"
        assert "secret:NAME:KEY:PIP_EXTRA_INDEX_URL" in found.message
        assert "hunter2" not in found.message + found.hint

    def test_a_user_of_ssh_is_no_password(self, folder: Path) -> None:
        address = "ours @ git+ssh://git@git.example.org/ours@v1"
        assert settings(folder, packages=[address]).packages == (address,)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("size", f"{'9' * 20}Ei"),
            ("mount_point", "data"),
            ("mount_point", "/"),
            ("mount_point", "/tmp"),
            ("mount_point", "/tmp/"),
            ("mount_point", "//usr/local/lib"),
            ("mount_point", "/a:b"),
            ("mount_point", "/a/../c"),
            ("mount_point", "/a\nb"),
            ("mount_point", "/{{workflow.name}}"),
            ("mount_point", "/dev/shm"),
            ("mount_point", "/proc/x"),
            ("mount_point", "/minio"),
            ("mount_point", "/kfp-workspace"),
            ("env_variable", "a b=c"),
            ("env_variable", "KALE_PM_RUN"),
            ("storage_class", "no DNS name"),
            ("annotations", {"a b": "c"}),
            ("annotations", [{"key": "-a", "value": "c"}]),
        ],
    )
    def test_a_volume_that_no_pod_could_mount(self, folder: Path, key: str, value: object) -> None:
        volume = {"name": "a", "type": "pvc", "mount_point": "/a", key: value}
        found = problem(folder, volumes=[volume])
        assert found.severity == "error"
        assert "'volumes'" in found.message
        assert f"volume 1: '{key}'" in found.message

    @pytest.mark.parametrize("kind", ["pvc", "pv", "clone", "snapshot"])
    def test_a_volume_is_called_like_what_is_there(self, folder: Path, kind: str) -> None:
        volume = {"name": "My Data", "type": kind, "mount_point": "/a", "size": 1}
        assert "volume 1: 'name': 'My Data'" in problem(folder, volumes=[volume]).message
        volume = {**volume, "type": "new_pvc"}
        assert settings(folder, volumes=[volume]).volumes[0].name == "My Data"

    @pytest.mark.parametrize("place", ["/tmp/data", "/home/jovyan", "/mnt/my data", "/etc/db"])
    def test_other_places_are_fine(self, folder: Path, place: str) -> None:
        volume = {"name": "a", "type": "pvc", "mount_point": place}
        assert settings(folder, volumes=[volume]).volumes[0].mount_point == place

    def test_a_place_is_written_in_its_short_form(self, folder: Path) -> None:
        volume = {"name": "a", "type": "pvc", "mount_point": "//mnt//data/"}
        assert settings(folder, volumes=[volume]).volumes[0].mount_point == "/mnt/data"

    def test_root_may_be_allowed_and_a_user_named(self, folder: Path) -> None:
        for context in (
            {"run_as_user": 0},
            {"run_as_user": 0, "run_as_non_root": False},
            {"run_as_user": 1000, "run_as_non_root": True},
            {"run_as_user": 2**31 - 1},
        ):
            assert settings(folder, security_context=context).security_context == context

    def test_metadata_that_are_no_table(self, folder: Path) -> None:
        _, problems = read(folder, kubeflow_notebook=[1])
        assert [found.severity for found in problems] == ["error"]


class TestStepsDefaults:
    def test_tags_for_all_steps(self, folder: Path) -> None:
        tags = ["limit:cpu:2", "image:python:3.12", "retry:2", "label:a:b"]
        configuration, problems = read(folder, kubeflow_notebook={"steps_defaults": tags})
        assert problems == []
        assert configuration.steps_defaults == StepOptions(
            image="python:3.12", limits={"cpu": "2"}, retry=2, labels={"a": "b"}
        )

    def test_the_table_of_old(self, folder: Path) -> None:
        table = {"labels": {"a": "b"}, "limits": {"cpu": 2}}
        configuration, problems = read(folder, kubeflow_notebook={"steps_defaults": table})
        assert problems == []
        assert configuration.steps_defaults == StepOptions(limits={"cpu": "2"}, labels={"a": "b"})

    def test_a_slip(self, folder: Path) -> None:
        metadata = {"steps_defaults": ["limt:cpu:2", "retry:1"]}
        configuration, problems = read(folder, kubeflow_notebook=metadata)
        assert [(found.code, found.severity) for found in problems] == [("bad-tags", "error")]
        assert "limit:cpu:2" in problems[0].hint
        assert configuration.steps_defaults.retry == 1

    def test_a_secret_for_all_to_read_is_warned_of(self, folder: Path) -> None:
        tags = ["env:DB_PASSWORD:hunter2"]
        configuration, (found,) = read(folder, kubeflow_notebook={"steps_defaults": tags})
        assert (found.code, found.severity) == ("bad-configuration", "warning")
        assert "secret:NAME:KEY:DB_PASSWORD" in found.hint
        assert "hunter2" not in found.message + found.hint
        assert configuration.steps_defaults.env == {"DB_PASSWORD": "hunter2"}


class TestSources:
    def test_our_metadata_stand_for_those_of_kale(self, folder: Path) -> None:
        configuration, _ = read(
            folder, kale_pm={"image": "ours"}, kubeflow_notebook={"experiment_name": "theirs"}
        )
        assert (configuration.image, configuration.experiment) == ("ours", "Default")

    def test_the_nearer_source_overrides(self, folder: Path) -> None:
        (folder / "pyproject.toml").write_text(
            '[tool.kale-pm]\nimage = "project"\nhost = "project"\nmarshal-volume = true\n'
            'files = ["*.csv"]\nsteps-defaults = ["limit:cpu:2"]\n'
        )
        metadata = {
            "image": "notebook",
            "host": "notebook",
            "experiment": "notebook",
            "steps_defaults": ["limit:cpu:1", "retry:2"],
        }
        configuration, problems = read(folder, {"image": "flag", "host": None}, kale_pm=metadata)
        assert problems == []
        assert configuration == Configuration(
            name="my-wine-2",
            image="flag",
            host="project",
            experiment="notebook",
            marshal_volume=True,
            files=("*.csv",),
            steps_defaults=StepOptions(limits={"cpu": "2"}, retry=2),
        )

    def test_a_switch_may_be_turned_off(self, folder: Path) -> None:
        assert read(folder, {"replay": False, "cache": False})[0].replay is False

    def test_the_nearest_project_counts(self, folder: Path) -> None:
        (folder / "pyproject.toml").write_text('[tool.kale-pm]\nimage = "near"\n')
        inner = folder / "notebooks" / "deep"
        inner.mkdir(parents=True)
        assert read(inner)[0].image == "near"
        (inner.parent / "pyproject.toml").write_text("")
        assert read(inner)[0].image is None

    @pytest.mark.parametrize("text", [b"[tool", b"\xff", b"[tool]\nkale-pm = 3\n"])
    def test_a_broken_project_is_told_and_passed_over(self, folder: Path, text: bytes) -> None:
        (folder / "pyproject.toml").write_bytes(text)
        configuration, (found,) = read(folder, kale_pm={"image": "notebook"})
        assert "pyproject.toml" in found.message
        assert configuration.image == "notebook"

    def test_a_slip_names_its_source(self, folder: Path) -> None:
        (folder / "pyproject.toml").write_text('[tool.kale-pm]\nimmage = "x"\n')
        _, (found,) = read(folder)
        assert str(folder / "pyproject.toml") in found.message
        assert "'image'" in found.hint
