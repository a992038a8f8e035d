"""Paths as users give them."""

from __future__ import annotations

from pathlib import Path


def path_of(given: str | Path | None) -> Path | None:
    """What was given as a path; None stays None."""
    return None if given is None else Path(given)
