"""What a step gives: the variables that its cells made or changed, stored in its pack."""

from __future__ import annotations

import os
import types
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from kale_pm.errors import SaveError
from kale_pm.runtime.manifest import Exchange, Variable
from kale_pm.runtime.storage.components import components, fingerprint
from kale_pm.runtime.storage.pack import type_name, write_pack


@dataclass(frozen=True)
class Group:
    """Variables that share objects, and what they were before the step's cells ran.

    Without a fingerprint only their rebinding is noticed.
    """

    values: Mapping[str, object]
    fingerprint: str | None


def observe(values: Mapping[str, object], prelude: frozenset[str]) -> Group:
    """The variables as they are now; ``prelude`` names the functions and classes of the prelude."""
    try:
        return Group(values, fingerprint(values, prelude))
    except Exception:  # noqa: BLE001 - a prelude may hold locks, connections, anything
        return Group(values, None)


def store(
    names: Sequence[str],
    groups: Sequence[Group],
    namespace: Mapping[str, object],
    prelude: frozenset[str],
    exchange: Exchange,
) -> dict[str, Variable]:
    """Write the pack of ``names`` and of what changed in ``groups``; where each variable lies.

    Raises SaveError if one of ``names`` cannot be stored, and leaves nothing behind.  Of the
    others nobody knows yet whether a later step takes them: what cannot be stored is noted as
    such.
    """
    changed, untouched = _compare(names, groups, namespace, prelude)
    modules = {
        name: Variable(type="module", module=value.__name__)
        for name, value in changed.items()
        if isinstance(value, types.ModuleType)
    }
    graph = {name: value for name, value in changed.items() if name not in modules}
    refused: dict[str, Variable] = {}
    while True:
        kept = {name: value for name, value in graph.items() if name not in refused}
        try:
            return modules | refused | _write(kept, untouched, prelude, exchange)
        except SaveError:
            found = _refused(graph, graph.keys() - set(names), prelude)
            if refused or not found:
                raise
            refused = found


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
        elif group.fingerprint is not None:
            same_content = observe(present, prelude).fingerprint == group.fingerprint
            (untouched if same_content else changed).update(present)
    for name in names:
        if name in namespace and name not in untouched:
            changed[name] = namespace[name]
    return changed, untouched


def _write(
    graph: Mapping[str, object],
    untouched: Mapping[str, object],
    prelude: frozenset[str],
    exchange: Exchange,
) -> dict[str, Variable]:
    if not graph:
        return {}
    # What a changed variable shares with an untouched one makes both travel again.
    groups = [
        group
        for group in components({**graph, **untouched}, prelude)
        if group.keys() & graph.keys()
    ]
    stored = write_pack(exchange.packs, groups, prelude)
    pack = os.path.relpath(stored.path, exchange.manifest.parent)
    return {
        name: Variable(
            type=component.types[name], pack=pack, component=component.id, size=component.size
        )
        for component in stored.components
        for name in component.names
    }


def _refused(
    graph: Mapping[str, object], names: Set[str], prelude: frozenset[str]
) -> dict[str, Variable]:
    """Those of ``names`` that cannot be stored, each with its reason."""
    found = {}
    for name in sorted(names):
        try:
            fingerprint({name: graph[name]}, prelude)
        except SaveError as error:
            reason = f"{error.path}: {error.reason}; {error.hint}"
            found[name] = Variable(type=type_name(graph[name]), unsaved=reason)
    return found
