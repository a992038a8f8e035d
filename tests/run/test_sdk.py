"""Pipelines of the SDK in real kernels: what they give, what is kept, what is reused."""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest

from kale_pm.errors import StepFailed, UsageError

HEAD = "from kale_pm.sdk import artifact, metric, pipeline, step\n"


@pytest.fixture
def script(tmp_path, monkeypatch):
    """``script(text)`` is the module of that text, saved and imported once more."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(text, name="script"):
        (tmp_path / f"{name}.py").write_text(HEAD + dedent(text), encoding="utf-8")
        sys.modules.pop(name, None)
        return import_module(name)

    yield make
    for name in ("script", "steps"):
        sys.modules.pop(name, None)


def states(run):
    return {name: step.state.value for name, step in run.steps.items()}


def sources(run, name):
    content = json.loads(run.steps[name].notebook.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in content["cells"]]


ALL_KINDS = '''
    import math

    FACTOR = 2


    def scaled(number):
        return math.floor(number * FACTOR)


    @step
    def load(n: int, start=0):
        """Some numbers."""
        numbers = list(range(start, start + n))

        # and their sum
        total = sum(numbers)
        return numbers, total


    @step(name="first-few")
    def first_few(numbers, few=2):
        if len(numbers) <= few:
            return numbers
        return numbers[:few]


    @step
    def change(numbers, total):
        n = 0
        for number in numbers:
            n += scaled(number)
        metric("changed", n)
        return n + total


    @artifact("page", "page.html")
    @artifact("table", "out/table.csv")
    @step
    def show(*values, title, **named):
        from pathlib import Path

        Path("page.html").write_text(f"<b>{title}</b>")
        Path("out").mkdir(exist_ok=True)
        Path("out/table.csv").write_text("a,b\\n1,2\\n")
        result = [title, list(values), sorted(named.items())]
        return result


    @pipeline(name="all-kinds")
    def all_kinds(n: int = 3, title="it's \\"quoted\\""):
        numbers, total = load(n)
        both = load(2, start=10)
        few = first_few(numbers)
        changed = change(numbers, total)
        last = show(few, changed, title=title, both=both, more=[total, {"few": few}])
        return last
'''


def expected(n, title):
    numbers = list(range(n))
    few = numbers[:2]
    changed = sum(2 * number for number in numbers) + sum(numbers)
    more = [sum(numbers), {"few": few}]
    return [title, [few, changed], [("both", ([10, 11], 21)), ("more", more)]]


def test_a_pipeline_gives_what_its_functions_give(script):
    run = script(ALL_KINDS).all_kinds(n=4)

    assert set(states(run).values()) == {"done"}
    assert list(run.steps) == ["load", "load_2", "first_few", "change", "show"]
    assert run["show_result"] == expected(4, 'it\'s "quoted"')
    assert run.metrics == {"changed": 12}
    assert run.parameters == {"n": 4, "title": 'it\'s "quoted"'}

    assert "## load\n\nSome numbers." in sources(run, "load")
    assert "# and their sum\ntotal = sum(numbers)" in sources(run, "load")
    assert "numbers = load_numbers\ntotal = load_total" in sources(run, "change")
    assert any("def first_few(numbers, few=2):" in source for source in sources(run, "first_few"))

    kept = run.steps["show"].artifacts
    assert {name: each.file for name, each in kept.items()} == {
        "table": "table.csv",
        "page": "page.html",
    }
    assert kept["table"].content == b"a,b\n1,2\n"
    assert "it's" in kept["page"].content.decode()
    assert "&lt;iframe " in run.report.read_text(encoding="utf-8")

    assert "all-kinds" in run._repr_html_()
    assert "<svg" in run._repr_html_()


def test_what_has_not_changed_is_reused_and_a_helper_counts(script):
    script(ALL_KINDS).all_kinds.run()
    # Other lines, other comments, another title of a step's cell: the same code.
    moved = "\n\n    # a comment\n" + ALL_KINDS.replace('"""Some numbers."""', '"""Numbers."""')
    again = script(moved).all_kinds.run()
    assert set(states(again).values()) == {"cached"}

    changed = script(ALL_KINDS.replace("math.floor", "-math.floor")).all_kinds.run()
    assert states(changed)["load"] == "cached"
    assert states(changed)["change"] == "done"
    assert changed.metrics == {"changed": -6}


def test_modules_whose_names_clash_run_side_by_side(script):
    script(
        """
        LIMIT = 10

        def clean(number):
            return number + LIMIT

        @step
        def load(n):
            return clean(n)
        """,
        name="steps",
    )
    made = script(
        """
        from steps import load

        LIMIT = 1

        def clean(number):
            return number - LIMIT

        @step
        def lower(number):
            return clean(number)

        @pipeline
        def small(n=5):
            return lower(load(n))
        """
    )
    assert made.small.run()["lower_result"] == 14


def test_a_failing_step_ends_the_pipeline_and_leaves_its_notebook(script):
    made = script(
        """
        @step
        def divide(n):
            below = n - 1

            return 1 / below

        @pipeline
        def small(n=1):
            divide(n)
        """
    )
    with pytest.raises(StepFailed, match="division by zero") as caught:
        made.small()
    assert "divide_result = 1 / below" in sources(caught.value.run, "divide")


def test_an_error_of_kale_pm_s_own_in_a_step_is_about_the_step_s_line(script):
    made = script(
        """
        @step
        def look():
            from kale_pm import load

            load("nowhere.ipynb")

        @pipeline
        def small():
            look()
        """
    )
    with pytest.raises(StepFailed) as caught:
        made.small()
    error = caught.value.run.record.steps["look"].error
    assert error.source == 'load("nowhere.ipynb")'
    assert "→ check the path" in error.traceback
    assert "kale_pm/notebook" not in error.traceback


def test_the_advice_for_an_async_function_works_in_a_kernel(script):
    with pytest.raises(UsageError, match="fetch is an async function") as caught:
        script(
            """
            @step
            async def fetch():
                return 3

            @pipeline
            def small():
                fetch()
            """
        ).small.to_pipeline()
    advice = re.search(r"ThreadPoolExecutor.*?\.result\(\)", caught.value.hint)[0]

    run = script(
        f"""
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        async def work():
            await asyncio.sleep(0)
            return 3

        @step
        def fetch():
            number = {advice}
            return number

        @pipeline
        def small():
            return fetch()
        """
    ).small()
    assert run["fetch_number"] == 3


def test_a_missing_artifact_fails_the_step(script):
    made = script(
        """
        @artifact("page", "nowhere.html")
        @step
        def show():
            print("nothing written")

        @pipeline
        def small():
            show()
        """
    )
    with pytest.raises(StepFailed, match="the step has written no file nowhere"):
        made.small()


def test_a_large_file_is_an_artifact_like_any_other(script):
    text = """
        @artifact("model", "model.bin")
        @step
        def train(n):
            with open("model.bin", "wb") as file:
                file.truncate(30_000_000)

        @pipeline
        def small(n=1):
            train(n)
        """
    for expected in ("done", "cached"):
        run = script(text).small.run()
        assert states(run) == {"train": expected}
        kept = run.steps["train"].artifacts["model"]
        assert kept.path.stat().st_size == 30_000_000
        assert run.steps["train"].notebook.stat().st_size < 100_000
        saved = kept.save(run.folder)
        assert saved.stat().st_size == 30_000_000


class TestAlone:
    @pytest.fixture
    def made(self, script):
        return script(
            """
            LIMIT = 3

            @step
            def scale(values, by=2, *, note=None):
                result = values * by
                metric("largest", max(result) + LIMIT)
                return result

            @step
            def say(text):
                print(text)
            """
        )

    def test_it_gives_what_the_function_gives(self, made):
        alone = made.scale.run([1, 2], by=2)

        assert alone.value == made.scale([1, 2], by=2) == [1, 2, 1, 2]
        assert alone.metrics == {"largest": 5}
        assert isinstance(alone.notebook, Path)
        assert "values = [1, 2]\nby = 2\nnote = None" in sources(alone.run, "scale")

    def test_arguments_that_no_code_can_say_go_by_a_file(self, made):
        import numpy as np

        alone = made.scale.run(np.arange(3), note=Path("x"))
        assert list(alone.value) == [0, 2, 4]

    def test_so_do_those_that_are_too_long_for_code(self, made):
        assert made.scale.run(list(range(30_000)), by=1).value == list(range(30_000))

    def test_one_that_gives_nothing(self, made):
        assert made.say.run("hello").value is None

    def test_a_wrong_call(self, made):
        with pytest.raises(UsageError, match="missing a required argument: 'values'"):
            made.scale.run()


def test_a_pipeline_in_a_package_finds_its_package(tmp_path, monkeypatch):
    text = """
        from .helpers import twice

        @step
        def double(n):
            doubled = twice(n)
            return doubled

        @pipeline
        def small(n=2):
            return double(n)
        """
    folder = tmp_path / "packaged"
    folder.mkdir()
    (folder / "helpers.py").write_text("def twice(n):\n    return 2 * n\n", encoding="utf-8")
    (folder / "flow.py").write_text(HEAD + dedent(text), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))

    run = import_module("packaged.flow").small(n=4)

    assert run["double_doubled"] == 8
    assert run.folder.is_relative_to(tmp_path / ".kale-pm"), "it lies beside the package"
