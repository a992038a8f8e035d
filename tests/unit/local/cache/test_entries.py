"""What the cache holds of a step: as it was, or nothing at all."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from kale_pm.local.cache import entries
from kale_pm.local.cache.entries import CachedStep
from kale_pm.local.cache.watched import FileState
from kale_pm.local.store import Store
from kale_pm.runtime.manifest import Made, Variable, Version
from kale_pm.runtime.storage.pack.writer import write_pack


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / ".kale-pm")
    store.prepare()
    return store


ENTRY = CachedStep(
    run="r-1",
    notebook="abc",
    stores=("x",),
    gave=("x", "y"),
    metrics={"m": 1, "nothing": None},
    files={"data.csv": FileState("missing"), "rows.csv": FileState("c0ffee", (1, 2, 3, 4))},
    packs={"x.pack": (10, 20)},
    variables={"x": Variable("int", "../packs/x.pack", "c0ffee", size=3)},
    versions={"x": Version("a", 1, "c0ffee", Made.CHANGED), "y": Version("a", 1, None)},
    context={"random:state": "gA=="},
)


def test_a_cached_step_comes_back_as_it_was(store: Store) -> None:
    entries.remember(store, "key", ENTRY)
    assert entries.recall(store, "key") == ENTRY
    assert entries.recall(store, "other") is None


def test_a_metric_that_is_no_number_is_kept_as_json_that_every_parser_reads(store: Store) -> None:
    entries.remember(store, "key", replace(ENTRY, metrics={"loss": math.nan, "best": -math.inf}))
    json.loads((store.cache / "key.json").read_text(), parse_constant=pytest.fail)
    entry = entries.recall(store, "key")
    assert entry is not None
    assert math.isnan(entry.metrics["loss"])
    assert entry.metrics["best"] == -math.inf


def test_an_entry_that_somebody_edited_is_none(store: Store) -> None:
    entries.remember(store, "key", ENTRY)
    path = store.cache / "key.json"
    content = json.loads(path.read_text())
    content["metrics"]["m"] = 2
    path.write_text(json.dumps(content))
    assert entries.recall(store, "key") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"seal": 1}'])
def test_an_entry_that_is_none_at_all_is_none(store: Store, text: str) -> None:
    (store.cache / "key.json").write_text(text)
    assert entries.recall(store, "key") is None


def test_packs_are_whole_as_long_as_their_content_is(store: Store) -> None:
    pack = write_pack(store.packs, [{"x": bytes(10_000)}], frozenset()).path
    expected = entries.pack_stamps(store.packs, [Variable("bytes", f"../../packs/{pack.name}")])
    assert entries.are_whole(store.packs, expected)
    # A copy of the same content has another time, and is read through once more.
    pack.write_bytes(pack.read_bytes())
    assert entries.are_whole(store.packs, expected)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.write_bytes(content)
    assert not entries.are_whole(store.packs, expected)
    assert not pack.exists()
    assert not entries.are_whole(store.packs, expected)
