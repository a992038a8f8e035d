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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kale_pm.errors import KalePmError, SaveError
from kale_pm.runtime import metrics as metrics_module
from kale_pm.runtime import opened_files, process_state
from kale_pm.runtime.by_hand import exchange_by_hand
from kale_pm.runtime.giving import Group, Prelude, observe, store
from kale_pm.runtime.manifest import (
    Change,
    Exchange,
    Made,
    Manifest,
    Variable,
    Version,
    write_manifest,
)
from kale_pm.runtime.receiving import Inputs, Received, read_inputs
from kale_pm.runtime.storage import classes, prelude
from kale_pm.runtime.storage.pickler import class_digest


@dataclass
class Session:
    """What :func:`load` leaves for :func:`save` in this kernel.

    ``asked`` are the variables that the step's code names, by what :func:`load` was told.
    """

    order: int
    exchange: Exchange
    inputs: Inputs
    replay: bool
    prelude: Prelude
    asked: frozenset[str]
    groups: list[Group] = field(default_factory=list)
    state: dict[str, dict[str, Any]] = field(default_factory=dict)


_HIDDEN = (
    "kale-pm: nothing in the code of step {1} shows that it changes '{0}', but it did: in a pod "
    "'{0}' would not arrive here; write {0} = {0} as the last line of {1}"
)

_session: Session | None = None


@contextmanager
def _as_told() -> Iterator[None]:
    """A notebook shows of our own errors what they say, and nothing of the code that raised them.

    Where a variable cannot be stored, the first line is the path to the culprit alone, so that
    a program can read it there whatever characters it holds.
    """
    try:
        yield
    except KalePmError as error:
        if error.hint:
            error.args = (f"{error.message}\n{error.hint}",)
        if isinstance(error, SaveError):
            lines = [f"cannot save {error.path}", f"{error.reason}", *error.hint.splitlines()]
        else:
            lines = [f"{type(error).__name__}: {error.message}", *error.hint.splitlines()]
        # IPython asks the exception for it.
        error._render_traceback_ = lambda: lines  # type: ignore[method-assign]
        raise


@_as_told()
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
    metrics_module.begin()
    opened_files.begin()
    namespace = _namespace()
    exchange = _exchange_of_environment() or exchange_by_hand(pipeline, step)
    session = Session(
        order=int(os.environ.get("KALE_PM_ORDER", "0")),
        exchange=exchange,
        inputs=read_inputs(step, exchange.inputs, verify="KALE_PM_VERIFY" in os.environ),
        replay=replay,
        prelude=Prelude(prelude.remember(namespace), _identities(namespace)),
        asked=frozenset([*names, *watch]),
    )
    _session = session
    if replay:
        changes = {name: change.value for name, change in session.inputs.context.items()}
        for item in process_state.replay(changes):
            print(f"kale-pm: global state not replayed: {item}", file=sys.stderr)
    loaded: list[Received] = []
    # The newest first: where variables carry versions of one class, theirs is the one to take.
    for name in sorted(names, key=session.inputs.age, reverse=True):
        if session.inputs.is_deleted(name):
            namespace.pop(name, None)
        elif not any(name in received.values for received in loaded):
            received = session.inputs.receive(name)
            if session.inputs.is_hidden_change(name):
                print(_HIDDEN.format(name, session.inputs.versions[name].step), file=sys.stderr)
            # Nobody may have defined it this time: the cell says so itself if it reads it.
            if received.values:
                loaded.append(received)
    for received in loaded:
        namespace.update(received.values)
    arrived = {name for received in loaded for name in received.values}
    session.prelude = session.prelude.without(arrived)
    names_of_prelude = session.prelude.names
    classes.observe(lambda kind: class_digest(kind, names_of_prelude))
    session.groups = [Group(it.values, it.component, it.again) for it in loaded]
    for name in watch:
        if name in namespace and name not in arrived:
            session.groups.append(observe({name: namespace[name]}, names_of_prelude))
    session.state = process_state.snapshot()
    process_state.note_imports(session.state)


@_as_told()
def save(*names: str, metrics: Sequence[str] = ()) -> None:
    """Store what the step's cells made and changed, for the steps that come after.

    ``names`` are stored in any case (if they are bound), what was loaded or watched only if it
    changed.  ``metrics`` are recorded and shown.

    Raises SaveError with the path to the culprit when one of ``names`` cannot be stored that
    the step has made; nothing is left half-written.  What the prelude has made stays behind
    then, with a warning.  Another variable that cannot be is noted with the reason,
    for the step that asks for it.
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
    # First, because what makes objects again when they are stored may change the state.
    state = process_state.changes(session.state, session.prelude.names) if session.replay else None
    given = store(names, session.groups, namespace, session.prelude, session.exchange)
    for name, reason in given.left_behind.items():
        print(
            f"kale-pm: what {session.inputs.step} did to '{name}' stays behind, "
            f"since it cannot be stored ({reason}): every step makes its own before its first "
            "cell; keep what later steps need in a variable of its own",
            file=sys.stderr,
        )
    variables = given.variables
    step, order = session.inputs.step, session.order
    versions = dict(session.inputs.versions)
    for name, variable in variables.items():
        versions[name] = _version(session, name, variable, names)
    for name in (name for group in session.groups for name in group.values):
        if name not in namespace:
            versions[name] = Version(step, order, None)
    context = dict(session.inputs.context)
    if state is not None:
        for name, value in state.carried.items():
            context[name] = Change(step, order, value)
        for item in state.lost:
            print(
                f"kale-pm: {step} changed the {item}: later steps do not see that; "
                "set it in a cell tagged imports, or where the pipeline runs",
                file=sys.stderr,
            )
    write_manifest(
        Manifest(
            step=step,
            order=order,
            variables=variables,
            versions=versions,
            context=context,
            metrics=metrics_module.recorded(),
            ancestors=session.inputs.ancestors,
            seals=given.seals,
            read=opened_files.read_files(),
            written=opened_files.written_files(),
            modules=opened_files.local_modules() if session.exchange.audit else (),
        ),
        session.exchange.manifest,
    )


def _version(session: Session, name: str, variable: Variable, names: Sequence[str]) -> Version:
    """The version of a variable that the step gives."""
    step, order = session.inputs.step, session.order
    had = session.inputs.versions.get(name)
    value = _namespace()[name]
    is_same_object = session.prelude.has(name, value) or any(
        name in group.values and group.values[name] is value for group in session.groups
    )
    if not is_same_object:
        return Version(step, order, variable.content)
    if had is not None and had.component == variable.content:
        return replace(had, step=step)
    made = Made.CHANGED if name in session.asked or name in names else Made.CARRIED
    bound = -1 if had is None else had.bound
    return Version(step, order, variable.content, made, bound)


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


def _identities(namespace: Mapping[str, object]) -> dict[str, int]:
    # Not the objects: a table that a step replaces should not be kept for this.
    return {name: id(value) for name, value in namespace.items()}
