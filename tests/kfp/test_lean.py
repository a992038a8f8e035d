"""What compiling does without, and what is still there afterwards."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kale_pm import Pipeline

Make = Callable[..., Pipeline]

COMPILE = """
import sys
import kale_pm

kale_pm.load(sys.argv[1]).compile(sys.argv[2])
"""


def after_compiling(pipeline: Pipeline, code: str) -> str:
    """What ``code`` prints in a process that has compiled the pipeline."""
    output = pipeline.path.with_suffix(".yaml")
    done = subprocess.run(
        [sys.executable, "-c", COMPILE + code, str(pipeline.path), str(output)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_clients_of_kfp_and_kubernetes_are_not_imported(pipeline: Make) -> None:
    made = pipeline([("step:a", "x = 1")])
    code = "print({'kfp.client', 'kubernetes', 'google.auth'} & set(sys.modules))"
    assert after_compiling(made, code) == "set()\n"


@pytest.mark.parametrize(
    "code",
    [
        "import kfp; print(kfp.Client.__name__)",
        "from kfp import Client; print(Client.__name__)",
        "from kfp.client import Client; print(Client.__name__)",
        "import kfp; print(kfp.client.Client.__name__)",
    ],
)
def test_who_wants_the_client_of_kfp_gets_it(pipeline: Make, code: str) -> None:
    assert after_compiling(pipeline([("step:a", "x = 1")]), code) == "Client\n"


def test_what_kfp_does_not_have_is_missed_as_ever(pipeline: Make) -> None:
    code = "import kfp; print(hasattr(kfp, 'nothing'))"
    assert after_compiling(pipeline([("step:a", "x = 1")]), code) == "False\n"


def test_no_garbage_is_collected_meanwhile(pipeline: Make, tmp_path: Path) -> None:
    made = pipeline([(f"step:s{number}", f"x{number} = 1") for number in range(20)])
    made.compile(tmp_path / "once.yaml")  # what is imported now is there at the next time
    collected: list[int] = []
    gc.callbacks.append(lambda _, about: collected.append(about["generation"]))
    try:
        made.compile(tmp_path / "twice.yaml")
        # A young generation is looked at when the pause begins or ends.
        assert len(collected) <= 4
        assert gc.isenabled()
    finally:
        gc.callbacks.pop()
