"""Run a pipeline on this machine: steps in parallel, results kept and reused."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kale_pm.errors import PipelineError, StepFailed, UsageError
from kale_pm.events import Listener, RunFinished, RunStarted, StepFinished, ignore
from kale_pm.local.interruption import deferred_signals
from kale_pm.local.journal import Journal
from kale_pm.local.live import LiveRun
from kale_pm.local.scheduler import schedule
from kale_pm.local.step import do_step, inputs_of
from kale_pm.local.store import NAME, Store, write_run
from kale_pm.model import Pipeline
from kale_pm.notebook import bind
from kale_pm.record import CellError, RunRecord, State, StepRecord


@dataclass(frozen=True)
class RunOptions:
    """How a pipeline is run on this machine.

    ``parameters`` are values by name, ``folder`` is where ``.kale-pm`` lies (default: beside
    the notebook), ``jobs`` how many steps execute at a time (default: the cores), ``kernel``
    the name of a kernelspec to use instead of the notebook's.  ``fresh`` reuses nothing,
    ``start`` names a step that is executed again with all that follow it, ``only`` a step
    that is executed with nothing that follows it.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    jobs: int | None = None
    kernel: str | None = None
    fresh: bool = False
    start: str | None = None
    only: str | None = None


def run_pipeline(
    pipeline: Pipeline, options: RunOptions = RunOptions(), listener: Listener = ignore
) -> tuple[RunRecord, Path]:
    """Run ``pipeline``; the record and the run's folder.

    ``listener`` hears what happens, one event at a time, from several threads.

    A failing step is no exception: see ``record.failures``.  Raises PipelineError if the
    notebook has errors, ParameterError for bad values, UsageError for an unknown step or
    kernel, StoreError if the folder cannot be written.  A signal that ends the process does
    so after the run has ended in order: Ctrl-C raises KeyboardInterrupt then.
    """
    if pipeline.errors:
        raise PipelineError(pipeline.path, pipeline.errors)
    if options.jobs is not None and options.jobs < 1:
        raise UsageError(f"{options.jobs} steps at a time is too few", hint="-j 1 runs one by one")
    if options.kernel is not None:
        _check_kernel(options.kernel)
    # Kernels work in the notebook's folder, where a relative path would mean another place.
    pipeline = replace(pipeline, path=Path.cwd() / pipeline.path)
    parameters = bind(pipeline.parameters, options.parameters)
    forced, wanted = _selection(pipeline, options)
    store = Store((options.folder or pipeline.folder).resolve() / NAME)
    store.prepare()
    with deferred_signals() as told:
        folder = store.new_run(pipeline.name)
        record = _first_record(pipeline, parameters, folder, wanted)
        write_run(record, folder)
        with Journal(folder / "journal.jsonl") as journal:
            live = LiveRun(
                pipeline, parameters, store, folder, options.kernel, record, journal, listener
            )
            _carry_out(live, forced, wanted, options.jobs, lambda: bool(told))
    return live.record, folder


def _carry_out(
    live: LiveRun,
    forced: Mapping[str, str],
    wanted: Sequence[str],
    jobs: int | None,
    is_stopped: Callable[[], bool],
) -> None:
    """Run the steps; however that ends, the record says so."""
    began = time.monotonic()
    run, name = live.folder.name, live.pipeline.name
    live.tell(RunStarted(run, name, tuple(wanted)))
    try:
        _run_steps(live, forced, wanted, jobs or os.cpu_count() or 1, is_stopped)
    finally:
        _mark_interrupted(live)
        seconds = time.monotonic() - began
        live.finish(state=_final_state(live.record), seconds=seconds)
        live.store.make_latest(live.folder, name)
        live.tell(RunFinished(run, live.record.state, seconds))


def _check_kernel(name: str) -> None:
    from kale_pm.runtime.execution.kernel import find_spec, kernel_names

    if find_spec(name) is None:
        listing = ", ".join(kernel_names())
        raise UsageError(f"there is no kernel '{name}' here", hint=f"kernels: {listing}")


def _selection(pipeline: Pipeline, options: RunOptions) -> tuple[dict[str, str], list[str]]:
    """The steps that must be executed, with the reason, and all that the run is about."""
    start, only = options.start, options.only
    names = [step.name for step in pipeline.steps]
    for asked in (start, only):
        if asked is not None and asked not in names:
            raise UsageError(f"there is no step '{asked}'", hint="steps: " + ", ".join(names))
    if start and only:
        raise UsageError("--from and --only exclude each other")
    wanted = list(pipeline.order)
    forced: dict[str, str] = {}
    if only is not None:
        wanted = [n for n in wanted if n == only or n in pipeline.ancestors[only]]
        forced[only] = "asked for by --only"
    if start is not None:
        forced[start] = "asked for by --from"
        for name in wanted:
            if start in pipeline.ancestors[name]:
                forced[name] = f"follows {start}, asked for by --from"
    if options.fresh:
        forced = dict.fromkeys(wanted, "asked for by --fresh")
    return forced, wanted


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
                needs=tuple(need.name for need in step.needs),
            )
            for step in pipeline.steps
            if step.name in wanted
        },
        started=time.time(),
        implied_edges=pipeline.implied_edges,
        process=os.getpid(),
    )


def _run_steps(
    live: LiveRun,
    forced: Mapping[str, str],
    wanted: Sequence[str],
    jobs: int,
    is_stopped: Callable[[], bool],
) -> None:
    def work(name: str) -> State:
        live.update(replace(live.record.steps[name], state=State.RUNNING, started=time.time()))
        try:
            record = do_step(live, live.pipeline.step(name), forced.get(name, ""))
        finally:
            live.forget(name)
        live.update(record)
        live.tell(_finished(record))
        return record.state

    def skip(name: str, parent: str) -> None:
        why = f"{parent} did not succeed"
        record = replace(live.record.steps[name], state=State.SKIPPED, why=why)
        live.update(record)
        live.tell(_finished(record))

    schedule(
        wanted,
        live.pipeline.parents,
        work,
        skip,
        jobs=jobs,
        is_stopped=is_stopped,
        stop=live.stop,
    )


def _finished(record: StepRecord) -> StepFinished:
    return StepFinished(
        record.name, record.state, record.seconds or 0.0, record.why, record.error, record.notebook
    )


def _mark_interrupted(live: LiveRun) -> None:
    for step in live.record.steps.values():
        if not step.state.is_final or step.state is State.INTERRUPTED:
            live.update(replace(step, state=State.INTERRUPTED, why="the run was interrupted"))


def _final_state(record: RunRecord) -> State:
    states = {step.state for step in record.steps.values()}
    if State.INTERRUPTED in states:
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
