"""The variables that a run has stored: who gave them, who needs them, and their values."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from kale_pm.errors import LoadError, PackError
from kale_pm.notebook.spelling import nearest
from kale_pm.record import RunRecord
from kale_pm.runtime.manifest import (
    ByName,
    InPack,
    Manifest,
    Unsaved,
    Variable,
    Version,
    read_manifest,
)
from kale_pm.runtime.merging import merge_versions
from kale_pm.runtime.storage.pack.reader import Pack

_LISTED = 12  # names in a hint


@dataclass(frozen=True)
class RunVariable:
    """A variable as one step of a run left it.

    ``type`` is the full name of its type, "" where the step deleted it.  Variables that share
    objects are stored together: ``shares_with`` names the others, and ``size`` is in bytes, of
    all of them.  ``needed_by`` are the steps that need this version of it, run or not,
    ``cached_from`` is the run that really executed ``given_by``.  A stored variable lies in
    ``component`` of ``pack``; ``module`` is what to import in the place of loading it, and
    ``reason`` says why an unsaved one could not be stored.  ``rival`` is a step beside
    ``given_by`` that has changed the variable too: the notebook would have neither version.
    """

    name: str
    kind: Literal["stored", "module", "unsaved", "deleted"]
    given_by: str
    type: str = ""
    size: int = 0
    needed_by: tuple[str, ...] = ()
    shares_with: tuple[str, ...] = ()
    cached_from: str | None = None
    pack: Path | None = None
    component: str | None = None
    module: str | None = None
    reason: str | None = None
    rival: str | None = None


class RunVariables:
    """The variables of the run in ``folder``; ``loads`` stands for ``pickle.loads``.

    Of a run that was fetched from a server the manifest of a step may be missing: then what
    the step gave is unknown, but for what later steps say of it.  The methods raise LoadError
    where a manifest is damaged, where all are missing, and where the one is that was asked for.
    """

    def __init__(
        self, folder: Path, record: RunRecord, loads: Callable[..., Any] = pickle.loads
    ) -> None:
        self.folder = folder
        self.record = record
        self._loads = loads

    def final(self) -> dict[str, RunVariable]:
        """Every variable by its name, as the last step that changed it left it."""
        return self._described(merge_versions(self._manifests.values()))

    def given(self, step: str) -> dict[str, RunVariable]:
        """What the step made or changed, as it left it; nothing if it did not succeed."""
        if step in self.missing:
            raise self._not_here(step)
        manifest = self._manifests.get(step)
        versions = manifest.versions if manifest is not None else {}
        return self._described({n: v for n, v in versions.items() if v.step == step})

    def received(self, step: str) -> dict[str, RunVariable]:
        """What the step needed, and what shares objects with that and so came along."""
        record = self.record.steps[step]
        if record.started is None:
            return {}
        arriving = self._described(self._arriving(step))
        needed = {name for name in record.needs if name in arriving}
        together = {other for name in needed for other in arriving[name].shares_with}
        along = {other for other in together if arriving[other].rival is None}
        return {name: found for name, found in arriving.items() if name in needed | along}

    def load(self, name: str, step: str | None = None) -> Any:
        """The value of the variable at the end of the run, or as ``step`` left it.

        Large arrays are mapped, not read.  Raises LoadError if it is not stored, if two steps
        side by side have changed it, or if this process lacks a class or a module that it is
        made of; PackError if its file is damaged.
        """
        if not isinstance(name, str):
            # Python counts from 0 where somebody unpacks a run.
            raise TypeError(f"variables have names: {name!r} is none")
        known = self.final() if step is None else self.given(step)
        variable = known.get(name)
        if variable is None:
            raise self._unknown(name, step, known)
        if variable.rival and step is None:
            raise LoadError(
                f"steps {variable.rival} and {variable.given_by} of run {self.record.id} have "
                f"both changed '{name}' side by side: neither has what the notebook has",
                hint=f'take that of one step: run.steps["{variable.given_by}"]["{name}"]',
            )
        if variable.kind == "deleted":
            raise LoadError(
                f"step {variable.given_by} of run {self.record.id} deleted '{name}'",
                hint=self._way_back(name, variable.given_by),
            )
        if variable.module is not None:
            return self._imported(name, variable.module)
        if variable.given_by in self.missing:
            raise self._not_here(variable.given_by)
        if variable.pack is None or variable.component is None:
            raise LoadError(
                f"'{name}' of run {self.record.id} was not stored: {variable.reason}",
                hint=f"change that in step {variable.given_by}",
            )
        try:
            pack = Pack(variable.pack)
            # Of a file that somebody has touched since it was written every byte is checked.
            seal = self._manifests[variable.given_by].seals.get(pack.path.name)
            verify = seal != pack.seal
            return pack.load(variable.component, verify=verify, loads=self._loads)[name]
        except PackError as error:
            raise self._explained(name, error) from error

    # -- what the manifests say -----------------------------------------------------------

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """The steps that succeeded and whose manifest is not here."""
        return tuple(name for name in self._done if not self._manifest(name).exists())

    @cached_property
    def _manifests(self) -> Mapping[str, Manifest]:
        missing = () if len(self.missing) == len(self._done) else self.missing
        return {
            name: read_manifest(self._manifest(name)) for name in self._done if name not in missing
        }

    @property
    def _done(self) -> list[str]:
        return [name for name, step in self.record.steps.items() if step.state.is_success]

    def _manifest(self, step: str) -> Path:
        return self._manifest_folder / f"{step}.json"

    @property
    def _manifest_folder(self) -> Path:
        return self.folder / "manifests"

    def _arriving(self, step: str) -> dict[str, Version]:
        """The versions that the step's inputs know; from inputs that failed comes nothing."""
        inputs = self.record.steps[step].inputs
        return merge_versions(self._manifests[n] for n in inputs if n in self._manifests)

    @cached_property
    def _needers(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """Variable and giving step -> the steps that need this version."""
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for name, step in self.record.steps.items():
            arriving = self._arriving(name)
            for need in step.needs:
                if need in arriving:
                    key = need, arriving[need].step
                    found[key] = (*found.get(key, ()), name)
        return found

    def _described(self, versions: Mapping[str, Version]) -> dict[str, RunVariable]:
        """By the order of the steps; those that share objects stand side by side."""
        groups: dict[object, list[str]] = {}
        for name, version in sorted(versions.items()):
            given = self._given(name, version)
            stored = given is not None and isinstance(given.place, InPack)
            key = (version.step, version.component) if stored else name
            groups.setdefault(key, []).append(name)
        ordered = sorted(groups.values(), key=lambda names: versions[names[0]].order)
        return {
            name: self._describe(name, versions[name], names) for names in ordered for name in names
        }

    def _given(self, name: str, version: Version) -> Variable | None:
        """What the manifest of its step says of this version; None if the step deleted it."""
        deleted = version.component is None
        if version.step in self.missing:
            reason = f"what step {version.step} gave is not here"
            return None if deleted else Variable("", unsaved=reason)
        manifest = self._manifests.get(version.step)
        if manifest is None or not (deleted or name in manifest.variables):
            raise LoadError(
                f"run {self.record.id} does not say what step {version.step} made of '{name}'",
                hint="run the notebook again",
            )
        return None if deleted else manifest.variables[name]

    def _describe(self, name: str, version: Version, group: Iterable[str]) -> RunVariable:
        given = self._given(name, version)
        details: dict[str, Any] = {
            "given_by": version.step,
            "needed_by": self._needers.get((name, version.step), ()),
            "cached_from": self.record.steps[version.step].cached_from,
            "rival": version.rival or None,
        }
        if given is None:
            return RunVariable(name, "deleted", **details)
        details["type"] = given.type
        match given.place:
            case ByName(module=module):
                return RunVariable(name, "module", module=module, **details)
            case Unsaved(reason=reason):
                return RunVariable(name, "unsaved", reason=reason, **details)
            case InPack(pack=pack, component=component):
                return RunVariable(
                    name,
                    "stored",
                    size=given.size,
                    shares_with=tuple(other for other in group if other != name),
                    pack=(self._manifest_folder / pack).resolve(),
                    component=component,
                    **details,
                )

    # -- what can go wrong ----------------------------------------------------------------

    def _not_here(self, step: str) -> LoadError:
        return LoadError(
            f"what step {step} of run {self.record.id} gave is not here: its manifest is missing",
            hint="fetch the run again, or run the notebook again",
        )

    def _unknown(self, name: str, step: str | None, known: Mapping[str, RunVariable]) -> LoadError:
        run = self.record.id
        if step is not None and name in (received := self.received(step)):
            return LoadError(
                f"step {step} of run {run} did not change '{name}'",
                hint=f'it received it: run.steps["{received[name].given_by}"]["{name}"]',
            )
        if step is None and self.missing:
            return LoadError(
                f"no step of run {run} whose manifest is here has stored '{name}'",
                hint=f"what {', '.join(self.missing)} gave is unknown: fetch the run again",
            )
        stored = [n for n, found in known.items() if found.kind in ("stored", "module")]
        near = nearest(name, stored if step else [*stored, *self.record.metrics])
        listing = ", ".join([*stored[:_LISTED], *(["…"] if len(stored) > _LISTED else [])])
        who = f"step {step} of run {run} has not" if step else f"no step of run {run}"
        return LoadError(
            f"{who} stored '{name}'",
            hint=(f"did you mean '{near}'? " if near else "")
            + f"only variables that a later step needs are stored: {listing or 'none here'}"
            + "\nto have another one stored, name it in a step after the one that makes it",
        )

    def _way_back(self, name: str, step: str) -> str:
        """How to get the variable as it was before ``step``."""
        if step in self.missing:
            return f"let {step} keep it"
        order = self._manifests[step].order
        earlier = [m for m in self._manifests.values() if name in m.variables and m.order < order]
        if not earlier:
            return f"let {step} keep it"
        giver = max(earlier, key=lambda manifest: manifest.order).step
        return f'take it as it was before: run.steps["{giver}"]["{name}"]'

    def _imported(self, name: str, module: str) -> Any:
        try:
            return import_module(module)
        except ImportError as error:
            raise LoadError(
                f"'{name}' of run {self.record.id} is the module {module}, which cannot be "
                f"imported here: {error}",
                hint=self._way_to(module),
            ) from error

    def _explained(self, name: str, error: PackError) -> LoadError | PackError:
        """The error in the words of somebody who has no notebook around the variable."""
        cause = error.__cause__
        said = f"'{name}' of run {self.record.id} cannot be loaded here: {cause}"
        if isinstance(cause, AttributeError) and "__main__" in str(cause):
            # What the prelude defines is looked up by name in the process that loads.
            return LoadError(
                said,
                hint="define the notebook's functions and classes first, or open the step's "
                "notebook",
            )
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            return LoadError(said, hint=self._way_to(cause.name))
        return error

    def _way_to(self, module: str) -> str:
        """How this process comes to have a module that the run had."""
        top = module.partition(".")[0]
        folder = Path(self.record.notebook).parent
        if (folder / f"{top}.py").is_file() or (folder / top).is_dir():
            return f"{top} lies beside the notebook: first sys.path.append({str(folder)!r})"
        return f"install what provides {top}"
