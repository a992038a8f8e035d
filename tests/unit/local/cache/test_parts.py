"""In which words two fingerprints differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_pm.local.cache.parts import (
    FROM_ABOVE,
    Parts,
    difference,
    own_hash,
    read_past,
    readable,
    write_past,
)
from kale_pm.local.store import Store

PARTS: Parts = {
    "cells": {"4": "a1", "6": "a2"},
    "definitions": {"function clean": "b1", "class Model": "b2", "import np": "b3"},
    "prelude": {"1:0": "c1", "2:3": "c2"},
    "parameters": {"lr": "0.1", "layers": "#d1"},
    "inputs": {"rows": "e1"},
    "packages": {"pandas": "2.1", "mine": ""},
    "python": {"": "3.12.1"},
    "kernel": {"": "f1"},
    "options": {"retry": "g1"},
    "environment": {"MODE": "h1"},
    "context": {"environ:LANG": "i1"},
    "other": {"": "j1"},
}


def changed(group: str, **parts: str) -> str:
    return difference(PARTS, {**PARTS, group: {**PARTS[group], **parts}})


def test_equal_parts_do_not_differ() -> None:
    assert difference(PARTS, {**PARTS}) == ""


@pytest.mark.parametrize(
    ("group", "parts", "said"),
    [
        ("cells", {"6": "new"}, "cell 6 changed"),
        ("cells", {"4": "new", "6": "newer"}, "cells 4, 6 changed"),
        ("definitions", {"function clean": "new"}, "the function clean changed"),
        ("definitions", {"class Model": "new"}, "the class Model changed"),
        ("definitions", {"import np": "new"}, "the import np changed"),
        ("prelude", {"2:3": "new"}, "the prelude changed (cell 2)"),
        ("parameters", {"lr": "0.2"}, "parameter lr changed: 0.1 -> 0.2"),
        ("parameters", {"layers": "#d2"}, "parameter layers changed"),
        ("parameters", {"layers": "[1]"}, "parameter layers changed"),
        ("inputs", {"rows": "new"}, "its input rows changed"),
        ("inputs", {"more": "new"}, "its input more is new"),
        ("packages", {"pandas": "2.2"}, "pandas 2.1 -> 2.2"),
        ("packages", {"mine": "1.0"}, "mine missing -> 1.0"),
        ("python", {"": "3.13.0"}, "Python 3.12.1 -> 3.13.0"),
        ("kernel", {"": "new"}, "the kernel changed"),
        ("options", {"retry": "new"}, "the option retry changed"),
        ("environment", {"MODE": "new"}, "the environment variable MODE changed"),
        ("context", {"environ:LANG": "new"}, "the global state environ:LANG changed"),
        ("other", {"": "new"}, "its metrics, or the modules that are missing, changed"),
    ],
)
def test_every_part_has_its_words(group: str, parts: dict[str, str], said: str) -> None:
    assert changed(group, **parts) == said


def test_cells_are_known_by_what_they_hold() -> None:
    moved = {"9": "a1", "12": "a2"}
    assert difference(PARTS, {**PARTS, "cells": moved}) == ""
    assert difference(PARTS, {**PARTS, "cells": {"4": "a1"}}) == "a cell was removed"
    turned = {"4": "a2", "6": "a1"}
    assert difference(PARTS, {**PARTS, "cells": turned}) == "its cells are in another order"


def test_the_first_differences_are_told_and_the_others_counted() -> None:
    now = {**PARTS, "parameters": {"lr": "1"}, "python": {"": "4"}, "kernel": {"": "x"}}
    now |= {"cells": {"4": "new"}, "other": {"": "new"}}
    assert difference(PARTS, now) == (
        "cell 4 changed, parameter lr changed: 0.1 -> 1, Python 3.12.1 -> 4, and 2 more"
    )


def test_groups_can_be_left_out() -> None:
    now = {**PARTS, "inputs": {}, "context": {}}
    assert difference(PARTS, now)
    assert difference(PARTS, now, FROM_ABOVE) == ""
    assert own_hash(now) == own_hash(PARTS)
    assert own_hash({**PARTS, "kernel": {"": "new"}}) != own_hash(PARTS)


def test_what_is_long_is_not_kept_as_it_is() -> None:
    assert readable("0.1") == "0.1"
    assert len(readable("x" * 1000)) < 20


def test_the_past_of_a_step_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert read_past(store, "pipeline", "a") is None
    write_past(store, "pipeline", "a", "key1", PARTS)
    newer = {**PARTS, "kernel": {"": "new"}}
    write_past(store, "pipeline", "a", "key2", newer)
    past = read_past(store, "pipeline", "a")
    assert past is not None
    assert (past.key, past.parts) == ("key2", newer)
    assert past.own == (own_hash(PARTS), own_hash(newer))
    assert read_past(store, "pipeline", "b") is None
    assert read_past(store, "other", "a") is None


@pytest.mark.parametrize("text", ["", "[]", '{"key": 1}', "\xff", '{"key": "k", "parts": 3}'])
def test_a_damaged_past_is_none(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path)
    write_past(store, "pipeline", "a", "key", PARTS)
    [path] = (tmp_path / "steps").rglob("*.json")
    path.write_text(text)
    assert read_past(store, "pipeline", "a") is None


def test_where_nothing_can_be_written_nothing_happens(tmp_path: Path) -> None:
    (tmp_path / "steps").write_text("a file in the way")
    write_past(Store(tmp_path), "pipeline", "a", "key", PARTS)
