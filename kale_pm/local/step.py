"""One step of a local run: reuse what it gave before, or execute its slice."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from kale_pm.errors import KalePmError, StoreError
from kale_pm.events import StepStarted, Warned
from kale_pm.local.cache import entries
from kale_pm.local.cache.claims import Claim
from kale_pm.local.cache.decision import Decision, decide, may_cache, reused, watched
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
from kale_pm.local.cache.writes import written_in_code
from kale_pm.local.executing import execute_step
from kale_pm.local.live import LiveRun
from kale_pm.local.records import finished, interruption
from kale_pm.local.secrets import stored_secrets
from kale_pm.model import Step
from kale_pm.record import CellError, State, StepRecord
from kale_pm.runtime.execution.execute import Outcome
from kale_pm.runtime.manifest import Manifest, read_manifest, write_manifest
from kale_pm.slicing import cut


def do_step(live: LiveRun, name: str, forced: str = "") -> StepRecord:
    """Take the step's stored result if it is still right, else execute it; its last record.

    ``forced`` is the reason why a stored result must not be used, or an empty text.
    The run's record has it at once, and the listener hears of it.  Whatever goes wrong is a
    failure of this step, not an exception: the others go on.  Raises StoreError only if that
    cannot be written.
    """
    workplace = live.workplace
    workplace.expect(-1)
    record = replace(live.record.steps[name], state=State.RUNNING, started=time.time())
    live.update(record)
    began = time.monotonic()
    try:
        record = _done(live, live.pipeline.step(name), forced, record)
    except Exception as error:  # noqa: BLE001 - see above
        record = replace(record, state=State.FAILED, error=_trouble(error))
    finally:
        workplace.forget(live.task(name))
    if record.state is State.INTERRUPTED:
        record = replace(record, why=interruption(workplace.gave_up))
    kept = live.notebook(name).exists()
    record = replace(
        record,
        seconds=time.monotonic() - began,
        notebook=f"notebooks/{name}.ipynb" if kept else None,
    )
    live.update(record)
    live.tell(finished(record))
    if workplace.fail_fast and record.state is State.FAILED:
        workplace.give_up(f"{name} of trial {live.number}" if live.number else name)
    return record


def skip_step(live: LiveRun, name: str, parent: str) -> StepRecord:
    """Do not execute the step, since its ``parent`` did not succeed; its last record."""
    live.workplace.expect(-1)
    why = f"{parent} did not succeed"
    record = replace(live.record.steps[name], state=State.SKIPPED, why=why)
    live.update(record)
    live.tell(finished(record))
    return record


def _trouble(error: Exception) -> CellError:
    """An error that no cell raised."""
    name = type(error).__name__
    if isinstance(error, KalePmError):
        return CellError(name, str(error), hint=error.hint)
    if isinstance(error, OSError):
        return CellError(name, str(error))
    text = f"{error}\nthis is a defect of kale-pm, please report it: run.json has the traceback"
    return CellError(name, text, traceback=traceback.format_exc())


def _done(live: LiveRun, step: Step, forced: str, record: StepRecord) -> StepRecord:
    inputs = [read_manifest(live.manifest(name)) for name in record.inputs]
    decision = decide(live, step, inputs, forced)
    found = _reused(live, step, decision, inputs, record)
    if found is not None:
        return found
    with _claim(live, step, decision.fingerprint.key) as claim:
        if claim.is_done:
            # Another trial has just done the very same: that is as fresh as anything.
            decision = decide(live, step, inputs, "")
            found = _reused(live, step, decision, inputs, record)
            if found is not None:
                return found
        record = _executed(live, step, decision, record)
        claim.is_done = record.state is State.DONE
        return record


def _claim(live: LiveRun, step: Step, key: str) -> AbstractContextManager[Claim]:
    """Nobody else does the same meanwhile, unless each is to do it for itself."""
    if not may_cache(live.pipeline, step):
        return nullcontext(Claim())
    workplace = live.workplace
    return workplace.claims.hold(key, lambda: workplace.waiting(live.task(step.name)))


def _reused(
    live: LiveRun, step: Step, decision: Decision, inputs: Sequence[Manifest], record: StepRecord
) -> StepRecord | None:
    """Bring the stored result into this run; None if there is none, or its notebook is gone."""
    entry = decision.entry
    if decision.why or entry is None:
        return None
    if not live.store.bring_notebook(entry.notebook, live.notebook(step.name)):
        return None
    artifacts = live.artifacts(step)
    for artifact, path in artifacts.items():
        live.store.bring_artifact(entry.artifacts[artifact], live.folder / path)
    write_manifest(reused(live, step, entry, inputs), live.manifest(step.name))
    _note_past(live, step, decision)
    return replace(
        record,
        state=State.CACHED,
        cached_from=entry.run,
        why="unchanged",
        metrics=entry.metrics,
        artifacts=artifacts,
    )


def _executed(live: LiveRun, step: Step, decision: Decision, record: StepRecord) -> StepRecord:
    """Execute the step, and keep what it gave for the runs to come."""
    record = replace(record, why=decision.why or "its stored notebook is gone")
    live.tell(StepStarted(step.name, len(step.code), record.why))
    with live.workplace.clashes.watched(live.task(step.name)):
        is_done = False
        try:
            outcome = _kept(live, step, decision, record)
            is_done = outcome.state is State.DONE
        finally:
            # However it has ended: what it wrote is in the way of those that it met.
            _forget_clashing(live, step, decision, record.started or 0.0, is_done)
    artifacts = live.artifacts(step) if is_done else {}
    return replace(
        record,
        state=outcome.state,
        metrics=outcome.metrics,
        error=outcome.error,
        artifacts=artifacts,
    )


def _kept(live: LiveRun, step: Step, decision: Decision, record: StepRecord) -> Outcome:
    """Execute the step; if it is done, its result is stored."""
    trees = decision.fingerprint.trees
    values = [live.parameters[name] for name in step.parameters]
    folder = live.pipeline.folder
    before = stamps(folder, paths_in_code(trees, values, folder))
    outcome = execute_step(live, step, cut(live.pipeline, step.name), record)
    if outcome.state is State.DONE:
        if live.workplace.mask:
            _warn_of_stored_secrets(live, step)
        _note_past(live, step, decision)
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
            key = decision.fingerprint.key
            try:
                _remember(live, step, key, manifest, outcome=outcome, in_code=names)
            except (OSError, StoreError) as error:
                text = f"its result could not be kept and will not be used again: {error}"
                live.tell(Warned(text, step.name))
    return outcome


def _note_past(live: LiveRun, step: Step, decision: Decision) -> None:
    found = decision.fingerprint
    write_past(live.store, live.pipeline.name, step.name, found.key, found.parts)


def _warn_of_stored_secrets(live: LiveRun, step: Step) -> None:
    manifest = read_manifest(live.manifest(step.name))
    packs = entries.pack_stamps(live.store.packs, manifest.variables.values())
    for secret in stored_secrets(
        [live.store.packs / name for name in packs], live.workplace.secrets
    ):
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


def _forget_clashing(
    live: LiveRun, step: Step, decision: Decision, started: float, is_done: bool
) -> None:
    """Forget what was stored of this step and of others that wrote one of its files meanwhile.

    What is stored of a file may be what another one wrote.  Who only opened it so that it could
    be written, as a database is, has not changed it.
    """
    folder, key = live.pipeline.folder, decision.fingerprint.key
    files = _written(live, step, decision, started, is_done)
    met = live.workplace.clashes.wrote(live.task(step.name), files, key)
    clashing = [name for name in met if touched_since(folder, [name], started)]
    if not clashing:
        return
    text = f"{clashing[0]} was written by others at the same time: no result will be used again"
    try:
        for each in {key}.union(*(met[name] for name in clashing)):
            entries.forget(live.store, each)
    except StoreError as error:
        text = f"{clashing[0]} was written by others at the same time, and stays stored: {error}"
    if live.workplace.clashes.is_news(clashing[0]):
        live.tell(Warned(text, step.name))


def _written(
    live: LiveRun, step: Step, decision: Decision, started: float, is_done: bool
) -> set[str]:
    """The files that the execution may have written."""
    files: set[str] = set()
    path = live.manifest(step.name)
    if path.exists():
        with suppress(KalePmError):
            files.update(read_manifest(path).written)
    trees = decision.fingerprint.trees
    # An execution that ended before its end says nothing, and the audit does not see all.
    if not is_done or may_write(trees):
        values = {name: live.parameters[name] for name in step.parameters}
        files |= written_in_code(trees, values, live.pipeline.folder, started)
    return files


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
        artifacts={
            artifact: live.store.keep_artifact(live.folder / path)
            for artifact, path in live.artifacts(step).items()
        },
    )
    entries.remember(live.store, key, entry)
