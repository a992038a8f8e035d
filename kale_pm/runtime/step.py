"""The first and the last cell of every slice: variables in, variables out.

:func:`load` replays the changes of global state, and binds the variables that the step
needs.  :func:`save` finds out what the step's cells changed, and stores that: a step that
only reads stores nothing.  Variables that share objects are stored and loaded together, so
that ``a is b`` stays true from step to step.
"""

from __future__ import annotations

import json
import os
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kale_pm.errors import KalePmError, LoadError, SaveError
from kale_pm.runtime import metrics as metrics_module
from kale_pm.runtime import opened_files, process_state
from kale_pm.runtime.by_hand import exchange_by_hand
from kale_pm.runtime.manifest import (
    Change,
    Exchange,
    Manifest,
    Variable,
    Version,
    merge_context,
    merge_versions,
    read_manifest,
    write_manifest,
)
from kale_pm.runtime.storage.components import components, fingerprint
from kale_pm.runtime.storage.pack import Pack, write_pack


@dataclass(frozen=True)
class Group:
    """Variables that came together, and what they were before the step's cells ran."""

    values: Mapping[str, object]
    fingerprint: str | None


@dataclass
class Session:
    """What :func:`load` leaves for :func:`save` in this kernel."""

    step: str
    order: int
    exchange: Exchange
    replay: bool
    code: Mapping[str, object]
    groups: list[Group] = field(default_factory=list)
    versions: dict[str, Version] = field(default_factory=dict)
    context: dict[str, Change] = field(default_factory=dict)
    state: dict[str, dict[str, Any]] = field(default_factory=dict)

    def prelude(self, namespace: Mapping[str, object]) -> frozenset[str]:
        """Names of the prelude's functions and classes; a step may have bound one anew."""
        return frozenset(n for n, made in self.code.items() if namespace.get(n) is made)


_session: Session | None = None


@contextmanager
def _hint_shown() -> Iterator[None]:
    """A notebook shows the text of an exception alone: the hint becomes part of it."""
    try:
        yield
    except KalePmError as error:
        if error.hint:
            error.args = (f"{error.message}\n{error.hint}",)
        raise


@_hint_shown()
def load(
    *names: str,
    step: str,
    pipeline: str = "",
    watch: Sequence[str] = (),
    replay: bool = True,
) -> None:
    """Bind the variables that this step needs in the notebook's namespace.

    ``watch`` names variables of the prelude that the step may change; ``replay`` carries
    changes of global state over from the earlier steps.  The values come from the manifests
    that the environment variable KALE_PM_INPUTS lists (JSON); without it, from the newest
    run of this pipeline, so that a slice can be opened and run by hand.

    Raises LoadError when a value cannot be found, PackError when it is damaged.
    """
    global _session  # noqa: PLW0603 - one kernel runs one step
    namespace = _namespace()
    exchange = _exchange_of_environment() or exchange_by_hand(pipeline, step)
    manifests = [read_manifest(path) for path in exchange.inputs]
    _session = Session(
        step=step,
        order=int(os.environ.get("KALE_PM_ORDER", "0")),
        exchange=exchange,
        replay=replay,
        code=_prelude_code(namespace),
        versions=merge_versions(manifests),
        context=merge_context(manifests),
    )
    if replay:
        failed = process_state.replay({k: c.value for k, c in _session.context.items()})
        for item in failed:
            print(f"kale-pm: global state not replayed: {item}", file=sys.stderr)
    by_step = dict(zip((m.step for m in manifests), exchange.inputs, strict=True))
    given = {manifest.step: manifest for manifest in manifests}
    loaded: set[str] = set()
    for name in names:
        if name not in loaded:
            loaded |= _bind(name, _session, given, by_step, namespace)
    prelude = _session.prelude(namespace)
    for name in watch:
        if name in namespace and name not in loaded:
            _session.groups.append(_watched({name: namespace[name]}, prelude))
    _session.state = process_state.snapshot()


@_hint_shown()
def save(*names: str, metrics: Sequence[str] = ()) -> None:
    """Store what the step's cells made and changed, for the steps that come after.

    ``names`` are stored in any case (if they are bound), what was loaded or watched only if it
    changed.
    ``metrics`` are recorded and shown.  Raises SaveError with the path to the culprit when
    a value cannot be stored; nothing is left half-written.
    """
    session = _session
    if session is None:
        raise SaveError(
            "the step's variables",
            "the first cell of the step did not run",
            hint="run the notebook from its top: kale_pm.runtime.load comes first",
        )
    namespace = _namespace()
    for name in metrics:
        if name in namespace:
            metrics_module.metric(name, namespace[name])
    variables = _store(names, session, namespace)
    versions = dict(session.versions)
    for name, variable in variables.items():
        component = variable.component or f"module {variable.module}"
        versions[name] = Version(session.step, session.order, component)
    for name in (name for group in session.groups for name in group.values):
        if name not in namespace:
            versions[name] = Version(session.step, session.order, None)
    context = dict(session.context)
    if session.replay:
        for name, value in process_state.changes(session.state).items():
            context[name] = Change(session.step, session.order, value)
    write_manifest(
        Manifest(
            step=session.step,
            order=session.order,
            variables=variables,
            versions=versions,
            context=context,
            metrics=metrics_module.recorded(),
            read=opened_files.read_files(),
            written=opened_files.written_files(),
            modules=opened_files.local_modules() if session.exchange.audit else (),
        ),
        session.exchange.manifest,
    )


def _namespace() -> dict[str, Any]:
    return sys.modules["__main__"].__dict__


def _exchange_of_environment() -> Exchange | None:
    if "KALE_PM_OUTPUT" not in os.environ:
        return None
    manifest = Path(os.environ["KALE_PM_OUTPUT"])
    audit = os.environ.get("KALE_PM_AUDIT")
    return Exchange(
        inputs=tuple(Path(path) for path in json.loads(os.environ.get("KALE_PM_INPUTS", "[]"))),
        manifest=manifest,
        packs=Path(os.environ.get("KALE_PM_PACKS", manifest.parent)),
        audit=Path(audit) if audit else None,
    )


def _prelude_code(namespace: Mapping[str, object]) -> dict[str, object]:
    """The functions and classes that the prelude made, here and in every step."""
    return {
        name: value
        for name, value in namespace.items()
        if getattr(value, "__module__", None) == "__main__"
        and (isinstance(value, type) or callable(value))
        and hasattr(value, "__qualname__")
    }


def _bind(
    name: str,
    session: Session,
    given: Mapping[str, Manifest],
    places: Mapping[str, Path],
    namespace: dict[str, Any],
) -> set[str]:
    """Bind ``name`` and whatever shares objects with it; returns all names bound."""
    version = session.versions.get(name)
    if version is None:
        return set()  # no step defined it this time: the cell says so itself if it reads it
    if version.component is None:
        namespace.pop(name, None)
        return set()
    if version.step not in given:
        raise LoadError(
            f"step {session.step} needs '{name}' as step {version.step} left it, "
            f"but does not receive anything from that step",
            hint=f"name '{name}' in the step that changes it, or add the tag prev:{version.step}",
        )
    variable = given[version.step].variables[name]
    if variable.module is not None:
        namespace[name] = __import__(variable.module, fromlist=["_"])
        return {name}
    assert variable.pack is not None
    assert variable.component is not None
    pack = Pack(places[version.step].parent / variable.pack)
    values = {
        other: value
        for other, value in pack.load(variable.component).items()
        if other in session.versions and session.versions[other].component == variable.component
    }
    namespace.update(values)
    session.groups.append(Group(values, fingerprint(values, session.prelude(namespace))))
    return set(values)


def _store(
    names: Sequence[str], session: Session, namespace: Mapping[str, Any]
) -> dict[str, Variable]:
    """Write the pack of all that changed; where each variable lies."""
    prelude = session.prelude(namespace)
    untouched: dict[str, object] = {}
    changed: dict[str, object] = {}
    for group in session.groups:
        present = {name: namespace[name] for name in group.values if name in namespace}
        same_objects = all(
            name in present and present[name] is value for name, value in group.values.items()
        )
        if not same_objects or present.keys() & set(names):
            changed.update(present)
        elif group.fingerprint is not None:
            same_content = fingerprint(present, prelude) == group.fingerprint
            (untouched if same_content else changed).update(present)
    for name in names:
        if name in namespace and name not in untouched:
            changed[name] = namespace[name]
    variables = {
        name: Variable(type="module", module=value.__name__)
        for name, value in changed.items()
        if isinstance(value, types.ModuleType)
    }
    graph = {name: value for name, value in changed.items() if name not in variables}
    if not graph:
        return variables
    # What a changed variable shares with an untouched one makes both travel again.
    groups = [
        group
        for group in components({**graph, **untouched}, prelude)
        if group.keys() & graph.keys()
    ]
    stored = write_pack(session.exchange.packs, groups, prelude)
    pack = os.path.relpath(stored.path, session.exchange.manifest.parent)
    for component in stored.components:
        for name in component.names:
            variables[name] = Variable(
                type=component.types[name],
                pack=pack,
                component=component.id,
                size=component.size,
            )
    return variables


def _watched(values: Mapping[str, object], prelude: frozenset[str]) -> Group:
    """A variable of the prelude; one that cannot be stored is watched for rebinding only."""
    try:
        return Group(values, fingerprint(values, prelude))
    except Exception:  # noqa: BLE001 - a prelude may hold locks, connections, anything
        return Group(values, None)
