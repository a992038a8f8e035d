"""What a step receives, and what it is told where something does not arrive."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from kale_pm.errors import LoadError
from kale_pm.runtime.manifest import Manifest, Variable, Version, write_manifest
from kale_pm.runtime.receiving import Inputs, read_inputs
from kale_pm.runtime.storage.pack.writer import write_pack

NONE: frozenset[str] = frozenset()


def inputs(folder: Path, *manifests: Manifest) -> Inputs:
    paths = [folder / "manifests" / f"{manifest.step}.json" for manifest in manifests]
    for manifest, path in zip(manifests, paths, strict=True):
        write_manifest(manifest, path)
    return read_inputs("use", paths)


def only(step: str, **variables: Variable) -> Manifest:
    """A manifest of a step that gave these variables."""
    versions = {name: Version(step, 1, variable.content) for name, variable in variables.items()}
    return Manifest(step, 1, variables=variables, versions=versions)


def stored(folder: Path, **values: object) -> dict[str, Variable]:
    """The values in one component of a pack beside the manifests' folder."""
    pack = write_pack(folder / "packs", [values], NONE)
    (component,) = pack.components
    return {name: Variable("x", f"../packs/{pack.path.name}", component.id) for name in values}


def test_what_was_stored_together_arrives_together(tmp_path: Path) -> None:
    rows = [1]
    received = inputs(tmp_path, only("make", **stored(tmp_path, rows=rows, same=rows)))
    values = received.receive("rows").values
    assert values == {"rows": [1], "same": [1]}
    assert values["rows"] is values["same"]


def test_only_the_current_version_of_each_name_arrives(tmp_path: Path) -> None:
    old = only("make", **stored(tmp_path, rows=[1], other=[2]))
    newer = Manifest("again", 2, versions={"other": Version("again", 2, "c")})
    assert inputs(tmp_path, old, newer).receive("rows").values == {"rows": [1]}


def test_a_name_that_nobody_defined_or_that_was_deleted_gives_nothing(tmp_path: Path) -> None:
    received = inputs(tmp_path, Manifest("make", 1, versions={"gone": Version("make", 1, None)}))
    assert received.receive("gone").values == {}
    assert received.receive("never").values == {}
    assert received.is_deleted("gone")
    assert not received.is_deleted("never")


def test_a_module_arrives_by_its_name(tmp_path: Path) -> None:
    received = inputs(tmp_path, only("make", sound=Variable("module", module="wave")))
    assert received.receive("sound").values == {"sound": wave}


def test_a_module_that_is_not_installed_is_named_with_what_to_do(tmp_path: Path) -> None:
    received = inputs(tmp_path, only("make", it=Variable("module", module="kpm_absent.inner")))
    with pytest.raises(LoadError, match=r"'it' is the module kpm_absent\.inner") as caught:
        received.receive("it")
    assert "install what provides kpm_absent" in caught.value.hint


def test_what_could_not_be_stored_says_why_and_where(tmp_path: Path) -> None:
    unsaved = Variable("dict", unsaved="cfg['db']: a connection belongs to a process")
    received = inputs(tmp_path, only("make", cfg=unsaved))
    with pytest.raises(LoadError) as caught:
        received.receive("cfg")
    assert "step use needs 'cfg' as step make left it" in caught.value.message
    assert "cfg['db']: a connection belongs to a process" in caught.value.message
    assert "step make" in caught.value.hint


def test_a_version_that_comes_without_its_variable_says_what_to_write(tmp_path: Path) -> None:
    """A pod gets the variables of the steps that may be sources, of others only what they know."""
    made = only("make", **stored(tmp_path, rows=[1]))
    later = Manifest("next", 2, versions=made.versions)
    for received in (inputs(tmp_path, made.without_variables()), inputs(tmp_path, later)):
        with pytest.raises(LoadError, match="step use needs 'rows' as step make left it") as caught:
            received.receive("rows")
        assert caught.value.hint == "write rows = rows as the last line of make"


def test_the_manifests_of_a_run_on_this_machine_lie_side_by_side(tmp_path: Path) -> None:
    """So a change that the code did not show is found, though its step is no input."""
    made = only("make", **stored(tmp_path, rows=[1]))
    write_manifest(made, tmp_path / "manifests" / "make.json")
    received = inputs(tmp_path, Manifest("next", 2, versions=made.versions))
    assert received.is_hidden_change("rows")
    assert received.receive("rows").values == {"rows": [1]}
    assert not inputs(tmp_path, made).is_hidden_change("rows")
