"""A pipeline function as a pipeline: steps, edges, parameters, options and settings."""

from __future__ import annotations

import json
from typing import List, Optional  # noqa: UP035

import pytest

from kale_pm.errors import ParameterError, UsageError
from kale_pm.sdk import StepFunction, artifact, pipeline, step
from kale_pm.settings import Artifact, Secret, SecretFiles


@step
def load(rows=1):
    """Give as many numbers."""
    return list(range(rows))


@step(name="model-training")
def train(numbers, depth=3):
    return sum(numbers) * depth


@step
def pair(numbers):
    return numbers, len(numbers)


def made(body, **settings):
    return pipeline(name="small", **settings)(body).to_pipeline()


class TestSteps:
    def test_values_draw_the_edges(self):
        def body():
            numbers = load(3)
            first, count = pair(numbers)
            train(numbers=first, depth=count)
            load(count)

        found = made(body)
        assert found.order == ("load", "pair", "model_training", "load_2")
        assert set(found.edges) == {
            ("load", "pair"),
            ("pair", "model_training"),
            ("pair", "load_2"),
        }
        assert not found.implied_edges

    def test_a_step_that_is_called_again_gets_a_number(self):
        @step(name="load_2")
        def other():
            return 1

        def body():
            load(1)
            load(2)
            other()
            load(3)

        assert [each.name for each in made(body).steps] == ["load", "load_3", "load_2", "load_4"]

    def test_after_orders_without_data(self):
        def body():
            first = load(1)
            second = load(2)
            load(3).after(first, second)

        assert set(made(body).edges) == {("load", "load_3"), ("load_2", "load_3")}

    def test_after_leaves_the_value_to_be_unpacked(self):
        def body():
            other = load(1)
            numbers, count = pair([1]).after(other)
            train(numbers, count)

        assert ("load", "pair") in made(body).edges

    def test_steps_without_edges_stay_side_by_side(self):
        def body():
            load(1)
            load(2)

        found = made(body)
        assert not found.edges
        assert not found.implied_edges
        assert {problem.code for problem in found.problems} == {"dead-step"}

    def test_ordinary_python_around_the_calls_works(self):
        def body():
            results = {depth: train(load(depth), depth) for depth in range(1, 4)}
            train(list(results.values()))

        found = made(body)
        assert len(found.steps) == 7
        assert len(found.parents["model_training_4"]) == 3

    def test_a_pipeline_in_a_pipeline_gives_it_its_steps(self):
        @pipeline
        def inner(rows=2):
            return load(rows)

        def body(n=3):
            train(inner(n))

        found = made(body)
        assert [each.name for each in found.steps] == ["load", "model_training"]
        assert found.step("load").parameters == ("n",)

    def test_outside_of_a_pipeline_it_is_a_function(self):
        assert load(rows=2) == [0, 1]
        assert load.__name__ == "load"
        assert load.__doc__ == "Give as many numbers."
        assert isinstance(load, StepFunction)


class TestParameters:
    def types(self, body, *args, **kwargs):
        found = pipeline(name="small")(body).to_pipeline(*args, **kwargs)
        return {each.name: (each.type, each.default) for each in found.parameters}

    def test_types_come_from_hints_and_else_from_defaults(self):
        def body(
            a: int = 1,
            b: float = 1,
            c="x",
            d: bool = True,
            e=[1],  # noqa: B006
            f: dict = {"a": None},  # noqa: B006
            g: list[int] | None = None,
            h=-2.5,
            i: Optional[float] = None,  # noqa: UP045 - so it stands in older scripts
            j: List[str] = [],  # noqa: B006, UP006
        ):
            train(load(a), [b, c, d, e, f, g, h, i, j])

        assert self.types(body) == {
            "a": ("int", 1),
            "b": ("float", 1),
            "c": ("str", "x"),
            "d": ("bool", True),
            "e": ("list", [1]),
            "f": ("dict", {"a": None}),
            "g": ("list", None),
            "h": ("float", -2.5),
            "i": ("float", None),
            "j": ("list", []),
        }

    def test_they_may_have_a_place_or_a_name_only(self):
        def body(a=1, /, b=2, *, c=3):
            train(load(a), [b, c])

        assert list(self.types(body, 4, c=5).values()) == [("int", 4), ("int", 2), ("int", 5)]

    def test_hints_need_no_import_in_the_notebook(self, script, cells):
        made = script(
            """
            from typing import Literal, Optional, Union
            import numpy as np

            class Rows(int):
                pass

            @step
            def load(*values):
                print(values)

            @pipeline
            def small(
                a: Optional[int] = None,
                b: Union[str, None] = None,
                c: Literal["x", "y"] = "x",
                d: "Rows" = 1,
                e: np.ndarray = [1],
                f: int | None = None,
            ):
                load(a, b, c, d, e, f)
            """
        )
        found = made.small.to_pipeline()
        assert not found.problems
        assert [each.type for each in found.parameters] == [
            *("int", "str", "str", "int", "list", "int")
        ]
        (parameters, *_) = (source for _, source in cells(made.small))
        names: dict[str, object] = {}
        exec(parameters, names)
        assert (names["c"], names["e"]) == ("x", [1])

    def test_values_of_the_call_take_the_place_of_defaults(self):
        def body(a: int = 1, b: float = 2.0, c=None):
            train(load(a), [b, c])

        assert self.types(body, 5, b=3) == {
            "a": ("int", 5),
            "b": ("float", 3.0),
            "c": ("any", None),
        }

    def test_one_without_a_default_needs_a_value(self):
        def body(a: int):
            load(a)

        assert self.types(body, a=3) == {"a": ("int", 3)}
        with pytest.raises(UsageError, match="the parameter 'a' has no value"):
            self.types(body)

    def test_a_value_that_does_not_fit(self):
        def body(a: int = 1):
            load(a)

        with pytest.raises(ParameterError, match="'many' is no int"):
            self.types(body, a="many")

    def test_an_unknown_one(self):
        def body(a: int = 1):
            load(a)

        with pytest.raises(UsageError, match="unexpected keyword argument 'b'"):
            self.types(body, b=1)

    def test_a_default_that_is_no_literal(self):
        def body(a=object()):  # noqa: B008
            load(a)

        with pytest.raises(UsageError, match="the parameter 'a' is <object object"):
            self.types(body)

    @pytest.mark.parametrize("value", [float("nan"), [float("inf")]])
    def test_a_number_that_is_not_finite(self, value):
        def body(a=value):
            load(a)

        with pytest.raises(UsageError, match=r"the parameter 'a' is (nan|\[inf\])"):
            self.types(body)

    def test_a_text_is_never_code(self):
        def body(a="'; import os; '\n{{x}}"):
            load(a)

        assert self.types(body) == {"a": ("str", "'; import os; '\n{{x}}")}


class TestOptions:
    def options(self, **words):
        def body():
            step(name="one", **words)(load.function)()

        return made(body).step("one").options

    def test_kale_s_words(self):
        found = self.options(
            image="python:3.12",
            limits={"nvidia.com/gpu": 1, "memory": "4Gi"},
            requests={"cpu": "500m"},
            retry_count=5,
            retry_interval="2m",
            retry_factor=2.5,
            retry_max_interval="1h",
            timeout=90,
            labels={"team": "blue"},
            annotations={"note": "a:b c"},
            cache=False,
            env={"LEVEL": 3, "ON": True},
            secrets={"TOKEN": "vault:key"},
        )
        assert found.image == "python:3.12"
        assert found.limits == {"nvidia.com/gpu": "1", "memory": "4Gi"}
        assert found.requests == {"cpu": "500m"}
        assert (found.retry, found.retry_interval, found.retry_factor) == (5, 120, 2.5)
        assert (found.retry_max_interval, found.timeout) == (3600, 90)
        assert found.labels == {"team": "blue"}
        assert found.annotations == {"note": "a:b c"}
        assert found.cache is False
        assert found.env == {"LEVEL": "3", "ON": "true"}
        assert found.secrets == (Secret("vault", "key", "TOKEN"),)

    def test_our_words(self):
        found = self.options(
            pull_policy="Never",
            install=False,
            report=True,
            retry=2,
            nodes={"disk": "ssd"},
            tolerations=["gpu:NoSchedule"],
            artifacts={"chart": "out/chart.svg"},
            shared_memory="2Gi",
            secrets=["vault:key:TOKEN"],
            secret_files={"/keys": "vault"},
        )
        assert (found.pull_policy, found.install, found.report) == ("Never", False, True)
        assert (found.retry, found.nodes, found.shared_memory) == (2, {"disk": "ssd"}, "2Gi")
        assert found.tolerations[0].key == "gpu"
        assert found.artifacts == (Artifact("chart", "out/chart.svg"),)
        assert found.secrets == (Secret("vault", "key", "TOKEN"),)
        assert found.secret_files == (SecretFiles("vault", "/keys"),)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ({"timeout": "soon"}, "timeout='soon' cannot be used"),
            ({"retry_count": -1}, "retry_count=-1 cannot be used"),
            ({"limits": ["cpu"]}, "limits=.* cannot be used"),
            ({"limits": {"memory": "lots"}}, "limits=.* cannot be used"),
            ({"cache": "no"}, "cache='no' cannot be used"),
            ({"retry_interval": "2 days"}, "retry_interval='2 days' cannot be used"),
            ({"packages": ["not a requirement!"]}, "packages=.* cannot be used"),
            ({"artifacts": {"chart": "/tmp/chart.svg"}}, "artifacts=.* cannot be used"),
            ({"limit": {"cpu": "1"}}, "there is no option 'limit'"),
            ({"secrets": ["a"]}, "secrets=.* cannot be used"),
        ],
    )
    def test_what_cannot_be_used(self, words, said):
        with pytest.raises(UsageError, match=said) as caught:
            self.options(**words)
        assert caught.value.hint
        assert "step 'one'" in caught.value.message

    def test_a_near_word_is_named(self):
        with pytest.raises(UsageError) as caught:
            self.options(retry_cuont=2)
        assert caught.value.hint == "did you mean retry_count?"

    def test_packages_of_a_step_are_its_own(self):
        def body():
            step(name="one", packages=["pandas>=2"])(load.function)()
            step(name="two", packages="numpy")(load.function)()

        found = made(body, packages=["requests"])
        assert found.configuration.packages == ("requests",)
        assert found.step("one").options.packages == ("pandas>=2",)
        assert found.step("two").options.packages == ("numpy",)

    def test_two_versions_of_one_package_for_one_step_are_refused(self):
        def body():
            step(name="one", packages=["Pandas==2.1", "pandas==2.2"])(load.function)()

        (problem,) = made(body).problems
        assert "two values for packages pandas: Pandas==2.1 and pandas==2.2" in problem.message
        assert problem.is_error


class TestSettings:
    def test_kale_s_words(self):
        def body():
            """What it is about."""
            load()

        found = made(
            body,
            experiment="kale-tutorial",
            docker_image="python:3.12",
            marshal_volume=True,
            marshal_volume_size="10Gi",
            marshal_path="/data/marshal",
            timeout=600,
            steps_defaults={"labels": {"team": "blue"}, "retry_count": 2, "packages": ["pandas"]},
            autosnapshot=False,
            volumes=[{"name": "data", "type": "pvc", "mount_point": "/data"}],
        )
        settings = found.configuration
        assert (settings.name, settings.experiment) == ("small", "kale-tutorial")
        assert (settings.image, settings.timeout) == ("python:3.12", 600)
        assert settings.marshal_volume
        assert settings.marshal_volume_size == "10Gi"
        assert settings.description == "What it is about."
        assert settings.volumes[0].mount_point == "/data"
        options = found.step("load").options
        assert (options.retry, options.labels) == (2, {"team": "blue"})
        assert options.packages == ("pandas",)
        assert not found.problems

    def test_tags_are_defaults_too(self):
        def body():
            load()

        assert made(body, steps_defaults=["retry:3"]).step("load").options.retry == 3

    def test_one_that_cannot_be_used_is_told(self):
        def body():
            load()

        (problem,) = made(body, volumes="disk").problems
        assert problem.is_error
        assert problem.message.startswith("test_pipelines.py:")
        assert ": @pipeline: 'volumes' cannot be used" in problem.message

    def test_a_misspelt_one_is_refused_where_it_stands(self):
        with pytest.raises(UsageError, match="'expriment' is no key that kale-pm knows") as caught:
            pipeline(name="small", expriment="x")
        assert caught.value.message.startswith("test_pipelines.py:")
        assert caught.value.hint == "did you mean 'experiment'?"

    def test_one_of_kale_s_that_has_no_meaning_here_is_only_told(self):
        def body():
            load()

        (problem,) = made(body, autosnapshot=True).problems
        assert not problem.is_error
        assert ": @pipeline: 'autosnapshot' has no meaning here" in problem.message

    def test_without_a_name_it_is_called_as_its_function(self):
        @pipeline
        def my_pipeline():
            load()

        assert my_pipeline.to_pipeline().name == "my-pipeline"


def test_artifacts_are_kept_by_a_cell_of_their_step(tmp_path):
    @artifact(name="page", path="page.html")
    @step
    @artifact("table", "table.csv")
    def one():
        return 1

    @pipeline
    def small():
        one()

    content = json.loads(small.write_notebook(tmp_path / "small.ipynb").read_text())
    assert content["cells"][-1]["metadata"]["tags"] == ["block:one"]
    assert content["cells"][-1]["source"] == (
        "import kale_pm.runtime.artifacts\n\n"
        "kale_pm.runtime.artifacts.keep('page', 'page.html')\n"
        "kale_pm.runtime.artifacts.keep('table', 'table.csv')"
    )


def test_problems_name_the_line_of_the_script(script):
    found = script(
        """
        @step
        def load(n):
            x = n

            return missing + x

        @pipeline
        def small(n=1):
            load(n)
        """
    ).small.to_pipeline()
    (problem,) = found.problems
    assert problem.code == "undefined-name"
    assert problem.message.endswith("'missing' is not defined when this runs")
    line = found.path.read_text().splitlines().index("    return missing + x") + 1
    assert problem.message.startswith(f"{found.path.name}:{line}: ")


def test_a_name_that_only_another_step_has_is_undefined(script):
    found = script(
        """
        @step
        def one():
            missing = 1
            return missing

        @step
        def two(x):
            return x + missing

        @pipeline
        def small():
            two(one())
        """
    ).small.to_pipeline()
    assert [(each.code, each.step) for each in found.problems] == [("undefined-name", "two")]


def test_the_pipeline_lies_where_its_script_lies(script):
    found = script(
        """
        @step
        def load():
            return 1

        @pipeline
        def small():
            load()
        """
    )
    assert str(found.small.to_pipeline().path) == found.__file__
    assert "<svg" in found.small._repr_html_()
