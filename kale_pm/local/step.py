"""One step of a local run: reuse what it gave before, or execute its slice."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kale_pm.errors import KalePmError, StoreError
from kale_pm.events import StepRetried, StepStarted, Warned
from kale_pm.local import cache
from kale_pm.local.cache import CachedStep
from kale_pm.local.fingerprint import code_trees, step_key
from kale_pm.local.live import LiveRun
from kale_pm.local.unsaved import with_origin
from kale_pm.local.watched import (
    Stamp,
    changed_file,
    file_states,
    may_write,
    paths_in_code,
    stamps,
    touched_since,
)
from kale_pm.model import Pipeline, Step
from kale_pm.record import CellError, State, StepRecord
from kale_pm.runtime.execution.execute import Outcome, execute
from kale_pm.runtime.manifest import (
    Change,
    Exchange,
    Manifest,
    read_manifest,
    write_manifest,
)
from kale_pm.runtime.merging import ancestors, merge_context, merge_versions
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
        return CellError(name, f"{error}\n{error.hint}" if error.hint else str(error))
    if isinstance(error, OSError):
        return CellError(name, str(error))
    text = f"{error}\nthis is a defect of kale-pm, please report it: run.json has the traceback"
    return CellError(name, text, traceback=traceback.format_exc())


def _do_step(live: LiveRun, step: Step, forced: str, record: StepRecord) -> StepRecord:
    manifests = [read_manifest(live.manifest(name)) for name in record.inputs]
    key = step_key(
        live.pipeline,
        step,
        parameters=live.parameters,
        versions=merge_versions(manifests),
        context=merge_context(manifests),
        kernel=live.kernel_identity,
        has=live.environment(),
    )
    entry = cache.recall(live.store, key)
    why = forced or _why_not(live, step, entry)
    if not why and entry is not None:
        if _reuse(live, step, entry, manifests):
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
    trees = code_trees(live.pipeline, step)
    values = [live.parameters[name] for name in step.parameters]
    folder = live.pipeline.folder
    before = stamps(folder, paths_in_code(trees, values, folder))
    outcome = _execute(live, step, record)
    if outcome.state is State.DONE:
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


def may_cache(pipeline: Pipeline, step: Step) -> bool:
    if step.options.cache is not None:
        return step.options.cache
    return pipeline.configuration.cache


def _why_not(live: LiveRun, step: Step, entry: CachedStep | None) -> str:
    """Why the stored result cannot be used; an empty text if it can."""
    if not may_cache(live.pipeline, step):
        return "its cache is disabled"
    if entry is None:
        return "new: this code with these inputs and parameters did not run before"
    # Which variables a step stores depends on the steps below it: they are no part of the key.
    missing = sorted({*step.stores} - {*entry.stores} | _watched(step) - {*entry.gave})
    if missing:
        return f"a later step now uses its variable {missing[0]}"
    changed = changed_file(live.pipeline.folder, entry.files)
    if changed is not None:
        return f"{changed} changed"
    if not cache.are_whole(live.store.packs, entry.packs):
        return "its stored variables are gone or damaged"
    return ""


def _watched(step: Step) -> set[str]:
    return {*step.gives, *step.gives_if_changed, *step.watch}


def _reuse(live: LiveRun, step: Step, entry: CachedStep, inputs: Sequence[Manifest]) -> bool:
    """Bring a stored result into this run; False if its notebook is gone."""
    if not live.store.bring_notebook(entry.notebook, live.notebook(step.name)):
        return False
    # The step's place in the order may be another one than in the run that executed it.
    order = live.pipeline.order.index(step.name)
    versions = merge_versions(inputs)
    for name, version in entry.versions.items():
        had = versions.get(name)
        if version.maker == step.name:
            bound = -1 if had is None else had.bound
            versions[name] = replace(version, order=order, bound=bound)
        elif had is not None:
            versions[name] = replace(had, step=step.name, component=version.component)
    context = merge_context(inputs)
    for name, value in entry.context.items():
        context[name] = Change(step.name, order, value)
    write_manifest(
        Manifest(
            step=step.name,
            order=order,
            variables=entry.variables,
            versions=versions,
            context=context,
            metrics=entry.metrics,
            ancestors=ancestors(inputs),
            seals=cache.seals(live.store.packs, entry.packs),
        ),
        live.manifest(step.name),
    )
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
    )
    spec = live.spec()
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
            spec=spec,
            env=step.options.env,
            timeout=step.options.timeout,
            log=live.folder / "logs" / f"{step.name}.log",
            listener=live.tell,
            register=lambda monitor: live.watch(step.name, monitor),
        )
        if outcome.error is None:
            return outcome
        error = with_origin(outcome.error, live.pipeline, step)
        outcome = replace(outcome, error=error)
        if attempt >= step.options.retry or live.stopped.is_set():
            return outcome
        attempt += 1
        live.tell(StepRetried(step.name, attempt + 1, error))


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
        gave=tuple(sorted(_watched(step))),
        metrics=dict(outcome.metrics),
        files=file_states(live.pipeline.folder, names),
        packs=cache.pack_stamps(live.store.packs, manifest.variables.values()),
        variables=manifest.variables,
        versions={n: v for n, v in versions.items() if v.step == step.name},
        context={n: change.value for n, change in context.items() if change.step == step.name},
    )
    cache.remember(live.store, key, entry)
