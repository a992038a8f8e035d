"""The slice of a step executed, again if it fails and the step asks for that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kale_pm.events import StepRetried, Warned
from kale_pm.local.failures import explained
from kale_pm.local.live import LiveRun
from kale_pm.model import Step
from kale_pm.record import State, StepRecord
from kale_pm.runtime.execution.execute import Outcome, execute
from kale_pm.runtime.kept_files import with_files
from kale_pm.runtime.manifest import Exchange, Manifest, read_manifest
from kale_pm.runtime.masking import without_secrets
from kale_pm.runtime.merging import ancestors

if TYPE_CHECKING:
    from nbformat import NotebookNode


def execute_step(live: LiveRun, step: Step, notebook: NotebookNode, record: StepRecord) -> Outcome:
    """Execute ``notebook``, the slice of ``step``; again if it fails and has a ``retry`` tag.

    Raises KalePmError if there is no kernel for it, OSError and StoreError for a full disk.
    """
    workplace, task = live.workplace, live.task(step.name)
    defaults = {p.name: p.default for p in live.pipeline.parameters}
    # By their text, because 1 == 1.0 == True, inside of lists as well.
    values = {
        name: live.parameters[name]
        for name in step.parameters
        if repr(live.parameters[name]) != repr(defaults[name])
    }
    exchange = Exchange(
        inputs=tuple(live.manifest(name) for name in record.inputs),
        manifest=live.manifest(step.name),
        packs=live.store.packs,
        audit=live.pipeline.folder,
        silent=_silent(live, step, record),
    )
    spec = live.interpreter.spec()
    kernels = workplace.kernels()
    if workplace.room.is_too_small_for(task):
        text = f"it asks for {_memory(step)} of memory, this machine has "
        size = f"{(workplace.room.memory or 0) / (1 << 30):.1f}Gi"
        live.tell(Warned(f"{text}{size}: it runs alone", step.name))
    environment = _environment(live, step)
    attempt = 0
    while True:
        if workplace.stopped.is_set():
            return Outcome(State.INTERRUPTED, 0.0)
        outcome = execute(
            notebook,
            live.notebook(step.name),
            step=step.name,
            parameters=values,
            folder=live.pipeline.folder,
            exchange=exchange,
            start=kernels.start,
            env=environment,
            timeout=step.options.timeout,
            log=live.folder / "logs" / f"{step.name}.log",
            mask=workplace.mask,
            listener=live.tell,
            register=lambda monitor: workplace.watch(task, monitor),
            ending=lambda: workplace.ending(task),
        )
        outcome = with_files(
            workplace.mask.noun(outcome),
            {each.name: each.path for each in step.options.artifacts},
            live.pipeline.folder,
            {name: live.folder / path for name, path in live.artifacts(step).items()},
        )
        if outcome.error is None:
            without_secrets(live.manifest(step.name), workplace.mask)
            return outcome
        error = explained(outcome.error, live.pipeline, step, spec.argv)
        outcome = replace(outcome, error=error)
        if attempt >= step.options.retry or workplace.stopped.is_set():
            return outcome
        attempt += 1
        pause = step.options.backoff.pause(attempt)
        live.tell(StepRetried(step.name, attempt + 1, error, pause))
        workplace.pause(task, pause)


def _environment(live: LiveRun, step: Step) -> dict[str, str]:
    secrets = live.workplace.secrets
    hidden = sorted({name for each in secrets.values() for name in each})
    return {
        **step.options.env,
        **secrets.get(step.name, {}),
        **({"KALE_PM_SECRETS": " ".join(hidden)} if hidden else {}),
        **({"KALE_PM_VERIFY": "1"} if live.verify else {}),
    }


def _silent(live: LiveRun, step: Step, record: StepRecord) -> Manifest | None:
    """What a step hands on that cannot say so itself: nothing, but that it was executed."""
    if live.pipeline.is_analysed:
        return None
    return Manifest(
        step.name,
        live.pipeline.order.index(step.name),
        ancestors=ancestors(read_manifest(live.manifest(name)) for name in record.inputs),
        execution=live.folder.name,
    )


def _memory(step: Step) -> str:
    return step.options.limits.get("memory") or step.options.requests["memory"]
