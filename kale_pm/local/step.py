"""One step of a local run: reuse what it gave before, or execute its slice."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kale_pm.errors import KalePmError, StoreError
from kale_pm.events import StepRetried, StepStarted, Warned
from kale_pm.local.cache import entries
from kale_pm.local.cache.decision import decide, reused, watched
from kale_pm.local.cache.entries import CachedStep
from kale_pm.local.cache.parts import write_past
from kale_pm.local.cache.watched import (
    Stamp,
    file_states,
    may_write,
    paths_in_code,
    stamps,
    touched_since,
)
from kale_pm.local.failures import explained
from kale_pm.local.live import LiveRun
from kale_pm.local.secrets import stored_secrets
from kale_pm.model import Pipeline, Step
from kale_pm.record import CellError, State, StepRecord
from kale_pm.runtime.execution.execute import Outcome, execute
from kale_pm.runtime.manifest import (
    Exchange,
    Manifest,
    read_manifest,
    write_manifest,
)
from kale_pm.runtime.masking import without_secrets
from kale_pm.runtime.merging import ancestors
from kale_pm.slicing import cut


def inputs_of(pipeline: Pipeline, step: Step) -> tuple[str, ...]:
    """The steps whose manifests ``step`` reads: its sources first, then its other parents."""
    return tuple(dict.fromkeys([*step.input_steps, *pipeline.parents[step.name]]))


def do_step(live: LiveRun, step: Step, forced: str) -> StepRecord:
    """Take the step's stored result if it is still right, else execute it.

    ``forced`` is the reason why a stored result must not be used, or an empty text.
    Whatever goes wrong is a failure of this step, not an exception: the others go on.
    """
    record = live.record.steps[step.name]
    began = time.monotonic()
    try:
        record = _do_step(live, step, forced, record)
    except Exception as error:  # noqa: BLE001 - see above
        record = replace(record, state=State.FAILED, error=_trouble(error))
    kept = live.notebook(step.name).exists()
    return replace(
        record,
        seconds=time.monotonic() - began,
        notebook=f"notebooks/{step.name}.ipynb" if kept else None,
    )


def _trouble(error: Exception) -> CellError:
    """An error that no cell raised."""
    name = type(error).__name__
    if isinstance(error, KalePmError):
        return CellError(name, str(error), hint=error.hint)
    if isinstance(error, OSError):
        return CellError(name, str(error))
    text = f"{error}\nthis is a defect of kale-pm, please report it: run.json has the traceback"
    return CellError(name, text, traceback=traceback.format_exc())


def _do_step(live: LiveRun, step: Step, forced: str, record: StepRecord) -> StepRecord:
    manifests = [read_manifest(live.manifest(name)) for name in record.inputs]
    decision = decide(live, step, manifests, forced)
    key, entry, why = decision.fingerprint.key, decision.entry, decision.why
    parts = decision.fingerprint.parts
    if not why and entry is not None:
        if _reuse(live, step, entry, manifests):
            write_past(live.store, live.pipeline.name, step.name, key, parts)
            return replace(
                record,
                state=State.CACHED,
                cached_from=entry.run,
                why="unchanged",
                metrics=entry.metrics,
            )
        why = "its stored notebook is gone"
    live.tell(StepStarted(step.name, len(step.code), why))
    record = replace(record, why=why)
    trees = decision.fingerprint.trees
    values = [live.parameters[name] for name in step.parameters]
    folder = live.pipeline.folder
    before = stamps(folder, paths_in_code(trees, values, folder))
    outcome = _execute(live, step, record)
    if outcome.state is State.DONE:
        if live.mask:
            _warn_of_stored_secrets(live, step)
        write_past(live.store, live.pipeline.name, step.name, key, parts)
        manifest = read_manifest(live.manifest(step.name))
        # What only the code names may be written by libraries that escape the audit: where
        # the code looks as if it wrote files, a change is taken for the step's own work.
        watched = {} if may_write(trees) else before
        moved = _moved_file(folder, manifest, watched, record.started or 0.0)
        if moved:
            text = f"{moved} changed while the step ran: its result will not be used again"
            live.tell(Warned(text, step.name))
        else:
            names = {*before, *paths_in_code(trees, values, folder)}
            try:
                _remember(live, step, key, manifest, outcome=outcome, in_code=names)
            except (OSError, StoreError) as error:
                text = f"its result could not be kept and will not be used again: {error}"
                live.tell(Warned(text, step.name))
    return replace(record, state=outcome.state, metrics=outcome.metrics, error=outcome.error)


def _reuse(live: LiveRun, step: Step, entry: CachedStep, inputs: Sequence[Manifest]) -> bool:
    """Bring a stored result into this run; False if its notebook is gone."""
    if not live.store.bring_notebook(entry.notebook, live.notebook(step.name)):
        return False
    write_manifest(reused(live, step, entry, inputs), live.manifest(step.name))
    return True


def _execute(live: LiveRun, step: Step, record: StepRecord) -> Outcome:
    """Execute the slice, again if it fails and the step has a ``retry`` tag."""
    notebook = cut(live.pipeline, step.name)
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
    spec = live.spec()
    kernels = live.kernels()
    if live.room.is_too_small_for(step.name):
        text = f"it asks for {_memory(step)} of memory, this machine has "
        live.tell(
            Warned(f"{text}{(live.room.memory or 0) / (1 << 30):.1f}Gi: it runs alone", step.name)
        )
    hidden = sorted({name for each in live.secrets.values() for name in each})
    environment = {
        **step.options.env,
        **live.secrets.get(step.name, {}),
        **({"KALE_PM_SECRETS": " ".join(hidden)} if hidden else {}),
        **({"KALE_PM_VERIFY": "1"} if live.verify else {}),
    }
    attempt = 0
    while True:
        if live.stopped.is_set():
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
            mask=live.mask,
            listener=live.tell,
            register=lambda monitor: live.watch(step.name, monitor),
            ending=lambda: live.room.leave_early(step.name),
        )
        outcome = live.mask.noun(outcome)
        if outcome.error is None:
            without_secrets(live.manifest(step.name), live.mask)
            return outcome
        error = explained(outcome.error, live.pipeline, step, spec.argv)
        outcome = replace(outcome, error=error)
        if attempt >= step.options.retry or live.stopped.is_set():
            return outcome
        attempt += 1
        pause = step.options.backoff.pause(attempt)
        live.tell(StepRetried(step.name, attempt + 1, error, pause))
        live.pause(step.name, pause)


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


def _warn_of_stored_secrets(live: LiveRun, step: Step) -> None:
    manifest = read_manifest(live.manifest(step.name))
    packs = entries.pack_stamps(live.store.packs, manifest.variables.values())
    for secret in stored_secrets([live.store.packs / name for name in packs], live.secrets):
        text = (
            f"a variable that it hands on holds the secret {secret}, which is stored as it is: "
            "read os.environ in the step that uses it"
        )
        live.tell(Warned(text, step.name))


def _moved_file(
    folder: Path, manifest: Manifest, before: Mapping[str, Stamp | None], started: float
) -> str | None:
    """A file that somebody else changed while the step ran: nobody knows what it has read.

    ``before`` holds how files that the audit may have missed looked before the step.
    """
    own = set(manifest.written)
    read = set(manifest.read) | set(manifest.modules)
    now = stamps(folder, before.keys() - read - own)
    moved = sorted(name for name, stamp in now.items() if stamp != before[name])
    return moved[0] if moved else touched_since(folder, sorted(read - own), started)


def _remember(
    live: LiveRun, step: Step, key: str, manifest: Manifest, *, outcome: Outcome, in_code: set[str]
) -> None:
    """Store what the step gave, for the runs to come."""
    names = {*manifest.read, *manifest.written, *manifest.modules, *in_code}
    versions, context = manifest.versions, manifest.context
    entry = CachedStep(
        run=live.folder.name,
        notebook=live.store.keep_notebook(live.notebook(step.name)),
        stores=step.stores,
        gave=tuple(sorted(watched(step))),
        metrics=dict(outcome.metrics),
        files=file_states(live.pipeline.folder, names),
        packs=entries.pack_stamps(live.store.packs, manifest.variables.values()),
        variables=manifest.variables,
        versions={n: v for n, v in versions.items() if v.step == step.name},
        context={n: change.value for n, change in context.items() if change.step == step.name},
    )
    entries.remember(live.store, key, entry)
