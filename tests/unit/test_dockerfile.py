"""The image of a step has what the runtime needs, in the versions of the package, and no more."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path

from kale_pm.kfp.compiling.packages import RUNTIME

ROOT = Path(__file__).parents[2]
INSTRUCTIONS = re.sub(
    r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE
).replace("\\\n", " ")


def instructions(word: str) -> list[str]:
    return [line.removeprefix(word).strip() for line in INSTRUCTIONS.splitlines()
            if line.startswith(f"{word} ")]  # fmt: skip


def installed(*, with_dependencies: bool) -> set[str]:
    """The requirements of the lines that install what they depend on, or of the others."""
    found: set[str] = set()
    for line in instructions("RUN"):
        words = shlex.split(line.partition("&&")[0])
        if words[:2] == ["pip", "install"] and with_dependencies != ("--no-deps" in words):
            found |= {word for word in words[2:] if not word.startswith(("-", "/"))}
    return found


def name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def declared() -> dict[str, str]:
    """What the package itself requires, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {name(text): text for text in project["dependencies"]}


def test_it_installs_what_the_runtime_needs_as_the_package_asks_for_it() -> None:
    assert installed(with_dependencies=True) == {declared()[package] for package in RUNTIME}


def test_of_kfp_it_has_the_executor_alone() -> None:
    (kfp,) = installed(with_dependencies=False)
    assert kfp == declared()["kfp"].replace("[kubernetes]", "")


def test_it_ends_as_a_user_that_is_not_root_with_a_home_for_everybody() -> None:
    assert instructions("USER")[-1] == "1000"
    (home,) = [line.partition("=")[2] for line in instructions("ENV") if line.startswith("HOME=")]
    assert f"chmod 777 {home}" in INSTRUCTIONS


def test_the_base_is_a_choice_and_a_supported_python_by_default() -> None:
    arguments = dict(line.split("=", 1) for line in instructions("ARG"))
    assert instructions("FROM") == ["${BASE_IMAGE}"]
    version = re.fullmatch(r"python:3\.(\d+)-slim", arguments["BASE_IMAGE"])
    assert version is not None
    assert 11 <= int(version[1]) <= max(13, sys.version_info.minor)


def test_nothing_but_the_package_is_sent_to_who_builds_it() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignored[0] == "*"
    kept = {line[1:] for line in ignored if line.startswith("!")}
    assert kept == {"kale_pm", "pyproject.toml", "README.md", "LICENSE"}
