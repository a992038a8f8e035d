"""What a pack says of itself, and whether it is whole; nothing in it is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kale_pm.errors import PackError
from kale_pm.runtime.storage.pack.format import VERSION
from kale_pm.runtime.storage.pack.reader import Pack


@dataclass(frozen=True)
class ComponentContent:
    """Variables that are stored together, with the full names of their types.

    ``size`` is in bytes, ``segments`` is the number of arrays that are stored as they were in
    memory.
    """

    id: str
    types: Mapping[str, str]
    size: int
    segments: int


@dataclass(frozen=True)
class PackContent:
    """What a pack says of itself: ``python`` wrote it, ``size`` is in bytes."""

    path: Path
    format: int
    python: str
    size: int
    components: tuple[ComponentContent, ...]
    verified: bool


def read_pack(path: Path, *, verify: bool = False) -> PackContent:
    """What lies in a pack, without loading any of it; ``verify`` checks every byte.

    Raises PackError if it is missing, damaged or of another version.
    """
    pack = Pack(path)
    if verify:
        pack.verify()
    components = tuple(
        ComponentContent(each.id, each.types, each.size, len(each.segments))
        for each in pack.components
    )
    return PackContent(path, VERSION, pack.python, pack.seal[0], components, verify)


def damaged_packs(paths: Iterable[Path]) -> dict[Path, PackError]:
    """Check every byte of the packs; those that are not whole, each with what is wrong."""
    found = {}
    for path in dict.fromkeys(paths):
        try:
            Pack(path).verify()
        except PackError as error:
            found[path] = error
    return found
