"""Sweeps of before."""

from __future__ import annotations

from pathlib import Path

from kale_pm.local.store import find_store


def find_sweep(name: str = "latest", folder: Path | None = None) -> Path:
    """The folder of a sweep by its id, the start of its id, ``latest[-PIPELINE]``, or its folder.

    ``.kale-pm`` is looked for in ``folder`` (default: the working directory) and above it.
    Raises StoreError if there is no such sweep.
    """
    path = Path(name)
    if (path / "sweep.json").exists():
        return path.resolve()
    return find_store(folder or Path()).find_sweep(name)
