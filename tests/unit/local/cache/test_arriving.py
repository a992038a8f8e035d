"""Names of the prelude inside of what a step receives: found, or nobody can say."""

from __future__ import annotations

import base64
import pickle
from pathlib import Path

import pytest

from kale_pm.local.cache.arriving import arriving_names
from kale_pm.runtime.manifest import Change, Manifest, Variable, Version
from kale_pm.runtime.merging import merge_context, merge_versions

SOUGHT = {"rule", "other"}


def names(manifests: list[Manifest], packs: Path, *needs: str) -> frozenset[str] | None:
    return arriving_names(
        SOUGHT,
        needs,
        manifests,
        versions=merge_versions(manifests),
        context=merge_context(manifests),
        packs=packs,
    )


def giving(variable: Variable | None, component: str | None = "c") -> Manifest:
    variables = {} if variable is None else {"x": variable}
    return Manifest("a", 0, variables, {"x": Version("a", 0, component)})


def test_nothing_arrives_where_nothing_is_needed(tmp_path: Path) -> None:
    assert names([giving(Variable("int", "gone.pack", "c"))], tmp_path) == frozenset()


def test_what_nobody_touched_or_what_was_deleted_brings_nothing(tmp_path: Path) -> None:
    assert names([Manifest("a", 0)], tmp_path, "x") == frozenset()
    assert names([giving(None, component=None)], tmp_path, "x") == frozenset()


def test_a_module_brings_nothing(tmp_path: Path) -> None:
    assert names([giving(Variable("module", module="math"))], tmp_path, "x") == frozenset()


@pytest.mark.parametrize("content", [None, b"", b"no pack at all"])
def test_nobody_can_say_what_is_in_a_pack_that_cannot_be_read(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "x.pack").write_bytes(content)
    assert names([giving(Variable("list", "../packs/x.pack", "c"))], tmp_path, "x") is None


def test_nobody_can_say_what_a_variable_is_that_does_not_arrive(tmp_path: Path) -> None:
    assert names([giving(None)], tmp_path, "x") is None


def test_global_state_is_searched_as_well(tmp_path: Path) -> None:
    value = base64.b64encode(pickle.dumps(["rule"])).decode()
    manifest = Manifest("a", 0, context={"warnings:list": Change("a", 0, value)})
    assert names([manifest], tmp_path) == {"rule"}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("another ruler", set()),
        ("Some.rule", {"rule"}),
        (pickle.dumps(["rule"]), {"rule"}),
        ("rule" * 20_000, {"rule"}),
    ],
    ids=["inside of a word", "qualified", "a pickle in a pickle", "too long to be read"],
)
def test_a_name_counts_as_a_word_of_its_own(value: object, found: set[str], tmp_path: Path) -> None:
    pickled = base64.b64encode(pickle.dumps([value])).decode()
    manifest = Manifest("a", 0, context={"warnings:list": Change("a", 0, pickled)})
    assert names([manifest], tmp_path) == found


def test_what_is_no_plain_pickle_is_searched_byte_by_byte(tmp_path: Path) -> None:
    value = base64.b64encode(pickle.dumps(0) + b"xrulex").decode()
    manifest = Manifest("a", 0, context={"warnings:list": Change("a", 0, value)})
    assert names([manifest], tmp_path) == {"rule"}
