"""What came of a whole run, put together from what its steps left on a volume (diary.py)."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from kale_pm.record import CellError, RunRecord, State, StepRecord
from kale_pm.runtime.pod.diary import Diary
from kale_pm.runtime.pod.parameters import decode

SUCCEEDED = "SUCCEEDED"
# What a browser shows inside of KFP's user interface.
LARGEST = 4_000_000  # bytes
NOTEBOOKS = "notebooks"


class WriteReport(Protocol):
    """``kale_pm.report.write_report``, which travels with the exit task alone."""

    def __call__(
        self, record: RunRecord, folder: Path, *, implied: Collection[tuple[str, str]]
    ) -> Path: ...


class FinalStatus(Protocol):
    """The part of ``kfp.dsl.PipelineTaskFinalStatus`` that is used here."""

    state: str


def run_record(
    facts: Mapping[str, Any],
    diary: Diary,
    *,
    run: str,
    status: FinalStatus,
    parameters: Mapping[str, Any],
) -> RunRecord:
    """What came of the run ``run``, as far as its steps have told.

    ``facts`` are what the compiler knew: ``pipeline``, ``notebook``, ``implied`` edges, the
    ``name`` and ``type`` of each of the ``parameters``, and for each of the ``steps``, parents
    first, its ``parents``, ``inputs`` and ``needs``, and whether the ``report`` shows its
    notebook.
    """
    steps: dict[str, StepRecord] = {}
    heard = {name: diary.read(name) for name in facts["steps"]}
    for name, known in facts["steps"].items():
        said = heard[name]
        if said is None:
            children = [n for n, other in facts["steps"].items() if name in other["parents"]]
            passed = status.state == SUCCEEDED or any(heard[child] for child in children)
            said = _silent(name, passed, [steps[parent] for parent in known["parents"]])
        elif said.state is State.RUNNING:
            said = _cut_short(said, status)
        steps[name] = replace(
            said,
            parents=tuple(known["parents"]),
            inputs=tuple(known["inputs"]),
            needs=tuple(known["needs"]),
            notebook=f"{NOTEBOOKS}/{name}.ipynb"
            if known["report"] and diary.notebook(name)
            else None,
        )
    times = [step.started for step in steps.values() if step.started is not None]
    ends = [(step.started or 0.0) + (step.seconds or 0.0) for step in steps.values()]
    started = min(times, default=time.time())
    return RunRecord(
        id=run,
        pipeline=facts["pipeline"],
        notebook=facts["notebook"],
        state=_run_state(status),
        parameters={
            declared["name"]: _legible(parameters[name], declared["type"])
            for name, declared in facts["parameters"].items()
        },
        steps=steps,
        started=started,
        seconds=max(0.0, max(ends, default=started) - started),
        metrics={n: value for step in steps.values() for n, value in step.metrics.items()},
        implied_edges=tuple((parent, child) for parent, child in facts["implied"]),
    )


def _legible(value: Any, kind: str) -> Any:
    """The notebook's value of a parameter; as it was given, where no step could read it."""
    try:
        return decode(value, kind)
    except ValueError:
        return value


def _silent(name: str, passed: bool, parents: list[StepRecord]) -> StepRecord:
    if passed:
        return StepRecord(name, State.CACHED, why="KFP took it from its cache")
    if not all(parent.state.is_success for parent in parents):
        return StepRecord(name, State.SKIPPED, why="an earlier step did not succeed")
    return StepRecord(name, State.SKIPPED, why="it left nothing on the volume")


def _cut_short(said: StepRecord, status: FinalStatus) -> StepRecord:
    if _run_state(status) is State.INTERRUPTED:
        return replace(said, state=State.INTERRUPTED)
    error = CellError(
        "KalePmError",
        "the pod ended before the step did",
        hint="it was killed, for want of memory or by a time limit: see the events of the pod",
    )
    return replace(said, state=State.FAILED, error=error)


def _run_state(status: FinalStatus) -> State:
    if status.state == SUCCEEDED:
        return State.DONE
    return State.INTERRUPTED if status.state.startswith("CANCEL") else State.FAILED


def publish(
    record: RunRecord, diary: Diary, *, folder: Path, page: Path, write_report: WriteReport
) -> None:
    """Write the report of the run and all its notebooks to ``folder``, the report to ``page``.

    A report that is too large for KFP's user interface comes without the notebooks of the
    steps that succeeded, or of all; that in ``folder`` has them.
    """
    (folder / NOTEBOOKS).mkdir(parents=True, exist_ok=True)
    for step in record.steps.values():
        kept = diary.notebook(step.name)
        if kept is not None:
            shutil.copyfile(kept, folder / NOTEBOOKS / kept.name)
    report = write_report(record, folder, implied=record.implied_edges)
    page.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(report, page)
    failures = tuple(step.name for step in record.failures)
    for shown in (failures, ()):
        if page.stat().st_size <= LARGEST:
            return
        _write_smaller(_with_notebooks_of(shown, record), folder, page, write_report)


def _write_smaller(record: RunRecord, folder: Path, page: Path, write_report: WriteReport) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / NOTEBOOKS).symlink_to(folder / NOTEBOOKS)
        report = write_report(record, Path(scratch), implied=record.implied_edges)
        shutil.copyfile(report, page)


def _with_notebooks_of(names: Collection[str], record: RunRecord) -> RunRecord:
    steps = {
        name: step if name in names else replace(step, notebook=None)
        for name, step in record.steps.items()
    }
    return replace(record, steps=steps)
