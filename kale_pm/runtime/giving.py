"""What a step gives: the variables that its cells made or changed, stored in its pack."""

from __future__ import annotations

import importlib.util
import os
import types
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from kale_pm.errors import SaveError
from kale_pm.runtime.manifest import Exchange, Seal, Variable
from kale_pm.runtime.storage import classes, trial
from kale_pm.runtime.storage.components import components
from kale_pm.runtime.storage.dump import dump, fingerprint
from kale_pm.runtime.storage.pack.writer import check, type_name, write_pack
from kale_pm.runtime.storage.pickler import class_digest

_LARGE = 4 << 20  # bytes of a stream: to look at it more closely would take longer than to store it


@dataclass(frozen=True)
class Group:
    """Variables that share objects, and what they were before the step's cells ran.

    Without a fingerprint only their rebinding is noticed.  ``again`` makes those that were
    received once more, as they were.
    """

    values: Mapping[str, object]
    fingerprint: str | None
    again: Callable[[], Mapping[str, object]] | None = None


@dataclass(frozen=True)
class Prelude:
    """What this process has of the prelude, once the step's inputs are loaded.

    ``names`` are those of its functions, classes and sentinels, which travel by name;
    ``identities`` are those of all the objects that it bound, by the names that still have them.
    """

    names: frozenset[str] = frozenset()
    identities: Mapping[str, int] = field(default_factory=dict)

    def without(self, received: Set[str]) -> Prelude:
        """The same, where the names in ``received`` were bound to something else."""
        kept = {name: i for name, i in self.identities.items() if name not in received}
        return Prelude(self.names, kept)

    def has(self, name: str, value: object) -> bool:
        """Whether the name still has the object that the prelude gave it."""
        return self.identities.get(name) == id(value)


@dataclass(frozen=True)
class Given:
    """Where the variables lie that a step gave, and the seal of their pack.

    ``left_behind`` are objects of the prelude that the step may have changed and that cannot
    be stored, with the reason: every step makes its own.
    """

    variables: Mapping[str, Variable]
    left_behind: Mapping[str, str] = field(default_factory=dict)
    seals: Mapping[str, Seal] = field(default_factory=dict)


def observe(values: Mapping[str, object], prelude: frozenset[str]) -> Group:
    """The variables as they are now; ``prelude`` names what of the prelude travels by name."""
    try:
        return Group(values, fingerprint(values, prelude))
    except Exception:  # noqa: BLE001 - a prelude may hold locks, connections, anything
        return Group(values, None)


def store(
    names: Sequence[str],
    groups: Sequence[Group],
    namespace: Mapping[str, object],
    prelude: Prelude,
    exchange: Exchange,
) -> Given:
    """Write the pack of ``names`` and of what changed in ``groups``; where each variable lies.

    Raises SaveError if one of ``names`` cannot be stored that is not the prelude's, and leaves
    nothing behind.  Of the others nobody knows yet whether a later step takes them: what
    cannot be stored is noted as such.
    """
    changed, untouched = _compare(names, groups, namespace, prelude.names)
    modules = {
        name: Variable(type="module", module=value.__name__)
        for name, value in changed.items()
        if isinstance(value, types.ModuleType) and _is_importable(value)
    }
    graph = {name: value for name, value in changed.items() if name not in modules}
    # What could be stored before the step has now something inside that the step has made.
    storable = {n for group in groups if group.fingerprint or group.again for n in group.values}
    own = {n for n, v in graph.items() if prelude.has(n, v) and n not in storable}
    refused: dict[str, str] = {}
    while True:
        kept = {name: value for name, value in graph.items() if name not in refused}
        try:
            written, seals = _write(kept, untouched, prelude.names, exchange)
            break
        except SaveError:
            found = _refused(graph, (graph.keys() - set(names)) | own, prelude.names)
            if refused or not found:
                raise
            refused = found
    left_behind = {name: reason for name, reason in refused.items() if name in own}
    unsaved = {
        name: Variable(type=type_name(graph[name]), unsaved=reason)
        for name, reason in refused.items()
        if name not in left_behind
    }
    return Given(modules | unsaved | written, left_behind, seals)


def _is_importable(module: types.ModuleType) -> bool:
    """Whether another process finds the module by its name."""
    try:
        return importlib.util.find_spec(module.__name__) is not None
    except (ImportError, ValueError):  # its parent is not there, or it was made by hand
        return False


def _compare(
    names: Sequence[str],
    groups: Sequence[Group],
    namespace: Mapping[str, object],
    prelude: frozenset[str],
) -> tuple[dict[str, object], dict[str, object]]:
    """The variables that must be stored, and those that are what they were."""
    untouched: dict[str, object] = {}
    changed: dict[str, object] = {}
    for group in groups:
        present = {name: namespace[name] for name in group.values if name in namespace}
        same_objects = all(
            name in present and present[name] is value for name, value in group.values.items()
        )
        if not same_objects or present.keys() & set(names):
            changed.update(present)
        elif group.fingerprint or group.again:
            (untouched if _is_unchanged(group, prelude) else changed).update(present)
    for name in names:
        if name in namespace and name not in untouched:
            changed[name] = namespace[name]
    return changed, untouched


def _is_unchanged(group: Group, prelude: frozenset[str]) -> bool:
    now = observe(group.values, prelude).fingerprint
    if now is None or now == group.fingerprint:
        return now is not None
    if group.again is None or classes.is_any_changed(lambda kind: class_digest(kind, prelude)):
        return False
    # What a pack holds may look different here: the order of a set is not the same everywhere.
    try:
        before = group.again()
        return fingerprint(before, prelude) == now or _are_alike(before, group.values, prelude)
    except Exception:  # noqa: BLE001 - then nobody knows, and storing it is always right
        return False


def _are_alike(
    before: Mapping[str, object], after: Mapping[str, object], prelude: frozenset[str]
) -> bool:
    """Whether the copies of both are the same.

    The first load of a text may make it the one that all names of attributes are, which a later
    load does not.  Copies have that in common.
    """
    had, has = dump(before, prelude), dump(after, prelude)
    if had.layout.references != has.layout.references or has.stream_size > _LARGE:
        return False
    copies = (trial.copy(variables, prelude) for variables in (before, after))
    one, other = (fingerprint(copy, prelude) for copy in copies)
    return one == other


def _write(
    graph: Mapping[str, object],
    untouched: Mapping[str, object],
    prelude: frozenset[str],
    exchange: Exchange,
) -> tuple[dict[str, Variable], dict[str, Seal]]:
    if not graph:
        return {}, {}
    # What a changed variable shares with an untouched one makes both travel again.
    groups = [
        group
        for group in components({**graph, **untouched}, prelude)
        if group.keys() & graph.keys()
    ]
    stored = write_pack(exchange.packs, groups, prelude)
    pack = os.path.relpath(stored.path, exchange.manifest.parent)
    variables = {
        name: Variable(
            type=component.types[name], pack=pack, component=component.id, size=component.size
        )
        for component in stored.components
        for name in component.names
    }
    return variables, {stored.path.name: stored.seal}


def _refused(
    graph: Mapping[str, object], names: Set[str], prelude: frozenset[str]
) -> dict[str, str]:
    """Those of ``names`` that cannot be stored, each with its reason."""
    found = {}
    for name in sorted(names):
        try:
            check({name: graph[name]}, prelude)
        except SaveError as error:
            found[name] = f"{error.path}: {error.reason}; {error.hint}"
    return found
