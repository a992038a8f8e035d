"""What a step gives: what it was asked for and what changed, and what cannot be stored."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kale_pm.errors import SaveError
from kale_pm.runtime.giving import Given, Prelude, observe, store
from kale_pm.runtime.manifest import Exchange, InPack, Unsaved, Variable
from kale_pm.runtime.storage.pack.reader import Pack

NONE: frozenset[str] = frozenset()


def attempt(
    folder: Path, names: list[str], groups: list[Any], namespace: dict[str, Any], prelude: Prelude
) -> Given:
    exchange = Exchange((), folder / "manifest.json", folder / "packs")
    return store(names, groups, namespace, prelude, exchange)


def give(
    folder: Path, names: list[str], groups: list[Any], **namespace: Any
) -> Mapping[str, Variable]:
    return attempt(folder, names, groups, namespace, Prelude()).variables


def packs(folder: Path) -> list[Path]:
    return sorted((folder / "packs").glob("*"))


def test_what_did_not_change_is_not_stored_again(tmp_path: Path) -> None:
    rows = [1]
    assert give(tmp_path, [], [observe({"rows": rows}, NONE)], rows=rows) == {}
    assert packs(tmp_path) == []


@pytest.mark.parametrize("names", [[], ["rows"]])
def test_what_changed_is_stored_whether_it_was_asked_for_or_not(
    tmp_path: Path, names: list[str]
) -> None:
    rows = [1]
    group = observe({"rows": rows}, NONE)
    rows.append(2)
    place = give(tmp_path, names, [group], rows=rows)["rows"].place
    assert isinstance(place, InPack)
    assert Pack(tmp_path / place.pack).load(place.component) == {"rows": [1, 2]}


def test_a_change_that_cannot_be_stored_and_was_not_asked_for_is_noted(tmp_path: Path) -> None:
    rows = [1]
    configuration: dict[str, object] = {"rows": rows}
    group = observe({"configuration": configuration, "rows": rows}, NONE)
    configuration["db"] = sqlite3.connect(":memory:")
    rows.append(2)
    given = give(tmp_path, [], [group], configuration=configuration, rows=rows, other=3)
    assert given.keys() == {"configuration", "rows"}
    place = given["configuration"].place
    assert isinstance(place, Unsaved)
    assert place.reason.startswith("configuration['db']: a connection belongs to a process; ")
    assert isinstance(given["rows"].place, InPack)


def test_what_was_asked_for_and_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    configuration: dict[str, object] = {}
    group = observe({"configuration": configuration}, NONE)
    configuration["db"] = sqlite3.connect(":memory:")
    with pytest.raises(SaveError, match=r"configuration\['db'\]"):
        give(tmp_path, ["configuration"], [group], configuration=configuration)
    with pytest.raises(SaveError, match="cannot save made"):
        give(
            tmp_path,
            ["made"],
            [group],
            configuration=configuration,
            made=(row for row in ()),
        )
    assert packs(tmp_path) == []


def test_what_cannot_be_compared_is_given_only_if_it_was_bound_anew(tmp_path: Path) -> None:
    connection = sqlite3.connect(":memory:")
    group = observe({"it": connection}, NONE)
    assert give(tmp_path, [], [group], it=connection) == {}
    assert isinstance(give(tmp_path, [], [group], it=[1])["it"].place, InPack)


def test_a_module_is_given_by_its_name(tmp_path: Path) -> None:
    given = give(tmp_path, ["it"], [], it=sqlite3)
    assert given == {"it": Variable(type="module", module="sqlite3")}
    assert packs(tmp_path) == []


def test_what_the_prelude_made_and_cannot_be_stored_stays_behind(tmp_path: Path) -> None:
    connection, rows = sqlite3.connect(":memory:"), [1]
    prelude = Prelude(identities={"connection": id(connection)})
    namespace = {"connection": connection, "rows": rows}
    groups = [observe({"connection": connection}, NONE)]
    given = attempt(tmp_path, ["connection", "rows"], groups, namespace, prelude)
    assert given.variables.keys() == {"rows"}
    assert given.left_behind.keys() == {"connection"}
    assert "a connection belongs to a process" in given.left_behind["connection"]


def test_what_a_step_made_is_refused_although_the_prelude_had_the_name(tmp_path: Path) -> None:
    prelude = Prelude(identities={"connection": id(tmp_path)})
    with pytest.raises(SaveError, match="cannot save connection"):
        attempt(tmp_path, ["connection"], [], {"connection": sqlite3.connect(":memory:")}, prelude)


def test_what_a_step_put_into_an_object_of_the_prelude_is_refused(tmp_path: Path) -> None:
    configuration: dict[str, object] = {}
    prelude = Prelude(identities={"configuration": id(configuration)})
    groups = [observe({"configuration": configuration}, NONE)]
    configuration["db"] = sqlite3.connect(":memory:")
    with pytest.raises(SaveError, match=r"configuration\['db'\]"):
        attempt(tmp_path, ["configuration"], groups, {"configuration": configuration}, prelude)
