"""Which image a step starts from, and whether it installs anything there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.images import Places, places, stock_image
from kale_pm.kfp.compiling.imports import Imports
from kale_pm.model import Pipeline, Step
from kale_pm.notebook.imports import Import
from kale_pm.settings import Configuration, StepOptions

STOCK = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
PLAIN = StepOptions()


def settled(
    *options: StepOptions, option: str | None = None, install: bool = True, **settings: Any
) -> Places:
    """Where the steps a, b, ... of these options run; each imports yaml."""
    steps = tuple(Step(name, (), options=each) for name, each in zip("abc", options, strict=False))
    pipeline = Pipeline(Path("nb.ipynb"), Configuration("nb", **settings), (), steps)
    needed = {step.name: Imports(outside=frozenset([Import("yaml", 0)])) for step in steps}
    return places(pipeline, needed, image=option, install=install)


def images(found: Places) -> list[str]:
    return [place.image for place in found.steps.values()]


class TestImages:
    def test_the_tag_decides_then_the_option_then_the_setting_then_it_is_the_stock_image(
        self,
    ) -> None:
        tagged = StepOptions(image="tag:1")
        assert images(settled(tagged, PLAIN, option="o:1", image="s:1")) == ["tag:1", "o:1"]
        assert images(settled(tagged, PLAIN, image="s:1")) == ["tag:1", "s:1"]
        assert images(settled(tagged, PLAIN)) == ["tag:1", STOCK]
        assert stock_image() == STOCK

    def test_tasks_that_are_no_steps_run_where_untagged_steps_do(self) -> None:
        assert settled(StepOptions(image="tag:1"), image="s:1").default.image == "s:1"


class TestInstalling:
    def test_a_step_installs_what_it_imports_and_the_runtime(self) -> None:
        place = settled(PLAIN).steps["a"]
        assert place.install
        assert {"PyYAML", "papermill"} <= {text.partition("==")[0] for text in place.packages}

    def test_the_tag_decides(self) -> None:
        yes, no = StepOptions(install=True), StepOptions(install=False)
        found = settled(yes, no, PLAIN, image="full:1").steps
        assert [bool(found[name].packages) for name in "abc"] == [True, False, True]

    def test_the_setting_decides_where_no_tag_does(self) -> None:
        configuration = Configuration("nb", image="full:1", install=False)
        steps = (Step("a", ()), Step("b", (), options=StepOptions(install=True)))
        pipeline = Pipeline(Path("nb.ipynb"), configuration, (), steps)
        found = places(pipeline, {"a": Imports(), "b": Imports()}, image=None, install=True)
        assert [found.steps[name].install for name in "ab"] == [False, True]
        assert not found.default.install

    def test_nothing_is_installed_against_the_option(self) -> None:
        found = settled(StepOptions(install=True), option="full:1", install=False)
        assert found.steps["a"].packages == ()
        assert not found.steps["a"].install
        assert not found.default.install

    def test_a_stock_image_without_the_runtime_is_told(self) -> None:
        (warning,) = settled(PLAIN, StepOptions(image="full:1"), install=False).warnings
        assert STOCK in warning
        assert warning.endswith("for a")

    def test_only_who_installs_lacks_anything(self) -> None:
        configuration = Configuration("nb")
        steps = (Step("a", ()), Step("b", (), options=StepOptions(image="i", install=False)))
        needed = dict.fromkeys("ab", Imports(outside=frozenset([Import("surely_not_here", 0)])))
        found = places(
            Pipeline(Path("nb.ipynb"), configuration, (), steps), needed, image=None, install=True
        )
        (warning,) = found.warnings
        assert "the pods of a:" in warning


class TestIndexes:
    INDEX = "https://packages.example.org/simple"

    def test_are_those_of_the_settings(self) -> None:
        found = settled(PLAIN, package_indexes=(self.INDEX,), trusted_hosts=("other",))
        for place in (found.steps["a"], found.default):
            assert (place.indexes, place.trusted_hosts) == ((self.INDEX,), ("other",))

    def test_are_of_no_use_to_who_installs_nothing(self) -> None:
        found = settled(StepOptions(install=False, image="i"), package_indexes=(self.INDEX,))
        assert found.steps["a"].indexes == ()

    def test_that_pip_passes_over_are_refused(self) -> None:
        with pytest.raises(CompileError, match="http://packages"):
            settled(PLAIN, package_indexes=("http://packages.example.org",))


class TestTheHomeOfPip:
    """A pod that does not run as root can write to no home folder of the stock image."""

    def test_is_a_folder_for_everybody(self) -> None:
        found = settled(PLAIN)
        assert found.steps["a"].home == "/tmp"
        assert found.default.home == "/tmp"

    def test_is_the_images_own_where_it_has_one(self) -> None:
        assert settled(PLAIN, option="i").steps["a"].home is None

    def test_but_not_for_a_user_that_the_image_does_not_know(self) -> None:
        found = settled(PLAIN, option="i", security_context={"run_as_user": 12345})
        assert found.steps["a"].home == "/tmp"

    def test_is_of_no_use_to_who_installs_nothing(self) -> None:
        assert settled(PLAIN, install=False).steps["a"].home is None
