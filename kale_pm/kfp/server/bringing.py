"""What there is of one step of a run on the server, written where local runs have it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kale_pm.errors import LoadError, ServerError
from kale_pm.kfp.server.artifacts import download_file, download_object, sibling
from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.evidence import Evidence
from kale_pm.record import State, StepRecord
from kale_pm.runtime.atomic import replacing
from kale_pm.runtime.manifest import InPack, Manifest, read_manifest, write_manifest

_MANIFEST = "manifest.json"
_PACK = re.compile(r"[\w-][\w.-]*\.pack")


@dataclass(frozen=True)
class Places:
    """Where everything is written: the ``folder`` of the run, and the one for ``packs``."""

    folder: Path
    packs: Path

    def notebook(self, step: str) -> Path:
        return self.folder / "notebooks" / f"{step}.ipynb"

    def attempt(self, step: str, number: int) -> Path:
        """The notebook of a try that was not the last."""
        return self.folder / "notebooks" / f"{step}.attempt-{number}.ipynb"

    def manifest(self, step: str) -> Path:
        return self.folder / "manifests" / f"{step}.json"

    def artifact(self, step: str, file: str) -> Path:
        return self.folder / "artifacts" / step / file

    def log(self, step: str) -> Path:
        return self.folder / "logs" / f"{step}.log"


@dataclass(frozen=True)
class Wanted:
    """What to bring of a step besides its notebook, its log and what is known of its variables.

    ``files`` are those that the step has kept, by the names of their artifacts: what they are
    called here.
    """

    files: Mapping[str, str]
    variables: bool


@dataclass(frozen=True)
class Lack:
    """Something of a step that is not to be had, as in ``its notebook``, and what to do."""

    what: str
    reason: str
    hint: str = ""


def bring(
    connection: Connection,
    step: StepRecord,
    evidence: Evidence,
    places: Places,
    wanted: Wanted,
) -> Iterator[Lack]:
    """Write what there is of a step, and tell what is not to be had.

    Raises ServerError if the server cannot be reached any more, OSError if something cannot be
    written.
    """
    for number, told in enumerate(evidence.told[:-1], start=1):
        if told.notebook is not None:
            _write_notebook(told.notebook, places.attempt(step.name, number))
    if evidence.published:
        # Better than what follows, which can only say why there is none.
        name, target = f"notebooks/{step.name}.ipynb", places.notebook(step.name)
        _download(connection, evidence.published, name, target, what="its notebook")
    if step.state.is_success:
        yield from _bring_outputs(connection, step.name, evidence, places, wanted)
    elif step.state in (State.FAILED, State.INTERRUPTED):
        if evidence.last.notebook is not None:
            _write_notebook(evidence.last.notebook, places.notebook(step.name))
        elif not places.notebook(step.name).exists():
            yield Lack("its notebook", _why_none(evidence))


def _bring_outputs(
    connection: Connection, step: str, evidence: Evidence, places: Places, wanted: Wanted
) -> Iterator[Lack]:
    """The notebook, the files, the manifest and, if they are wanted, the variables of a step."""
    if (uri := evidence.uris.get("notebook")) is None:
        if not places.notebook(step).exists():
            yield Lack("its notebook", _why_unknown(evidence))
        return
    if lack := _download(
        connection, uri, f"{step}.ipynb", places.notebook(step), what="its notebook"
    ):
        yield lack
        return  # what lies beside it is not to be had either
    for artifact, file in wanted.files.items():
        beside, target = sibling(uri, artifact), places.artifact(step, file)
        if lack := _download(connection, beside, None, target, what=f"its artifact {artifact}"):
            yield lack
    if (uri := evidence.uris.get("state")) is None:
        return
    target = places.manifest(step)
    if lack := _download(connection, uri, _MANIFEST, target, what="what it gave"):
        yield lack
        return
    try:
        manifest = read_manifest(target)
    except LoadError as error:
        yield Lack("what it gave", error.message, error.hint)
        return
    packs = {
        variable.place.pack
        for variable in manifest.variables.values()
        if isinstance(variable.place, InPack)
    }
    way = _way(target.parent, places.packs)
    write_manifest(_with_packs_in(manifest, way), target)
    for pack in sorted(packs) if wanted.variables else ():
        # An earlier fetch has written the way that leads from here.
        name = pack.removeprefix(f"{way}/")
        if not _PACK.fullmatch(name):
            yield Lack("its variables", f"they do not lie beside its other outputs, but in {pack}")
        elif lack := _download(connection, uri, name, places.packs / name, what="its variables"):
            yield lack


def _download(
    connection: Connection, uri: str, name: str | None, target: Path, *, what: str
) -> Lack | None:
    """Fetch the file ``name`` of a folder, or the artifact itself; no large one that is here."""
    if target.exists() and (name is None or name.endswith(".pack")):
        return None
    try:
        if name is None:
            download_object(connection, uri, target)
        else:
            download_file(connection, uri, name, target)
    except ServerError as error:
        if error.status is None:
            raise
        return None if target.exists() else Lack(what, error.message, error.hint)
    return None


def _way(folder: Path, packs: Path) -> str:
    """The way from ``folder``, which lies beside the folder of packs or below, to that."""
    return "/".join([".."] * len(folder.relative_to(packs.parent).parts) + [packs.name])


def _with_packs_in(manifest: Manifest, way: str) -> Manifest:
    variables = {
        name: variable
        if variable.pack is None
        else replace(variable, pack=f"{way}/{Path(variable.pack).name}")
        for name, variable in manifest.variables.items()
    }
    return replace(manifest, variables=variables)


def _write_notebook(content: Mapping[str, Any], path: Path) -> None:
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8", errors="replace")


def _why_none(evidence: Evidence) -> str:
    if evidence.last.damage:
        return "; ".join(evidence.last.damage)
    if evidence.last.error is not None:
        return "it failed outside of all cells, and there is none"
    if evidence.gone:
        return evidence.gone
    return (
        "its pod wrote none into its log: it was ended from outside (out of memory, a limit, by "
        "hand) or failed before it began; the log and the events of the pod say more"
    )


def _why_unknown(evidence: Evidence) -> str:
    if evidence.last.damage:
        return "; ".join(evidence.last.damage)
    why = evidence.gone or "KFP's cache had its result, so that it has no log in this run"
    return f"{why}, and no step after it says where it lies"
