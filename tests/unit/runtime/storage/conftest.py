"""What tests of stored variables use; the modules beside this file are imported by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from recipes import Recipe
from step_processes import StepServer


@pytest.fixture(scope="session")
def server() -> Iterator[StepServer]:
    """The process that all steps are forked from."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    pytest.importorskip("numpy")
    server = StepServer("numpy")
    yield server
    server.stop()


@pytest.fixture
def on_one_machine(server: StepServer, tmp_path: Path) -> Recipe:
    """A pipeline whose files lie where a run on this machine puts them."""
    return Recipe(server, tmp_path)


@pytest.fixture(params=["on one machine", "in a cluster"])
def pipeline(server: StepServer, tmp_path: Path, request: pytest.FixtureRequest) -> Recipe:
    """A pipeline whose files lie where a run on this machine puts them, or a cluster."""
    return Recipe(server, tmp_path, apart=request.param == "in a cluster")
