"""A run on the server as a record: its steps, their states, and the pods that carry them out.

The server tells of the nodes of the workflow by which it runs a pipeline.  For a step ``train``
these are ``step-train-driver`` (which prepares it), ``step-train`` (which is the step) and,
below this, ``executor``: the pod, which is skipped where KFP's cache has the result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from graphlib import TopologicalSorter
from typing import Any

from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.graph import dag_tasks
from kale_pm.kfp.server.upload import version_spec
from kale_pm.record import CellError, Place, RunRecord, State, StepRecord
from kale_pm.runtime.pod.parameters import decode

# How the tasks of steps begin, and those of nothing else: where steps share components, these
# are called steps_1, steps_2 and so on.
_STEP = ("step-", "steps-")
_EXECUTOR = re.compile(r"executor(\(\d+\))?")
_POD = "system-container-impl"
_FIRST_YEAR = 1971  # times before are how Go and protobuf say that there is none
_STATES = {
    "SUCCEEDED": State.DONE,
    "SKIPPED": State.SKIPPED,
    "FAILED": State.FAILED,
    "CANCELED": State.INTERRUPTED,
    "RUNNING": State.RUNNING,
    "CANCELING": State.RUNNING,
}


@dataclass(frozen=True)
class Task:
    """A step as the compiled pipeline has it: ``key`` is what KFP calls it."""

    name: str
    key: str
    parents: tuple[str, ...] = ()


def tasks_of(spec: Mapping[str, Any]) -> tuple[Task, ...]:
    """The steps of a compiled pipeline, parents first.

    ``spec`` is its first document, or both documents as a server gives them.
    """
    tasks = dag_tasks(spec)
    steps = {key: task for key, task in tasks.items() if key.startswith(_STEP)}
    names = {key: task.get("taskInfo", {}).get("name") or key for key, task in steps.items()}
    parents = {
        key: [parent for parent in task.get("dependentTasks", ()) if parent in steps]
        for key, task in steps.items()
    }
    return tuple(
        Task(names[key], key, tuple(names[parent] for parent in parents[key]))
        for key in TopologicalSorter(parents).static_order()
    )


def run_tasks(connection: Connection, run: Any) -> tuple[Task, ...]:
    """The steps of a run that the server knows, parents first.  Raises ServerError."""
    spec = run.pipeline_spec
    reference = run.pipeline_version_reference
    if not spec and reference is not None and reference.pipeline_version_id:
        spec = version_spec(connection, reference.pipeline_id, reference.pipeline_version_id)
    return tasks_of(spec or {})


def run_state(run: Any) -> State:
    """Where the whole run stands."""
    return _STATES.get(str(run.state), State.WAITING)


def states(run: Any, tasks: Iterable[Task]) -> dict[str, State]:
    """Where every step of ``run``, a V2beta1Run, stands."""
    return {name: step.state for name, step in step_records(run, tasks).items()}


def step_records(run: Any, tasks: Iterable[Task]) -> dict[str, StepRecord]:
    """The steps of ``run`` as far as the server tells of them."""
    nodes = _nodes(run)
    whole = run_state(run)
    return {task.name: _step_record(task, nodes, whole) for task in tasks}


def step_pods(run: Any, task: Task) -> tuple[str, ...]:
    """The names of the pods that carried the step out, one a try; none before it began."""
    nodes = _nodes(run)
    children = [
        child for node in nodes.get(task.key, ()) for child in _below(node, nodes, _children(node))
    ]
    names = (_pod_name(child) for child in children if not child.endswith("-driver"))
    return tuple(dict.fromkeys(names))


def run_record(run: Any, tasks: Sequence[Task], *, notebook: str = "") -> RunRecord:
    """The whole run; ``notebook`` is the path of its source, where that is known."""
    started, ended = _seconds(run.created_at), _seconds(run.finished_at)
    given = (run.runtime_config.parameters if run.runtime_config else None) or {}
    return RunRecord(
        id=str(run.run_id),
        pipeline=str(run.display_name or run.run_id),
        notebook=notebook,
        state=run_state(run),
        parameters={name: _decoded(value) for name, value in given.items()},
        steps=step_records(run, tasks),
        started=started or 0.0,
        seconds=ended - started if started is not None and ended is not None else None,
    )


def told_error(content: Mapping[str, Any], otherwise: CellError | None) -> CellError | None:
    """The error that a pod has written down; another version of kale-pm may have done it."""
    known = {each.name for each in fields(CellError)}
    values = {name: value for name, value in content.items() if name in known}
    try:
        places = tuple(
            Place(**{**place, "lines": tuple(place["lines"])}) for place in values.pop("places", ())
        )
        needed_by = tuple(values.pop("needed_by", ()))
        return CellError(**values, needed_by=needed_by, places=places)
    except (TypeError, KeyError):
        return otherwise


def _nodes(run: Any) -> dict[str, list[Any]]:
    """What the server tells, by the name of the node: executors of all steps have one name."""
    nodes: dict[str, list[Any]] = {}
    for detail in (run.run_details.task_details if run.run_details else None) or ():
        nodes.setdefault(str(detail.display_name), []).append(detail)
    return nodes


def _step_record(task: Task, nodes: Mapping[str, list[Any]], whole: State) -> StepRecord:
    node = _first(nodes, task.key) or _first(nodes, task.name)
    driver = _first(nodes, f"{task.key}-driver")
    state = _STATES.get(str(node.state), State.WAITING) if node is not None else State.WAITING
    failed = node
    if driver is not None and not state.is_final:
        if str(driver.state) == "FAILED":
            state, failed = State.FAILED, driver
        elif state is State.WAITING and str(driver.state) in ("RUNNING", "SUCCEEDED"):
            state = State.RUNNING
    if whole.is_final and not state.is_final:
        state = _at_the_end(state, whole)
    if state is State.DONE and node is not None and _is_cached(node, nodes):
        state = State.CACHED
    began = _seconds(node.start_time) if node is not None else None
    ended = _seconds(node.end_time) if node is not None else None
    return StepRecord(
        name=task.name,
        state=state,
        parents=task.parents,
        started=began,
        seconds=ended - began if began is not None and ended is not None else None,
        error=_error(failed) if state is State.FAILED else None,
    )


def _first(nodes: Mapping[str, list[Any]], name: str) -> Any | None:
    found = nodes.get(name)
    return found[0] if found else None


def _at_the_end(state: State, whole: State) -> State:
    """What became of a step that had not ended when the run did."""
    if whole.is_success:
        # Then every step did what it was to do, whatever the server tells of it.
        return State.DONE
    return State.INTERRUPTED if state is State.RUNNING else State.SKIPPED


def _is_cached(node: Any, nodes: Mapping[str, list[Any]]) -> bool:
    children = {_hash(child) for child in _children(node)}
    return any(
        str(other.state) == "SKIPPED" and _hash(other.pod_name or other.task_id or "") in children
        for name, others in nodes.items()
        if _EXECUTOR.fullmatch(name)
        for other in others
    )


def _below(node: Any, nodes: Mapping[str, list[Any]], ids: list[str]) -> list[str]:
    """The pods among ``ids``: a node that tries again has one pod below it for each try."""
    known = {
        _hash(other.pod_name): other
        for name, others in nodes.items()
        if _EXECUTOR.fullmatch(name)
        for other in others
        if other.pod_name and other is not node
    }
    found: list[str] = []
    for each in ids:
        other = known.get(_hash(each))
        tries = (
            [known[_hash(c)].pod_name for c in _children(other) if _hash(c) in known]
            if other
            else []
        )
        found += tries or [other.pod_name if other else each]
    return found


def _children(node: Any) -> list[str]:
    children = (child.pod_name or child.task_id for child in node.child_tasks or ())
    return [child for child in children if child]


def _hash(name: str) -> str:
    """The end of a node's id and of its pod's name, which is the same."""
    return name.rpartition("-")[2]


def _pod_name(node: str) -> str:
    """The name of the pod of a node: ``wine-x7-12`` gives ``wine-x7-system-container-impl-12``."""
    if "-impl-" in node:
        return node
    workflow, dash, number = node.rpartition("-")
    return f"{workflow}-{_POD}-{number}" if dash else node


def _error(node: Any) -> CellError:
    message = getattr(node.error, "message", None) if node is not None else None
    # Without a name of an exception: what the server says is all there is.
    return CellError("KalePmError", message or "the server does not say why: see the log")


def _seconds(time: datetime | None) -> float | None:
    return time.timestamp() if time is not None and time.year >= _FIRST_YEAR else None


def _decoded(value: Any) -> Any:
    try:
        return decode(value, "str")
    except ValueError:
        return value
