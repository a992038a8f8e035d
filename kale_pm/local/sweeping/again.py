"""What of a sweep is still to do: the trials to try again, and what the store already has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kale_pm.errors import UsageError
from kale_pm.local.cache.basis import Basis, Interpreter
from kale_pm.local.cache.decision import decide, reused
from kale_pm.local.records import inputs_of
from kale_pm.local.run import RunOptions, ready_to_run, selection
from kale_pm.local.store import store_in
from kale_pm.model import Pipeline
from kale_pm.notebook import bind
from kale_pm.record import SweepRecord, Task
from kale_pm.runtime.manifest import Manifest
from kale_pm.sweep import Plan, Trial


def unfinished(pipeline: Pipeline, record: SweepRecord) -> tuple[Trial, ...]:
    """The trials of a sweep that are not done, with their numbers and the values of then.

    Raises UsageError where all are done, ParameterError where the notebook has a parameter of
    these values no more, or one of another type.
    """
    found = [trial for trial in record.trials if not trial.state.is_success]
    if not found:
        raise UsageError(
            f"all trials of {record.id} are done", hint="without --retry they are swept anew"
        )
    return tuple(
        Trial(trial.number, _bound(pipeline, {**record.fixed, **trial.parameters}))
        for trial in found
    )


def stored(pipeline: Pipeline, plan: Plan, options: RunOptions) -> int:
    """How many executions of the plan the store has the results of: they need not be executed.

    Nothing is executed, and nothing is written.  Raises PipelineError if the notebook has
    errors, UsageError for an unknown kernel.
    """
    pipeline = ready_to_run(pipeline, options)
    forced, _ = selection(pipeline, options)
    store = store_in(options.folder or pipeline.folder)
    interpreter = Interpreter(pipeline, store, options.kernel)
    values = {trial.number: trial.parameters for trial in plan.trials}
    known: dict[Task, Manifest] = {}
    for execution in plan.executions:
        step = pipeline.step(execution.step)
        inputs = _known(plan, known, execution.owner, inputs_of(pipeline, step))
        if inputs is None:
            continue
        parameters = values[execution.owner]
        basis = Basis(
            pipeline, parameters, store, interpreter, verify=options.verify, discard=False
        )
        found = decide(basis, step, inputs, forced.get(step.name, ""))
        if not found.why and found.entry and store.has_notebook(found.entry.notebook):
            known[execution.task] = reused(basis, step, found.entry, inputs)
    return len(known)


def _known(
    plan: Plan, known: dict[Task, Manifest], trial: int, steps: Sequence[str]
) -> list[Manifest] | None:
    """What these steps give to the trial; None if one of them must be executed."""
    tasks = [(plan.owner(trial, step), step) for step in steps]
    return [known[task] for task in tasks] if all(task in known for task in tasks) else None


def _bound(pipeline: Pipeline, values: Mapping[str, object]) -> dict[str, object]:
    """The values of then for the notebook of now: a text is one, and no spelling of a value.

    Of a float it may be the spelling: records of earlier versions have NaN as a text.
    """
    return bind(pipeline.parameters, values, pipeline.language, spelled=False)
