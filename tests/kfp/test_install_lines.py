"""The commands with which pods install their packages, word for word but for the versions.

kfp.local would run them in the environment of who tests, so nothing here is executed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kale_pm import Pipeline

Make = Callable[..., Pipeline]

PIP = "python3 -m pip install --quiet --no-warn-script-location"
RUNTIME = "'cloudpickle==*' 'dill==*' 'ipykernel==*' 'nbclient==*' 'nbconvert==*' 'papermill==*'"
# KFP's own packages come without what only its compiler needs.
KFP = "'kfp==*' '--no-deps' 'typing-extensions>=3.7.4,<5; python_version<\"3.9\"'"
INDEX = "https://packages.example.org/simple"


@pytest.fixture
def line(pipeline: Make, tmp_path: Path) -> Callable[..., str]:
    """The installing line of step a, with ``*`` for the versions that are here."""

    def compile_(source: str, **settings: Any) -> str:
        result = pipeline([("step:a", source)], **settings).compile(tmp_path / "out.yaml")
        assert result.warnings == ()
        spec = next(yaml.safe_load_all(result.path.read_text(encoding="utf-8")))
        command = spec["deploymentSpec"]["executors"]["exec-step-a"]["container"]["command"]
        (found,) = [text for text in command[2].splitlines() if "pip install" in text]
        return re.sub(r"'([\w.-]+)==[\w.]+'", r"'\1==*'", found)

    return compile_


def test_of_a_step_that_imports_nothing(line: Callable[..., str]) -> None:
    assert line("import json") == (
        f"PIP_DISABLE_PIP_VERSION_CHECK=1 {PIP} {RUNTIME} 'xxhash==*'  &&  {PIP} {KFP} "
        '&& "$0" "$@"'
    )


def test_of_a_step_that_imports_something(line: Callable[..., str]) -> None:
    found = line("import yaml\nimport sklearn.svm")
    assert f"{RUNTIME} 'PyYAML==*' 'scikit-learn==*' 'xxhash==*'  &&" in found


def test_with_packages_of_the_settings(line: Callable[..., str]) -> None:
    packages = ["PyYAML>=6", "extra-like[fast]; python_version < '4'"]
    found = line("import yaml", packages=packages)
    assert "'PyYAML>=6'" in found
    assert "'PyYAML==*'" not in found
    assert "'extra-like[fast]; python_version < \"4\"'" in found


def test_with_indexes_whose_certificates_are_checked(line: Callable[..., str]) -> None:
    found = line("x = 1", package_indexes=[INDEX, f"{INDEX}/more"])
    options = f"--index-url {INDEX} --extra-index-url {INDEX}/more"
    assert found.count(f"{PIP} {options} '") == 2
    assert "trusted" not in found


def test_with_hosts_that_are_trusted_without(line: Callable[..., str]) -> None:
    found = line("x = 1", package_indexes=["http://here:80"], trusted_hosts=["here:80"])
    assert found.count(f"{PIP} --index-url http://here:80 --trusted-host here:80 '") == 2


def test_with_a_package_that_begins_like_kfp(line: Callable[..., str]) -> None:
    found = line("import kfp_server_api")
    assert "'kfp-server-api==*'" in found
    assert "'kfp==*'" in found
    assert found.count("pip install") == 1  # KFP adds no line of its own


def test_a_shell_reads_it_as_words_alone(line: Callable[..., str]) -> None:
    found = line("import yaml", packages=['a[b]~=1.0; sys_platform == "linux"'])
    words = shlex.split(found.replace("$", ""))
    assert 'a[b]~=1.0; sys_platform == "linux"' in words
