"""Sweep a pipeline on this machine: all trials side by side, what they share executed once."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kale_pm.errors import UsageError
from kale_pm.events import (
    OfTrial,
    SweepFinished,
    SweepListener,
    SweepStarted,
    ignore,
)
from kale_pm.local.interruption import deferred_signals
from kale_pm.local.journal import Journal
from kale_pm.local.run import RunOptions, ready_to_run, room_for, selection
from kale_pm.local.scheduler import schedule
from kale_pm.local.secrets import read_secrets
from kale_pm.local.store import Store, store_in
from kale_pm.local.sweep_files import TrialLog, trial_runs, write_sweep
from kale_pm.local.sweeping.live import LiveSweep
from kale_pm.local.sweeping.results import write_results
from kale_pm.local.workplace import Workplace
from kale_pm.model import Pipeline
from kale_pm.record import State, SweepRecord, TrialRecord
from kale_pm.slicing import cut
from kale_pm.sweep import Plan, Trial
from kale_pm.trials.goal import Condition, Goal

_CHANGED = (
    "the notebook has changed since the other trials were done: "
    "sweep it anew for results that can be compared"
)


@dataclass(frozen=True)
class SweepOptions:
    """How a pipeline is swept on this machine.

    ``run`` is how its steps are executed; the values of the parameters are those of the trials,
    and no step can be left out.  ``goal`` says which trial is the best, ``stop_when`` what one
    must be for no more to be started.  ``retry`` is the sweep that goes on: the trials of the
    plan are tried again in it.  ``reports`` is how many trials get a report, besides the failed
    ones, for whoever writes them.
    """

    run: RunOptions = field(default_factory=RunOptions)
    goal: Goal | None = None
    stop_when: Condition | None = None
    retry: SweepRecord | None = None
    reports: int = 32


def run_sweep(
    pipeline: Pipeline,
    plan: Plan,
    options: SweepOptions = SweepOptions(),
    listener: SweepListener = ignore,
) -> tuple[SweepRecord, Path]:
    """Carry out the ``plan`` of a sweep of ``pipeline``; the record and the sweep's folder.

    Every trial is a run as any other.  What failed in one stops no other trial, and is told by
    its record.  The same sweep again takes up what this one has done, however it ended.
    ``listener`` hears what happens, one event at a time, from several threads.

    Raises PipelineError if the notebook has errors, UsageError for a plan without trials, an
    unknown kernel, or a sweep to go on with that goes on already, SecretError for a secret that
    is not to be had, StoreError if the folder cannot be written.  A signal that ends the
    process does so after the sweep has ended in order: Ctrl-C raises KeyboardInterrupt then.
    """
    _check(plan, options)
    pipeline = ready_to_run(pipeline, options.run)
    forced, _ = selection(pipeline, options.run)
    room = room_for(pipeline, options.run.jobs, plan.parents)
    secrets = read_secrets(pipeline, pipeline.order)
    store = store_in(options.run.folder or pipeline.folder)
    store.prepare()

    def hear(trial: int, event: Any) -> None:
        listener(OfTrial(trial, event) if trial else event)

    with deferred_signals() as told:
        folder = _folder(store, pipeline, options.retry)
        with Journal(folder / "journal.jsonl") as journal, TrialLog(folder) as log:
            workplace = Workplace(
                pipeline,
                store,
                options.run.kernel,
                room,
                journal,
                hear,
                secrets=secrets,
                fail_fast=options.run.fail_fast,
                verify=options.run.verify,
                one_after_another=options.stop_when is not None or room.jobs == 1,
            )
            record = _first_record(workplace, plan, options, folder.name)
            write_sweep(record, folder)
            # Now, and not at the end, for who is killed has no end.
            store.make_latest(folder, pipeline.name)
            begun = trial_runs(store.runs, folder.name) if options.retry else {}
            attempts = {number: attempt for number, (attempt, _) in begun.items()}
            sweep = LiveSweep(
                workplace,
                plan,
                record,
                log,
                forced,
                lambda: bool(told),
                options.stop_when,
                attempts,
            )
            _carry_out(sweep, folder)
    return sweep.record, folder


def _check(plan: Plan, options: SweepOptions) -> None:
    if not plan.trials:
        raise UsageError("there is no trial", hint="give a parameter several values")
    if options.retry is not None and options.retry.state is State.RUNNING:
        raise UsageError(
            f"the sweep {options.retry.id} still goes on", hint="wait for its end, or end it"
        )


def _folder(store: Store, pipeline: Pipeline, retry: SweepRecord | None) -> Path:
    return store.sweeps / retry.id if retry else store.new_sweep(pipeline.name)


def _carry_out(sweep: LiveSweep, folder: Path) -> None:
    """Execute the plan; however that ends, the record says so."""
    began = time.monotonic()
    workplace, plan = sweep.workplace, sweep.plan
    tasks = [execution.task for execution in plan.executions]
    name = workplace.pipeline.name
    workplace.expect(len(tasks))
    try:
        sweep.tell(SweepStarted(sweep.record.id, name, len(plan.trials), plan.count))
        schedule(
            tasks,
            plan.parents,
            sweep.execute,
            sweep.skip,
            room=workplace.room,
            is_stopped=lambda: sweep.is_stopped() or workplace.gave_up is not None,
            is_enough=lambda: bool(sweep.enough),
            stop=workplace.stop,
        )
    finally:
        workplace.close()
        seconds = time.monotonic() - began
        sweep.close(seconds)
        write_sweep(sweep.record, folder)
        write_results(sweep.record, folder)
        sweep.tell(SweepFinished(sweep.record.id, sweep.record.state, seconds))


# -- the record ---------------------------------------------------------------------------


def _first_record(
    workplace: Workplace, plan: Plan, options: SweepOptions, name: str
) -> SweepRecord:
    """The record of a sweep that is about to begin, or to go on."""
    code = _code(workplace.pipeline)
    goal, stop_when = (str(each or "") for each in (options.goal, options.stop_when))
    retry = options.retry
    if retry is not None:
        are_done = any(trial.state.is_success for trial in retry.trials)
        warnings = [*retry.warnings, *plan.warnings]
        if are_done and retry.code != code:
            warnings.append(_CHANGED)
            workplace.warn(_CHANGED)
        return replace(
            retry,
            state=State.RUNNING,
            goal=goal or retry.goal,
            stop_when=stop_when,
            process=os.getpid(),
            code=retry.code if are_done else code,
            warnings=tuple(dict.fromkeys(warnings)),
        )
    varied = plan.varied
    values = plan.trials[0].parameters
    return SweepRecord(
        id=name,
        pipeline=workplace.pipeline.name,
        notebook=str(workplace.pipeline.path),
        state=State.RUNNING,
        varied=varied,
        fixed={name: value for name, value in values.items() if name not in varied},
        trials=tuple(_waiting(trial, varied) for trial in plan.trials),
        executions=plan.count,
        started=time.time(),
        goal=goal,
        stop_when=stop_when,
        process=os.getpid(),
        code=code,
        warnings=plan.warnings,
    )


def _waiting(trial: Trial, varied: tuple[str, ...]) -> TrialRecord:
    return TrialRecord(trial.number, {name: trial.parameters[name] for name in varied})


def _code(pipeline: Pipeline) -> str:
    """What stands for all that the steps execute."""
    digest = hashlib.blake2b(digest_size=16)
    for name in pipeline.order:
        for text in (name, *(cell.source for cell in cut(pipeline, name).cells)):
            digest.update(text.encode(errors="surrogatepass") + b"\0")
    return digest.hexdigest()
