"""Pipelines for the tests, written down step by step; every step is a process of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

from step_processes import Report, StepServer, Task, cells_of_slice

from kale_pm.runtime.manifest import InPack, Manifest, read_manifest


@dataclass(frozen=True)
class Step:
    """A step as its slice has it; names stand in one text, apart by spaces.

    ``parents`` are the steps whose manifests it reads.  ``needs`` are the arguments of load,
    ``gives`` those of save.  ``killed_after`` so many seconds, if at all.
    """

    name: str
    parents: str = ""
    needs: str = ""
    gives: str = ""
    code: str = ""
    killed_after: float | None = None
    verify: bool = False


class Recipe:
    """One pipeline in a folder: the steps run one after the other, in the order of the calls.

    ``apart`` gives each step a folder of its own, as a cluster does; else manifests lie side
    by side and packs too, as they do on one machine.
    """

    def __init__(self, server: StepServer, folder: Path, *, apart: bool = False) -> None:
        self.prelude = ""
        self.folder = folder
        self._server = server
        self._apart = apart
        self._order: dict[str, int] = {}

    def run(self, name: str, parents: str = "", **details: Any) -> Report:
        """Run a step that must succeed; ``details`` are the other fields of :class:`Step`."""
        (report,) = self.together(Step(name, parents, **details))
        assert not report.error, report.traceback
        return report

    def refused(self, name: str, parents: str = "", **details: Any) -> Report:
        """Run a step that must end with an error of kale-pm, one that says what to do."""
        (report,) = self.together(Step(name, parents, **details))
        assert report.error in {"LoadError", "PackError", "SaveError", "StoreError"}, report
        assert "\n" in report.message, f"no hint: {report.message}"
        return report

    def together(self, *steps: Step) -> list[Report]:
        """Run steps at the same time, whatever becomes of them."""
        return self._server.run(*map(self._task, steps))

    def manifest(self, name: str) -> Path:
        if self._apart:
            return self.folder / name / "manifest.json"
        return self.folder / "manifests" / f"{name}.json"

    def packs(self, name: str) -> Path:
        """The folder of the step's packs."""
        return self.folder / name if self._apart else self.folder / "packs"

    def handed_on(self, name: str) -> Manifest:
        return read_manifest(self.manifest(name))

    def given(self, name: str) -> set[str]:
        """The variables that the step stored."""
        return set(self.handed_on(name).variables)

    def pack(self, name: str, variable: str) -> Path:
        """The file in which the step stored the variable."""
        place = self.handed_on(name).variables[variable].place
        assert isinstance(place, InPack)
        return (self.manifest(name).parent / place.pack).resolve()

    def _task(self, step: Step) -> Task:
        order = self._order.setdefault(step.name, len(self._order))
        inputs = [str(self.manifest(parent)) for parent in step.parents.split()]
        environment = {
            "KALE_PM_INPUTS": json.dumps(inputs),
            "KALE_PM_OUTPUT": str(self.manifest(step.name)),
            "KALE_PM_PACKS": str(self.packs(step.name)),
            "KALE_PM_ORDER": str(order),
            **({"KALE_PM_VERIFY": "1"} if step.verify else {}),
        }
        prelude = "import numpy as np\n" + dedent(self.prelude)
        cells = cells_of_slice(
            step.name, prelude, dedent(step.code), step.needs.split(), step.gives.split()
        )
        return Task(environment, str(self.folder), cells, step.killed_after)
