"""Which names of the prelude may arrive in a step inside of the variables that it receives.

A function or class of the prelude travels by its name: a changed one is another value, though
the variable that holds it is stored as before.  So the names are sought where the variable
lies.  Finding one that is not meant only runs a step once more.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from kale_pm.errors import LoadError, PackError
from kale_pm.runtime.manifest import Change, InPack, Manifest, Version
from kale_pm.runtime.storage.pack.reader import Pack

_LONGEST = 1 << 26  # bytes of one variable, without its arrays, that are searched
_READ = 1 << 16  # bytes of one variable, without its arrays, of which every word is looked at


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
    return frozenset().union(*(_held(content, sought) for content in contents))


def _held(content: bytes, sought: Collection[str]) -> set[str]:
    """Those of the names that stand in pickled ``content``: as words, where it is short."""
    found = {name for name in sought if name.encode() in content}
    if not found or len(content) > _READ:
        return found
    # A helper that is called f would else be found in whatever arrives.
    words = _words(content)
    if words is None:
        return found
    texts, raw = words
    return {name for name in found if name in texts or any(name.encode() in r for r in raw)}


def _words(content: bytes) -> tuple[set[str], list[bytes]] | None:
    """All words of the texts in a pickle, and its bytes objects; None if it is no plain one."""
    import pickletools

    texts: set[str] = set()
    raw: list[bytes] = []
    end = 0
    try:
        for _, value, position in pickletools.genops(content):
            end = position or 0
            if isinstance(value, str):
                texts.update(re.findall(r"\w+", value))
            elif isinstance(value, bytes | bytearray):
                raw.append(bytes(value))
    except ValueError:
        return None
    return (texts, raw) if end + 1 == len(content) else None


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
