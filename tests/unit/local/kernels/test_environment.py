"""What a kernel's interpreter is and has: the same question to our own and to another one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kale_pm.local.kernels.environment import UNKNOWN, describe, environment_of

KERNEL = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]


def test_versions_are_those_of_the_distributions_that_bring_the_modules() -> None:
    found = describe(["nbformat", "yaml", "no_such_module", "__main__"])
    assert found.python == sys.version.split()[0]
    assert found.packages["nbformat"][0].isdigit()
    assert found.packages["yaml"].lower().startswith("pyyaml ")
    assert found.packages["no_such_module"] == ""
    assert found.missing == ("no_such_module",)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """An interpreter in another environment, which has a package that ours lacks."""
    packages = tmp_path / "packages"
    (packages / "odd-2.5.dist-info").mkdir(parents=True)
    (packages / "odd-2.5.dist-info" / "METADATA").write_text("Name: odd\nVersion: 2.5\n")
    (packages / "odd.py").write_text("")
    program = tmp_path / "bin" / "python"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={packages} exec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return program


def test_another_interpreter_is_asked_for_its_own(other: Path, tmp_path: Path) -> None:
    ours = environment_of([sys.executable, *KERNEL], {}, ["odd", "nbformat"], tmp_path)
    assert ours.missing == ("odd",)
    asked = environment_of([str(other), "-X", "dev", *KERNEL], {}, ["odd", "nbformat"], tmp_path)
    assert asked.packages == {**ours.packages, "odd": "2.5"}
    assert asked.missing == ()
    assert asked.python == ours.python


@pytest.mark.parametrize("name", ["python", "python3"])
def test_a_bare_name_is_our_own_interpreter_as_jupyter_understands_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert environment_of([name, *KERNEL], {}, [], tmp_path) == describe([])


def test_what_a_kernelspec_adds_to_the_environment_counts(other: Path, tmp_path: Path) -> None:
    variables = {"PYTHONPATH": str(tmp_path / "packages")}
    found = environment_of([sys.executable, *KERNEL], variables, ["odd"], tmp_path)
    assert found.packages == {"odd": "2.5"}


@pytest.mark.parametrize("answer", ["exit 1", "echo", "echo 3.11", "echo '{}'", "echo '{'"])
def test_an_interpreter_that_does_not_answer_is_unknown(answer: str, tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    assert environment_of([str(program), *KERNEL], {}, ["six"], tmp_path) is UNKNOWN
    assert environment_of([str(tmp_path / "gone"), *KERNEL], {}, ["six"], tmp_path) is UNKNOWN
