"""One step of a local run: reuse what it gave before, or execute its slice."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from kale_pm.errors import KalePmError
from kale_pm.events import Listener, StepRetried, StepStarted, Warned
from kale_pm.local import cache
from kale_pm.local.cache import CachedStep
from kale_pm.local.fingerprint import code_trees, step_key
from kale_pm.local.store import Store
from kale_pm.local.unsaved import with_origin
from kale_pm.local.watched import (
    Stamp,
    changed_file,
    digests,
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
    Version,
    merge_context,
    merge_versions,
    read_manifest,
    write_manifest,
)
from kale_pm.slicing import cut

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpec


@dataclass(frozen=True)
class Place:
    """Where a run happens: the pipeline, its values, the store and the run's folder.

    ``kernel`` is the user's choice of a kernelspec.  Once ``stopped`` is set nothing more
    is executed.
    """

    pipeline: Pipeline
    parameters: Mapping[str, Any]
    store: Store
    folder: Path
    kernel: str | None
    listener: Listener
    stopped: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)

    def manifest(self, step: str) -> Path:
        return self.folder / "manifests" / f"{step}.json"

    def notebook(self, step: str) -> Path:
        return self.folder / "notebooks" / f"{step}.ipynb"

    @property
    def kernel_name(self) -> str:
        return self.kernel or self.pipeline.kernelspec.get("name", "python3")

    def spec(self) -> KernelSpec:
        """The kernelspec for every step; KalePmError if this machine has none that fits."""
        with self.lock:  # so that steps that start together warn once
            return self._spec

    @cached_property
    def _spec(self) -> KernelSpec:
        from kale_pm.runtime.execution.kernel import choose_spec

        spec, warning = choose_spec(self.pipeline.kernelspec, self.kernel)
        if spec is None:
            raise KalePmError(warning, hint="choose another one: --kernel NAME")
        if warning:
            self.listener(Warned(warning))
        return spec


def inputs_of(pipeline: Pipeline, step: Step) -> tuple[str, ...]:
    """The steps whose manifests ``step`` reads: its sources first, then its other parents."""
    return tuple(dict.fromkeys([*step.input_steps, *pipeline.parents[step.name]]))


def do_step(
    place: Place, step: Step, forced: str, register: Callable[[str, Any], None]
) -> StepRecord:
    """Take the step's stored result if it is still right, else execute it.

    ``forced`` is the reason why a stored result must not be used, or an empty text.
    Trouble with the store or with an input is a failure of the step, not an exception.
    """
    record = StepRecord(
        step.name,
        parents=place.pipeline.parents[step.name],
        inputs=inputs_of(place.pipeline, step),
        started=time.time(),
    )
    began = time.monotonic()
    try:
        record = _do_step(place, step, forced, register, record)
    except (KalePmError, OSError) as error:
        hint = f"\n{error.hint}" if isinstance(error, KalePmError) and error.hint else ""
        problem = CellError(type(error).__name__, f"{error}{hint}")
        record = replace(record, state=State.FAILED, error=problem)
    kept = place.notebook(step.name).exists()
    return replace(
        record,
        seconds=time.monotonic() - began,
        notebook=f"notebooks/{step.name}.ipynb" if kept else None,
    )


def _do_step(
    place: Place,
    step: Step,
    forced: str,
    register: Callable[[str, Any], None],
    record: StepRecord,
) -> StepRecord:
    manifests = [read_manifest(place.manifest(name)) for name in record.inputs]
    key = step_key(
        place.pipeline,
        step,
        parameters=place.parameters,
        versions=merge_versions(manifests),
        context=merge_context(manifests),
        kernel=place.kernel_name,
    )
    entry = cache.recall(place.store, key)
    why = forced or _why_not(place, step, entry)
    if not why and entry is not None:
        if _reuse(place, step, entry, manifests):
            return replace(
                record,
                state=State.CACHED,
                cached_from=entry.run,
                why="unchanged",
                metrics=entry.metrics,
            )
        why = "its stored notebook is gone"
    place.listener(StepStarted(step.name, len(step.code), why))
    record = replace(record, why=why)
    trees = code_trees(place.pipeline, step)
    values = [place.parameters[name] for name in step.parameters]
    folder = place.pipeline.folder
    before = stamps(folder, paths_in_code(trees, values, folder))
    outcome = _execute(place, step, record, register)
    if outcome.state is State.DONE:
        manifest = read_manifest(place.manifest(step.name))
        # What only the code names may be written by libraries that escape the audit: where
        # the code looks as if it wrote files, a change is taken for the step's own work.
        watched = {} if may_write(trees) else before
        moved = _moved_file(folder, manifest, watched, record.started or 0.0)
        if moved:
            text = f"{moved} changed while the step ran: its result will not be used again"
            place.listener(Warned(text, step.name))
        else:
            names = {*before, *paths_in_code(trees, values, folder)}
            _remember(place, step, key, manifest, outcome=outcome, in_code=names)
    return replace(record, state=outcome.state, metrics=outcome.metrics, error=outcome.error)


def may_cache(pipeline: Pipeline, step: Step) -> bool:
    if step.options.cache is not None:
        return step.options.cache
    return pipeline.configuration.cache


def _why_not(place: Place, step: Step, entry: CachedStep | None) -> str:
    """Why the stored result cannot be used; an empty text if it can."""
    if not may_cache(place.pipeline, step):
        return "its cache is disabled"
    if entry is None:
        return "new: this code with these inputs and parameters did not run before"
    # Which variables a step stores depends on the steps below it: they are no part of the key.
    missing = sorted({*step.stores} - {*entry.stores} | _watched(step) - {*entry.gave})
    if missing:
        return f"a later step now uses its variable {missing[0]}"
    changed = changed_file(place.pipeline.folder, entry.files)
    if changed is not None:
        return f"{changed} changed"
    if not cache.are_whole(place.store.packs, entry.packs):
        return "its stored variables are gone or damaged"
    return ""


def _watched(step: Step) -> set[str]:
    return {*step.gives, *step.gives_if_changed, *step.watch}


def _reuse(place: Place, step: Step, entry: CachedStep, inputs: Sequence[Manifest]) -> bool:
    """Bring a stored result into this run; False if its notebook is gone."""
    if not place.store.bring_notebook(entry.notebook, place.notebook(step.name)):
        return False
    # The step's place in the order may be another one than in the run that executed it.
    order = place.pipeline.order.index(step.name)
    versions = merge_versions(inputs)
    for name, component in entry.versions.items():
        versions[name] = Version(step.name, order, component)
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
        ),
        place.manifest(step.name),
    )
    return True


def _execute(
    place: Place, step: Step, record: StepRecord, register: Callable[[str, Any], None]
) -> Outcome:
    """Execute the slice, again if it fails and the step has a ``retry`` tag."""
    notebook = cut(place.pipeline, step.name)
    defaults = {p.name: p.default for p in place.pipeline.parameters}
    # By their text, because 1 == 1.0 == True, inside of lists as well.
    values = {
        name: place.parameters[name]
        for name in step.parameters
        if repr(place.parameters[name]) != repr(defaults[name])
    }
    exchange = Exchange(
        inputs=tuple(place.manifest(name) for name in record.inputs),
        manifest=place.manifest(step.name),
        packs=place.store.packs,
        audit=place.pipeline.folder,
    )
    spec = place.spec()
    attempt = 0
    while True:
        if place.stopped.is_set():
            return Outcome(State.INTERRUPTED, 0.0)
        outcome = execute(
            notebook,
            place.notebook(step.name),
            step=step.name,
            parameters=values,
            folder=place.pipeline.folder,
            exchange=exchange,
            spec=spec,
            env=step.options.env,
            timeout=step.options.timeout,
            log=place.folder / "logs" / f"{step.name}.log",
            listener=place.listener,
            register=lambda monitor: register(step.name, monitor),
        )
        if outcome.error is None:
            return outcome
        error = with_origin(outcome.error, place.pipeline, step)
        outcome = replace(outcome, error=error)
        if attempt >= step.options.retry or place.stopped.is_set():
            return outcome
        attempt += 1
        place.listener(StepRetried(step.name, attempt + 1, error))


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
    place: Place, step: Step, key: str, manifest: Manifest, *, outcome: Outcome, in_code: set[str]
) -> None:
    """Store what the step gave, for the runs to come."""
    names = {*manifest.read, *manifest.written, *manifest.modules, *in_code}
    versions, context = manifest.versions, manifest.context
    entry = CachedStep(
        run=place.folder.name,
        step=step.name,
        seconds=outcome.seconds,
        notebook=place.store.keep_notebook(place.notebook(step.name)),
        stores=step.stores,
        gave=tuple(sorted(_watched(step))),
        metrics=dict(outcome.metrics),
        files=digests(place.pipeline.folder, names),
        packs=cache.looks(place.store.packs, manifest.variables.values()),
        variables=manifest.variables,
        versions={n: v.component for n, v in versions.items() if v.step == step.name},
        context={n: change.value for n, change in context.items() if change.step == step.name},
    )
    cache.remember(place.store, key, entry)
