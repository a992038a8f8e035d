"""The manifest: what one step hands on, as a small JSON file beside its pack.

A manifest tells three things.  ``variables`` are those that the step itself gave, and where
their bytes lie.  ``versions`` says for every variable that is known so far which step's
version is the current one, and so travels along every edge: a consumer knows exactly what it
must find, and never takes an outdated value by mistake.  ``context`` holds the changes of
global state that were made so far, replayed in every descendant.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from kale_pm import strict_json
from kale_pm.errors import LoadError, StoreError
from kale_pm.runtime.atomic import replacing

FORMAT = 2


Seal = tuple[int, int]  # size in bytes, time of the last change in nanoseconds


@dataclass(frozen=True)
class Exchange:
    """Where one execution of a step reads and writes.

    ``inputs`` are manifests to read, ``manifest`` the one to write, ``packs`` the folder for
    the step's pack.  ``audit`` is the notebook's folder, where the manifest is to list the
    files that the step opens.  ``silent`` is what the manifest becomes where the slice has no
    cell that writes it.
    """

    inputs: tuple[Path, ...]
    manifest: Path
    packs: Path
    audit: Path | None = None
    silent: Manifest | None = None


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


class Made(StrEnum):
    """How a step came to give a variable."""

    BOUND = "bound"  # it bound the name anew, or deleted it
    CHANGED = "changed"  # it changed the object that the name already had
    CARRIED = "carried"  # it changed what shares objects with this variable, and did not ask for it


@dataclass(frozen=True)
class Version:
    """The current version of a variable: where it lies, its component, and who made it.

    ``step`` is the step that gave it, and ``component`` what it gave; None means deleted.  What
    lies in no pack says so in the place of the component.  ``maker`` is the step that bound or
    changed the variable, as ``made`` says, and ``order`` its place in the pipeline's order: it
    is not ``step`` where that gave what it had received.  ``bound`` is the place in the order
    of the step that bound the name to the object which it has now; -1 stands for the prelude.
    ``rival`` is a step beside ``maker`` that has changed that object too: nobody can say which
    of the two is right.
    """

    step: str
    order: int
    component: str | None
    made: Made = Made.BOUND
    bound: int = -1
    maker: str = ""
    rival: str = ""

    def __post_init__(self) -> None:
        if not self.maker:
            object.__setattr__(self, "maker", self.step)
        if self.made is Made.BOUND:
            object.__setattr__(self, "bound", self.order)


@dataclass(frozen=True)
class Change:
    """A change of global state: who made it, and the new value (pickled, base64)."""

    step: str
    order: int
    value: str


@dataclass(frozen=True)
class Manifest:
    """What a step hands on; ``order`` is its place in the pipeline's topological order.

    ``ancestors`` are the steps that it has heard of.  ``seals`` tell, for the name of each
    pack file, the size and time (ns) that it had when it was written.
    Where a folder is audited, ``read`` and ``written`` are the files that the step opened:
    those below the folder relative to it, data elsewhere by absolute path.  ``modules`` are
    the sources of the modules that no package manager installed.
    ``execution`` names the run that executed the step where nothing says what it has changed:
    in another language than Python, whose steps hand over files.
    """

    step: str
    order: int
    variables: Mapping[str, Variable] = field(default_factory=dict)
    versions: Mapping[str, Version] = field(default_factory=dict)
    context: Mapping[str, Change] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    ancestors: tuple[str, ...] = ()
    seals: Mapping[str, Seal] = field(default_factory=dict)
    read: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    execution: str = ""

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
        if content.pop("digest") != _digest(content):
            raise ValueError("it is not what was written")
        _check_names(content)
        return Manifest(
            step=content["step"],
            order=content["order"],
            variables={k: Variable(**v) for k, v in content["variables"].items()},
            versions={k: version(v) for k, v in content["versions"].items()},
            context={k: Change(**v) for k, v in content["context"].items()},
            metrics={k: strict_json.number(v) for k, v in content["metrics"].items()},
            ancestors=tuple(content["ancestors"]),
            seals={name: (size, time) for name, (size, time) in content["seals"].items()},
            read=tuple(content["read"]),
            written=tuple(content["written"]),
            modules=tuple(content["modules"]),
            execution=str(content.get("execution", "")),
        )
    except OSError as error:
        raise LoadError(
            f"cannot read {path}: {error.strerror}", hint="run the step that gives it again"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LoadError(
            f"{path} is damaged: {error}", hint="run the step that gives it again"
        ) from error


def version(content: Mapping[str, Any]) -> Version:
    """The version whose fields, read from JSON, are ``content``."""
    return Version(**{**content, "made": Made(content["made"])})


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write the manifest at once or not at all; StoreError where it cannot be written."""
    content = {"format": FORMAT, **vars(manifest)}
    text = strict_json.dumps({"digest": _digest(content), **content})
    try:
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(
            f"{path}: cannot write what the step gives: {error.strerror or error}",
            hint="make room there, or let it be written to another folder",
        ) from error


def _check_names(content: Mapping[str, Any]) -> None:
    """Steps name files, and variables the names of a program: nothing else gets in."""
    steps = [content["step"], *content["ancestors"]]
    for found in content["versions"].values():
        steps += [found["step"], found["maker"], found["rival"] or found["step"]]
    for name in (*steps, *content["variables"], *content["versions"]):
        if not str(name).isidentifier():
            raise ValueError(f"{name!r} is not a name")


def _digest(content: Mapping[str, Any]) -> str:
    # Through JSON, because that is what a reader sees: tuples are lists there.
    text = strict_json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
