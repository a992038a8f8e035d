"""What a step receives: variables of earlier steps, out of their packs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from kale_pm.errors import LoadError, PackError
from kale_pm.runtime.manifest import (
    ByName,
    Change,
    InPack,
    Manifest,
    Unsaved,
    Version,
    read_manifest,
)
from kale_pm.runtime.merging import ancestors, merge_context, merge_versions
from kale_pm.runtime.storage.pack.reader import Pack


@dataclass(frozen=True)
class Received:
    """Variables that arrived together.

    ``component`` is their id, if they are all that the component holds; ``again`` makes them
    once more, as they were.
    """

    values: Mapping[str, object]
    component: str | None = None
    again: Callable[[], Mapping[str, object]] | None = None


@dataclass(frozen=True)
class Inputs:
    """What arrives along the edges of ``step``.

    ``manifests`` and their ``folders`` go by the step that wrote them.  ``verify`` asks for
    every byte to be checked.
    """

    step: str
    manifests: Mapping[str, Manifest]
    folders: Mapping[str, Path]
    versions: Mapping[str, Version]
    context: Mapping[str, Change]
    ancestors: tuple[str, ...] = ()
    verify: bool = False

    def receive(self, name: str) -> Received:
        """The variable ``name``, and whatever shares objects with it.

        Empty if no step defined it, or if it was deleted.  Raises LoadError if it does not
        arrive here, could not be stored, was changed by two steps side by side, or is a
        module that is not installed; PackError if it is damaged.
        """
        version = self.versions.get(name)
        if version is None:
            return Received({})
        if version.rival:
            first, second = version.rival, version.maker
            raise LoadError(
                f"step {self.step} needs '{name}', which steps {first} and {second} have both "
                "changed side by side: neither has what the notebook has after the two",
                hint=f"let one follow the other (tag the first cell of {second} with "
                f"prev:{first}), or give each its own copy of '{name}'",
            )
        if version.component is None:
            return Received({})
        manifest, folder = self._source(name, version.step)
        variable = manifest.variables.get(name) if manifest is not None else None
        wanted = f"step {self.step} needs '{name}' as step {version.step} left it"
        if manifest is None or variable is None:
            raise LoadError(
                f"{wanted}, but does not receive it from there: nothing in the code of "
                f"{version.step} shows that it changes '{name}'",
                hint=f"write {name} = {name} as the last line of {version.step}",
            )
        match variable.place:
            case ByName(module):
                return Received({name: _imported(name, module)})
            case Unsaved(reason):
                raise LoadError(
                    f"{wanted}, but it could not be stored: {reason}",
                    hint=f"change that in step {version.step}, or make it in step {self.step}",
                )
            case InPack(pack, component):
                path = (folder / pack).resolve()
                if not path.exists():
                    raise PackError(
                        f"{wanted}, but its file is gone: {path}",
                        hint="run the notebook again, which makes anew what is lost",
                    )
                return self._load(path, component, manifest)

    def _load(self, path: Path, component: str, manifest: Manifest) -> Received:
        pack = Pack(path)
        verify = self.verify or manifest.seals.get(path.name) != pack.seal
        values = pack.load(component, verify=verify)
        current = {n: value for n, value in values.items() if self._is_current(n, component)}

        def again() -> Mapping[str, object]:
            loaded = pack.load(component)
            return {name: loaded[name] for name in current}

        return Received(current, component if len(current) == len(values) else None, again)

    def is_hidden_change(self, name: str) -> bool:
        """Was ``name`` changed by a step whose code does not show that it does?

        Then that step is no input.  A run on this machine finds the variable all the same; a
        pod has nothing but its inputs.
        """
        version = self.versions.get(name)
        if version is None or version.component is None:
            return False
        manifest = self.manifests.get(version.step)
        return manifest is None or name not in manifest.variables

    def _source(self, name: str, step: str) -> tuple[Manifest | None, Path]:
        """The manifest that should list ``name``, and its folder."""
        if self.is_hidden_change(name):
            # The manifests of a run on this machine lie side by side, named by their steps.
            for folder in self.folders.values():
                path = folder / f"{step}.json"
                if path.is_file():
                    return read_manifest(path), folder
        return self.manifests.get(step), self.folders.get(step, Path())

    def age(self, name: str) -> int:
        """The place in the pipeline's order of the step that gave the variable; -1 if none did."""
        version = self.versions.get(name)
        return -1 if version is None else version.order

    def is_deleted(self, name: str) -> bool:
        return name in self.versions and self.versions[name].component is None

    def _is_current(self, name: str, component: str) -> bool:
        version = self.versions.get(name)
        return version is not None and version.component == component and not version.rival


def read_inputs(step: str, paths: Iterable[Path], *, verify: bool = False) -> Inputs:
    """The inputs of ``step`` from the manifests at ``paths``; LoadError if one is damaged."""
    by_path = {path: read_manifest(path) for path in paths}
    return Inputs(
        step,
        {manifest.step: manifest for manifest in by_path.values()},
        {manifest.step: path.parent for path, manifest in by_path.items()},
        merge_versions(by_path.values()),
        merge_context(by_path.values()),
        ancestors(by_path.values()),
        verify,
    )


def _imported(name: str, module: str) -> object:
    try:
        return import_module(module)
    except ImportError as error:
        raise LoadError(
            f"'{name}' is the module {module}, which cannot be imported here: {error}",
            hint=f"install what provides {module.partition('.')[0]} where this step runs",
        ) from error
