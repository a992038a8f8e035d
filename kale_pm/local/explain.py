"""What a run would do, and why: nothing is executed, and nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kale_pm.local.cache import entries
from kale_pm.local.cache.basis import Basis, Interpreter
from kale_pm.local.cache.decision import (
    NEVER,
    decide,
    fingerprint_of,
    may_cache,
    reused,
    stale,
)
from kale_pm.local.cache.parts import FROM_ABOVE, difference, own_hash, read_past
from kale_pm.local.records import inputs_of
from kale_pm.local.run import RunOptions, ready_to_run, selection
from kale_pm.local.store import store_in
from kale_pm.model import Pipeline, Step
from kale_pm.notebook import bind
from kale_pm.runtime.manifest import Manifest


@dataclass(frozen=True)
class Explanation:
    """Whether a step would be executed, and why.

    ``runs`` is None where that depends on what a step above will give.
    """

    runs: bool | None
    why: str

    def __str__(self) -> str:
        words = {True: "will run", False: "will not run", None: "may run"}
        return f"{words[self.runs]}: {self.why}"


def explain_pipeline(pipeline: Pipeline, options: RunOptions) -> dict[str, Explanation]:
    """For every step that :func:`kale_pm.local.run_pipeline` would be about, what it would do.

    Raises PipelineError if the notebook has errors, ParameterError for bad values, UsageError
    for an unknown step or kernel.
    """
    pipeline = ready_to_run(pipeline, options)
    store = store_in(options.folder or pipeline.folder)
    basis = Basis(
        pipeline,
        bind(pipeline.parameters, options.parameters, pipeline.language),
        store,
        Interpreter(pipeline, store, options.kernel),
        verify=options.verify,
        discard=False,
    )
    forced, wanted = selection(pipeline, options)
    manifests: dict[str, Manifest] = {}
    found: dict[str, Explanation] = {}
    for name in wanted:
        step = pipeline.step(name)
        inputs = inputs_of(pipeline, step)
        unknown = [parent for parent in inputs if parent not in manifests]
        if unknown:
            will = found[unknown[0]].runs
            found[name] = _without_inputs(basis, step, forced.get(name, ""), unknown[0], will)
            continue
        known = [manifests[parent] for parent in inputs]
        found[name], manifest = _with_inputs(basis, step, forced.get(name, ""), known)
        if manifest is not None:
            manifests[name] = manifest
    return found


def _with_inputs(
    basis: Basis, step: Step, forced: str, inputs: Sequence[Manifest]
) -> tuple[Explanation, Manifest | None]:
    """What the step would do, and what it would hand on if that is known."""
    decision = decide(basis, step, inputs, forced)
    if decision.why or decision.entry is None:
        return Explanation(True, decision.why), None
    if not basis.store.has_notebook(decision.entry.notebook):
        return Explanation(True, "its stored notebook is gone"), None
    unchanged = Explanation(False, f"unchanged since {decision.entry.run}")
    return unchanged, reused(basis, step, decision.entry, inputs)


def _without_inputs(
    basis: Basis, step: Step, forced: str, above: str, runs: bool | None
) -> Explanation:
    """What can be said of a step while nobody knows what ``above`` will give."""
    if forced:
        return Explanation(True, forced)
    if not may_cache(basis.pipeline, step):
        return Explanation(True, "its cache is disabled")
    past = read_past(basis.store, basis.pipeline.name, step.name)
    if past is None:
        return Explanation(True, NEVER)
    parts = fingerprint_of(basis, step, ()).parts
    changed = difference(past.parts, parts, FROM_ABOVE)
    if changed and own_hash(parts) not in past.own:
        return Explanation(True, changed)
    entry = entries.recall(basis.store, past.key)
    outdated = stale(basis, step, entry) if entry is not None and not changed else ""
    if outdated:
        return Explanation(True, outdated)
    first = f"{above} {'will' if runs else 'may'} run"
    return Explanation(None, f"{first}, and this step if that gives it anything else than before")
