"""Names that a step reads and nobody before it defines: why, and which tag or spelling mends it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from kale_pm.analysis.code.effects import Place, Read
from kale_pm.analysis.flow.sources import (
    REAL,
    Flows,
    Prelude,
    Write,
    is_builtin,
    is_deleted,
    is_missing,
)
from kale_pm.model import Pipeline, Problem, Severity


def missing_names(
    pipeline: Pipeline, flows: Flows, place: int, prelude: Prelude
) -> Iterator[Problem]:
    """The problems of step ``place`` with names; errors only where the cell fails for certain."""
    for name, read in flows.effects[place].reads.items():
        if is_deleted(flows, place, name) and not is_builtin(name):
            if read.certain:
                yield _deleted(flows, place, name, read)
        elif read.through and name in flows.effects[place].places:
            continue  # bound in time, as far as anybody can tell
        elif is_missing(flows, place, name, read, prelude):
            yield _missing(pipeline, flows, place, name, read)


def _deleted(flows: Flows, place: int, name: str, read: Read) -> Problem:
    writers = flows.writers(name, REAL) & flows.graph.ancestors[place]
    deleter = flows.graph.maximal(writers)[0]
    where = _cell(flows.effects[deleter].may_delete.get(name))
    return Problem(
        "deleted-upstream",
        "error",
        f"{_quoted(name, read)} was deleted in step {flows.graph.order[deleter]}{where}, "
        f"which runs before",
        hint=f"do not delete '{name}' there, or bind it again",
        step=flows.graph.order[place],
        cell=read.place.cell,
        line=read.place.line,
    )


def _missing(pipeline: Pipeline, flows: Flows, place: int, name: str, read: Read) -> Problem:
    step = flows.graph.order[place]
    severity: Severity = "error" if read.certain else "warning"
    definers = [
        other
        for other in range(len(flows.graph.order))
        if other != place and flows.writes[other].get(name) in (Write.BINDS, Write.MAY_BIND)
    ]
    beside = [other for other in definers if not flows.graph.is_before(place, other)]
    if beside:
        there = _nearest(pipeline, flows, place, beside)
        definer = flows.graph.order[there]
        where = _cell(flows.effects[there].places.get(name))
        hint = f"add the tag prev:{definer} to step {step}"
        if name in flows.known[there].modules:
            hint += ", or import it in a cell tagged imports"
        return Problem(
            "not-upstream",
            severity,
            f"{_quoted(name, read)} is defined in step {definer}{where}, "
            f"which step {step} does not follow",
            hint=hint,
            step=step,
            cell=read.place.cell,
            line=read.place.line,
        )
    message = f"{_quoted(name, read)} is not defined when this runs"
    hint = _spelling(pipeline, flows, place, name)
    own = flows.effects[place].places.get(name)
    if own is not None:
        message += f"; step {step} sets it later{_cell(own)}"
        hint = "move the cell that sets it up"
    elif definers:
        later = flows.graph.order[definers[0]]
        message += f"; step {later} sets it{_cell(flows.effects[definers[0]].places.get(name))}"
        message += ", but runs later"
        hint = "move what sets it to this step, or to one before"
    return Problem(
        "undefined-name",
        severity,
        message,
        hint=hint,
        step=step,
        cell=read.place.cell,
        line=read.place.line,
    )


def _nearest(pipeline: Pipeline, flows: Flows, place: int, others: list[int]) -> int:
    """Of ``others`` the last one above the step in the notebook, else the first below it."""
    position = {step.name: index for index, step in enumerate(pipeline.steps)}
    names = flows.graph.order
    here = position[names[place]]
    above = [other for other in others if position[names[other]] < here]
    if above:
        return max(above, key=lambda other: position[names[other]])
    return min(others, key=lambda other: position[names[other]])


def _quoted(name: str, read: Read) -> str:
    reader = "a lambda" if read.through == "<lambda>" else read.through
    return f"'{name}', which {reader} reads," if reader else f"'{name}'"


def _cell(where: Place | None) -> str:
    return f" (cell {where.cell})" if where is not None else ""


def _spelling(pipeline: Pipeline, flows: Flows, place: int, name: str) -> str:
    known = set(flows.known[place].plain) | {p.name for p in pipeline.parameters}
    near = difflib.get_close_matches(name, sorted(known - {name}), n=1, cutoff=0.75)
    if near:
        return f"did you mean '{near[0]}'?"
    return (
        "define it in this step, in one before, or in the prelude; "
        "cells tagged skip or metrics do not run"
    )
