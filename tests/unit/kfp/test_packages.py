"""What pods install for imports: exactly what is here, or nothing and a word of what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling import distributions, packages
from kale_pm.kfp.compiling.packages import (
    RUNTIME,
    Absent,
    Packages,
    check_indexes,
    package_warnings,
    step_packages,
)
from kale_pm.notebook.imports import Import
from kale_pm.settings import Configuration

Add = Callable[..., Path]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """``add("ours", "1.0", files=["ours/__init__.py"])``: a distribution that looks installed."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    caches = (distributions._records, packages._pin, distributions.owners)

    def clear() -> None:
        for cache in caches:
            cache.cache_clear()

    def add_(name: str, number: str, files: Any = (), **notes: str) -> Path:
        folder = site / f"{name.replace('-', '_')}-{number}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n"
        )
        (folder / "RECORD").write_text("".join(f"{file},,\n" for file in files))
        for note, text in notes.items():
            (folder / note).write_text(text)
        for file in files:
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            (site / file).write_text("")
        clear()
        return site

    clear()
    yield add_
    clear()


def found(*names: str, **settings: Any) -> Packages:
    outside = [Import(name, 0) for name in names]
    return step_packages(outside, Configuration("nb", **settings))


def beside_the_runtime(packages: Packages) -> set[str]:
    return {text for text in packages.requirements if text.partition("==")[0] not in RUNTIME}


def only(packages: Packages) -> Absent:
    (absent,) = packages.absent
    return absent


class TestVersions:
    def test_are_those_of_this_environment(self, add: Add) -> None:
        add("Our-Tools", "1.2", ["ours/__init__.py"])
        assert beside_the_runtime(found("ours.deep")) == {"Our-Tools==1.2"}

    def test_of_the_runtime_are_too(self) -> None:
        assert set(found().requirements) == {f"{name}=={version(name)}" for name in RUNTIME}

    def test_of_one_top_name_are_those_that_hold_the_module(self, add: Add) -> None:
        add("shared-one", "1", ["shared/one/__init__.py"])
        add("shared-two", "2", ["shared/two.py"])
        assert beside_the_runtime(found("shared.one.deep")) == {"shared-one==1"}
        assert beside_the_runtime(found("shared.two.name")) == {"shared-two==2"}
        assert beside_the_runtime(found("shared")) == {"shared-one==1", "shared-two==2"}

    def test_of_a_module_that_is_compiled(self, add: Add) -> None:
        add("quick", "3", ["_quick.cpython-311-x86_64-linux-gnu.so"])
        assert beside_the_runtime(found("_quick")) == {"quick==3"}

    def test_what_an_optional_import_names_is_taken_where_it_is(self, add: Add) -> None:
        add("ours", "1", ["ours.py"])
        outside = [Import("ours", 0, optional=True), Import("nobodys", 0, optional=True)]
        here = step_packages(outside, Configuration("nb"))
        assert beside_the_runtime(here) == {"ours==1"}
        assert here.absent == set()


class TestFromElsewhere:
    @pytest.mark.parametrize(
        ("noted", "reason", "remedy"),
        [
            (
                {"url": "file:///home/me/ours", "dir_info": {"editable": True}},
                "editable from a folder, /home/me/ours",
                "an image must have it",
            ),
            (
                {"url": "file:///home/me/ours", "dir_info": {}},
                "from a folder or file, /home/me/ours",
                "an image must have it",
            ),
            (
                {"url": "file:///home/me/ours-1.0-py3-none-any.whl", "archive_info": {}},
                "from a folder or file",
                "an image must have it",
            ),
            (
                {
                    "url": "https://git.example.org/ours",
                    "vcs_info": {"vcs": "git", "commit_id": "1a2b"},
                },
                "by git from https://git.example.org/ours",
                'packages = ["ours @ git+https://git.example.org/ours@1a2b"]',
            ),
            (
                {"url": "file:///home/me/ours", "vcs_info": {"vcs": "git", "commit_id": "1a2b"}},
                "by git from file:///home/me/ours",
                "an image must have it",
            ),
            (
                {"url": "https://files.example.org/ours.whl", "archive_info": {"hash": "x"}},
                "from https://files.example.org/ours.whl",
                'packages = ["ours @ https://files.example.org/ours.whl"]',
            ),
        ],
    )
    def test_no_index_is_asked_for_it(
        self, add: Add, noted: dict[str, Any], reason: str, remedy: str
    ) -> None:
        add("ours", "1.0", ["ours.py"], **{"direct_url.json": json.dumps(noted)})
        here = found("ours")
        assert beside_the_runtime(here) == set()
        assert only(here).name == "ours"
        assert reason in only(here).reason
        assert remedy in only(here).remedy

    def test_the_remedy_is_one(self, add: Add) -> None:
        noted = {"url": "https://files.example.org/ours.whl", "archive_info": {}}
        add("ours", "1.0", ["ours.py"], **{"direct_url.json": json.dumps(noted)})
        here = found("ours", packages=("ours @ https://files.example.org/ours.whl",))
        assert beside_the_runtime(here) == {"ours @ https://files.example.org/ours.whl"}
        assert here.absent == set()

    def test_the_folders_of_conda_mean_nothing(self, add: Add) -> None:
        noted = json.dumps({"url": "file:///croot/ours/work", "dir_info": {}})
        add("ours", "1.0", ["ours.py"], **{"direct_url.json": noted, "INSTALLER": "conda\n"})
        assert beside_the_runtime(found("ours")) == {"ours==1.0"}

    @pytest.mark.parametrize("noted", ["", "{", "{}"])
    def test_nor_does_a_note_that_says_nothing(self, add: Add, noted: str) -> None:
        add("ours", "1.0", ["ours.py"], **{"direct_url.json": noted})
        assert beside_the_runtime(found("ours")) == {"ours==1.0"}

    def test_an_editable_package_that_lists_no_modules_is_known_by_its_folder(
        self, add: Add, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        project = tmp_path / "project"
        (project / "src" / "ours").mkdir(parents=True)
        (project / "src" / "ours" / "__init__.py").write_text("")
        monkeypatch.syspath_prepend(project / "src")
        noted = json.dumps({"url": project.as_uri(), "dir_info": {"editable": True}})
        add("our-project", "1.0", ["our_project.pth"], **{"direct_url.json": noted})
        assert only(found("ours")).name == "our-project"
        assert "editable" in only(found("ours")).reason

    def test_a_build_of_its_own_is_no_version_of_the_usual_index(self, add: Add) -> None:
        add("torchlike", "2.3.0+cpu", ["torchlike/__init__.py"])
        here = found("torchlike")
        assert beside_the_runtime(here) == set()
        assert "2.3.0+cpu" in only(here).reason
        assert '"torchlike==2.3.0"' in only(here).remedy
        assert "package_indexes" in only(here).remedy

    def test_but_of_an_index_that_is_named(self, add: Add) -> None:
        add("torchlike", "2.3.0+cpu", ["torchlike/__init__.py"])
        here = found("torchlike", package_indexes=("https://packages.example.org/cpu",))
        assert beside_the_runtime(here) == {"torchlike==2.3.0+cpu"}


class TestThatNobodyHas:
    def test_are_named(self) -> None:
        absent = only(found("surely_not_here.deep"))
        assert absent.name == "surely_not_here"
        assert "neither installed here nor beside the notebook" in absent.reason

    @pytest.mark.parametrize(
        ("top", "requirement"),
        [
            ("sure", "sure>=2"),
            ("cv2_like", "cv2-like"),
            ("cairo", "pycairo"),
            ("a", "a @ https://x/a"),
        ],
    )
    def test_unless_the_settings_name_them(self, top: str, requirement: str) -> None:
        here = found(top, packages=(requirement,))
        assert here.absent == set()
        assert requirement in here.requirements

    def test_a_file_that_no_package_brought_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "lonely_module.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path)
        absent = only(found("lonely_module"))
        assert str(tmp_path / "lonely_module.py") in absent.reason
        assert "copy it beside the notebook" in absent.remedy


class TestSettings:
    def test_add_packages_to_every_step(self) -> None:
        assert beside_the_runtime(found(packages=("pyarrow>=15",))) == {"pyarrow>=15"}

    def test_take_the_place_of_what_is_here(self, add: Add) -> None:
        add("Our.Tools", "1.2", ["ours/__init__.py"])
        assert beside_the_runtime(found("ours", packages=("our-tools>=1",))) == {"our-tools>=1"}
        here = found(packages=("papermill==2.6.0",)).requirements
        assert [text for text in here if "papermill" in text] == ["papermill==2.6.0"]

    def test_an_index_that_pip_would_pass_over_is_refused(self) -> None:
        index = "http://packages.example.org:8080/simple"
        with pytest.raises(CompileError, match="passes over") as caught:
            check_indexes(Configuration("nb", package_indexes=(index,)))
        assert "packages.example.org:8080" in caught.value.hint

    @pytest.mark.parametrize("trusted", ["packages.example.org", "packages.example.org:8080"])
    def test_unless_its_host_is_trusted(self, trusted: str) -> None:
        index = "http://packages.example.org:8080/simple"
        check_indexes(Configuration("nb", package_indexes=(index,), trusted_hosts=(trusted,)))
        check_indexes(Configuration("nb", package_indexes=("https://packages.example.org",)))


class TestOfAStep:
    """The tag ``package:``."""

    def of(
        self, *names: str, own: Sequence[str] = (), earlier: Sequence[str] = (), **settings: Any
    ) -> set[str]:
        outside = [Import(name, 0) for name in names]
        here = step_packages(outside, Configuration("nb", **settings), own, earlier)
        assert here.absent == set()
        return beside_the_runtime(here)

    def test_are_installed_in_it(self) -> None:
        assert self.of(own=["pyarrow>=15"]) == {"pyarrow>=15"}

    def test_take_the_place_of_what_is_here_and_of_the_settings(self, add: Add) -> None:
        add("Our.Tools", "1.2", ["ours/__init__.py"])
        assert self.of("ours", own=["our-tools==3"]) == {"our-tools==3"}
        settings = {"packages": ("our_tools==2", "pyarrow>=15")}
        assert self.of("ours", own=["our-tools==3"], **settings) == {"our-tools==3", "pyarrow>=15"}

    def test_later_steps_go_without_them(self) -> None:
        assert self.of(earlier=["pyarrow>=15"]) == set()

    def test_but_one_that_needs_the_package_has_the_version_that_made_its_objects(
        self, add: Add
    ) -> None:
        add("Our.Tools", "1.2", ["ours/__init__.py"])
        assert self.of("ours", earlier=["our-tools==3"]) == {"our-tools==3"}
        assert self.of("nobodys", earlier=["nobodys==1"]) == {"nobodys==1"}

    def test_what_it_says_itself_holds_against_earlier_steps(self) -> None:
        assert self.of("nobodys", own=["nobodys==2"], earlier=["nobodys==1"]) == {"nobodys==2"}
        settings = {"packages": ("nobodys==3",)}
        assert self.of("nobodys", earlier=["nobodys==1"], **settings) == {"nobodys==3"}


class TestNamesThatBeginLikeKfp:
    """KFP installs itself unless something of that beginning is in the list."""

    def test_bring_kfp_with_them(self, add: Add) -> None:
        add("kfp-like", "1", ["kfp_like/__init__.py"])
        assert beside_the_runtime(found("kfp_like")) == {"kfp-like==1", f"kfp=={version('kfp')}"}

    def test_kfp_itself_is_enough(self) -> None:
        assert beside_the_runtime(found("kfp.dsl")) == {f"kfp=={version('kfp')}"}
        assert beside_the_runtime(found(packages=("kfp>=2.17",))) == {"kfp>=2.17"}


class TestWarnings:
    ABSENT = Absent("ours", "is here in the build 1+a", "write packages")

    def test_say_what_where_and_what_to_do(self) -> None:
        packages = {
            "a": Packages((), frozenset([self.ABSENT])),
            "b": Packages((), frozenset([self.ABSENT])),
            "c": Packages((), frozenset()),
        }
        (warning,) = package_warnings(packages, dict.fromkeys("abc", "i"), "stock")
        assert warning == (
            "missing-package: 'ours' is here in the build 1+a, so it is not installed in the pods "
            "of a, b: write packages"
        )

    def test_of_git_where_the_image_has_none(self) -> None:
        packages = {name: Packages(("ours @ git+https://x/y",), frozenset()) for name in "ab"}
        (warning,) = package_warnings(packages, {"a": "stock", "b": "other"}, "stock")
        assert "step a" in warning
        assert "git" in warning


def test_nothing_is_imported_to_find_out(add: Add, tmp_path: Path) -> None:
    site = add("loud", "1", ["loud/__init__.py"])
    (site / "loud" / "__init__.py").write_text("raise SystemExit")
    assert beside_the_runtime(found("loud.inner")) == {"loud==1"}
    assert "loud" not in sys.modules
