"""Variables on a volume that the pods of a run share, in place of KFP's object store.

Packs lie in one folder of the volume and are named by their content, so that runs and tries of
a step never get into each other's way.  The manifests still travel as artifacts, and name packs
without a folder: where the volume is mounted is no business of theirs, and a manifest out of
KFP's cache stays true.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from kale_pm.errors import LoadError, StoreError
from kale_pm.runtime.manifest import Manifest, read_manifest, write_manifest


def folder_of_packs(volume: str, name: str | None) -> Path | None:
    """Where variables travel on ``volume``; None if they travel as artifacts, without a ``name``.

    Raises StoreError if nothing can be written there.
    """
    if name is None:
        return None
    folder = Path(volume) / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{folder}: variables cannot be written to the volume: {error.strerror}",
            hint="let the steps write there, or remove marshal_volume and marshal_path",
        ) from error
    return folder


def arriving(manifest: Path, packs: Path, scratch: Path) -> Path:
    """A copy in ``scratch`` of a ``manifest`` that has arrived; it finds its packs in ``packs``.

    Raises LoadError if one of them is not there any more.
    """
    content = read_manifest(manifest)
    for name in {_pack_name(v.pack) for v in content.variables.values() if v.pack is not None}:
        if not (packs / name).is_file():
            raise LoadError(
                f"the variables of step {content.step} are not on the volume: "
                f"{packs / name} is missing",
                hint=f"somebody removed it, and KFP still takes {content.step} from its cache: "
                "run once with cache: false",
            )
    copy = scratch / f"{content.step}.json"
    write_manifest(_with_packs_in(os.path.relpath(packs, scratch), content), copy)
    return copy


def leaving(manifest: Path, target: Path) -> None:
    """Write this step's ``manifest`` to ``target``, its packs by their names alone."""
    write_manifest(_with_packs_in("", read_manifest(manifest)), target)


def _with_packs_in(folder: str, manifest: Manifest) -> Manifest:
    variables = {
        name: variable
        if variable.pack is None
        else replace(variable, pack=str(Path(folder) / _pack_name(variable.pack)))
        for name, variable in manifest.variables.items()
    }
    return replace(manifest, variables=variables)


def _pack_name(pack: str) -> str:
    return Path(pack).name
