"""The variables that a run has stored, read back in another process."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from kale_pm.errors import LoadError, PackError
from kale_pm.runtime.manifest import ByName, Unsaved, merge_versions, read_manifest


def load_variable(folder: Path, name: str) -> Any:
    """The variable ``name`` as the run in ``folder`` left it.

    Raises LoadError if no step stored it, or if its class lives in the notebook only, and
    PackError if it is damaged.
    """
    from kale_pm.runtime.storage.pack import Pack

    manifests = {m.step: m for m in map(read_manifest, (folder / "manifests").glob("*.json"))}
    versions = merge_versions(manifests.values())
    version = versions.get(name)
    if version is None or version.component is None:
        known = sorted(n for n, v in versions.items() if v.component is not None)
        raise LoadError(
            f"no step of run {folder.name} stored '{name}'",
            hint="only variables that a later step needs are stored: " + ", ".join(known),
        )
    place = manifests[version.step].variables[name].place
    if isinstance(place, ByName):
        return import_module(place.module)
    if isinstance(place, Unsaved):
        raise LoadError(f"'{name}' of run {folder.name} was not stored: {place.reason}")
    pack = Pack((folder / "manifests" / place.pack).resolve())
    try:
        return pack.load(place.component)[name]
    except PackError as error:
        if not isinstance(error.__cause__, (AttributeError, ImportError)):
            raise
        raise LoadError(
            f"'{name}' of run {folder.name} cannot be loaded here: {error.__cause__}",
            hint="define the notebook's functions and classes first, or open the step's notebook",
        ) from error
