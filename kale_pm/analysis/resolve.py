"""Which step's version of a variable is the right one.

The rules: a step needs x if it may read x before it binds it, and an ancestor may write it.
The source is the ancestor that writes x last; where that one may leave x alone, its own
sources follow as fallbacks.  Distance in the graph and spelling of names never matter.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from kale_pm.analysis.effects import Effects, Knowledge, Read, merge
from kale_pm.analysis.graph import Graph, bits, make_graph
from kale_pm.analysis.known import AMBIENT_NAMES
from kale_pm.analysis.scan import scan
from kale_pm.model import Problem, Step


class Write(Enum):
    """What a step does to a variable, as far as its descendants are concerned."""

    BINDS = "binds"
    DELETES = "deletes"
    MAY_BIND = "may bind"
    MUTATES = "mutates"
    TOUCHES = "touches"

    @property
    def is_final(self) -> bool:
        """Nothing of an older version can be seen after it."""
        return self in (Write.BINDS, Write.DELETES)


@dataclass(frozen=True)
class Prelude:
    """What runs first in every step: ``names`` are there for all of them."""

    effects: Effects
    known: Knowledge
    parameters: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.effects.binds | self.effects.may_bind) | self.parameters

    def is_fixed(self, name: str) -> bool:
        """Can only a new binding change ``name``?  True of modules, code and plain values."""
        known = self.known
        return name in known.modules or name in known.code or known.plain.get(name, False)


@dataclass
class Flows:
    """The answer: for every step its sources by variable, and what each step gives."""

    graph: Graph
    effects: list[Effects]
    known: list[Knowledge]
    writes: list[dict[str, Write]]
    sources: list[dict[str, list[int]]]
    problems: list[Problem] = field(default_factory=list)
    conflicts: list[tuple[str, list[int], int]] = field(default_factory=list)
    _writers: dict[str, int] = field(default_factory=dict)

    def writers(self, name: str) -> int:
        return self._writers.get(name, 0)

    def real_writers(self, name: str, among: int) -> int:
        """The steps of ``among`` that write the name, not only hand it to unknown code."""
        result = 0
        for place in bits(self.writers(name) & among):
            if self.writes[place][name] is not Write.TOUCHES:
                result |= 1 << place
        return result


def resolve(
    steps: Sequence[Step], edges: Iterable[tuple[str, str]], prelude: Prelude
) -> Flows:
    """Follow every step after its ancestors, and find the sources of all that it reads."""
    graph = make_graph([step.name for step in steps], tuple(edges))
    by_name = {step.name: step for step in steps}
    flows = Flows(graph, [], [], [], [])
    for place, name in enumerate(graph.order):
        parents = [flows.known[parent] for parent in graph.parents[place]]
        known = merge(parents) if parents else prelude.known.copy()
        effects, problems = scan(by_name[name].cells, known, name)
        flows.effects.append(effects)
        flows.known.append(known)
        flows.problems += problems
        flows.writes.append(_writes(effects, prelude))
        flows.sources.append(_sources(flows, place, prelude))
        for written in flows.writes[place]:
            flows._writers[written] = flows.writers(written) | 1 << place
    return flows


def _writes(effects: Effects, prelude: Prelude) -> dict[str, Write]:
    """One word for each variable that the block may change."""
    found: dict[str, Write] = {}
    for names, write in (
        (effects.touches, Write.TOUCHES),
        (effects.mutates, Write.MUTATES),
    ):
        for name in names:
            if name in AMBIENT_NAMES or hasattr(builtins, name) and name not in effects.reads:
                continue
            if name in prelude.names and prelude.is_fixed(name):
                continue
            found[name] = write
    for name in effects.may_bind | effects.may_delete:
        found[name] = Write.MAY_BIND
    for name in effects.deletes:
        found[name] = Write.DELETES
    for name in effects.binds:
        found[name] = Write.BINDS
    return {name: write for name, write in found.items() if name not in AMBIENT_NAMES}


def _sources(flows: Flows, place: int, prelude: Prelude) -> dict[str, list[int]]:
    """Variable -> the steps to ask for it, the right one first."""
    effects, ancestors = flows.effects[place], flows.graph.ancestors[place]
    reads = dict.fromkeys(effects.reads)
    if effects.dynamic:
        reads.update(
            dict.fromkeys(name for name, steps in flows._writers.items() if steps & ancestors)
        )
        for name in effects.binds:
            reads.pop(name, None) if name not in effects.reads else None
    found: dict[str, list[int]] = {}
    for name in reads:
        if name in AMBIENT_NAMES:
            continue
        chain = source_chain(flows, name, ancestors)
        if not chain:
            continue
        if name not in prelude.names and not flows.real_writers(name, ancestors):
            continue  # nobody makes it, some only hand it on
        maximal = flows.graph.maximal(flows.real_writers(name, ancestors))
        if len(maximal) > 1:
            flows.conflicts.append((name, sorted(maximal), place))
        if all(flows.writes[step][name] is Write.DELETES for step in maximal) and maximal:
            if not any(flows.writes[step][name] is Write.TOUCHES for step in chain):
                continue
        found[name] = chain
    return found


def source_chain(flows: Flows, name: str, ancestors: int) -> list[int]:
    """All steps of ``ancestors`` whose version of ``name`` may be the current one, last first."""
    chain: list[int] = []
    waiting = flows.writers(name) & ancestors
    while waiting:
        last = waiting.bit_length() - 1
        waiting &= ~(1 << last)
        chain.append(last)
        if flows.writes[last][name].is_final:
            waiting &= ~flows.graph.ancestors[last]
    return chain


def is_missing(flows: Flows, place: int, name: str, read: Read, prelude: Prelude) -> bool:
    """Is ``name`` read in a step where nothing can have bound it?"""
    if read.soft or name in flows.sources[place] or name in prelude.names:
        return False
    if name in AMBIENT_NAMES or hasattr(builtins, name):
        return False
    if name in flows.effects[place].may_bind:
        return False  # the step may bind it itself, on another way
    return not (prelude.known.unknown_star or flows.known[place].unknown_star)
