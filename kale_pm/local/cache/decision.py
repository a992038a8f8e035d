"""Whether a step must be executed, or what it gave in an earlier run is still right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kale_pm.local.cache import entries
from kale_pm.local.cache.arriving import arriving_names
from kale_pm.local.cache.basis import Basis
from kale_pm.local.cache.code import definitions
from kale_pm.local.cache.entries import CachedStep
from kale_pm.local.cache.fingerprint import Fingerprint, fingerprint
from kale_pm.local.cache.parts import difference, read_past
from kale_pm.local.cache.watched import changed_file
from kale_pm.model import Pipeline, Step
from kale_pm.runtime.manifest import Change, Manifest
from kale_pm.runtime.merging import ancestors, merge_context, merge_versions

NEVER = "it has no result yet"


@dataclass(frozen=True)
class Decision:
    """``why`` the step is executed; empty if ``entry`` is used instead."""

    fingerprint: Fingerprint
    entry: CachedStep | None
    why: str


def decide(basis: Basis, step: Step, inputs: Sequence[Manifest], forced: str) -> Decision:
    """Whether ``step``, which receives ``inputs``, is executed.

    ``forced`` is the reason why a stored result must not be used, or an empty text.
    """
    found = fingerprint_of(basis, step, inputs)
    entry = entries.recall(basis.store, found.key)
    return Decision(found, entry, forced or _why_not(basis, step, found, entry))


def fingerprint_of(basis: Basis, step: Step, inputs: Sequence[Manifest]) -> Fingerprint:
    """The fingerprint of ``step`` when it receives ``inputs``."""
    versions, context = merge_versions(inputs), merge_context(inputs)
    sought = definitions(basis.pipeline)
    names = [need.name for need in step.needs]
    return fingerprint(
        basis.pipeline,
        step,
        parameters=basis.parameters,
        versions=versions,
        context=context,
        kernel=basis.interpreter.identity,
        has=basis.interpreter.environment(),
        arriving=arriving_names(
            sought, names, inputs, versions=versions, context=context, packs=basis.store.packs
        ),
        after={manifest.step: manifest.execution for manifest in inputs if manifest.execution},
    )


def may_cache(pipeline: Pipeline, step: Step) -> bool:
    """Whether a result of the step may be used again."""
    if step.options.cache is not None:
        return step.options.cache
    return pipeline.configuration.cache


def _why_not(basis: Basis, step: Step, found: Fingerprint, entry: CachedStep | None) -> str:
    """Why the stored result cannot be used; an empty text if it can."""
    if not may_cache(basis.pipeline, step):
        return "its cache is disabled"
    if entry is None:
        past = read_past(basis.store, basis.pipeline.name, step.name)
        if past is None:
            return NEVER
        return difference(past.parts, found.parts) or "its result was not kept, or is gone"
    return stale(basis, step, entry)


def stale(basis: Basis, step: Step, entry: CachedStep) -> str:
    """Why the result of the very same step is not right any more; an empty text if it is."""
    # Which variables a step stores depends on the steps below it: they are no part of the key.
    missing = sorted({*step.stores} - {*entry.stores} | watched(step) - {*entry.gave})
    if missing:
        return f"a later step now uses its variable {missing[0]}"
    changed = changed_file(basis.pipeline.folder, entry.files)
    if changed is not None:
        return f"{changed} changed"
    packs = basis.store.packs
    if not entries.are_whole(packs, entry.packs, verify=basis.verify, discard=basis.discard):
        return "its stored variables are gone or damaged"
    for artifact in step.options.artifacts:
        if not basis.store.has_artifact(entry.artifacts[artifact.name]):
            return f"its artifact {artifact.name} is gone or damaged"
    return ""


def watched(step: Step) -> set[str]:
    """The variables that the step would store, if it changed them."""
    return {*step.gives, *step.gives_if_changed, *step.watch}


def reused(basis: Basis, step: Step, entry: CachedStep, inputs: Sequence[Manifest]) -> Manifest:
    """What the step hands on where ``entry`` takes the place of its execution."""
    # The step's place in the order may be another one than in the run that executed it.
    order = basis.pipeline.order.index(step.name)
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
    return Manifest(
        step=step.name,
        order=order,
        variables=entry.variables,
        versions=versions,
        context=context,
        metrics=entry.metrics,
        ancestors=ancestors(inputs),
        seals=entries.seals(basis.store.packs, entry.packs),
        execution="" if basis.pipeline.is_analysed else entry.run,
    )
