"""What travels with a step: its packages, its modules and its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy
import pytest

from kale_pm import Pipeline
from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.bundle import archive
from kale_pm.kfp.compiling.distributions import owners
from kale_pm.kfp.compiling.imports import Imports, imports
from kale_pm.kfp.compiling.plan import plan
from kale_pm.runtime.pod.packing import unpacked

Make = Callable[..., Pipeline]


def files(made: Pipeline, step: str) -> set[str]:
    bundle = unpacked(plan(made).bundles[step])
    return set(bundle["files"])


def distributions(found: Imports) -> set[str]:
    return {name for each in found.outside for name in owners(each)}


def test_equal_content_gives_equal_archives() -> None:
    content = {"b": b"2", "a": b"1"}
    assert archive(content) == archive(dict(reversed(content.items())))


class TestImports:
    def test_are_found_in_magics_and_in_functions(self, tmp_path: Path) -> None:
        cells = [
            "%matplotlib inline\nimport numpy as np",
            "%%time\nimport yaml",
            "def f():\n    from sklearn.svm import SVC",
            "this is no python",
        ]
        assert {"numpy", "PyYAML", "scikit-learn"} <= distributions(imports(cells, tmp_path))

    def test_of_the_standard_library_need_nothing(self, tmp_path: Path) -> None:
        assert imports(["import os.path, json\nfrom __future__ import annotations"], tmp_path) == (
            imports([], tmp_path)
        )

    def test_of_a_shared_top_name_take_the_package_that_holds_the_module(
        self, tmp_path: Path
    ) -> None:
        found = imports(["import google.protobuf.json_format"], tmp_path)
        assert distributions(found) == {"protobuf"}

    def test_of_modules_beside_the_notebook_are_followed(self, tmp_path: Path) -> None:
        (tmp_path / "helper.py").write_text("import tools.deep\nimport numpy")
        (tmp_path / "tools").mkdir()
        (tmp_path / "tools" / "__init__.py").write_text("")
        (tmp_path / "tools" / "deep.py").write_text("from . import other")
        (tmp_path / "tools" / "other.py").write_text("import helper")
        (tmp_path / "unrelated.py").write_text("")
        found = imports(["import helper"], tmp_path)
        assert found.files == {
            "helper.py", "tools/__init__.py", "tools/deep.py", "tools/other.py"
        }  # fmt: skip
        assert distributions(found) == {"numpy"}

    def test_that_nobody_has_are_named(self, pipeline: Make) -> None:
        planned = plan(pipeline([("step:a", "import surely_not_here")]))
        (warning,) = planned.warnings
        assert "surely_not_here" in warning
        assert "missing-package" in warning


def test_what_an_earlier_step_imports_is_there_to_unpickle_its_values(pipeline: Make) -> None:
    made = pipeline([("step:a", "import numpy\nx = numpy.ones(3)"), ("step:b prev:a", "print(x)")])
    assert f"numpy=={numpy.__version__}" in plan(made).functions["b"].surroundings.packages


def test_a_folder_among_the_files_stands_for_all_that_is_in_it(pipeline: Make) -> None:
    made = pipeline([("step:a", "1")], files=["data"])
    (made.folder / "data" / "deep").mkdir(parents=True)
    (made.folder / "data" / "one.csv").write_text("1")
    (made.folder / "data" / "deep" / "two.csv").write_text("2")
    assert files(made, "a") == {"data/one.csv", "data/deep/two.csv"}


def test_a_glob_that_matches_nothing_is_said(pipeline: Make) -> None:
    assert any(
        "'*.csv'" in text for text in plan(pipeline([("step:a", "1")], files=["*.csv"])).warnings
    )


@pytest.mark.parametrize("glob", ["../*.csv", "/etc/passwd"])
def test_a_glob_cannot_lead_out_of_the_folder(pipeline: Make, glob: str) -> None:
    made = pipeline([("step:a", "1")], files=[glob])
    with pytest.raises(CompileError, match="leads out"):
        plan(made)
