"""Notebooks of a few code cells, as most tests need them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Cells = Iterable[tuple[str | Sequence[str], str]]
"""Code cells: the tags, as a list or separated by spaces, and the source."""


def write_notebook(path: Path, cells: Cells, metadata: Mapping[str, Any] | None = None) -> Path:
    """Write the notebook with these cells to ``path``, and give that back."""
    content = {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {"tags": tags.split() if isinstance(tags, str) else [*tags]},
                "source": source,
                "execution_count": None,
                "outputs": [],
            }
            for number, (tags, source) in enumerate(cells)
        ],
        "metadata": dict(metadata or {}),
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
