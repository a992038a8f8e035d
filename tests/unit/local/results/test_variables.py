"""The variables of a run: who gave them, who needs them, and their values."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from kale_pm.errors import LoadError, PackError
from kale_pm.local.results.packs import damaged_packs, read_pack
from kale_pm.local.results.variables import RunVariable, RunVariables
from kale_pm.local.run_file import read_run, write_run
from kale_pm.record import RunRecord, State, StepRecord
from kale_pm.runtime.manifest import (
    Made,
    Manifest,
    Variable,
    Version,
    read_manifest,
    write_manifest,
)
from kale_pm.runtime.merging import ancestors, merge_versions
from kale_pm.runtime.storage.pack.writer import write_pack


class Run:
    """A run that is written step by step, as the steps themselves would do it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "runs" / "r-1"
        self.packs = folder / "packs"
        self.notebook = folder / "notebook" / "r.ipynb"
        self.steps: dict[str, StepRecord] = {}
        (self.folder / "manifests").mkdir(parents=True)

    def step(
        self,
        name: str,
        *groups: Mapping[str, object],
        after: tuple[str, ...] = (),
        needs: tuple[str, ...] = (),
        state: State = State.DONE,
        made: Made = Made.BOUND,
        deletes: tuple[str, ...] = (),
        others: Mapping[str, Variable] | None = None,
        cached_from: str | None = None,
    ) -> None:
        started = None if state is State.SKIPPED else 1.0
        self.steps[name] = StepRecord(
            name, state, after, after, needs, started, cached_from=cached_from
        )
        if not state.is_success:
            return
        inputs = [read_manifest(self.manifest(parent)) for parent in after]
        variables, seals = dict(others or {}), {}
        if groups:
            stored = write_pack(self.packs, groups, frozenset())
            seals[stored.path.name] = stored.seal
            for component in stored.components:
                for variable in component.names:
                    variables[variable] = Variable(
                        component.types[variable],
                        f"../../../packs/{stored.path.name}",
                        component.id,
                        size=component.size,
                    )
        order = len(self.steps)
        versions = merge_versions(inputs)
        versions |= {n: Version(name, order, v.content, made) for n, v in variables.items()}
        versions |= {n: Version(name, order, None) for n in deletes}
        manifest = Manifest(
            step=name,
            order=order,
            variables=variables,
            versions=versions,
            ancestors=ancestors(inputs),
            seals=seals,
        )
        write_manifest(manifest, self.manifest(name))

    def manifest(self, step: str) -> Path:
        return self.folder / "manifests" / f"{step}.json"

    @property
    def variables(self) -> RunVariables:
        record = RunRecord(
            "r-1", "r", str(self.notebook), State.DONE, {}, self.steps, 1.0, metrics={"score": 1}
        )
        return RunVariables(self.folder, record)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def told(variables: Mapping[str, RunVariable]) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {name: (found.given_by, found.needed_by) for name, found in variables.items()}


# -- what there is ----------------------------------------------------------------------------


def test_a_run_has_the_newest_version_and_a_step_its_own(run: Run) -> None:
    run.step("make", {"a": [1]}, {"b": 2})
    run.step("grow", {"a": [1, 2]}, after=("make",), needs=("a",))
    run.step("tell", after=("grow",), needs=("a", "b"))

    final = run.variables.final()
    assert told(final) == {"b": ("make", ("tell",)), "a": ("grow", ("tell",))}
    assert (final["a"].type, final["b"].type) == ("list", "int")
    assert told(run.variables.given("make")) == {"a": ("make", ("grow",)), "b": ("make", ("tell",))}
    assert told(run.variables.given("grow")) == {"a": ("grow", ("tell",))}
    assert told(run.variables.received("grow")) == {"a": ("make", ("grow",))}
    assert list(run.variables.received("tell")) == ["b", "a"]
    assert run.variables.given("tell") == {}


def test_variables_that_share_objects_name_each_other_and_have_one_size(run: Run) -> None:
    rows = [1, 2]
    run.step("make", {"rows": rows, "table": {"rows": rows}}, {"alone": 1})

    final = run.variables.final()
    assert final["rows"].shares_with == ("table",)
    assert final["table"].shares_with == ("rows",)
    assert final["alone"].shares_with == ()
    assert final["rows"].size == final["table"].size > 0
    names = list(final)
    assert abs(names.index("rows") - names.index("table")) == 1


def test_what_another_step_has_changed_since_is_shared_no_more(run: Run) -> None:
    rows = [1, 2]
    run.step("make", {"rows": rows, "table": {"rows": rows}})
    run.step("bind", {"rows": [3]}, after=("make",))

    assert run.variables.final()["table"].shares_with == ()
    assert run.variables.given("make")["table"].shares_with == ("rows",)


def test_what_shares_objects_with_a_need_is_received_too(run: Run) -> None:
    rows = [1, 2]
    run.step("make", {"rows": rows, "table": {"rows": rows}}, {"alone": 1})
    run.step("tell", after=("make",), needs=("rows",))

    assert told(run.variables.received("tell")) == {
        "rows": ("make", ("tell",)),
        "table": ("make", ()),
    }


def test_modules_deleted_and_unsaved_ones_are_told(run: Run) -> None:
    run.step("make", {"gone": 1}, others={"tool": Variable("module", module="json")})
    run.step(
        "lend",
        after=("make",),
        deletes=("gone",),
        others={"handle": Variable("dict", unsaved="handle['lock']: a lock")},
    )

    final = run.variables.final()
    assert {name: found.kind for name, found in final.items()} == {
        "tool": "module",
        "gone": "deleted",
        "handle": "unsaved",
    }
    assert (final["tool"].module, final["handle"].reason) == ("json", "handle['lock']: a lock")
    assert final["gone"].given_by == "lend"


def test_two_names_of_one_module_share_nothing(run: Run) -> None:
    module = Variable("module", module="json")
    run.step("make", others={"a": module, "b": module})

    assert run.variables.final()["a"].shares_with == ()


def test_what_came_from_another_run_names_it(run: Run) -> None:
    run.step("make", {"a": 1}, state=State.CACHED, cached_from="r-0")
    run.step("grow", {"b": 1}, after=("make",))

    assert run.variables.final()["a"].cached_from == "r-0"
    assert run.variables.final()["b"].cached_from is None


def test_a_step_that_failed_received_and_one_that_never_began_did_not(run: Run) -> None:
    run.step("make", {"a": 1})
    run.step("fail", after=("make",), needs=("a",), state=State.FAILED)
    run.step("never", after=("make", "fail"), needs=("a", "b"), state=State.SKIPPED)

    assert told(run.variables.final()) == {"a": ("make", ("fail", "never"))}
    assert list(run.variables.received("fail")) == ["a"]
    assert run.variables.given("fail") == {}
    assert run.variables.received("never") == {}


def test_changes_side_by_side_name_both_steps(run: Run) -> None:
    run.step("make", {"a": [1]})
    run.step("left", {"a": [1, 2]}, after=("make",), made=Made.CHANGED)
    run.step("right", {"a": [1, 3]}, after=("make",), made=Made.CHANGED)

    found = run.variables.final()["a"]
    assert (found.given_by, found.rival) == ("right", "left")
    with pytest.raises(LoadError, match="left and right") as caught:
        run.variables.load("a")
    assert 'run.steps["right"]["a"]' in caught.value.hint
    assert run.variables.load("a", "left") == [1, 2]


def test_a_record_of_before_needs_were_recorded_is_read(run: Run) -> None:
    run.step("make", {"a": 1})
    run.step("tell", after=("make",), needs=("a",))
    write_run(run.variables.record, run.folder)
    assert read_run(run.folder).steps["tell"].needs == ("a",)
    content = json.loads((run.folder / "run.json").read_text())
    for step in content["steps"].values():
        del step["needs"]
    (run.folder / "run.json").write_text(json.dumps(content))

    variables = RunVariables(run.folder, read_run(run.folder))
    assert told(variables.final()) == {"a": ("make", ())}


def test_a_lost_manifest_is_one_clear_error(run: Run) -> None:
    run.step("make", {"a": 1})
    run.manifest("make").unlink()

    with pytest.raises(LoadError, match="cannot read"):
        run.variables.final()
    with pytest.raises(LoadError, match="cannot read"):
        run.variables.load("a")


class TestOneLostManifest:
    """A fetched run may lack that of a step whose artifacts are gone."""

    @pytest.fixture
    def run(self, run: Run) -> Run:
        run.step("make", {"a": 1}, {"old": 2})
        run.step("other", {"b": [2]})
        run.step("tell", {"c": 3}, after=("make", "other"), needs=("a", "b"), deletes=("old",))
        run.manifest("make").unlink()
        return run

    def test_leaves_what_the_others_gave(self, run: Run) -> None:
        variables = run.variables
        assert variables.missing == ("make",)
        assert variables.load("b") == [2]
        assert told(variables.given("tell"))["c"] == ("tell", ())
        assert {name: found.kind for name, found in variables.final().items()} == {
            "a": "unsaved", "b": "stored", "c": "stored", "old": "deleted"
        }  # fmt: skip
        assert told(variables.received("tell")) == {"b": ("other", ("tell",))}

    def test_is_named_where_it_is_wanted(self, run: Run) -> None:
        for load in (
            lambda: run.variables.load("a"),
            lambda: run.variables.given("make"),
            lambda: run.variables.load("old", "make"),
        ):
            with pytest.raises(LoadError, match="what step make of run r-1 gave is not") as caught:
                load()
            assert "fetch the run again" in caught.value.hint
        with pytest.raises(LoadError, match="whose manifest is here") as caught:
            run.variables.load("lost")
        assert "what make gave is unknown" in caught.value.hint

    def test_of_the_step_that_deleted_is_no_trouble(self, run: Run) -> None:
        run.step("end", after=("tell",))
        run.manifest("tell").unlink()
        with pytest.raises(LoadError, match="step tell of run r-1 deleted 'old'"):
            run.variables.load("old")


def test_a_version_of_a_step_that_says_nothing_of_it_is_one_clear_error(run: Run) -> None:
    run.step("make", {"a": 1})
    run.step("tell", after=("make",))
    del run.steps["make"]

    with pytest.raises(LoadError, match="what step make made of 'a'"):
        run.variables.final()


# -- values -----------------------------------------------------------------------------------


def test_a_variable_comes_back_as_the_run_or_a_step_left_it(run: Run) -> None:
    run.step("make", {"a": [1]}, others={"tool": Variable("module", module="json")})
    run.step("grow", {"a": [1, 2]}, after=("make",))

    assert run.variables.load("a") == [1, 2]
    assert run.variables.load("a", "make") == [1]
    assert run.variables.load("tool") is json


def test_an_array_is_mapped_and_writing_to_it_changes_no_file(run: Run) -> None:
    run.step("make", {"array": np.arange(100_000)})
    (pack,) = run.packs.iterdir()
    before = pack.read_bytes()

    array = run.variables.load("array")
    maps = Path("/proc/self/maps")
    assert not maps.exists() or pack.name in maps.read_text()
    array += 1
    assert array[0] == 1
    assert pack.read_bytes() == before
    assert run.variables.load("array")[0] == 0


def test_one_variable_is_loaded_without_the_others(run: Run) -> None:
    run.step("make", {"good": 1}, {"bad": "here it is"})
    damage(run, b"here it is")

    assert run.variables.load("good") == 1
    with pytest.raises(PackError, match="bad has changed"):
        run.variables.load("bad")


def test_a_file_that_was_touched_is_checked_to_the_last_byte(run: Run) -> None:
    run.step("make", {"array": np.full(100_000, 7, np.uint8)})
    damage(run, bytes([7]) * 1000)

    with pytest.raises(PackError, match="array has changed"):
        run.variables.load("array")


def damage(run: Run, content: bytes) -> None:
    (pack,) = run.packs.iterdir()
    whole = pack.read_bytes()
    place = whole.index(content)
    pack.write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
    os.utime(pack, ns=(1, 1))


class OfNotebook:
    """Stands for a class of the prelude, which no other process has."""


@pytest.fixture
def thing(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    main = sys.modules["__main__"]
    monkeypatch.setattr(OfNotebook, "__module__", "__main__")
    with monkeypatch.context() as notebook:
        notebook.setattr(main, "OfNotebook", OfNotebook, raising=False)
        (run.packs).mkdir()
        stored = write_pack(run.packs, [{"thing": OfNotebook()}], frozenset({"OfNotebook"}))
    (component,) = stored.components
    variable = Variable("__main__.OfNotebook", f"../../../packs/{stored.path.name}", component.id)
    run.step("make", {"other": 1}, others={"thing": variable})
    return run


def test_a_class_of_the_notebook_must_be_defined_first(
    thing: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LoadError, match=r"'thing' of run r-1 .* 'OfNotebook'") as caught:
        thing.variables.load("thing")
    assert "define the notebook's functions and classes first" in caught.value.hint
    assert thing.variables.final()["thing"].type == "__main__.OfNotebook"
    assert thing.variables.load("other") == 1

    monkeypatch.setattr(sys.modules["__main__"], "OfNotebook", OfNotebook, raising=False)
    assert isinstance(thing.variables.load("thing"), OfNotebook)


def test_a_module_beside_the_notebook_must_be_found_first(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.notebook.parent.mkdir()
    (run.notebook.parent / "helper_of_r.py").write_text("class Row:\n    pass\n")
    with monkeypatch.context() as kernel:
        kernel.syspath_prepend(str(run.notebook.parent))
        from helper_of_r import Row  # type: ignore[import-not-found]

        tool = Variable("module", module="helper_of_r")
        run.step("make", {"row": Row()}, others={"tool": tool})
        kernel.delitem(sys.modules, "helper_of_r")
    sys.modules.pop("helper_of_r", None)

    for name in ("row", "tool"):
        with pytest.raises(LoadError, match="No module named 'helper_of_r'") as caught:
            run.variables.load(name)
        assert f"sys.path.append({str(run.notebook.parent)!r})" in caught.value.hint


def test_a_package_that_is_missing_must_be_installed(run: Run) -> None:
    run.step("make", others={"tool": Variable("module", module="no_such_package.inner")})

    with pytest.raises(LoadError, match=r"the module no_such_package\.inner") as caught:
        run.variables.load("tool")
    assert caught.value.hint == "install what provides no_such_package"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("modle", "did you mean 'model'? "),
        ("scores", "did you mean 'score'? "),
        ("nothing_like_it", "only variables that a later step needs are stored: model"),
    ],
)
def test_a_name_that_is_not_stored_is_told_with_a_near_one(run: Run, name: str, hint: str) -> None:
    run.step("make", {"model": 1})

    with pytest.raises(LoadError, match=f"no step of run r-1 stored '{name}'") as caught:
        run.variables.load(name)
    assert caught.value.hint.startswith(hint)
    assert "name it in a step after the one that makes it" in caught.value.hint


def test_a_run_is_no_sequence(run: Run) -> None:
    run.step("make", {"model": 1})
    with pytest.raises(TypeError, match="variables have names: 0 is none"):
        run.variables.load(0)  # type: ignore[arg-type]


def test_what_was_deleted_can_be_had_of_an_earlier_step(run: Run) -> None:
    run.step("make", {"a": 1})
    run.step("clean", after=("make",), deletes=("a",))

    with pytest.raises(LoadError, match="clean of run r-1 deleted 'a'") as caught:
        run.variables.load("a")
    assert 'run.steps["make"]["a"]' in caught.value.hint
    assert run.variables.load("a", "make") == 1


def test_what_could_not_be_stored_says_why(run: Run) -> None:
    run.step("make", others={"handle": Variable("dict", unsaved="handle['lock']: a lock")})

    with pytest.raises(LoadError, match=r"was not stored: handle\['lock'\]: a lock") as caught:
        run.variables.load("handle")
    assert "make" in caught.value.hint


def test_what_a_step_only_received_is_had_of_its_giver(run: Run) -> None:
    run.step("make", {"a": 1})
    run.step("tell", after=("make",), needs=("a",))

    with pytest.raises(LoadError, match="step tell of run r-1 did not change 'a'") as caught:
        run.variables.load("a", "tell")
    assert 'run.steps["make"]["a"]' in caught.value.hint
    with pytest.raises(LoadError, match="step tell of run r-1 has not stored 'b'"):
        run.variables.load("b", "tell")


# -- packs ------------------------------------------------------------------------------------


def test_a_pack_tells_what_lies_in_it(run: Run) -> None:
    array = np.arange(100_000)
    run.step("make", {"array": array, "view": array[:10]}, {"number": 1})
    (path,) = run.packs.iterdir()

    content = read_pack(path, verify=True)
    assert content.python == ".".join(map(str, sys.version_info[:3]))
    assert content.size == path.stat().st_size
    assert content.verified
    both, number = sorted(content.components, key=lambda component: -component.size)
    assert dict(both.types) == {"array": "numpy.ndarray", "view": "numpy.ndarray"}
    assert (both.segments, number.segments) == (1, 0)
    assert dict(number.types) == {"number": "int"}
    assert both.size > array.nbytes


def test_reading_a_pack_loads_nothing(thing: Run) -> None:
    found = [read_pack(path, verify=True) for path in thing.packs.iterdir()]
    types = {kind for pack in found for each in pack.components for kind in each.types.values()}
    assert "__main__.OfNotebook" in types


def test_a_damaged_pack_is_found_where_it_is_verified(run: Run) -> None:
    run.step("make", {"array": np.full(100_000, 7, np.uint8)})
    (path,) = run.packs.iterdir()
    assert damaged_packs([path, path]) == {}
    damage(run, bytes([7]) * 1000)

    assert read_pack(path).verified is False
    with pytest.raises(PackError, match="array has changed"):
        read_pack(path, verify=True)
    assert list(damaged_packs([path])) == [path]
    path.unlink()
    (missing,) = damaged_packs([path]).values()
    assert "missing" in missing.message
