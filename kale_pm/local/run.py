"""Run a pipeline on this machine: steps in parallel, results kept and reused."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kale_pm.errors import PipelineError, UsageError
from kale_pm.events import Listener, RunFinished, RunStarted, ignore
from kale_pm.local.interruption import deferred_signals
from kale_pm.local.journal import Journal
from kale_pm.local.live import LiveRun, open_run
from kale_pm.local.memory import machine_memory, wanted_memory
from kale_pm.local.room import Room
from kale_pm.local.scheduler import schedule
from kale_pm.local.secrets import read_secrets
from kale_pm.local.step import do_step, skip_step
from kale_pm.local.store import store_in
from kale_pm.local.workplace import Workplace
from kale_pm.model import Pipeline
from kale_pm.notebook import bind
from kale_pm.record import RunRecord, Task


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
    pipeline = ready_to_run(pipeline, options)
    parameters = bind(pipeline.parameters, options.parameters, pipeline.language)
    forced, wanted = selection(pipeline, options)
    room = room_for(pipeline, options.jobs, [(0, name) for name in wanted])
    secrets = read_secrets(pipeline, wanted)
    store = store_in(options.folder or pipeline.folder)
    store.prepare()
    with deferred_signals() as told:
        folder = store.new_run(pipeline.name)
        with Journal(folder / "journal.jsonl") as journal:
            workplace = Workplace(
                pipeline,
                store,
                options.kernel,
                room,
                journal,
                lambda _trial, event: listener(event),
                secrets=secrets,
                fail_fast=options.fail_fast,
                verify=options.verify,
            )
            live = open_run(workplace, folder, parameters, wanted)
            # Now, and not at the end, for who is killed has no end.
            store.make_latest(folder, pipeline.name)
            _carry_out(live, forced, wanted, lambda: bool(told))
    return live.record, folder


def ready_to_run(pipeline: Pipeline, options: RunOptions) -> Pipeline:
    """``pipeline`` as it can be run with these options.

    Raises PipelineError if the notebook has errors, UsageError for an unknown kernel or for
    too few steps at a time.
    """
    if pipeline.errors:
        raise PipelineError(pipeline.path, pipeline.errors)
    if options.jobs is not None and options.jobs < 1:
        raise UsageError(f"{options.jobs} steps at a time is too few", hint="-j 1 runs one by one")
    if options.kernel is not None:
        check_kernel(options.kernel)
    # Kernels work in the notebook's folder, where a relative path would mean another place.
    return replace(pipeline, path=Path.cwd() / pipeline.path)


def room_for(pipeline: Pipeline, jobs: int | None, tasks: Iterable[Task]) -> Room[Task]:
    """Room for ``jobs`` of the ``tasks`` at a time (None: as many as there are cores).

    Raises UsageError for an amount of memory that nobody understands.
    """
    wanted = {}
    for step in pipeline.steps:
        try:
            wanted[step.name] = wanted_memory(step.options)
        except ValueError as error:
            raise UsageError(
                f"step {step.name}: the memory that it asks for: {error}",
                hint="write it as Kubernetes does, for example limit:memory:4Gi",
            ) from None
    heavy = {task: wanted[task[1]] for task in tasks if wanted[task[1]]}
    return Room(jobs or os.cpu_count() or 1, machine_memory(), heavy)


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
        live.workplace.close()
        seconds = time.monotonic() - began
        live.close(seconds)
        live.tell(RunFinished(run, live.record.state, seconds))


def _run_steps(
    live: LiveRun,
    forced: Mapping[str, str],
    wanted: Sequence[str],
    is_stopped: Callable[[], bool],
) -> None:
    workplace, parents = live.workplace, live.pipeline.parents
    workplace.expect(len(wanted))
    schedule(
        [live.task(name) for name in wanted],
        {live.task(name): [live.task(each) for each in parents[name]] for name in wanted},
        lambda task: do_step(live, task[1], forced.get(task[1], "")).state,
        lambda task, parent: skip_step(live, task[1], parent[1]),
        room=workplace.room,
        is_stopped=lambda: is_stopped() or workplace.gave_up is not None,
        stop=workplace.stop,
    )


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
