"""What is written of a run: at its beginning, as its steps end, and when all is over."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kale_pm.events import StepFinished
from kale_pm.model import Pipeline, Step
from kale_pm.record import RunRecord, State, StepRecord


def inputs_of(pipeline: Pipeline, step: Step) -> tuple[str, ...]:
    """The steps whose manifests ``step`` reads: its sources first, then its other parents."""
    return tuple(dict.fromkeys([*step.input_steps, *pipeline.parents[step.name]]))


def first_record(
    pipeline: Pipeline, parameters: Mapping[str, Any], folder: Path, wanted: Collection[str]
) -> RunRecord:
    """The record of a run in ``folder`` that is about to begin with the steps ``wanted``."""
    return RunRecord(
        id=folder.name,
        pipeline=pipeline.name,
        notebook=str(pipeline.path),
        state=State.RUNNING,
        parameters=parameters,
        steps={
            step.name: StepRecord(
                step.name,
                parents=pipeline.parents[step.name],
                inputs=inputs_of(pipeline, step),
                needs=tuple(need.name for need in step.needs),
            )
            for step in pipeline.steps
            if step.name in wanted
        },
        started=time.time(),
        implied_edges=pipeline.implied_edges,
        process=os.getpid(),
    )


def finished(step: StepRecord) -> StepFinished:
    """The event that tells how a step ended."""
    return StepFinished(
        step.name, step.state, step.seconds or 0.0, step.why, step.error, step.notebook
    )


def interruption(gave_up: str | None) -> str:
    """Why a step was interrupted; ``gave_up`` names the step whose failure ended the others."""
    if gave_up is None:
        return "the run was interrupted"
    return f"{gave_up} failed, and --fail-fast ends the others"


def not_begun(gave_up: str) -> str:
    """Why something did not begin once the failure of the step ``gave_up`` had ended the others."""
    return f"{gave_up} failed, and --fail-fast starts nothing after a failure"


def left_undone(record: RunRecord, gave_up: str | None, enough: str = "") -> Iterator[StepRecord]:
    """The steps that have not ended, as they are once nothing more is executed.

    ``enough`` says why what had not begun is not needed any more.
    """
    unneeded = enough or (not_begun(gave_up) if gave_up is not None else "")
    for step in record.steps.values():
        if step.state is State.WAITING and unneeded:
            yield replace(step, state=State.SKIPPED, why=unneeded)
        elif not step.state.is_final:
            yield replace(step, state=State.INTERRUPTED, why=interruption(gave_up))


def final_state(record: RunRecord, gave_up: str | None) -> State:
    """How a run ended all whose steps have ended."""
    states = {step.state for step in record.steps.values()}
    if State.FAILED in states and (gave_up is not None or State.INTERRUPTED not in states):
        return State.FAILED
    for state in (State.INTERRUPTED, State.SKIPPED):
        if state in states:
            return state
    return State.DONE
