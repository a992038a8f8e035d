"""The place that a step runs in: variables of the environment, and the kernel's packages."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from kale_pm.local.cache import basis
from kale_pm.local.kernels.environment import UNKNOWN

if TYPE_CHECKING:
    from conftest import Runner


def test_an_environment_variable_that_the_code_names(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [("block:a", "import os\nprint(os.environ.get('LAW_MODE'))")]
    monkeypatch.setenv("LAW_MODE", "one")
    assert run(cells).printed("a") == "one\n"
    assert run().executed == []
    monkeypatch.setenv("LAW_MODE", "two")
    assert run().printed("a") == "two\n"


def test_the_packages_that_count_are_those_of_the_kernel(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel in an environment with a package that this process cannot see."""
    packages = run.folder.parent / f"{run.folder.name}-environment"
    described = packages / "odd-1.0.dist-info" / "METADATA"
    described.parent.mkdir(parents=True)
    described.write_text("Name: odd\nVersion: 1.0\n")
    (packages / "odd.py").write_text("")
    program = packages / "python"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={packages} exec {sys.executable} "$@"\n')
    program.chmod(0o755)
    spec = packages / "kernels" / "other" / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = [str(program), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(packages))
    other = run.with_options(kernel="other")
    cells = [("block:a", "import odd\nprint(odd.__name__)"), ("block:b", "print(1)")]

    assert other(cells).raise_for_failures().printed("a") == "odd\n"
    assert other().executed == []
    described.write_text("Name: odd\nVersion: 2.0\n")
    assert other().executed == ["a"]
    argv.insert(1, "-Xutf8")
    spec.write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    assert other().executed == ["a", "b"]


def test_a_kernel_that_does_not_tell_its_packages_is_mentioned(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(basis, "environment_of", lambda *_: UNKNOWN)
    ran = run([("block:a", "print(1)")])
    assert ran.states() == {"a": "done"}
    assert "does not tell its packages" in ran.warnings[0]
