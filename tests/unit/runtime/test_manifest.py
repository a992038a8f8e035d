"""Manifests: what a step hands on, and which version of a variable is the current one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from kale_pm.errors import LoadError
from kale_pm.runtime.manifest import (
    ByName,
    Change,
    InPack,
    Manifest,
    Unsaved,
    Variable,
    Version,
    read_manifest,
    write_manifest,
)

FULL = Manifest(
    step="a",
    order=1,
    variables={
        "x": Variable("int", "../packs/p.pack", "c1", size=3),
        "m": Variable("module", module="wave"),
        "z": Variable("dict", unsaved="z['db']: a connection"),
    },
    versions={"x": Version("a", 1, "c1"), "y": Version("a", 1, None)},
    context={"cwd:path": Change("a", 1, "gA==")},
    metrics={"accuracy": 0.5, "größe": "viel"},
    ancestors=("before",),
    seals={"p.pack": (3, 1_700_000_000_000_000_000)},
    read=("data.csv",),
    written=("out.csv",),
    modules=("/somewhere/helper.py",),
    execution="run-1",
)


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_manifest(FULL, tmp_path / "deep" / "a.json")
    assert read_manifest(tmp_path / "deep" / "a.json") == FULL
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.json"]


def test_a_field_of_another_version_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_manifest(FULL, path)
    content = {**json.loads(path.read_text()), "of_tomorrow": ["run.log"]}
    del content["digest"]
    text = json.dumps(content, sort_keys=True)
    content["digest"] = hashlib.sha256(text.encode()).hexdigest()[:32]
    path.write_text(json.dumps(content))
    assert read_manifest(path) == FULL


def test_equal_manifests_are_equal_files(tmp_path: Path) -> None:
    write_manifest(FULL, tmp_path / "a")
    write_manifest(read_manifest(tmp_path / "a"), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_variable_lies_in_a_pack_or_is_a_module_or_was_not_saved() -> None:
    assert {name: variable.place for name, variable in FULL.variables.items()} == {
        "x": InPack("../packs/p.pack", "c1"),
        "m": ByName("wave"),
        "z": Unsaved("z['db']: a connection"),
    }
    assert len({variable.content for variable in FULL.variables.values()}) == 3


def test_a_variable_that_lies_nowhere_is_one_clear_error() -> None:
    with pytest.raises(LoadError, match="does not say where"):
        _ = Variable("int", pack="../packs/p.pack").place


def test_metrics_that_are_not_finite_are_strict_json_and_come_back(tmp_path: Path) -> None:
    values = {"loss": float("nan"), "most": float("inf"), "least": float("-inf"), "word": "nan"}
    write_manifest(Manifest("a", 0, metrics=values), tmp_path / "a.json")
    json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    back = read_manifest(tmp_path / "a.json").metrics
    assert repr(back) == repr(values)


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_manifest(Manifest("a", 0, metrics={"m": object()}), tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"format": 2}', '{"format": 2, "step": "a", "variables": {"x": 1}}'],
)
def test_a_damaged_manifest_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(LoadError, match=r"a\.json is damaged") as caught:
        read_manifest(tmp_path / "a.json")
    assert "again" in caught.value.hint


def test_a_missing_manifest_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="cannot read"):
        read_manifest(tmp_path / "a.json")


def test_another_format_says_which(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(LoadError, match="has format 99"):
        read_manifest(tmp_path / "a.json")
