"""``sweep(n=[1, 2])``: the sweep of a tiny notebook, with executions that only pretend."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tiny_notebooks import write_notebook

from kale_pm.analysis import understand
from kale_pm.events import OfTrial, StepStarted, SweepEvent, Warned
from kale_pm.local import RunOptions, read_run
from kale_pm.local import step as step_module
from kale_pm.local.live import LiveRun
from kale_pm.local.sweeping import SweepOptions, run_sweep, unfinished
from kale_pm.model import Pipeline, Step
from kale_pm.notebook import read
from kale_pm.record import CellError, RunRecord, State, StepRecord, SweepRecord, TrialRecord
from kale_pm.runtime.execution.execute import Outcome
from kale_pm.runtime.manifest import Manifest, Version, read_manifest, write_manifest
from kale_pm.runtime.merging import ancestors, merge_versions
from kale_pm.sweep import Plan, plan_sweep, space_of, trials
from kale_pm.trials.goal import read_condition, read_goal

Cells = Sequence[tuple[str, str]]  # tags, separated by spaces, and source

# What is above `train` no rate reaches; `rate` reaches two steps, `depth` the last one.
CELLS = [
    ("parameters", "rate = 0.1\ndepth = 3\nname = 'a'\nseed = 1"),
    ("block:load", "x = seed"),
    ("block:train prev:load", "m = x * rate"),
    ("block:test prev:train", "score = m * depth"),
    ("metrics", "score"),
]


@dataclass
class Swept:
    """What a sweep did."""

    record: SweepRecord
    folder: Path
    plan: Plan
    events: list[SweepEvent]

    def trial(self, number: int) -> TrialRecord:
        return next(trial for trial in self.record.trials if trial.number == number)

    def run_folder(self, number: int) -> Path:
        run = self.trial(number).run
        assert run is not None
        return self.folder.parent.parent / "runs" / run

    def run(self, number: int) -> RunRecord:
        return read_run(self.run_folder(number))

    @property
    def states(self) -> list[str]:
        return [trial.state.value for trial in self.record.trials]

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]

    @property
    def executed(self) -> list[tuple[int, str]]:
        """The trial and the step of every execution, in no order."""
        return sorted(
            (event.number, event.event.step)
            for event in self.events
            if isinstance(event, OfTrial) and isinstance(event.event, StepStarted)
        )


@dataclass
class Sweeper:
    """Sweeps the notebook in its folder.

    ``fails`` says of the step and the parameters of an execution why it fails, or nothing;
    ``meanwhile`` is called in every execution; ``listen`` hears every event.
    """

    folder: Path
    fails: Callable[[str, Mapping[str, Any]], str | None] = lambda _step, _parameters: None
    meanwhile: Callable[[LiveRun, Step], None] = lambda _live, _step: None
    listen: Callable[[SweepEvent], None] = lambda _event: None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.folder / "notebook.ipynb"

    @property
    def store(self) -> Path:
        return self.folder / ".kale-pm"

    def write_cells(self, cells: Cells) -> None:
        write_notebook(self.path, cells)

    def pipeline(self) -> Pipeline:
        return understand(read(self.path))

    def plan(self, **given: Any) -> Plan:
        pipeline = self.pipeline()
        space = space_of(pipeline.parameters, given)
        found, _ = trials(pipeline.parameters, space)
        return plan_sweep(pipeline, found, space.names)

    def __call__(
        self, *, best: str = "", stop_when: str = "", jobs: int = 1, **given: Any
    ) -> Swept:
        """Sweep the notebook with these values; the others are options of RunOptions."""
        options = SweepOptions(
            RunOptions(jobs=jobs, **self.options),
            read_goal(best) if best else None,
            read_condition(stop_when) if stop_when else None,
        )
        return self.carry_out(self.plan(**given), options)

    def retry(self, record: SweepRecord, **options: Any) -> Swept:
        pipeline = self.pipeline()
        plan = plan_sweep(pipeline, unfinished(pipeline, record), record.varied)
        return self.carry_out(plan, SweepOptions(RunOptions(jobs=1), retry=record, **options))

    def carry_out(self, plan: Plan, options: SweepOptions) -> Swept:
        events: list[SweepEvent] = []

        def hear(event: SweepEvent) -> None:
            events.append(event)
            self.listen(event)

        record, folder = run_sweep(self.pipeline(), plan, options, hear)
        return Swept(record, folder, plan, events)

    def execute(self, live: LiveRun, step: Step, _notebook: object, record: StepRecord) -> Outcome:
        """What takes the place of an execution in a kernel: it gives what it was given."""
        self.meanwhile(live, step)
        given = {name: live.parameters[name] for name in step.parameters}
        inputs = [read_manifest(live.manifest(name)) for name in record.inputs]
        versions = merge_versions(inputs)
        needed = {need.name: versions[need.name].component for need in step.needs}
        made = hashlib.sha256(repr([step.name, given, needed]).encode()).hexdigest()[:32]
        order = live.pipeline.order.index(step.name)
        content = {"cells": [], "metadata": {"kale_pm": {"step": step.name, "made": made}}}
        live.notebook(step.name).write_text(json.dumps(content))
        (live.folder / "logs" / f"{step.name}.log").touch()
        reason = self.fails(step.name, live.parameters)
        if reason is not None:
            return Outcome(State.FAILED, 0.0, CellError("ValueError", reason))
        own = {name: Version(step.name, order, made) for name in step.gives}
        manifest = Manifest(
            step.name, order, versions={**versions, **own}, ancestors=ancestors(inputs)
        )
        write_manifest(manifest, live.manifest(step.name))
        values = live.parameters
        score = values["rate"] * values["depth"] if "score" in step.metrics else None
        return Outcome(State.DONE, 0.0, None, {} if score is None else {"score": score})


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweeper:
    sweeper = Sweeper(tmp_path)
    sweeper.write_cells(CELLS)
    monkeypatch.setattr(step_module, "execute_step", sweeper.execute)
    return sweeper
