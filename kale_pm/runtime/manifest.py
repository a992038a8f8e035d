"""The manifest: what one step hands on, as a small JSON file beside its pack.

A manifest tells three things.  ``variables`` are those that the step itself gave, and where
their bytes lie.  ``versions`` says for every variable that is known so far which step's
version is the current one, and so travels along every edge: a consumer knows exactly what it
must find, and never takes an outdated value by mistake.  ``context`` holds the changes of
global state that were made so far, replayed in every descendant.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from kale_pm import strict_json
from kale_pm.errors import LoadError
from kale_pm.runtime.atomic import replacing

FORMAT = 1


@dataclass(frozen=True)
class Exchange:
    """Where one execution of a step reads and writes.

    ``inputs`` are manifests to read, ``manifest`` the one to write, ``packs`` the folder for
    the step's pack.  ``audit`` is the notebook's folder, where the manifest is to list the
    files that the step opens.
    """

    inputs: tuple[Path, ...]
    manifest: Path
    packs: Path
    audit: Path | None = None


@dataclass(frozen=True)
class InPack:
    """The variable lies in a component of a pack; ``pack`` is relative to the manifest's folder."""

    pack: str
    component: str


@dataclass(frozen=True)
class ByName:
    """The variable is a module, imported again wherever it is needed."""

    module: str


@dataclass(frozen=True)
class Unsaved:
    """The variable was changed into something that cannot be stored, for this reason."""

    reason: str


@dataclass(frozen=True)
class Variable:
    """A given variable as the manifest lists it; ``place`` says which of three kinds it is.

    ``type`` is for people; ``size`` counts the bytes of the component.
    """

    type: str
    pack: str | None = None
    component: str | None = None
    module: str | None = None
    size: int = 0
    unsaved: str | None = None

    @property
    def place(self) -> InPack | ByName | Unsaved:
        """Where the value is to be had; LoadError if the manifest does not say."""
        if self.module is not None:
            return ByName(self.module)
        if self.unsaved is not None:
            return Unsaved(self.unsaved)
        if self.pack is None or self.component is None:
            raise LoadError(
                f"a manifest does not say where its variable of type {self.type} lies",
                hint="run the step that gives it again",
            )
        return InPack(self.pack, self.component)

    @property
    def content(self) -> str:
        """What a version says in the place of a component: the same for the same content."""
        match self.place:
            case ByName(module):
                return f"module {module}"
            case Unsaved(reason):
                return f"unsaved {reason}"
            case InPack(_, component):
                return component


@dataclass(frozen=True)
class Version:
    """The current version of a variable: who made it, and its component (None: deleted).

    What lies in no pack says so in the place of the component.
    """

    step: str
    order: int
    component: str | None


@dataclass(frozen=True)
class Change:
    """A change of global state: who made it, and the new value (pickled, base64)."""

    step: str
    order: int
    value: str


@dataclass(frozen=True)
class Manifest:
    """What a step hands on; ``order`` is its place in the pipeline's topological order.

    Where a folder is audited, ``read`` and ``written`` are the files that the step opened:
    those below the folder relative to it, data elsewhere by absolute path.  ``modules`` are
    the sources of the modules that no package manager installed.
    """

    step: str
    order: int
    variables: Mapping[str, Variable] = field(default_factory=dict)
    versions: Mapping[str, Version] = field(default_factory=dict)
    context: Mapping[str, Change] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    read: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    def without_variables(self) -> Manifest:
        """The part that travels along an edge which carries no data."""
        return replace(self, variables={})


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; LoadError if it is missing, damaged or of another format."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise LoadError(
                f"{path} has format {content['format']}, this kale-pm reads {FORMAT}",
                hint="run the earlier steps again with this version of kale-pm",
            )
        return Manifest(
            step=content["step"],
            order=content["order"],
            variables={k: Variable(**v) for k, v in content["variables"].items()},
            versions={k: Version(**v) for k, v in content["versions"].items()},
            context={k: Change(**v) for k, v in content["context"].items()},
            metrics={k: strict_json.number(v) for k, v in content["metrics"].items()},
            read=tuple(content["read"]),
            written=tuple(content["written"]),
            modules=tuple(content["modules"]),
        )
    except OSError as error:
        raise LoadError(
            f"cannot read {path}: {error.strerror}", hint="run the step that gives it again"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LoadError(
            f"{path} is damaged: {error}", hint="run the step that gives it again"
        ) from error


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write the manifest at once or not at all."""
    text = strict_json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def merge_versions(manifests: Iterable[Manifest]) -> dict[str, Version]:
    """For every variable the latest version among those that the manifests know."""
    merged: dict[str, Version] = {}
    for manifest in manifests:
        for name, version in manifest.versions.items():
            if name not in merged or merged[name].order <= version.order:
                merged[name] = version
    return merged


def merge_context(manifests: Iterable[Manifest]) -> dict[str, Change]:
    """All changes of global state; where two steps changed one thing, the later step wins."""
    merged: dict[str, Change] = {}
    for manifest in manifests:
        for name, change in manifest.context.items():
            if name not in merged or merged[name].order <= change.order:
                merged[name] = change
    return merged
