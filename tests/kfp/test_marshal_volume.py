"""Variables on a volume: the same results, and nothing but manifests in the object store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kale_pm import Pipeline
from kale_pm.errors import CompileError, LoadError
from kale_pm.kfp.compiling.plan import plan
from kale_pm.kfp.compiling.volumes import volume_plan
from kale_pm.runtime.manifest import Manifest, Variable, read_manifest, write_manifest
from kale_pm.runtime.pod.volume import arriving, leaving

Make = Callable[..., Pipeline]
Run = Callable[..., tuple[Path, str]]

CELLS = [
    ("imports", "import numpy"),
    ("parameters", "size = 1000"),
    ("step:make", "numbers = numpy.arange(size)\nnames = ['a']"),
    ("step:change prev:make", "names.append('b')"),
    ("step:show prev:change", "print(int(numbers.sum()), names)"),
]


@pytest.fixture(params=["workspace", "existing claim"])
def on_volume(request: pytest.FixtureRequest, pipeline: Make, tmp_path: Path) -> Pipeline:
    if request.param == "workspace":
        return pipeline(CELLS, marshal_volume=True)
    # What a cluster would mount there is, for this test, simply there.
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    volume = {"type": "pvc", "name": "data", "mount_point": str(mounted)}
    return pipeline(CELLS, volumes=[volume], marshal_path=f"{mounted}/variables")


def test_the_steps_give_what_they_give_without_it(
    on_volume: Pipeline, run_under_kfp: Run, tmp_path: Path
) -> None:
    folder, _ = run_under_kfp(on_volume, size=100)
    assert "4950 ['a', 'b']" in (folder / "step-show" / "notebook" / "show.ipynb").read_text()
    # The variables themselves went another way.
    assert [path.name for path in (folder / "step-make" / "state").iterdir()] == ["manifest.json"]
    manifest = json.loads((folder / "step-make" / "state" / "manifest.json").read_text())
    assert {Path(v["pack"]).parent for v in manifest["variables"].values()} == {Path()}


def test_steps_that_share_a_function_share_the_volume(
    pipeline: Make, run_under_kfp: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kale_pm.kfp.compiling import plan as module

    monkeypatch.setattr(module, "FOLDED_ABOVE", 1)
    folder, _ = run_under_kfp(pipeline(CELLS, marshal_volume=True))
    (shown,) = folder.glob("*/notebook/show.ipynb")
    assert "499500 ['a', 'b']" in shown.read_text()
    assert "3 done" in (folder / "close-run" / "html").read_text()


def test_packs_stay_on_an_existing_claim_and_the_diary_does_not(
    pipeline: Make, run_under_kfp: Run, tmp_path: Path
) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    volume = {"type": "pvc", "name": "data", "mount_point": str(mounted)}
    made = pipeline(CELLS, volumes=[volume], marshal_path=f"{mounted}/variables")
    folder, _ = run_under_kfp(made)
    given = read_manifest(folder / "step-make" / "state" / "manifest.json").variables
    kept = {path.name for path in (mounted / "variables").iterdir()}
    assert {variable.pack for variable in given.values()} <= kept
    assert list((mounted / ".kale-pm").iterdir()) == []


class TestWhereVariablesTravel:
    @staticmethod
    def shared(made: Pipeline) -> tuple[str, str | None]:
        found = volume_plan(made).shared
        assert found is not None
        return found.path, found.packs

    def test_in_the_workspace_of_the_run(self, pipeline: Make) -> None:
        made = pipeline(CELLS, marshal_volume=True)
        assert self.shared(made) == ("dsl.WORKSPACE_PATH_PLACEHOLDER", "packs")

    def test_in_a_folder_of_it_where_kale_mounted_a_volume_of_its_own(self, pipeline: Make) -> None:
        made = pipeline(CELLS, marshal_volume=True, marshal_path="/marshal")
        assert self.shared(made) == ("dsl.WORKSPACE_PATH_PLACEHOLDER", "marshal")

    def test_on_the_innermost_volume_that_the_path_leads_to(self, pipeline: Make) -> None:
        volumes = [
            {"type": "pvc", "name": "outer", "mount_point": "/data"},
            {"type": "new_pvc", "name": "inner", "mount_point": "/data/run", "size": 1},
        ]
        made = pipeline(CELLS, volumes=volumes, marshal_path="/data/run/packs/")
        assert self.shared(made) == ('"/data/run"', "packs")

    def test_a_path_on_no_volume_is_left_out_with_a_warning(self, pipeline: Make) -> None:
        made = pipeline(CELLS, marshal_path="/marshal")
        assert volume_plan(made).shared is None
        assert "marshal_path /marshal is left out" in " ".join(plan(made).warnings)

    def test_not_where_nothing_can_be_written(self, pipeline: Make) -> None:
        volume = {"type": "pvc", "name": "data", "mount_point": "/data", "access_mode": "rom"}
        with pytest.raises(CompileError, match="read only"):
            plan(pipeline(CELLS, volumes=[volume], marshal_path="/data/variables"))

    def test_never_outside_of_the_volume(self, pipeline: Make) -> None:
        with pytest.raises(CompileError, match="leads out"):
            plan(pipeline(CELLS, marshal_volume=True, marshal_path="../../etc"))

    def test_the_workspace_is_what_the_notebook_asks_for(self, pipeline: Make) -> None:
        said: dict[str, Any] = {"storage_class": "fast", "access_mode": "rwm"}
        made = pipeline(CELLS, marshal_volume=True, marshal_volume_size="20Gi", **said)
        (config,) = volume_plan(made).config
        assert 'size="20Gi"' in config
        assert '"accessModes": ["ReadWriteMany"], "storageClassName": "fast"' in config

    def test_a_size_is_spelt_as_kfp_takes_it(self, pipeline: Make, tmp_path: Path) -> None:
        made = pipeline(CELLS, marshal_volume=True, marshal_volume_size="500k")
        made.compile(tmp_path / "package.yaml")
        assert "size: '500000'" in (tmp_path / "package.yaml").read_text()


class TestManifests:
    @pytest.fixture
    def manifest(self, tmp_path: Path) -> Path:
        packs = tmp_path / "volume" / "packs"
        packs.mkdir(parents=True)
        (packs / "1.pack").write_bytes(b"")
        path = tmp_path / "pod" / "manifest.json"
        variable = Variable("int", pack="../volume/packs/1.pack", component="c")
        write_manifest(Manifest("make", 0, {"x": variable, "m": Variable("m", module="m")}), path)
        return path

    def test_leave_without_a_path_and_arrive_with_one(self, manifest: Path, tmp_path: Path) -> None:
        sent = tmp_path / "store" / "manifest.json"
        leaving(manifest, sent)
        assert read_manifest(sent).variables["x"].pack == "1.pack"
        arrived = arriving(sent, tmp_path / "volume" / "packs", tmp_path / "deep" / "er")
        found = read_manifest(arrived)
        pack = found.variables["x"].pack
        assert pack is not None
        assert (arrived.parent / pack).resolve() == tmp_path / "volume" / "packs" / "1.pack"
        assert replace(found, variables={}) == replace(read_manifest(manifest), variables={})

    def test_whose_packs_somebody_removed_say_so(self, manifest: Path, tmp_path: Path) -> None:
        (tmp_path / "volume" / "packs" / "1.pack").unlink()
        with pytest.raises(LoadError, match="step make are not on the volume") as caught:
            arriving(manifest, tmp_path / "volume" / "packs", tmp_path / "scratch")
        assert "cache: false" in caught.value.hint
