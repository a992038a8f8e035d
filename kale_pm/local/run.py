"""Run a pipeline on this machine: steps in parallel, results kept and reused."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

from kale_pm.errors import PipelineError, StepFailed, UsageError
from kale_pm.events import Event, Listener, RunFinished, RunStarted, StepFinished, ignore
from kale_pm.local.journal import Journal
from kale_pm.local.scheduler import schedule
from kale_pm.local.step import Place, do_step, inputs_of
from kale_pm.local.store import NAME, Store, write_run
from kale_pm.model import Pipeline
from kale_pm.notebook import bind
from kale_pm.record import CellError, RunRecord, State, StepRecord


@dataclass
class _Progress:
    """The record of a run while it grows; steps finish in several threads."""

    record: RunRecord
    folder: Path
    monitors: dict[str, Any] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def update(self, step: StepRecord) -> None:
        with self.lock:
            steps = {**self.record.steps, step.name: step}
            # In the order of the notebook, whichever step is done first.
            metrics = {k: v for each in steps.values() for k, v in each.metrics.items()}
            self.record = replace(self.record, steps=steps, metrics=metrics)
            write_run(self.record, self.folder)


def run_pipeline(
    pipeline: Pipeline,
    given: Mapping[str, Any] | None = None,
    *,
    folder: Path | None = None,
    jobs: int | None = None,
    kernel: str | None = None,
    fresh: bool = False,
    start: str | None = None,
    only: str | None = None,
    listener: Listener = ignore,
) -> tuple[RunRecord, Path]:
    """Run ``pipeline`` with the parameter values ``given``; the record and the run's folder.

    ``folder`` is where ``.kale-pm`` lies (default: beside the notebook), ``jobs`` how many
    steps execute at a time (default: the cores), ``kernel`` the name of a kernelspec to use
    instead of the notebook's.  ``fresh`` reuses nothing, ``start`` names
    a step that is executed again with all that follow it, ``only`` a step that is executed
    with nothing that follows it.

    A failing step is no exception: see ``record.failures``.  Raises PipelineError if the
    notebook has errors, ParameterError for bad values, UsageError for an unknown step or
    kernel, StoreError if the folder cannot be written, KeyboardInterrupt after an orderly end.
    """
    if pipeline.errors:
        raise PipelineError(pipeline.path, pipeline.errors)
    if jobs is not None and jobs < 1:
        raise UsageError(f"{jobs} steps at a time is too few", hint="-j 1 runs one by one")
    if kernel is not None:
        _check_kernel(kernel)
    # Kernels work in the notebook's folder, where a relative path would mean another place.
    pipeline = replace(pipeline, path=Path.cwd() / pipeline.path)
    parameters = bind(pipeline.parameters, given or {})
    forced, wanted = _selection(pipeline, fresh, start, only)
    store = Store((folder or pipeline.folder).resolve() / NAME)
    store.prepare()
    run_folder = store.new_run(pipeline.name)
    began = time.monotonic()
    progress = _Progress(_first_record(pipeline, parameters, run_folder, wanted), run_folder)
    write_run(progress.record, run_folder)
    with Journal(run_folder / "journal.jsonl") as journal:

        def tell(event: Event) -> None:
            journal.write(event)
            listener(event)

        tell(RunStarted(run_folder.name, pipeline.name, tuple(wanted)))
        place = Place(
            pipeline,
            parameters,
            store,
            run_folder,
            kernel,
            tell,
        )
        try:
            _run_steps(place, progress, forced, wanted, jobs or os.cpu_count() or 1)
        except BaseException:
            place.stopped.set()
            _interrupt(progress)
            raise
        finally:
            seconds = time.monotonic() - began
            progress.record = replace(
                progress.record, state=_final_state(progress.record), seconds=seconds
            )
            write_run(progress.record, run_folder)
            store.make_latest(run_folder, pipeline.name)
            tell(RunFinished(run_folder.name, progress.record.state, seconds))
    return progress.record, run_folder


def _check_kernel(name: str) -> None:
    from kale_pm.runtime.execution.kernel import find_spec, kernel_names

    if find_spec(name) is None:
        listing = ", ".join(kernel_names())
        raise UsageError(f"there is no kernel '{name}' here", hint=f"kernels: {listing}")


def _selection(
    pipeline: Pipeline, fresh: bool, start: str | None, only: str | None
) -> tuple[dict[str, str], list[str]]:
    """The steps that must be executed, with the reason, and all that the run is about."""
    names = [step.name for step in pipeline.steps]
    for asked in (start, only):
        if asked is not None and asked not in names:
            raise UsageError(f"there is no step '{asked}'", hint="steps: " + ", ".join(names))
    if start and only:
        raise UsageError("--from and --only exclude each other")
    wanted = list(pipeline.order)
    forced: dict[str, str] = {}
    if only is not None:
        wanted = [n for n in wanted if n == only or n in _ancestors(pipeline, only)]
        forced[only] = "asked for by --only"
    if start is not None:
        forced[start] = "asked for by --from"
        for name in wanted:
            if start in _ancestors(pipeline, name):
                forced[name] = f"follows {start}, asked for by --from"
    if fresh:
        forced = dict.fromkeys(wanted, "asked for by --fresh")
    return forced, wanted


def _ancestors(pipeline: Pipeline, name: str) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for parent in pipeline.parents[waiting.pop()]:
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found


def _first_record(
    pipeline: Pipeline, parameters: Mapping[str, Any], folder: Path, wanted: Collection[str]
) -> RunRecord:
    return RunRecord(
        id=folder.name,
        pipeline=pipeline.name,
        notebook=str(pipeline.path),
        state=State.RUNNING,
        parameters=parameters,
        steps={
            step.name: StepRecord(
                step.name,
                parents=pipeline.parents[step.name],
                inputs=inputs_of(pipeline, step),
            )
            for step in pipeline.steps
            if step.name in wanted
        },
        started=time.time(),
        implied_edges=pipeline.implied_edges,
        process=os.getpid(),
    )


def _run_steps(
    place: Place,
    progress: _Progress,
    forced: Mapping[str, str],
    wanted: Collection[str],
    jobs: int,
) -> None:
    def work(name: str) -> State:
        step = place.pipeline.step(name)
        progress.update(
            replace(progress.record.steps[name], state=State.RUNNING, started=time.time())
        )
        record = do_step(place, step, forced.get(name, ""), progress.monitors.__setitem__)
        progress.update(record)
        progress.monitors.pop(name, None)
        place.listener(_finished(record))
        return record.state

    def skip(name: str, parent: str) -> None:
        record = replace(
            progress.record.steps[name], state=State.SKIPPED, why=f"{parent} did not succeed"
        )
        progress.update(record)
        place.listener(_finished(record))

    order = [name for name in place.pipeline.order if name in wanted]
    schedule(order, place.pipeline.parents, work, skip, jobs)


def _finished(record: StepRecord) -> StepFinished:
    return StepFinished(
        record.name, record.state, record.seconds or 0.0, record.why, record.error, record.notebook
    )


def _interrupt(progress: _Progress) -> None:
    """End the kernels that still run; what they have done so far stays in their notebooks."""
    deadline = time.monotonic() + 5
    while progress.monitors and time.monotonic() < deadline:
        # Again and again, because a kernel may be just about to start.
        for monitor in list(progress.monitors.values()):
            monitor.interrupt()
        time.sleep(0.02)
    for step in progress.record.steps.values():
        if not step.state.is_final or step.state is State.INTERRUPTED:
            progress.update(replace(step, state=State.INTERRUPTED, why="the run was interrupted"))


def _final_state(record: RunRecord) -> State:
    states = {step.state for step in record.steps.values()}
    if states & {State.INTERRUPTED, State.RUNNING, State.WAITING}:
        return State.INTERRUPTED
    return State.FAILED if State.FAILED in states else State.DONE


def failures(record: RunRecord, folder: Path) -> list[StepFailed]:
    """Every failure of a run as an error that says it all, in the order of the steps."""
    return [_failure(step, folder) for step in record.failures]


def _failure(step: StepRecord, folder: Path) -> StepFailed:
    error = step.error or CellError("Failed", "")
    added = "a cell that kale-pm added" if step.notebook else "before its first cell"
    where = f"cell {error.cell}" if error.cell else added
    line = f", line {error.line}" if error.line else ""
    source = f": {error.source}" if error.source else ""
    notebook = str(folder / step.notebook) if step.notebook else ""
    return StepFailed(
        step.name,
        f"{where}{line}{source}\n{error.ename}: {error.evalue}",
        notebook=notebook,
        hint=f"look at {notebook}" if notebook else "",
    )
