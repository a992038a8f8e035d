"""Which names of the prelude may arrive in a step inside of the variables that it receives.

A function or class of the prelude travels by its name: a changed one is another value, though
the variable that holds it is stored as before.  So the names are sought where the variable
lies.  Finding one that is not meant only runs a step once more.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from kale_pm.errors import LoadError, PackError
from kale_pm.runtime.manifest import Change, InPack, Manifest, Version
from kale_pm.runtime.storage.pack.reader import Pack

_LONGEST = 1 << 26  # bytes of one variable, without its arrays, that are searched


def arriving_names(
    sought: Collection[str],
    needs: Iterable[str],
    inputs: Sequence[Manifest],
    *,
    versions: Mapping[str, Version],
    context: Mapping[str, Change],
    packs: Path,
) -> frozenset[str] | None:
    """Those of the names ``sought`` that what arrives may hold; None if nobody can say.

    ``versions`` and ``context`` are merged of ``inputs``; ``packs`` is the folder of the packs.
    """
    manifests = {manifest.step: manifest for manifest in inputs}
    wanted: dict[Path, set[str]] = {}
    for name in needs:
        version = versions.get(name)
        if version is None or version.component is None:
            continue
        source = manifests.get(version.step)
        variable = source.variables.get(name) if source is not None else None
        if variable is None:
            return None
        try:
            place = variable.place
        except LoadError:
            return None
        if isinstance(place, InPack):
            wanted.setdefault(packs / Path(place.pack).name, set()).add(place.component)
    try:
        contents = [*_streams(wanted), *(base64.b64decode(c.value) for c in context.values())]
    except (OSError, PackError, ValueError):
        return None
    return frozenset(n for n in sought if any(n.encode() in content for content in contents))


def _streams(wanted: Mapping[Path, Collection[str]]) -> Iterator[bytes]:
    """The pickled part of every wanted component; the memory of arrays is left aside."""
    for path, components in wanted.items():
        with path.open("rb") as file:
            for component in Pack(path).components:
                if component.id in components:
                    if component.stream.size > _LONGEST:
                        raise PackError(f"{path}: too large to be searched")
                    file.seek(component.stream.offset)
                    yield file.read(component.stream.size)
