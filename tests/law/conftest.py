"""The modules beside this file are imported by name; the notebooks that ran are counted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[[], None]:
    """To be called for every notebook that a test runs; the summary of all tests tells how many."""
    numbers = iter(range(1, sys.maxsize))

    def add_one() -> None:
        request.node.user_properties = [("notebooks", next(numbers))]

    return add_one
