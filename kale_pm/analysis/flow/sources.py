"""Which step's version of a variable is the right one.

The rules: a step needs x if it may read x before it binds it, and an ancestor may write it.
The source is the ancestor that writes x last; where that one may leave x alone, its own
sources follow as fallbacks.  Distance in the graph and spelling of names never matter.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from kale_pm.analysis.code.catalogue import AMBIENT_NAMES, BINDABLE_NAMES
from kale_pm.analysis.code.effects import Effects, Read
from kale_pm.analysis.code.knowledge import Knowledge, merge
from kale_pm.analysis.code.scan import scan
from kale_pm.analysis.flow.graph import Graph, bits, make_graph
from kale_pm.model import Problem, Step

_WORD = re.compile(r"[^\W\d]\w*")
_AMBIENT = AMBIENT_NAMES - BINDABLE_NAMES
# With one of these, any variable may be used by a name that stands nowhere.
_USING_ANY = frozenset({"eval", "exec", "globals", "locals", "vars", "dir", "run", "__main__"})


def words_of(source: str) -> list[str]:
    """All words in the source of a cell: names, and what else looks like one."""
    return _WORD.findall(source)


class Write(Enum):
    """What a step does to a variable, as far as its descendants are concerned."""

    BINDS = "binds"
    DELETES = "deletes"
    MAY_BIND = "may bind"
    MAY_DELETE = "may delete"
    CHANGES = "changes in place"
    MUTATES = "may change in place"
    TOUCHES = "hands to unknown code"
    SHARES = "makes a part of another"


# Nothing of an older version can be seen after these.
FINAL = (Write.BINDS, Write.DELETES, Write.CHANGES)
# These give a value.
MAKING = (Write.BINDS, Write.CHANGES, Write.MAY_BIND, Write.MUTATES)
# After these there is another version, or may be; of the others only the run can tell.
REAL = (*FINAL, Write.MAY_BIND, Write.MAY_DELETE, Write.MUTATES)


@dataclass(frozen=True)
class Prelude:
    """What runs first in every step; ``words`` are all that stand in its cells."""

    effects: Effects
    known: Knowledge
    parameters: frozenset[str]
    words: frozenset[str]

    @cached_property
    def names(self) -> frozenset[str]:
        """What every step has before its own cells run."""
        return frozenset(self.effects.binds | self.effects.may_bind) | self.parameters

    def is_definition(self, name: str) -> bool:
        """Is ``name`` a function or class of the prelude, made anew in every step?

        A function that a decorator turned into an instance of a class is none.
        """
        codes = self.known.code.get(name, ())
        is_object = any(code.is_class and code.name != name for code in codes)
        return any(code.name == name for code in codes) and not is_object

    def is_fixed(self, name: str) -> bool:
        """Can only a new binding change ``name``, as far as other steps can see?

        True of modules, code and plain values, and of what cannot leave its process.
        """
        known = self.known
        own = name in known.modules or name in known.unserialisable
        return own or self.is_definition(name) or known.plain.get(name, False)


@dataclass
class Flows:
    """The answer: what each step writes, and whose versions of which variables it needs.

    Steps are places in the order of the graph, sets of steps bits of an integer: the bits
    of ``sources`` are to be asked from the last to the first, those of ``deleting`` are all
    steps that may delete a variable, whatever else they do with it.
    """

    graph: Graph
    effects: list[Effects]
    known: list[Knowledge]
    writes: list[dict[str, Write]]
    sources: list[dict[str, int]]
    deleting: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    conflicts: list[tuple[str, list[int], int]] = field(default_factory=list)
    _writers: dict[str, dict[Write, int]] = field(default_factory=dict)

    def writers(self, name: str, kinds: Iterable[Write] = Write) -> int:
        """The steps that write ``name`` in one of these ways."""
        by_kind = self._writers.get(name, {})
        result = 0
        for kind in kinds:
            result |= by_kind.get(kind, 0)
        return result

    def written(self, among: int) -> Iterator[str]:
        """The names that one of the steps writes."""
        return (name for name in self._writers if self.writers(name) & among)

    def add_writer(self, place: int, name: str, write: Write) -> None:
        self.writes[place][name] = write
        by_kind = self._writers.setdefault(name, {})
        by_kind[write] = by_kind.get(write, 0) | 1 << place


def resolve(steps: Sequence[Step], edges: Iterable[tuple[str, str]], prelude: Prelude) -> Flows:
    """Follow every step after its ancestors, and find the sources of all that it reads."""
    graph = make_graph([step.name for step in steps], tuple(edges))
    by_name = {step.name: step for step in steps}
    flows = Flows(graph, [], [], [], [])
    last_mention = _last_mentions([by_name[name] for name in graph.order], prelude)
    for place, name in enumerate(graph.order):
        parents = [flows.known[parent] for parent in graph.parents[place]]
        known = merge(parents) if parents else prelude.known.copy()
        _retire(known, last_mention, place)
        effects, problems = scan(by_name[name].cells, known, name)
        flows.effects.append(effects)
        for variable in effects.may_delete:
            flows.deleting[variable] = flows.deleting.get(variable, 0) | 1 << place
        flows.known.append(known)
        flows.problems += problems
        flows.writes.append({})
        flows.sources.append(_sources(flows, place, prelude))
        for variable, write in _writes(flows, place, prelude).items():
            flows.add_writer(place, variable, write)
    return flows


def _last_mentions(steps: Sequence[Step], prelude: Prelude) -> Mapping[str, int]:
    """Name -> the last place where it stands in a step; what is not listed may stand anywhere."""
    last: dict[str, int] = {}
    for place, step in enumerate(steps):
        for cell in step.code:
            words = set(words_of(cell.source))
            if not words.isdisjoint(_USING_ANY):
                return {}
            last.update(dict.fromkeys(words, place))
    return {name: place for name, place in last.items() if name not in prelude.words}


def _retire(known: Knowledge, last_mention: Mapping[str, int], place: int) -> None:
    """What nobody will name again need not be followed: a long chain of steps stays cheap."""
    in_code = {name for codes in known.code.values() for code in codes for name in code.names}
    for name in {*known.code, *known.groups.names()} - in_code:
        if last_mention.get(name, place) < place:
            known.retire(name)


def _writes(flows: Flows, place: int, prelude: Prelude) -> dict[str, Write]:
    """One word for each variable that a step may change."""
    effects = flows.effects[place]
    found: dict[str, Write] = {}
    if effects.dynamic:
        found.update(dict.fromkeys((*flows.sources[place], *prelude.names), Write.TOUCHES))
    found.update(dict.fromkeys(effects.shares, Write.SHARES))
    found.update(dict.fromkeys(effects.touches, Write.TOUCHES))
    found.update(dict.fromkeys(effects.mutates, Write.MUTATES))
    found.update(dict.fromkeys(effects.changes, Write.CHANGES))
    found = {
        name: write
        for name, write in found.items()
        if not (name in prelude.names and prelude.is_fixed(name))
    }
    found.update(dict.fromkeys(effects.may_delete, Write.MAY_DELETE))
    found.update(dict.fromkeys(effects.may_bind, Write.MAY_BIND))
    found.update(dict.fromkeys(effects.deletes, Write.DELETES))
    found.update(dict.fromkeys(effects.binds, Write.BINDS))
    return {name: write for name, write in found.items() if name not in _AMBIENT}


def _sources(flows: Flows, place: int, prelude: Prelude) -> dict[str, int]:
    """Variable -> the steps to ask for it."""
    ancestors = flows.graph.ancestors[place]
    found: dict[str, int] = {}
    for name in _asked(flows, place, prelude):
        if name in AMBIENT_NAMES and not flows.writers(name, MAKING) & ancestors:
            continue
        sources = _possible_sources(flows, name, ancestors)
        if name not in prelude.names and not flows.writers(name, MAKING) & ancestors:
            # Nobody makes it, some only hand it on: unless it is made by a name yet unknown.
            sources = 0 if is_builtin(name) else _dynamic_writers(flows, name, ancestors)
        rivals = flows.graph.maximal(flows.writers(name, REAL) & ancestors)
        if len(rivals) > 1 and name in flows.effects[place].reads:
            flows.conflicts.append((name, sorted(rivals), place))
        if sources and (name in prelude.names or not is_deleted(flows, place, name)):
            found[name] = sources
    return found


def _asked(flows: Flows, place: int, prelude: Prelude) -> Iterable[str]:
    """The names that a step must have as its ancestors left them."""
    effects = flows.effects[place]
    asked = dict.fromkeys(effects.reads)
    # Only of what was there can a run tell that it is gone.
    asked |= dict.fromkeys(effects.may_delete)
    # The prelude has a version of its own, which must not pass for the current one.
    changed = (*effects.may_bind, *effects.mutates, *effects.touches, *effects.shares)
    asked |= dict.fromkeys(name for name in changed if name in prelude.names)
    if effects.dynamic:
        # What cannot travel is not asked for on the mere chance that it might be used.
        kept = {
            name
            for p in bits(flows.graph.ancestors[place])
            for name in flows.known[p].unserialisable
        }
        written = flows.written(flows.graph.ancestors[place])
        asked |= dict.fromkeys(name for name in written if name not in kept)
    return asked


def _possible_sources(flows: Flows, name: str, ancestors: int) -> int:
    """All steps of ``ancestors`` whose version of ``name`` may be the current one."""
    sources = flows.writers(name) & ancestors
    for last in bits(flows.writers(name, FINAL) & ancestors):
        if sources >> last & 1:
            sources &= ~flows.graph.ancestors[last]
    return sources


def _dynamic_writers(flows: Flows, name: str, ancestors: int) -> int:
    """The ancestors that run code which cannot be read: they may have made ``name``."""
    found = 0
    for place in bits(ancestors):
        if flows.effects[place].dynamic:
            flows.add_writer(place, name, Write.MAY_BIND)
            found |= 1 << place
    return found


def is_deleted(flows: Flows, place: int, name: str) -> bool:
    """Have all ancestors that wrote ``name`` last deleted it for certain?"""
    ancestors = flows.graph.ancestors[place]
    maximal = flows.graph.maximal(flows.writers(name, REAL) & ancestors)
    return bool(maximal) and all(flows.writes[p][name] is Write.DELETES for p in maximal)


def is_missing(flows: Flows, place: int, name: str, read: Read, prelude: Prelude) -> bool:
    """Is ``name`` read in a step where nothing can have bound it?"""
    if read.soft or read.possible or is_builtin(name):
        return False
    if name in flows.sources[place] or name in prelude.names:
        return False
    return not (
        flows.effects[place].dynamic or prelude.known.open_ended or flows.known[place].open_ended
    )


def is_builtin(name: str) -> bool:
    """Does every namespace have ``name``?"""
    return name in AMBIENT_NAMES or hasattr(builtins, name)
