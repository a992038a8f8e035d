"""Run a pipeline on this machine: steps in parallel, results kept and reused."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kale_pm.errors import PipelineError, UsageError
from kale_pm.events import Listener, RunFinished, RunStarted, StepFinished, ignore
from kale_pm.local.interruption import deferred_signals
from kale_pm.local.journal import Journal
from kale_pm.local.live import LiveRun
from kale_pm.local.memory import machine_memory, wanted_memory
from kale_pm.local.room import Room
from kale_pm.local.scheduler import schedule
from kale_pm.local.secrets import read_secrets
from kale_pm.local.step import do_step, inputs_of
from kale_pm.local.store import store_in, write_run
from kale_pm.model import Pipeline
from kale_pm.notebook import bind
from kale_pm.record import RunRecord, State, StepRecord


@dataclass(frozen=True)
class RunOptions:
    """How a pipeline is run on this machine.

    ``parameters`` are values by name, ``folder`` is where ``.kale-pm`` lies (default: beside
    the notebook), ``jobs`` how many steps execute at a time (default: the cores), ``kernel``
    the name of a kernelspec to use instead of the notebook's.  ``fresh`` reuses nothing,
    ``start`` names a step that is executed again with all that follow it, ``only`` a step
    that is executed with nothing that follows it.

    ``fail_fast`` ends the run at the first failure: nothing new starts, and what runs is
    interrupted.  ``verify`` checks every byte of the stored variables that steps load or that
    a step is spared for.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    jobs: int | None = None
    kernel: str | None = None
    fresh: bool = False
    start: str | None = None
    only: str | None = None
    fail_fast: bool = False
    verify: bool = False


def run_pipeline(
    pipeline: Pipeline, options: RunOptions = RunOptions(), listener: Listener = ignore
) -> tuple[RunRecord, Path]:
    """Run ``pipeline``; the record and the run's folder.

    ``listener`` hears what happens, one event at a time, from several threads.

    A failing step is no exception: see ``record.failures``.  Raises PipelineError if the
    notebook has errors, ParameterError for bad values, UsageError for an unknown step or
    kernel, SecretError for a secret that is not to be had, StoreError if the folder cannot be
    written.  A signal that ends the process does
    so after the run has ended in order: Ctrl-C raises KeyboardInterrupt then.
    """
    if pipeline.errors:
        raise PipelineError(pipeline.path, pipeline.errors)
    if options.jobs is not None and options.jobs < 1:
        raise UsageError(f"{options.jobs} steps at a time is too few", hint="-j 1 runs one by one")
    if options.kernel is not None:
        check_kernel(options.kernel)
    # Kernels work in the notebook's folder, where a relative path would mean another place.
    pipeline = replace(pipeline, path=Path.cwd() / pipeline.path)
    parameters = bind(pipeline.parameters, options.parameters, pipeline.language)
    forced, wanted = selection(pipeline, options)
    room = _room(pipeline, options)
    secrets = read_secrets(pipeline, wanted)
    store = store_in(options.folder or pipeline.folder)
    store.prepare()
    with deferred_signals() as told:
        folder = store.new_run(pipeline.name)
        record = _first_record(pipeline, parameters, folder, wanted)
        write_run(record, folder)
        with Journal(folder / "journal.jsonl") as journal:
            live = LiveRun(
                pipeline,
                parameters,
                store,
                options.kernel,
                folder,
                record,
                journal,
                listener,
                room=room,
                verify=options.verify,
                secrets=secrets,
                fail_fast=options.fail_fast,
            )
            _carry_out(live, forced, wanted, lambda: bool(told))
    return live.record, folder


def _carry_out(
    live: LiveRun,
    forced: Mapping[str, str],
    wanted: Sequence[str],
    is_stopped: Callable[[], bool],
) -> None:
    """Run the steps; however that ends, the record says so."""
    began = time.monotonic()
    run, name = live.folder.name, live.pipeline.name
    live.tell(RunStarted(run, name, tuple(wanted)))
    try:
        _run_steps(live, forced, wanted, is_stopped)
    finally:
        live.close_kernels()
        _mark_interrupted(live)
        seconds = time.monotonic() - began
        live.finish(state=_final_state(live), seconds=seconds)
        live.store.make_latest(live.folder, name)
        live.tell(RunFinished(run, live.record.state, seconds))


def _room(pipeline: Pipeline, options: RunOptions) -> Room:
    wanted = {}
    for step in pipeline.steps:
        try:
            wanted[step.name] = wanted_memory(step.options)
        except ValueError as error:
            raise UsageError(
                f"step {step.name}: the memory that it asks for: {error}",
                hint="write it as Kubernetes does, for example limit:memory:4Gi",
            ) from None
    return Room(options.jobs or os.cpu_count() or 1, machine_memory(), wanted)


def check_kernel(name: str) -> None:
    """Raise UsageError if this machine has no kernel of this name."""
    from kale_pm.runtime.execution.kernel import find_spec, kernel_names

    if find_spec(name) is None:
        listing = ", ".join(kernel_names())
        raise UsageError(f"there is no kernel '{name}' here", hint=f"kernels: {listing}")


def selection(pipeline: Pipeline, options: RunOptions) -> tuple[dict[str, str], list[str]]:
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
    is_stopped: Callable[[], bool],
) -> None:
    def work(name: str) -> State:
        live.update(replace(live.record.steps[name], state=State.RUNNING, started=time.time()))
        try:
            record = do_step(live, live.pipeline.step(name), forced.get(name, ""))
        finally:
            live.forget(name)
        if record.state is State.INTERRUPTED:
            record = replace(record, why=_interruption(live))
        live.update(record)
        live.tell(_finished(record))
        if live.fail_fast and record.state is State.FAILED:
            live.give_up(name)
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
        room=live.room,
        is_stopped=lambda: is_stopped() or live.gave_up is not None,
        stop=live.stop,
    )


def _finished(record: StepRecord) -> StepFinished:
    return StepFinished(
        record.name, record.state, record.seconds or 0.0, record.why, record.error, record.notebook
    )


def _mark_interrupted(live: LiveRun) -> None:
    for step in live.record.steps.values():
        if live.gave_up is not None and step.state is State.WAITING:
            why = f"{live.gave_up} failed, and --fail-fast starts nothing after a failure"
            record = replace(step, state=State.SKIPPED, why=why)
            live.update(record)
            live.tell(_finished(record))
        elif not step.state.is_final:
            live.update(replace(step, state=State.INTERRUPTED, why=_interruption(live)))


def _interruption(live: LiveRun) -> str:
    if live.gave_up is None:
        return "the run was interrupted"
    return f"{live.gave_up} failed, and --fail-fast ends the others"


def _final_state(live: LiveRun) -> State:
    states = {step.state for step in live.record.steps.values()}
    if State.INTERRUPTED in states and live.gave_up is None:
        return State.INTERRUPTED
    return State.FAILED if State.FAILED in states else State.DONE
