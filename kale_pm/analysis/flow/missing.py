"""Names that a step reads and nobody before it defines: why, and which tag or spelling mends it."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kale_pm.analysis.code.effects import Place, Read
from kale_pm.analysis.flow.graph import bits
from kale_pm.analysis.flow.sources import (
    MAKING,
    REAL,
    Flows,
    Prelude,
    Write,
    is_builtin,
    is_deleted,
    is_missing,
)
from kale_pm.model import Pipeline, Problem, Severity
from kale_pm.notebook.spelling import nearest

_PUBLIC_BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("_"))
# What people call by these names before they import it.
_IMPORTS = {
    **{name: f"import {name}" for name in ("os", "sys", "re", "math", "json", "random", "time")},
    "np": "import numpy as np",
    "pd": "import pandas as pd",
    "plt": "import matplotlib.pyplot as plt",
    "sns": "import seaborn as sns",
    "tf": "import tensorflow as tf",
    "torch": "import torch",
}


@dataclass(frozen=True)
class Reading:
    """A step at ``place`` that reads ``name``, and all that is needed to tell why it fails."""

    pipeline: Pipeline
    flows: Flows
    prelude: Prelude
    place: int
    name: str
    read: Read

    @property
    def step(self) -> str:
        return self.flows.graph.order[self.place]

    @property
    def related(self) -> int:
        """The step itself, and all that come before it."""
        return self.flows.graph.ancestors[self.place] | 1 << self.place

    @property
    def quoted(self) -> str:
        reader = "a lambda" if self.read.through == "<lambda>" else self.read.through
        return f"'{self.name}', which {reader} reads," if reader else f"'{self.name}'"

    @property
    def undefined(self) -> str:
        return f"{self.quoted} is not defined when this runs"

    @property
    def severity(self) -> Severity:
        """An error only where the cell fails for certain."""
        return "error" if self.read.certain else "warning"

    def located(self, problem: Problem) -> Problem:
        """The same problem, at the place of the reading."""
        where = self.read.place
        return replace(problem, step=self.step, cell=where.cell, line=where.line)


def missing_names(
    pipeline: Pipeline, flows: Flows, place: int, prelude: Prelude
) -> Iterator[Problem]:
    """The problems of step ``place`` with names; errors only where the cell fails for certain."""
    for name, read in flows.effects[place].reads.items():
        reading = Reading(pipeline, flows, prelude, place, name, read)
        if is_deleted(flows, place, name) and not is_builtin(name):
            if read.certain:
                yield _deleted(reading)
        elif read.through and name in flows.effects[place].places:
            continue  # bound in time, as far as anybody can tell
        elif is_missing(flows, place, name, read, prelude):
            yield _missing(reading)


def _deleted(reading: Reading) -> Problem:
    flows, name = reading.flows, reading.name
    writers = flows.writers(name, REAL) & flows.graph.ancestors[reading.place]
    deleter = flows.graph.maximal(writers)[0]
    where = _cell(flows.effects[deleter].may_delete.get(name))
    return reading.located(
        Problem(
            "deleted-upstream",
            reading.severity,
            f"{reading.quoted} was deleted in step {flows.graph.order[deleter]}{where}, "
            f"which runs before",
            f"do not delete '{name}' there, or bind it again",
        )
    )


def _missing(reading: Reading) -> Problem:
    flows, place = reading.flows, reading.place
    definers = [
        other
        for other in range(len(flows.graph.order))
        if other != place and flows.writes[other].get(reading.name) in (Write.BINDS, Write.MAY_BIND)
    ]
    beside = [other for other in definers if not flows.graph.is_before(place, other)]
    own = flows.effects[place].places.get(reading.name)
    if beside:
        return _set_beside(reading, beside)
    if own is not None:
        return _set_in_the_step(reading, own)
    if definers:
        return _set_downstream(reading, definers[0])
    hint = _what_was_meant(reading)
    return reading.located(Problem("undefined-name", reading.severity, reading.undefined, hint))


def _set_beside(reading: Reading, beside: list[int]) -> Problem:
    """A step sets it that comes neither before nor after this one."""
    pipeline, step = reading.pipeline, reading.step
    there = _closest(reading, beside)
    definer = reading.flows.graph.order[there]
    is_above = _position(pipeline, definer) < _position(pipeline, step)
    if pipeline.edges:
        hint = f"add the tag prev:{definer} to step {step}"
        if is_above and not pipeline.step(step).prev:
            hint += ", or let kale-pm find the edges: --infer-edges"
    elif is_above:
        # A single prev: tag would be the end of all edges that are inferred.
        hint = "say what each step follows, with prev: tags in all of them"
    else:
        hint = f"move the cell that reads it below step {definer}, or set it in a step above"
    if reading.name in reading.flows.known[there].modules:
        hint += ", or import it in a cell tagged imports"
    where = _cell(reading.flows.effects[there].places.get(reading.name))
    return reading.located(
        Problem(
            "not-upstream",
            reading.severity,
            f"{reading.quoted} is defined in step {definer}{where}, "
            f"which step {step} does not follow",
            hint,
        )
    )


def _set_in_the_step(reading: Reading, own: Place) -> Problem:
    """The step sets it itself: further down, or by the very statement that reads it."""
    name, here = reading.name, reading.read.place
    if (own.cell, own.line) > (here.cell, here.line):
        message = f"{reading.undefined}; step {reading.step} sets it later{_cell(own)}"
        part = "line" if own.cell == here.cell else "cell"
        hint = f"move the {part} that sets it above this one"
    else:
        message = f"{reading.quoted} has no value yet when this runs"
        hint = f"give it a value first: {name} = ..."
    return reading.located(Problem("undefined-name", reading.severity, message, hint))


def _set_downstream(reading: Reading, later: int) -> Problem:
    """Only steps that come after this one set it."""
    where = _cell(reading.flows.effects[later].places.get(reading.name))
    setter = reading.flows.graph.order[later]
    return reading.located(
        Problem(
            "undefined-name",
            reading.severity,
            f"{reading.undefined}; step {setter} sets it{where}, but runs later",
            "move what sets it to this step, or to one before",
        )
    )


def _what_was_meant(reading: Reading) -> str:
    """The hint for a name that no step sets."""
    name, flows = reading.name, reading.flows
    if name in _IMPORTS:
        return f"import it in a cell tagged imports: {_IMPORTS[name]}"
    variables = {made for place in bits(reading.related) for made in _made(flows, place)}
    near = nearest(name, variables | reading.prelude.names | _PUBLIC_BUILTINS)
    if near:
        return f"did you mean '{near}'?"
    return _of_another_step(reading) or (
        "define it in this step, in one before, or in the prelude; "
        "cells tagged skip or metrics do not run"
    )


def _of_another_step(reading: Reading) -> str:
    """A like name of a step that comes neither before nor after this one."""
    flows = reading.flows
    related = reading.related | flows.graph.descendants[reading.place]
    makers = {
        made: step
        for place, step in enumerate(flows.graph.order)
        if not related >> place & 1
        for made in _made(flows, place)
    }
    near = nearest(reading.name, makers)
    if near is None:
        return ""
    then = f" then add prev:{makers[near]}" if reading.pipeline.edges else ""
    return f"did you mean '{near}' of step {makers[near]}?{then}"


def _made(flows: Flows, place: int) -> Iterator[str]:
    return (name for name, write in flows.writes[place].items() if write in MAKING)


def _closest(reading: Reading, others: list[int]) -> int:
    """Of ``others`` the last one above the step in the notebook, else the first below it."""
    names = reading.flows.graph.order
    position = {other: _position(reading.pipeline, names[other]) for other in others}
    here = _position(reading.pipeline, reading.step)
    above = [other for other in others if position[other] < here]
    if above:
        return max(above, key=lambda other: position[other])
    return min(others, key=lambda other: position[other])


def _position(pipeline: Pipeline, step: str) -> int:
    """Where the step stands in the notebook, among the others."""
    return [other.name for other in pipeline.steps].index(step)


def _cell(where: Place | None) -> str:
    return f" (cell {where.cell})" if where is not None else ""
