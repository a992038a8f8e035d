"""What to tell the user about the flow of variables: one function for each kind of problem."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from kale_pm.analysis.code.effects import Effects, Place
from kale_pm.analysis.code.knowledge import Knowledge
from kale_pm.analysis.code.scan import scan
from kale_pm.analysis.flow.dead_steps import dead_steps
from kale_pm.analysis.flow.files import local_files
from kale_pm.analysis.flow.graph import bits
from kale_pm.analysis.flow.missing import missing_names
from kale_pm.analysis.flow.order import order_differs
from kale_pm.analysis.flow.packages import missing_packages
from kale_pm.analysis.flow.parameters import unused_parameters
from kale_pm.analysis.flow.sources import MAKING, Flows, Prelude, Write, is_builtin
from kale_pm.model import Pipeline, Problem, Step
from kale_pm.notebook.literals import literal_assignments
from kale_pm.notebook.names import collisions, folded
from kale_pm.notebook.parameters import parameter_cells, split_prelude
from kale_pm.notebook.spelling import nearest

_REMEDY = (
    "create it in the step that uses it: write a function that makes it in a cell tagged functions"
)
_REMEDIES = {
    "a generator": "turn it into a list, or create it in the step that uses it",
    "an open file": "keep its path, and open it in the step that uses it",
}


def flow_problems(pipeline: Pipeline, flows: Flows, prelude: Prelude) -> Iterator[Problem]:
    """All problems that the resolved flow of ``pipeline`` shows."""
    for place, name in enumerate(flows.graph.order):
        yield from missing_names(pipeline, flows, place, prelude)
        yield from deleted_here(flows, place)
        yield from lost_state(pipeline, flows, place)
        yield from unserialisable(pipeline.step(name), flows, place)
        yield from stays_behind(flows, place, prelude)
        yield from dynamic_access(flows, place)
    yield from order_differs(pipeline, flows, prelude)
    yield from unused_parameters(pipeline)
    yield from dead_steps(pipeline, flows, prelude)
    yield from name_collisions(pipeline)
    yield from taken_names(flows, prelude)
    yield from local_files(pipeline)
    yield from missing_packages(pipeline)


def deleted_here(flows: Flows, place: int) -> Iterator[Problem]:
    """Names that a step reads after it has deleted them itself."""
    for notice in flows.effects[place].notices:
        if notice.code == "deleted-here" and not is_builtin(notice.text):
            yield Problem(
                "undefined-name",
                "error",
                f"'{notice.text}' is not defined when this runs: the step has deleted it above",
                hint=f"delete '{notice.text}' after its last use",
                step=flows.graph.order[place],
                cell=notice.place.cell,
                line=notice.place.line,
            )


def lost_state(pipeline: Pipeline, flows: Flows, place: int) -> Iterator[Problem]:
    """Changes of global state: descendants get them by replay, the other steps below do not."""
    order = flows.graph.order
    names = [step.name for step in pipeline.steps]
    below = names[names.index(order[place]) + 1 :]
    without = [n for n in below if not flows.graph.is_before(place, flows.graph.place[n])]
    said = "the steps after it get the change by replay"
    if without:
        said = f"the steps that follow it get the change by replay, but not {', '.join(without)}"
    elif not flows.graph.descendants[place]:
        return
    notices = [n for n in flows.effects[place].notices if n.code == "global-state"]
    if notices:
        texts = list(dict.fromkeys(notice.text for notice in notices))
        verb = "changes" if len(texts) == 1 else "change"
        yield Problem(
            "global-state",
            "warning",
            f"{', '.join(texts)} {verb} global state in step {order[place]}; {said}",
            hint="set it in a cell tagged imports, then every step runs it itself",
            step=order[place],
            cell=notices[0].place.cell,
            line=notices[0].place.line,
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
                hint=_REMEDIES.get(kind, _REMEDY),
                step=step.name,
                cell=where.cell,
                line=where.line,
            )


def stays_behind(flows: Flows, place: int, prelude: Prelude) -> Iterator[Problem]:
    """Changes that do not follow: of modules, and of what the prelude makes anew in every step."""
    step = flows.graph.order[place]
    later = flows.graph.descendants[place]
    for notice in flows.effects[place].notices:
        if notice.code == "stays-behind" and later:
            yield Problem(
                "not-serialisable",
                "warning",
                f"{notice.text} stays in step {step}: the steps after it import the library anew",
                hint="make the change in a cell tagged imports, then every step makes it",
                step=step,
                cell=notice.place.cell,
                line=notice.place.line,
            )
    for name, where in flows.effects[place].code_changes.items():
        if name in prelude.names and any(_uses(flows, p, name) for p in bits(later)):
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


def _uses(flows: Flows, place: int, name: str) -> bool:
    """Does the step read ``name``, or an instance of that class?"""
    code, reads = flows.known[place].code, flows.effects[place].reads
    return name in reads or any(c.name == name for read in reads for c in code.get(read, ()))


def dynamic_access(flows: Flows, place: int) -> Iterator[Problem]:
    for notice in flows.effects[place].notices:
        if notice.code == "dynamic-access":
            yield Problem(
                "dynamic-access",
                "warning",
                f"{notice.text} may use any variable: the step receives all that there are, "
                f"and may change each of them",
                hint="write the names of the variables that it uses",
                step=flows.graph.order[place],
                cell=notice.place.cell,
                line=notice.place.line,
            )


def unknown_metrics(
    pipeline: Pipeline, owners: Mapping[str, int], flows: Flows
) -> Iterator[Problem]:
    """Metrics that nobody records; ``owners`` are the places of those that somebody does."""
    set_somewhere = {name for writes in flows.writes for name in writes}
    for name in pipeline.metrics:
        if name not in owners:
            yield Problem(
                "undefined-name",
                "warning",
                f"no step sets the metric '{name}'",
                hint=_near(name, set_somewhere)
                or "name a variable of a step in the cell tagged metrics",
            )


def _near(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f"did you mean '{near}'?" if near else ""


def name_collisions(pipeline: Pipeline) -> Iterator[Problem]:
    """Steps that KFP takes for one: a run here does not mind, ``compile`` refuses them."""
    for first, other in collisions(step.name for step in pipeline.steps):
        yield Problem(
            "name-collision",
            "warning",
            f"Kubeflow Pipelines takes the steps {first} and {other} for one, '{folded(other)}': "
            f"compile refuses them",
            hint="rename one of them by more than underscores",
            step=other,
            cell=pipeline.step(other).cells[0].number,
        )


def taken_names(flows: Flows, prelude: Prelude) -> Iterator[Problem]:
    """A variable that hides the package by which every slice loads and saves."""
    name = "kale_pm"
    found: list[tuple[str | None, Effects, Knowledge]] = [(None, prelude.effects, prelude.known)]
    found += zip(flows.graph.order, flows.effects, flows.known, strict=True)
    for step, effects, known in found:
        if name in effects.places and known.modules.get(name) != name:
            yield Problem(
                "name-collision",
                "error",
                f"the variable '{name}' hides the package by which each step loads and saves",
                hint="give the variable another name",
                step=step,
                cell=effects.places[name].cell,
                line=effects.places[name].line,
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
        if read.soft or not read.certain or prelude.known.open_ended:
            continue
        if is_builtin(name):
            continue
        where, hint = "", _near(name, prelude.names) or "define it above, in a cell of the prelude"
        if name in prelude.effects.places:
            where = f"; cell {prelude.effects.places[name].cell} sets it later"
            hint = "move what sets it above this line"
        elif name in defined:
            where = f"; step {defined[name]} defines it"
            hint = f"move this line into step {defined[name]}, below what it needs"
        yield Problem(
            "undefined-name",
            "error",
            f"'{name}' is not defined when this cell runs, first in every step{where}",
            hint=hint,
            cell=read.place.cell,
            line=read.place.line,
        )
    yield from _prelude_below(pipeline, prelude, flows)
    yield from _parameters_set_again(pipeline)


def _parameters_set_again(pipeline: Pipeline) -> Iterator[Problem]:
    """Parameters whose literal stays behind, after code that reads an earlier one."""
    names = {parameter.name for parameter in pipeline.parameters}
    numbers = {cell.number for cell in parameter_cells(pipeline.prelude)}
    for cell in split_prelude(pipeline.prelude)[1]:
        if cell.number not in numbers:
            continue
        for name, line in literal_assignments(cell):
            if name in names:
                yield Problem(
                    "order-differs",
                    "warning",
                    f"'{name}' is set again here, after code that reads it: "
                    f"a value given with -p {name}=... ends here",
                    hint="set each parameter once, above all code that reads it",
                    cell=cell.number,
                    line=line,
                )


def _prelude_below(pipeline: Pipeline, prelude: Prelude, flows: Flows) -> Iterator[Problem]:
    """Cells of the prelude that would find other values, or leave others, where they stand."""
    for cell in pipeline.prelude:
        above = [s for s in pipeline.steps if s.cells and s.cells[0].number < cell.number]
        if not above:
            continue
        effects, _ = scan([cell], prelude.known.copy())
        reads = {name: read.place for name, read in effects.reads.items()}
        ways = (("set", effects.places), ("changed", effects.mutates), ("read", reads))
        for step in above:
            writes = flows.writes[flows.graph.place[step.name]]
            told: set[str] = set()
            for verb, places in ways:
                for name, place in places.items():
                    if writes.get(name) in MAKING and name not in told:
                        told.add(name)
                        yield _below(name, verb, place, step.name)


def _below(name: str, verb: str, place: Place, step: str) -> Problem:
    return Problem(
        "order-differs",
        "warning",
        f"'{name}' is {verb} here, below step {step} which sets or changes it; "
        f"this cell runs first in every step",
        hint="move the cell above the steps, or tag it block:NAME",
        cell=place.cell,
        line=place.line,
    )
