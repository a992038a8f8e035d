"""Where Jupyter and others write in a pod whose user has no home."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def writable_places(environment: Mapping[str, str], spare: Path) -> dict[str, str]:
    """What to change in ``environment`` so that Jupyter and others can write their files.

    A pod may run as a user without a home.  Folders that cannot be written are replaced by
    ones below ``spare``.
    """
    changes = {}
    if not _is_writable(environment.get("HOME", "")):
        changes["HOME"] = str(spare)
    defaults = {
        "IPYTHONDIR": ".ipython",
        "JUPYTER_CONFIG_DIR": ".jupyter",
        "JUPYTER_DATA_DIR": ".local/share/jupyter",
        "JUPYTER_RUNTIME_DIR": ".local/share/jupyter/runtime",
        "MPLCONFIGDIR": ".config/matplotlib",
        "XDG_CACHE_HOME": ".cache",
        "XDG_CONFIG_HOME": ".config",
        "XDG_DATA_HOME": ".local/share",
    }
    for name, default in defaults.items():
        if name in environment and not _is_writable(environment[name]):
            changes[name] = str(spare / default)
    if changes:
        spare.mkdir(parents=True, exist_ok=True)
    return changes


def _is_writable(folder: str) -> bool:
    """Whether ``folder`` can be written, or made below one that can."""
    if not Path(folder).is_absolute():
        return False
    nearest = next(p for p in (Path(folder), *Path(folder).parents) if p.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
