"""What steps import: which packages the pods install, which modules travel."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_pm.kfp.compiling.imports import imports, imports_of_cell


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a.b, c as d", ["a.b", "c"]),
        ("from a.b import c, d", ["a.b.c", "a.b.d"]),
        ("from . import a\nfrom .b import c", []),
        ("def f():\n    import a", ["a"]),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    import b", ["b"]),
        ("if typing.TYPE_CHECKING:\n    import a", []),
        ("try:\n    import a\nexcept ImportError:\n    import b", ["a", "b"]),
        ("import (", []),
        ("import a\0", []),
    ],
)
def test_names(source: str, names: list[str]) -> None:
    assert [each.name for each in imports_of_cell(source)] == names


def test_what_the_code_can_do_without_is_told_apart(tmp_path: Path) -> None:
    optional = "try:\n    import nobodys\nexcept ImportError:\n    pass"
    assert {each.optional for each in imports([optional], tmp_path).outside} == {True}
    found = imports([optional, "import nobodys"], tmp_path).outside
    assert {each.optional for each in found} == {True, False}


def test_what_a_module_beside_the_notebook_imports_counts_too(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import nobodys")
    found = imports(["import helper"], tmp_path)
    assert found.files == {"helper.py"}
    assert {each.name for each in found.outside} == {"nobodys"}


def test_a_folder_is_a_package_unless_one_of_its_name_is_installed(tmp_path: Path) -> None:
    for name in ("plain", "numpy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "inner.py").write_text("")
    assert imports(["import plain.inner, numpy"], tmp_path).files == {"plain/inner.py"}
