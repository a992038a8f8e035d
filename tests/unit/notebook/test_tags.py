"""The language of tags: every word, every slip, and the tags of other tools."""

from __future__ import annotations

import pytest

from kale_pm.model import Problem
from kale_pm.notebook.names import legal_step_name
from kale_pm.notebook.step_options import options_from
from kale_pm.notebook.tags import CellTags, parse_default, parse_tags
from kale_pm.settings import Artifact, Secret, SecretFiles, StepOptions, Toleration


def read(*tags: str) -> CellTags:
    result, problems = parse_tags(tags, 4)
    assert problems == []
    return result


def slip(*tags: str) -> Problem:
    _, problems = parse_tags(tags, 4)
    (problem,) = problems
    assert (problem.code, problem.severity, problem.cell) == ("bad-tags", "error", 4)
    assert problem.hint
    return problem


class TestWords:
    @pytest.mark.parametrize("word", ["block", "step"])
    def test_a_step_in_both_spellings(self, word: str) -> None:
        assert read(f"{word}:train_2").step == "train_2"

    @pytest.mark.parametrize("name", ["a", "_a", "a1", "class", "_"])
    def test_legal_names(self, name: str) -> None:
        assert read(f"block:{name}").step == name

    @pytest.mark.parametrize(
        ("tag", "role"),
        [
            ("imports", "imports"),
            ("functions", "functions"),
            ("parameters", "parameters"),
            ("pipeline-parameters", "parameters"),
            ("metrics", "metrics"),
            ("pipeline-metrics", "metrics"),
            ("skip", "skip"),
        ],
    )
    def test_roles_in_both_spellings(self, tag: str, role: str) -> None:
        assert read(tag) == CellTags(role=role)  # type: ignore[arg-type]

    def test_tags_stand_in_any_order(self) -> None:
        one = read("prev:load", "limit:cpu:2", "block:train", "prev:clean")
        other = read("block:train", "prev:load", "prev:clean", "limit:cpu:2")
        assert one == other
        assert one.prev == ("load", "clean")

    def test_a_tag_said_twice_counts_once(self) -> None:
        assert read("block:a", "block:a", "step:a", "prev:b", "prev:b").prev == ("b",)

    @pytest.mark.parametrize(
        ("tag", "options"),
        [
            ("image:host:5000/x:1", StepOptions(image="host:5000/x:1")),
            ("package:scikit-learn==1.5", StepOptions(packages=("scikit-learn==1.5",))),
            (
                "package:ours @ https://h:80/ours.whl",
                StepOptions(packages=("ours @ https://h:80/ours.whl",)),
            ),
            ("artifact:page:page.html", StepOptions(artifacts=(Artifact("page", "page.html"),))),
            ("artifact:a:./out/a b:c", StepOptions(artifacts=(Artifact("a", "out/a b:c"),))),
            ("cache:enabled", StepOptions(cache=True)),
            ("cache:disabled", StepOptions(cache=False)),
            ("report:enabled", StepOptions(report=True)),
            ("report:disabled", StepOptions(report=False)),
            ("limit:nvidia.com/gpu:1", StepOptions(limits={"nvidia.com/gpu": "1"})),
            ("limit:memory:2Gi", StepOptions(limits={"memory": "2Gi"})),
            ("request:cpu:500m", StepOptions(requests={"cpu": "500m"})),
            ("request:cpu:0.5", StepOptions(requests={"cpu": "0.5"})),
            ("retry:3", StepOptions(retry=3)),
            ("retry_interval:0", StepOptions(retry_interval=0)),
            ("retry_factor:1.5", StepOptions(retry_factor=1.5)),
            ("retry_max_interval:60", StepOptions(retry_max_interval=60)),
            ("timeout:60", StepOptions(timeout=60)),
            ("env:A:b:c", StepOptions(env={"A": "b:c"})),
            ("env:A:", StepOptions(env={"A": ""})),
            ("node:disk:ssd", StepOptions(nodes={"disk": "ssd"})),
            ("secret:s3:.key:KEY", StepOptions(secrets=(Secret("s3", ".key", "KEY"),))),
            ("pull:Always", StepOptions(pull_policy="Always")),
            ("pull:ifnotpresent", StepOptions(pull_policy="IfNotPresent")),
            ("install:enabled", StepOptions(install=True)),
            ("install:disabled", StepOptions(install=False)),
            ("shm:2Gi", StepOptions(shared_memory="2Gi")),
            ("secret_files:db:/etc/db", StepOptions(secret_files=(SecretFiles("db", "/etc/db"),))),
            ("toleration:gpu", StepOptions(tolerations=(Toleration("gpu"),))),
            ("toleration:gpu:yes", StepOptions(tolerations=(Toleration("gpu", "yes"),))),
            (
                "toleration:nvidia.com/gpu:NoSchedule",
                StepOptions(tolerations=(Toleration("nvidia.com/gpu", None, "NoSchedule"),)),
            ),
            (
                "toleration:team:blue:NoExecute",
                StepOptions(tolerations=(Toleration("team", "blue", "NoExecute"),)),
            ),
            ("label:app.io/team:a-b", StepOptions(labels={"app.io/team": "a-b"})),
            (
                "annotation:url:http://x:80/y",
                StepOptions(annotations={"url": "http://x:80/y"}),
            ),
        ],
    )
    def test_options(self, tag: str, options: StepOptions) -> None:
        assert read("block:a", tag).options == options

    def test_a_place_is_written_in_its_short_form(self) -> None:
        options = read("block:a", "secret_files:db://etc//db").options
        assert options.secret_files == (SecretFiles("db", "/etc/db"),)

    def test_options_add_up(self) -> None:
        options = read("block:a", "limit:cpu:2", "limit:memory:1Gi", "env:A:1", "env:B:2").options
        assert options.limits == {"cpu": "2", "memory": "1Gi"}
        assert options.env == {"A": "1", "B": "2"}

    def test_no_tag_says_nothing(self) -> None:
        assert read() == CellTags()
        assert not read().is_prelude

    def test_two_roles_of_the_prelude_go_together(self) -> None:
        assert read("imports", "functions").is_prelude
        assert read("imports", "parameters").role == "parameters"

    @pytest.mark.parametrize(
        "tags",
        [("skip", "block:a"), ("imports", "skip"), ("skip", "blok:x", "block:A b", "retry:x")],
    )
    def test_skip_wins_over_everything(self, tags: tuple[str, ...]) -> None:
        assert read(*tags) == CellTags(role="skip")


class TestOtherTools:
    @pytest.mark.parametrize(
        "tag",
        [
            "hide-input",
            "remove-cell",
            "raises-exception",
            "injected-parameters",
            "nbval-skip",
            "skip-execution",
            "slideshow:skip",
            "solution",
            "report",
            "image",
            "cache",
            "node",
            "export",
            "exercise:3",
            "id:3",
            "form:x",
            "note:remember this",
            "mode:dark",
            "lang:en",
            "",
            ":",
            "日本",
        ],
    )
    def test_their_tags_are_left_alone(self, tag: str) -> None:
        assert read(tag) == CellTags()
        assert read("block:a", tag).step == "a"


class TestSlips:
    @pytest.mark.parametrize(
        ("tag", "right"),
        [
            ("blok:train", "block:train"),
            ("Block:train", "block:train"),
            ("setp:b", "step:b"),
            ("steps:b", "step:b"),
        ],
    )
    def test_a_misspelt_step(self, tag: str, right: str) -> None:
        problem = slip(tag)
        assert tag in problem.message
        assert right in problem.hint
        assert parse_tags([tag], 1)[0].step == right.partition(":")[2]

    @pytest.mark.parametrize(
        ("tag", "right"),
        [
            ("prv:x", "prev:x"),
            ("perv:x", "prev:x"),
            ("cahce:enabled", "cache:enabled"),
            ("limits:cpu:2", "limit:cpu:2"),
            ("retyr:2", "retry:2"),
            ("timeuot:3", "timeout:3"),
            ("anotation:a:b", "annotation:a:b"),
            ("Image:x", "image:x"),
        ],
    )
    def test_a_misspelt_word_with_a_value(self, tag: str, right: str) -> None:
        assert right in slip("block:a", tag).hint

    @pytest.mark.parametrize(
        ("tag", "right"),
        [
            ("pramaters", "parameters"),
            ("parameter", "parameters"),
            ("import", "imports"),
            ("Imports", "imports"),
            ("function", "functions"),
            ("fucntions", "functions"),
            ("metric", "metrics"),
            ("pipeline_parameters", "pipeline-parameters"),
            ("pipeline-metric", "pipeline-metrics"),
            ("skp", "skip"),
        ],
    )
    def test_a_misspelt_bare_word(self, tag: str, right: str) -> None:
        assert right in slip(tag).hint

    @pytest.mark.parametrize(
        ("name", "legal"),
        [
            ("Train-Model", "train_model"),
            ("2nd", "_2nd"),
            ("train model", "train_model"),
            ("größe", "groe"),
            ("日本", "step"),
            ("a:b", "a_b"),
        ],
    )
    def test_an_illegal_name_and_a_legal_spelling(self, name: str, legal: str) -> None:
        assert legal_step_name(name) == legal
        problem = slip(f"block:{name}")
        assert name in problem.message
        assert legal in problem.hint
        assert legal in slip("block:a", f"prev:{name}").hint

    @pytest.mark.parametrize("tag", ["block:", "step:", "block", "step"])
    def test_a_step_without_a_name(self, tag: str) -> None:
        assert "missing" in slip(tag).message

    def test_two_steps_on_one_cell(self) -> None:
        problem = slip("block:a", "step:b")
        assert "a and b" in problem.message

    def test_prev_without_a_step(self) -> None:
        problem = slip("prev:a")
        assert "prev:a" in problem.message
        assert "block:NAME" in problem.hint
        assert parse_tags(["prev:a"], 1)[0] == CellTags()

    @pytest.mark.parametrize("tags", [("limit:cpu:2",), ("imports", "image:x")])
    def test_options_without_a_step(self, tags: tuple[str, ...]) -> None:
        assert tags[-1] in slip(*tags).message

    @pytest.mark.parametrize(
        "tag",
        [
            "retry:x",
            "retry:-1",
            "retry:1.5",
            "retry:",
            "retry_interval:1.5",
            "retry_factor:0.5",
            "retry_factor:many",
            "secret:..:key:NAME",
            "secret:name:..:NAME",
            "secret:.:key:NAME",
            "secret:..data:key:NAME",
            "timeout:0",
            "timeout:5m",
            "cache:on",
            "report:yes",
            "image:",
            "image:a b",
            "pull:often",
            "install:no",
            "artifact:page",
            "artifact:page:",
            "artifact:page:out/",
            "artifact:page:/tmp/page.html",
            "artifact:page:out/../../page.html",
            "artifact:page:~/page.html",
            "artifact:page:a\nb",
            "artifact:Page:page.html",
            "artifact:my-page:page.html",
            "artifact:_page:page.html",
            "artifact:html:page.html",
            "artifact:class:page.html",
            "artifact:state_a:page.html",
            "package:",
            "package:--editable .",
            "package:./ours.whl",
            "package:ours @ https://me:hunter2@files.example.org/ours.whl",
            "shm:2GB",
            "shm:0",
            "shm:1.5Gi",
            "secret_files:db",
            "secret_files:db:etc",
            "secret_files:db:/",
            "secret_files:db:/etc/../root",
            "secret_files:db:/a:/b",
            "secret_files:../db:/etc/db",
            "toleration:",
            "toleration:a b",
            "toleration:gpu:noschedule",
            "toleration:gpu:yes:NoSchedul",
            "toleration:gpu:a/b:NoSchedule",
            "toleration:gpu::NoSchedule",
            "toleration:gpu:a:b:NoSchedule",
            "limit:cpu",
            "limit:cpu:",
            "limit:memory:2GB",
            "limit::2",
            "env:A",
            "env:A B:c",
            "secret:a:b",
            "secret:a:b:C:d",
            "label:a:b c",
            "node:a",
            "annotation:a",
            "timeout:99999999999",
            "retry:99999999999",
            "image:a\nb",
            "image:UPPER/Case:1",
            "image:python:3.12:1",
            "image:host/{{workflow.name}}:1",
            "env:A=B:c",
            "env:A:b\0c",
            f"shm:{'9' * 20}E",
            "env:KALE_PM_INPUTS:[]",
            "secret:db:password:KALE_PM_RUN",
            "secret:My_Secret:key:NAME",
            "secret_files:db:/tmp",
            "secret_files:db:/etc",
            "secret_files:db:/kfp-launcher/x",
            "secret_files:db:/dev/shm",
            "secret_files:my_db:/etc/db",
            "limit:-gpu:1",
            "limit:cpu:1e9999999",
            f"limit:cpu:{'9' * 31}",
            "limit:a/b/c:1",
            "label:_team:a",
            "label:Team.io/a:b",
            f"label:{'a' * 64}:b",
            f"label:a:{'b' * 64}",
            f"annotation:{'a' * 64}:b",
            "node:a_/b:c",
            "toleration:a_/b:c",
            f"toleration:a:{'b' * 64}:NoSchedule",
        ],
    )
    def test_values_that_do_not_read(self, tag: str) -> None:
        problem = slip("block:a", tag)
        assert f"'{tag}'" in problem.message
        assert tag.partition(":")[0] + ":" in problem.hint

    @pytest.mark.parametrize("tag", ["notebook:other", "for:x:in:xs", "if:x > 3"])
    def test_reserved_words(self, tag: str) -> None:
        assert "not built yet" in slip("block:a", tag).message

    @pytest.mark.parametrize("role", ["metrics", "parameters", "imports", "pipeline-metrics"])
    def test_a_role_beside_a_step(self, role: str) -> None:
        assert "a" in slip("block:a", role).message

    def test_metrics_beside_another_role(self) -> None:
        assert "metrics" in slip("metrics", "parameters").message

    def test_a_role_with_a_value(self) -> None:
        assert "no value" in slip("parameters:x").message

    def test_several_slips_are_all_told(self) -> None:
        _, problems = parse_tags(["block:A", "prv:b", "retry:x"], 1)
        assert len(problems) == 3


class TestOpenSecrets:
    @pytest.mark.parametrize(
        "name", ["PASSWORD", "DB_PASSWORD", "db_passwd", "HF_TOKEN", "AWS_SECRET", "OPENAI_API_KEY"]
    )
    def test_are_warned_of_and_not_repeated(self, name: str) -> None:
        tags, (found,) = parse_tags(("block:a", f"env:{name}:hunter2:more"), 4)
        assert tags.options.env == {name: "hunter2:more"}
        assert (found.code, found.severity, found.cell) == ("bad-tags", "warning", 4)
        assert name in found.message
        assert f"secret:NAME:KEY:{name}" in found.hint
        assert "hunter2" not in found.message + found.hint

    @pytest.mark.parametrize(
        "tag",
        [
            "env:TOKENIZERS_PARALLELISM:false-really",
            "env:MAX_TOKENS:1000000",
            "env:KEYBOARD:something",
            "env:PASSWORD:",
            "env:SORT_KEY:name",
            "env:TLS_KEY:/etc/tls/key.pem",
            "env:CACHE_TOKEN:disabled",
            "annotation:password:something",
        ],
    )
    def test_what_is_none_is_left_alone(self, tag: str) -> None:
        assert read("block:a", tag).step == "a"


class TestDefaults:
    def test_options_may_stand(self) -> None:
        settings = [parse_default("limit:cpu:2"), parse_default("retry:3")]
        assert options_from(settings) == StepOptions(limits={"cpu": "2"}, retry=3)

    @pytest.mark.parametrize("tag", ["block:a", "imports", "limt:cpu:2", "cache:on", "x", ""])
    def test_nothing_else_may(self, tag: str) -> None:
        with pytest.raises(ValueError, match=r"\w"):
            parse_default(tag)

    def test_a_slip_names_the_right_word(self) -> None:
        with pytest.raises(ValueError, match="limit:cpu:2"):
            parse_default("limt:cpu:2")
