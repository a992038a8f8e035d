"""A run as an object: its steps, its metrics and its variables."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from kale_pm import strict_json
from kale_pm.errors import LoadError, StepFailed, StoreError, UsageError
from kale_pm.notebook.spelling import nearest
from kale_pm.record import RunRecord, State, StepRecord

if TYPE_CHECKING:
    from kale_pm.kfp.server.bringing import Lack
    from kale_pm.local.results.comparison import Comparison
    from kale_pm.local.results.variables import RunVariable, RunVariables
    from kale_pm.runtime.artifacts import Artifact


@dataclass(frozen=True)
class RunStep:
    """One step of a run, and where its executed notebook lies (None if it never started)."""

    record: StepRecord
    folder: Path
    stored: RunVariables = field(repr=False)

    @property
    def state(self) -> State:
        return self.record.state

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.record.metrics

    @property
    def notebook(self) -> Path | None:
        return self.folder / self.record.notebook if self.record.notebook else None

    @property
    def variables(self) -> Mapping[str, RunVariable]:
        """What the step made or changed of the variables that are stored, as it left them."""
        return self.stored.given(self.record.name)

    @property
    def received(self) -> Mapping[str, RunVariable]:
        """What the step was given, as earlier steps left it."""
        return self.stored.received(self.record.name)

    def __getitem__(self, name: str) -> Any:
        """The variable ``name`` as this step left it, if it made or changed it; see Run."""
        return self.stored.load(name, self.record.name)

    @property
    def artifacts(self) -> Mapping[str, Artifact]:
        """The files that the step kept as artifacts, by the names that it gave them."""
        from kale_pm.runtime.artifacts import Artifact, artifacts

        shown = {}
        if self.notebook is not None:
            shown = artifacts(json.loads(self.notebook.read_text(encoding="utf-8")))
        kept = {name: self.folder / path for name, path in self.record.artifacts.items()}
        return shown | {
            name: Artifact(name, path.name, path=path)
            for name, path in kept.items()
            if path.is_file()
        }

    @property
    def scraps(self) -> Mapping[str, Any]:
        """What the step's cells stored with ``scrapbook.glue``, by name, decoded.

        Raises LoadError for a scrap whose encoder this process does not know.
        """
        if self.notebook is None:
            return {}
        import scrapbook
        from scrapbook.exceptions import ScrapbookMissingEncoder

        try:
            found = scrapbook.read_notebook(str(self.notebook)).scraps
        except ScrapbookMissingEncoder as error:
            raise LoadError(
                f"a scrap of step {self.record.name} cannot be read: {error}",
                hint="register the encoder here too: scrapbook.encoders.registry.register(...)",
            ) from error
        return {name: scrap.data for name, scrap in found.items()}


@dataclass(frozen=True, repr=False)
class Run:
    """One execution of a pipeline on this machine.

    ``loads`` stands for ``pickle.loads`` where its variables are loaded.
    """

    record: RunRecord
    folder: Path
    loads: Callable[..., Any] = field(default=pickle.loads, repr=False, compare=False, kw_only=True)

    def __repr__(self) -> str:
        return f"Run({self.id!r}, {self.state.value})"

    def _repr_html_(self) -> str:
        from kale_pm.face.pictures import run_html

        return run_html(self.record, self.folder)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The run that lies in ``folder``.  Raises StoreError if none does, or it is damaged."""
        from kale_pm.local import read_run

        return cls(read_run(folder), folder)

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def state(self) -> State:
        return self.record.state

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.record.metrics

    @property
    def parameters(self) -> Mapping[str, Any]:
        return self.record.parameters

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @cached_property
    def steps(self) -> Mapping[str, RunStep]:
        return {
            name: RunStep(step, self.folder, self._stored)
            for name, step in self.record.steps.items()
        }

    def step(self, name: str) -> RunStep:
        """The step of this name; UsageError, with a near name, where the run has none."""
        if name not in self.steps:
            near = nearest(name, self.steps)
            raise UsageError(
                f"run {self.id} has no step '{name}'",
                hint=f"did you mean '{near}'?" if near else "steps: " + ", ".join(self.steps),
            )
        return self.steps[name]

    @property
    def variables(self) -> Mapping[str, RunVariable]:
        """What is known of every variable that is stored, as the run left it; loads none.

        Raises LoadError where a manifest of the run is missing or damaged.
        """
        return self._stored.final()

    @property
    def unknown_steps(self) -> tuple[str, ...]:
        """Steps of a fetched run of which nobody knows what they gave: their manifests are gone."""
        return self._stored.missing

    @cached_property
    def _stored(self) -> RunVariables:
        from kale_pm.local.results.variables import RunVariables

        return RunVariables(self.folder, self.record, self.loads)

    def __getitem__(self, name: str) -> Any:
        """The variable or metric ``name`` as the run left it.

        Of the variables only those that a later step needs are stored.  Large arrays are
        mapped from their file: they cost nothing until they are touched, and what is written
        to them never reaches the file.  Raises LoadError if there is none of this name, if two
        steps side by side have changed it, or if this process lacks what it is made of;
        PackError if its file is damaged.
        """
        stored = self.variables.get(name)
        if name in self.metrics and (stored is None or stored.kind in ("unsaved", "deleted")):
            return self.metrics[name]
        return self._stored.load(name)

    def __contains__(self, name: str) -> bool:
        """Whether it has a variable or metric ``name``, stored; see ``__getitem__``."""
        stored = self.variables.get(name)
        return name in self.metrics or (stored is not None and stored.kind in ("stored", "module"))

    def diff(self, other: Run) -> Comparison:
        """What differs from this run to the ``other``: values, code, variables, how it ended."""
        from kale_pm.local.results.comparison import compare_runs

        return compare_runs(self.record, self.folder, other.record, other.folder)

    def to_dict(self) -> dict[str, Any]:
        """The record for a program: what ``run --json`` and ``report --json`` print."""
        content: dict[str, Any] = json.loads(strict_json.dumps(self.record, default=str))
        return {**content, "state": self.state.value, "folder": str(self.folder)}

    @property
    def failures(self) -> list[StepFailed]:
        """What went wrong, one error for each failed step."""
        from kale_pm.local import failures

        found = failures(self.record, self.folder)
        for error in found:
            error.run = self
        return found

    def check(self) -> None:
        """Raise the first of the failures, if there are any."""
        for error in self.failures:
            raise error

    def write_report(self) -> Path:
        """Write ``report.html``, one page that shows the whole run; its path.

        Raises StoreError if the folder of the run cannot be written.
        """
        from kale_pm.local import Store
        from kale_pm.report import write_report

        store = Store(self.folder.parent.parent)
        try:
            return write_report(
                self.record,
                self.folder,
                fragments=store.fragments,
                implied=self.record.implied_edges,
            )
        except OSError as error:
            raise StoreError(
                f"cannot write {self.report}: {error.strerror}",
                hint="make room there, then: kale-pm report",
            ) from error


@dataclass(frozen=True, repr=False)
class FetchedRun(Run):
    """A run on a KFP server, as far as it could be brought here.

    ``lacks`` says, for each step, what of it is not to be had.
    """

    lacks: Mapping[str, tuple[Lack, ...]] = field(default_factory=dict)
