"""From a notebook that was read to a pipeline that is understood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache

from kale_pm.analysis.code.groups import Groups
from kale_pm.analysis.code.knowledge import Knowledge
from kale_pm.analysis.code.scan import scan
from kale_pm.analysis.flow.edges import Edges, infer_edges, rivalries, without_cycles
from kale_pm.analysis.flow.graph import bits
from kale_pm.analysis.flow.parameters import parameters_of_prelude, used_parameters
from kale_pm.analysis.flow.problems import flow_problems, prelude_problems, unknown_metrics
from kale_pm.analysis.flow.sources import MAKING, Flows, Prelude, Write, resolve, words_of
from kale_pm.analysis.other_languages import ordered
from kale_pm.model import Need, Pipeline, Problem, Source, Step

# With one of these the steps themselves are not certain: there is nothing to follow.
_STRUCTURAL = frozenset({"bad-tags", "cycle", "unknown-step"})


def understand(pipeline: Pipeline, *, infer: bool = False, strict: bool = False) -> Pipeline:
    """Find out what flows between the steps of ``pipeline``, as kale_pm.notebook read it.

    Gives the same pipeline with needs, gives, parameters and metrics of every step, implied
    edges, and all problems.  ``infer`` also infers edges for single steps without a
    ``prev:``; a notebook without any gets them in any case.  ``strict`` makes every warning
    an error.  In a notebook of another language than Python nothing flows.
    """
    if not any(problem.code in _STRUCTURAL and problem.is_error for problem in pipeline.problems):
        if pipeline.is_analysed:
            pipeline = _with_flow(pipeline, infer)
        else:
            pipeline = ordered(pipeline, infer=infer)
    if strict:
        problems = tuple(_strict(problem) for problem in pipeline.problems)
        pipeline = replace(pipeline, problems=problems)
    return pipeline


def _strict(problem: Problem) -> Problem:
    if problem.severity != "warning":
        return problem
    code = "conflicting-writes" if problem.code == "serialised" else problem.code
    return replace(problem, code=code, severity="error")


def _with_flow(pipeline: Pipeline, infer: bool) -> Pipeline:
    prelude, found = _prelude(pipeline)
    problems = [*pipeline.problems, *found]
    implied: Edges = ()
    orphans = {step.name for step in pipeline.steps if not step.prev}
    if len(pipeline.steps) > 1 and (infer or not pipeline.edges):
        inferred = infer_edges(pipeline.steps, prelude)
        implied = tuple(edge for edge in inferred if edge[1] in orphans)
        problems.append(
            Problem(
                "inferred-edges",
                "note",
                "edges come from the variables that the steps read"
                + ("" if pipeline.edges else ": no cell has a prev: tag"),
                hint="add prev:NAME tags to say them yourself",
            )
        )
    flows, implied, warnings = _settle(pipeline, implied, prelude)
    owners = _metric_owners(pipeline, flows, prelude)
    pipeline = replace(
        pipeline,
        steps=_filled(pipeline, flows, prelude, owners),
        implied_edges=implied,
        aliases=_aliases(flows),
    )
    problems += [*flows.problems, *prelude_problems(pipeline, prelude, flows), *warnings]
    problems += flow_problems(pipeline, flows, prelude)
    problems += unknown_metrics(pipeline, owners, flows)
    problems = list(dict.fromkeys(problems))
    problems.sort(key=lambda p: (not p.is_error, p.cell or 0, p.line or 0))
    return replace(pipeline, problems=tuple(problems))


def _prelude(pipeline: Pipeline) -> tuple[Prelude, list[Problem]]:
    known = Knowledge()
    effects, problems = scan(pipeline.prelude, known)
    parameters = frozenset(parameter.name for parameter in pipeline.parameters)
    words = frozenset(word for cell in pipeline.prelude for word in words_of(cell.source))
    return Prelude(effects, known, parameters, words), problems


def _settle(
    pipeline: Pipeline, implied: Edges, prelude: Prelude
) -> tuple[Flows, Edges, list[Problem]]:
    """Resolve, and put rival writers one after the other, until nothing is left to order."""
    settled: list[Problem] = []
    while True:
        edges = (*pipeline.edges, *implied)
        flows = resolve(pipeline.steps, edges, prelude)
        found = rivalries(pipeline.steps, flows)
        more = tuple(edge for rivalry in found for edge in rivalry.edges)
        new = without_cycles(pipeline.steps, edges, more)
        if not new:
            return flows, implied, settled + [rivalry.problem for rivalry in found]
        # What has no edges may be settled by those of others.
        settled += (rivalry.problem for rivalry in found if rivalry.edges)
        implied += new


def _filled(
    pipeline: Pipeline, flows: Flows, prelude: Prelude, owners: Mapping[str, int]
) -> tuple[Step, ...]:
    order = flows.graph.order
    gives, maybe = _given(flows, prelude)
    made = cache(lambda place, name: Source(order[place], name))
    in_prelude = parameters_of_prelude(pipeline)
    filled = []
    for step in pipeline.steps:
        place = flows.graph.place[step.name]
        needs = tuple(
            Need(name, *_split([made(source, name) for source in bits(asked)]))
            for name, asked in sorted(flows.sources[place].items())
        )
        # Also what it needs: as long as nobody changed it, it comes from the prelude.
        watch = (gives[place] | maybe[place]) & prelude.names
        metrics = tuple(name for name in pipeline.metrics if owners.get(name) == place)
        filled.append(
            replace(
                step,
                needs=needs,
                gives=tuple(sorted(gives[place])),
                stores=_stored(flows, place, gives[place], prelude),
                gives_if_changed=tuple(sorted(maybe[place])),
                watch=tuple(sorted(watch)),
                parameters=used_parameters(pipeline, flows, place, in_prelude, metrics),
                metrics=metrics,
            )
        )
    return tuple(filled)


def _split(sources: list[Source]) -> tuple[Source, tuple[Source, ...]]:
    return sources[0], tuple(sources[1:])


def _given(flows: Flows, prelude: Prelude) -> tuple[list[set[str]], list[set[str]]]:
    """For each step what it gives in any case, and what only if it changed it."""
    asked: dict[str, int] = {}
    for sources in flows.sources:
        for name, places in sources.items():
            asked[name] = asked.get(name, 0) | places
    gives: list[set[str]] = [set() for _ in flows.graph.order]
    maybe: list[set[str]] = [set() for _ in flows.graph.order]
    for name, places in asked.items():
        for place in bits(places):
            write = flows.writes[place][name]
            if write in MAKING:
                gives[place].add(name)
            elif write is not Write.DELETES or name in prelude.names:
                maybe[place].add(name)
    return gives, maybe


def _stored(flows: Flows, place: int, gives: Iterable[str], prelude: Prelude) -> tuple[str, ...]:
    """What is given even if it equals what was there.

    After new bindings and certain changes nobody asks an older step; and then there is what
    the step may not receive.
    """
    writes = flows.writes[place]
    return tuple(
        sorted(
            name
            for name in gives
            if writes[name] in (Write.BINDS, Write.CHANGES)
            or not _receives(flows, place, name, prelude)
        )
    )


def _receives(flows: Flows, place: int, name: str, prelude: Prelude) -> bool:
    """Does the step get ``name`` from another for certain?"""
    sources = flows.sources[place].get(name, 0)
    certain = flows.writers(name, (Write.BINDS, Write.CHANGES))
    bound = name in prelude.names or certain & sources
    return bool(sources and bound and not flows.deleting.get(name, 0) & sources)


def _metric_owners(pipeline: Pipeline, flows: Flows, prelude: Prelude) -> dict[str, int]:
    """Metric -> the last step in notebook order that writes it.

    What only the prelude sets, a parameter for instance, is recorded by the last step.
    """
    last = flows.graph.place[pipeline.steps[-1].name]
    owners = {name: last for name in pipeline.metrics if name in prelude.names}
    for step in pipeline.steps:
        place = flows.graph.place[step.name]
        for name in pipeline.metrics:
            if flows.writes[place].get(name) in MAKING:
                owners[name] = place
    return owners


def _aliases(flows: Flows) -> tuple[tuple[str, ...], ...]:
    """Groups of variables that surely share objects at the end of some step."""
    groups = Groups()
    for known in flows.known:
        for group in known.same.all():
            for name in group:
                groups.join(min(group), name)
    return tuple(sorted(tuple(sorted(group)) for group in groups.all() if len(group) > 1))
