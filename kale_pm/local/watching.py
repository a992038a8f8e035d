"""Wait until somebody saves the notebook, or a file that its steps have read.

Times and sizes are compared, several times a second: that works on every file system and for
every editor, also for those that put a new file in the place of the old one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kale_pm.errors import LoadError
from kale_pm.local.cache.code import running_code
from kale_pm.local.cache.fingerprint import all_imports
from kale_pm.local.cache.watched import Stamp, paths_in_code, stamps
from kale_pm.model import Pipeline
from kale_pm.record import RunRecord
from kale_pm.runtime.manifest import Manifest, read_manifest

_NAP = 0.3  # seconds between two looks


@dataclass
class Watch:
    """The files whose change is worth another run, and how they looked when they were read.

    What was ever read stays among them, since a step that fails does not say what it reads.
    A file that a step writes is none of them: it would start a run after every run.
    """

    notebook: Path
    _seen: dict[str, Stamp | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.notebook = self.notebook.parent.resolve() / self.notebook.name
        self.look()

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(self._folder / name for name in self._seen)

    def look(self) -> None:
        """From now on a change is one against the present state; call it before a run."""
        project = next((p for p in self._settings() if p.is_file()), None)
        names = {self.notebook.name, *self._seen, *([str(project)] if project else [])}
        self._seen = stamps(self._folder, sorted(names))

    def learn(self, pipeline: Pipeline, record: RunRecord, folder: Path) -> None:
        """Watch what this run has read, too, and what its steps name; call it after a run.

        What it read is compared with its state before the run, if that is known: then it was
        this run's business, and a change during the run is worth another one.
        """
        manifests = list(_manifests(record, folder))
        read = self._names(n for each in manifests for n in (*each.read, *each.modules))
        written = self._names(name for each in manifests for name in each.written)
        named = self._names((*_named(pipeline, record.parameters), *_modules(pipeline)))
        before = {name: self._seen[name] for name in self._seen if self._is_source(name)}
        # Whether a step reads or writes what it only names, nobody knows.
        before |= {name: self._seen[name] for name in read & self._seen.keys()}
        names = (read | named | self._seen.keys()) - written
        self._seen = {**stamps(self._folder, sorted(names)), **before}
        for name in written:
            self._seen.pop(name, None)

    def wait(self) -> tuple[str, ...]:
        """Sleep until files have changed, and nobody writes them any more; their names."""
        while not (changed := self._changed()):
            time.sleep(_NAP)
        before: dict[str, Stamp | None] = {}
        while (now := stamps(self._folder, self._seen)) != before:
            before = now
            time.sleep(_NAP)
        return tuple(sorted({*changed, *self._changed()}))

    def _names(self, paths: Iterable[str]) -> set[str]:
        """One name for each file: relative to the notebook's folder, or absolute elsewhere."""
        found = (Path(os.path.realpath(self._folder / path)) for path in paths)
        return {
            str(path.relative_to(self._folder) if path.is_relative_to(self._folder) else path)
            for path in found
        }

    def _changed(self) -> set[str]:
        now = stamps(self._folder, self._seen)
        return {name for name, stamp in now.items() if stamp != self._seen[name]}

    @property
    def _folder(self) -> Path:
        return self.notebook.parent

    def _settings(self) -> Iterator[Path]:
        for folder in (self._folder, *self._folder.parents):
            yield folder / "pyproject.toml"

    def _is_source(self, name: str) -> bool:
        return name == self.notebook.name or Path(name).name == "pyproject.toml"


def _manifests(record: RunRecord, folder: Path) -> Iterator[Manifest]:
    """Those of the executions: that of a cached step lies in the run that executed it."""
    for step in record.steps.values():
        run = folder.parent / step.cached_from if step.cached_from else folder
        try:
            yield read_manifest(run / "manifests" / f"{step.name}.json")
        except LoadError:
            continue  # it did not end well, or that run is gone


def _named(pipeline: Pipeline, parameters: Mapping[str, object]) -> Iterator[str]:
    """Files that the code of the steps names: all that is known of one that failed."""
    for step in pipeline.steps:
        values = [parameters[name] for name in step.parameters if name in parameters]
        yield from paths_in_code(running_code(pipeline, step).trees, values, pipeline.folder)


def _modules(pipeline: Pipeline) -> Iterable[str]:
    """Sources beside the notebook, if it imports any: one of them may not even be importable."""
    folder = pipeline.folder
    names = all_imports(pipeline)
    packages = [folder / name for name in names if (folder / name).is_dir()]
    if packages or any((folder / f"{name}.py").is_file() for name in names):
        inner = (path for package in packages for path in package.rglob("*.py"))
        yield from (str(path) for path in (*folder.glob("*.py"), *inner))
