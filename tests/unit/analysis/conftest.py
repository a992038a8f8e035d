"""Tiny notebooks for the tests of the analysis."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from kale_pm.analysis import understand
from kale_pm.model import Pipeline
from kale_pm.notebook import read

Understand = Callable[..., Pipeline]


@pytest.fixture(scope="session")
def understood(tmp_path_factory: pytest.TempPathFactory) -> Understand:
    """Understand cells given as ("tags separated by spaces", source)."""
    folder = tmp_path_factory.mktemp("notebooks")
    (folder / "pyproject.toml").write_text("")
    path = folder / "wine.ipynb"

    def make(*cells: tuple[str, str], **options: Any) -> Pipeline:
        content = {
            "nbformat": 4,
            "nbformat_minor": 4,
            "metadata": {},
            "cells": [
                {"cell_type": "code", "source": source, "metadata": {"tags": tags.split()}}
                for tags, source in cells
            ],
        }
        path.write_text(json.dumps(content), encoding="utf-8")
        return understand(read(path), **options)

    return make
