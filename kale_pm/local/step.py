"""One step of a local run: reuse what it gave before, or execute its slice."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kale_pm.events import Listener, StepRetried, StepStarted
from kale_pm.local.files import changed_file, digests, literal_paths, touched_since
from kale_pm.local.fingerprint import code_trees, step_key
from kale_pm.local.store import Store
from kale_pm.model import Pipeline, Step
from kale_pm.record import State, StepRecord
from kale_pm.runtime.execute import Outcome, execute
from kale_pm.runtime.manifest import (
    Change,
    Exchange,
    Manifest,
    Variable,
    Version,
    merge_context,
    merge_versions,
    read_manifest,
    write_manifest,
)
from kale_pm.slicing import cut


@dataclass(frozen=True)
class Place:
    """Where a run happens: the pipeline, its values, the store and the run's folder."""

    pipeline: Pipeline
    parameters: Mapping[str, Any]
    store: Store
    folder: Path
    kernel: str
    listener: Listener

    def manifest(self, step: str) -> Path:
        return self.folder / "manifests" / f"{step}.json"

    def notebook(self, step: str) -> Path:
        return self.folder / "notebooks" / f"{step}.ipynb"


def do_step(
    place: Place, step: Step, forced: str, register: Callable[[str, Any], None]
) -> StepRecord:
    """Take the step's stored result if it is still right, else execute it.

    ``forced`` is the reason why a stored result must not be used, or an empty text.
    """
    pipeline = place.pipeline
    parents = pipeline.parents[step.name]
    inputs = tuple(dict.fromkeys([*step.input_steps, *parents]))
    record = StepRecord(step.name, parents=parents, inputs=inputs, started=time.time())
    manifests = [read_manifest(place.manifest(name)) for name in inputs]
    key = step_key(
        pipeline,
        step,
        parameters=place.parameters,
        versions=merge_versions(manifests),
        context=merge_context(manifests),
        kernel=place.kernel,
    )
    began = time.monotonic()
    entry = place.store.cached(key)
    why = forced or _why_not(place, step, entry)
    if not why and entry is not None and _reuse(place, step, entry, manifests):
        return replace(
            record,
            state=State.CACHED,
            seconds=time.monotonic() - began,
            cached_from=entry["run"],
            why="unchanged",
            notebook=f"notebooks/{step.name}.ipynb",
            metrics=entry["metrics"],
        )
    why = why or "its stored notebook is gone"
    place.listener(StepStarted(step.name, len(step.code), why))
    outcome = _execute(place, step, inputs, register)
    if outcome.state is State.DONE:
        _remember(place, step, key, outcome, record.started or 0.0)
    kept = place.notebook(step.name).exists()
    return replace(
        record,
        state=outcome.state,
        seconds=time.monotonic() - began,
        why=why,
        notebook=f"notebooks/{step.name}.ipynb" if kept else None,
        metrics=outcome.metrics,
        error=outcome.error,
    )


def may_cache(pipeline: Pipeline, step: Step) -> bool:
    if step.options.cache is not None:
        return step.options.cache
    return pipeline.configuration.cache


def _why_not(place: Place, step: Step, entry: Mapping[str, Any] | None) -> str:
    """Why the stored result cannot be used; an empty text if it can."""
    if not may_cache(place.pipeline, step):
        return "its cache is disabled"
    if entry is None:
        return "new: this code with these inputs and parameters did not run before"
    changed = changed_file(place.pipeline.folder, entry["files"])
    if changed is not None:
        return f"{changed} changed"
    packs = {v["pack"] for v in entry["variables"].values() if v["pack"]}
    if not all((place.manifest(step.name).parent / pack).exists() for pack in packs):
        return "its stored variables are gone"
    return ""


def _reuse(
    place: Place, step: Step, entry: Mapping[str, Any], inputs: list[Manifest]
) -> bool:
    """Bring a stored result into this run; False if its notebook is gone."""
    if not place.store.bring_notebook(entry["notebook"], place.notebook(step.name)):
        return False
    # The step's place in the order may be another one than in the run that executed it.
    order = place.pipeline.order.index(step.name)
    versions = merge_versions(inputs)
    for name, component in entry["versions"].items():
        versions[name] = Version(step.name, order, component)
    context = merge_context(inputs)
    for name, value in entry["context"].items():
        context[name] = Change(step.name, order, value)
    write_manifest(
        Manifest(
            step=step.name,
            order=order,
            variables={k: Variable(**v) for k, v in entry["variables"].items()},
            versions=versions,
            context=context,
            metrics=entry["metrics"],
        ),
        place.manifest(step.name),
    )
    return True


def _execute(
    place: Place, step: Step, inputs: tuple[str, ...], register: Callable[[str, Any], None]
) -> Outcome:
    """Execute the slice, again if it fails and the step has a ``retry`` tag."""
    notebook = cut(place.pipeline, step.name)
    defaults = {p.name: p.default for p in place.pipeline.parameters}
    values = {
        name: place.parameters[name]
        for name in step.parameters
        if place.parameters[name] != defaults[name]
        or type(place.parameters[name]) is not type(defaults[name])
    }
    exchange = Exchange(
        inputs=tuple(place.manifest(name) for name in inputs),
        manifest=place.manifest(step.name),
        packs=place.store.packs,
        audit=place.pipeline.folder,
    )
    attempt = 0
    while True:
        outcome = execute(
            notebook,
            place.notebook(step.name),
            step=step.name,
            parameters=values,
            folder=place.pipeline.folder,
            exchange=exchange,
            kernel=place.kernel,
            env=step.options.env,
            timeout=step.options.timeout,
            log=place.folder / "logs" / f"{step.name}.log",
            listener=place.listener,
            register=lambda monitor: register(step.name, monitor),
        )
        if outcome.error is None or attempt >= step.options.retry:
            return outcome
        attempt += 1
        place.listener(StepRetried(step.name, attempt + 1, outcome.error))


def _remember(place: Place, step: Step, key: str, outcome: Outcome, started: float) -> None:
    """Store what the step gave, for the runs to come."""
    folder = place.pipeline.folder
    manifest = read_manifest(place.manifest(step.name))
    values = (place.parameters[name] for name in step.parameters)
    literal = literal_paths(code_trees(place.pipeline, step), values, folder)
    names = {*manifest.read, *manifest.written, *manifest.modules, *literal}
    # A file that somebody else changed while the step ran: nobody knows what it has read.
    if touched_since(folder, names - set(manifest.written) - {"."}, started) is not None:
        return
    place.store.remember(
        key,
        {
            "run": place.folder.name,
            "step": step.name,
            "seconds": outcome.seconds,
            "notebook": place.store.keep_notebook(place.notebook(step.name)),
            "metrics": dict(outcome.metrics),
            "files": digests(folder, names),
            "variables": {k: asdict(v) for k, v in manifest.variables.items()},
            "versions": {
                name: version.component
                for name, version in manifest.versions.items()
                if version.step == step.name
            },
            "context": {
                name: change.value
                for name, change in manifest.context.items()
                if change.step == step.name
            },
        },
    )
