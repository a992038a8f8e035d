"""Which variables belong together, and whether they changed.

Variables that share objects form one component: it is stored, loaded and compared as a
whole, so that ``a is b`` and ``a.part is b.part`` stay true in every later step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kale_pm.runtime.garbage import collection_paused
from kale_pm.runtime.storage import memory
from kale_pm.runtime.storage.tracing import ATOMS, Trace, search, trace


def components(variables: Mapping[str, object], prelude: frozenset[str]) -> list[dict[str, object]]:
    """Group the variables that share mutable objects or memory.

    Groups and their members keep the order of ``variables``.  Variables of very many objects
    form one group without a closer look.  Raises SaveError when an object cannot be pickled.
    """
    leader = {name: name for name in variables}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = name = leader[leader[name]]
        return name

    candidates = [name for name, value in variables.items() if not isinstance(value, ATOMS)]
    if len(candidates) > 1:
        for one, other in _pairs({name: variables[name] for name in candidates}, prelude):
            leader[find(other)] = find(one)
    groups: dict[str, dict[str, object]] = {}
    for name, value in variables.items():
        groups.setdefault(find(name), {})[name] = value
    return list(groups.values())


def _pairs(variables: Mapping[str, object], prelude: frozenset[str]) -> list[tuple[str, str]]:
    """Variables that belong together; not every pair of a group, but enough of them."""
    pairs: list[tuple[str, str]] = []
    with collection_paused():
        traced = {name: trace(name, value, prelude) for name, value in variables.items()}
        small = {name: found for name, found in traced.items() if found is not None}
        holder: dict[int, str] = {}
        for name, found in small.items():
            pairs += [(holder[it], name) for it in found.shared(found.objects.keys() & holder)]
            holder.update(dict.fromkeys(found.objects, name))
        large = [name for name in variables if name not in small]
        pairs += [(large[0], name) for name in large]
        traces = dict(small)
        for name in large:
            numbers, traces[name] = search(name, variables[name], prelude, [*small.values()])
            pairs += [([*small][number], name) for number in numbers]
        pairs += _pairs_by_classes(traces, prelude)
    extents = [(extent, name) for name, found in traces.items() for extent in found.extents]
    for cluster in memory.clusters([extent for extent, _ in extents]):
        if not all(extents[index][0].readonly for index in cluster):
            pairs += [(extents[cluster[0]][1], extents[index][1]) for index in cluster]
    return pairs


def _pairs_by_classes(
    traces: Mapping[str, Trace], prelude: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """Variables of which one holds what a class of the other's objects holds.

    So it is with the list in ``class Log: lines = rows``, and with one that a method of a
    class inside of a function refers to.
    """
    users: dict[type, list[str]] = {}
    for name, found in traces.items():
        for kind in found.classes:
            users.setdefault(kind, []).append(name)
    contents: dict[type, Trace] = {}
    for kind, names in users.items():
        content = trace(names[0], kind, prelude)
        if content is None:  # nobody looks at all that: it is as if they shared it
            yield from ((names[0], name) for name in names)
            continue
        for other, theirs in traces.items():
            # Who holds the class itself has what is in it by that.
            by_class = theirs.enters_classes and kind in theirs.classes
            if not by_class and content.shared(content.objects.keys() & theirs.objects):
                yield from ((other, name) for name in names)
        for before, theirs in contents.items():
            shared = content.objects.keys() & theirs.objects
            for both in content.classes & theirs.classes & contents.keys():
                shared -= contents[both].objects.keys()
            if kind not in theirs.classes and content.shared(shared):
                yield from ((users[before][0], name) for name in (*names, *users[before]))
        contents[kind] = content
