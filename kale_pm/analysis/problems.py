"""What to tell the user about the flow of variables: one function for each kind of problem."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from kale_pm.analysis.effects import Read
from kale_pm.analysis.graph import bits
from kale_pm.analysis.resolve import REAL, Flows, Prelude, Write, is_builtin, is_deleted, is_missing
from kale_pm.model import Pipeline, Problem, Step


def flow_problems(pipeline: Pipeline, flows: Flows, prelude: Prelude) -> Iterator[Problem]:
    """All problems that the resolved flow of ``pipeline`` shows, in the order of the steps."""
    for place, name in enumerate(flows.graph.order):
        step = pipeline.step(name)
        yield from missing_names(pipeline, flows, place, prelude)
        yield from outside_of_order(pipeline, flows, place)
        yield from lost_state(flows, place)
        yield from unserialisable(step, flows, place)
        yield from stays_behind(flows, place, prelude)
        yield from dynamic_access(flows, place)
    yield from unused_parameters(pipeline, flows, prelude)


def missing_names(
    pipeline: Pipeline, flows: Flows, place: int, prelude: Prelude
) -> Iterator[Problem]:
    """Names that are read where no step before can have bound them."""
    step = flows.graph.order[place]
    for name, read in flows.effects[place].reads.items():
        if is_deleted(flows, place, name) and not is_builtin(name):
            if read.certain:
                yield _deleted(flows, place, name, read)
        elif is_missing(flows, place, name, read, prelude):
            yield _missing(pipeline, flows, place, name, read, step)


def _deleted(flows: Flows, place: int, name: str, read: Read) -> Problem:
    ancestors = flows.graph.ancestors[place]
    deleter = flows.graph.order[flows.graph.maximal(flows.writers(name, REAL) & ancestors)[0]]
    return Problem(
        "deleted-upstream",
        "error",
        f"'{name}' was deleted in step {deleter}, which runs before",
        hint=f"do not delete '{name}' there, or bind it again",
        step=flows.graph.order[place],
        cell=read.place.cell,
        line=read.place.line,
    )


def _missing(
    pipeline: Pipeline, flows: Flows, place: int, name: str, read: Read, step: str
) -> Problem:
    """The reason why there is no such name here, and the tag or the spelling that mends it."""
    definers = [
        other
        for other in range(len(flows.graph.order))
        if flows.writes[other].get(name) in (Write.BINDS, Write.MAY_BIND)
    ]
    beside = [o for o in definers if o != place and not flows.graph.is_before(place, o)]
    if beside:
        there = flows.graph.order[beside[-1]]
        code, severity = "not-upstream", "error" if read.certain else "warning"
        message = f"'{name}' is defined in step {there}, which step {step} does not follow"
        hint = f"add the tag prev:{there} to step {step}, or let --infer-edges find the edges"
    else:
        code, severity = "undefined-name", "error" if read.certain else "warning"
        message = f"'{name}' is not defined in this step or before it"
        hint = _spelling(pipeline, flows, place, name)
        if definers:
            there = flows.graph.order[definers[0]]
            message += f"; step {there}, which comes after it, defines it"
    return Problem(
        code,
        "error" if severity == "error" else "warning",
        message,
        hint=hint,
        step=step,
        cell=read.place.cell,
        line=read.place.line,
    )


def _spelling(pipeline: Pipeline, flows: Flows, place: int, name: str) -> str:
    known = set(flows.known[place].plain) | {p.name for p in pipeline.parameters}
    near = difflib.get_close_matches(name, sorted(known - {name}), n=1, cutoff=0.75)
    if near:
        return f"did you mean '{near[0]}'?"
    return "define it above, or tag the cell that defines it (cells tagged skip do not run)"


def outside_of_order(pipeline: Pipeline, flows: Flows, place: int) -> Iterator[Problem]:
    """Values that the notebook, run from top to bottom, would have shown differently."""
    position = {step.name: index for index, step in enumerate(pipeline.steps)}
    order = flows.graph.order
    here = position[order[place]]
    above = 0
    for other in range(len(order)):
        if position[order[other]] < here:
            above |= 1 << other
    for name, read in flows.effects[place].reads.items():
        writers = flows.writers(name, REAL) & above
        if not writers:
            continue
        last = max(bits(writers), key=lambda p: position[order[p]])
        ancestors = flows.graph.ancestors[place]
        if ancestors >> last & 1 or not (flows.sources[place].get(name) or _is_ambient(flows, name)):
            continue
        yield Problem(
            "order-differs",
            "warning",
            f"run from top to bottom, the notebook would read '{name}' as step {order[last]} "
            f"leaves it; step {order[place]} does not follow that step",
            hint=f"add the tag prev:{order[last]} if that value is meant",
            step=order[place],
            cell=read.place.cell,
            line=read.place.line,
        )


def _is_ambient(flows: Flows, name: str) -> bool:
    return all(name in known.plain for known in flows.known)


def lost_state(flows: Flows, place: int) -> Iterator[Problem]:
    """Changes of global state, which descendants get by replay."""
    order = flows.graph.order
    if not any(flows.graph.is_before(place, other) for other in range(len(order))):
        return
    for notice in flows.effects[place].notices:
        if notice.code == "global-state":
            yield Problem(
                "global-state",
                "warning",
                f"{notice.text} changes global state in step {order[place]}; "
                f"the steps after it get the change by replay",
                hint="set it in a cell tagged imports, then every step runs it itself",
                step=order[place],
                cell=notice.place.cell,
                line=notice.place.line,
            )


def unserialisable(step: Step, flows: Flows, place: int) -> Iterator[Problem]:
    """Variables that other steps need and that cannot leave their process."""
    given = {*step.gives, *step.gives_if_changed}
    for name, (kind, where) in flows.known[place].unserialisable.items():
        if name in given and flows.writes[place].get(name) in (Write.BINDS, Write.MAY_BIND):
            yield Problem(
                "not-serialisable",
                "warning",
                f"'{name}' is {kind}: it cannot leave step {step.name}, but later steps need it",
                hint="create it in the step that uses it, or in a cell tagged functions",
                step=step.name,
                cell=where.cell,
                line=where.line,
            )


def stays_behind(flows: Flows, place: int, prelude: Prelude) -> Iterator[Problem]:
    """Changes that do not follow: of modules, and of what the prelude makes anew in every step."""
    step = flows.graph.order[place]
    later = [p for p in range(len(flows.graph.order)) if flows.graph.is_before(place, p)]
    for notice in flows.effects[place].notices:
        if notice.code == "stays-behind" and later:
            yield Problem(
                "not-serialisable",
                "warning",
                f"the change of {notice.text} stays in step {step}: "
                f"the steps after it import the module anew",
                hint="make the change in a cell tagged imports, then every step makes it",
                step=step,
                cell=notice.place.cell,
                line=notice.place.line,
            )
    for name, where in flows.effects[place].code_changes.items():
        if name in prelude.names and any(name in flows.effects[p].reads for p in later):
            yield Problem(
                "not-serialisable",
                "warning",
                f"'{name}' itself changes here, and the change stays in step {step}: "
                f"the prelude defines '{name}' anew in every step",
                hint="keep what changes in a variable, not in the function or class",
                step=step,
                cell=where.cell,
                line=where.line,
            )


def dynamic_access(flows: Flows, place: int) -> Iterator[Problem]:
    for notice in flows.effects[place].notices:
        if notice.code == "dynamic-access":
            yield Problem(
                "dynamic-access",
                "warning",
                f"{notice.text} may read any variable: the step gets all that there are",
                hint="name the variables that it reads",
                step=flows.graph.order[place],
                cell=notice.place.cell,
                line=notice.place.line,
            )


def unused_parameters(pipeline: Pipeline, flows: Flows, prelude: Prelude) -> Iterator[Problem]:
    used = {name for step in pipeline.steps for name in step.parameters}
    for parameter in pipeline.parameters:
        if parameter.name not in used:
            yield Problem(
                "unused-parameter",
                "warning",
                f"no step uses the parameter '{parameter.name}'",
                hint="remove it, or check its spelling in the steps",
                cell=parameter.cell or None,
                line=parameter.line or None,
            )


def prelude_problems(pipeline: Pipeline, prelude: Prelude, flows: Flows) -> Iterator[Problem]:
    """Prelude cells run first in every step: what that changes against the notebook."""
    defined = {
        name: flows.graph.order[place]
        for place in reversed(range(len(flows.graph.order)))
        for name, write in flows.writes[place].items()
        if write in (Write.BINDS, Write.MAY_BIND)
    }
    for name, read in prelude.effects.reads.items():
        if read.soft or not read.certain or prelude.known.unknown_star:
            continue
        if is_builtin(name):
            continue
        where = f"; step {defined[name]} defines it" if name in defined else ""
        yield Problem(
            "undefined-name",
            "error",
            f"'{name}' is not defined when this cell runs, first in every step{where}",
            hint="tag the cell block:NAME to make it part of a step",
            cell=read.place.cell,
            line=read.place.line,
        )
    yield from _prelude_below(pipeline, prelude, flows)


def _prelude_below(pipeline: Pipeline, prelude: Prelude, flows: Flows) -> Iterator[Problem]:
    for cell in pipeline.prelude:
        for name, place in prelude.effects.places.items():
            if place.cell != cell.number:
                continue
            for step in pipeline.steps:
                writes = flows.writes[flows.graph.place[step.name]]
                if step.cells and step.cells[0].number < cell.number and (
                    writes.get(name) in (Write.BINDS, Write.MAY_BIND)
                ):
                    yield Problem(
                        "order-differs",
                        "warning",
                        f"'{name}' is set here, below step {step.name} which sets it too; "
                        f"this cell runs first in every step",
                        hint="move the cell above the steps, or tag it block:NAME",
                        cell=cell.number,
                        line=place.line,
                    )
