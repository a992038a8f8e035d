"""A run on the server, brought here: its record, executed notebooks, logs and variables."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from kale_pm import strict_json
from kale_pm.errors import ServerError, UsageError
from kale_pm.kfp.server.bringing import Lack, Places, Wanted, bring
from kale_pm.kfp.server.compiled import (
    compiled_pipeline,
    inputs_of,
    kept_files,
    parameters,
    title,
)
from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.evidence import Evidence, Search
from kale_pm.kfp.server.graph import looped_tasks
from kale_pm.kfp.server.record import run_record, tasks_of, told_error
from kale_pm.kfp.server.runs import get_run
from kale_pm.record import RunRecord, State, StepRecord

_AT_ONCE = 8  # steps that are fetched side by side
# Why a step of a sweep cannot be fetched, and what can.
_LOOPED = "ran once for every trial"
_TRIALS = "the user interface has its notebooks; with kale-pm sweep --as-runs every trial is a run"
_SUFFIX = re.compile(r"\.\w+")
_RUN = re.compile(r"[\w-][\w.-]*")
_RUN_IN_URI = re.compile(r"/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/[^/]+){3}$")


@dataclass(frozen=True)
class Fetched:
    """A run that was brought here, and what of its steps is not to be had."""

    record: RunRecord
    lacks: Mapping[str, tuple[Lack, ...]]


def fetch_run(
    connection: Connection,
    run_id: str,
    places: Places,
    *,
    step: str | None = None,
    variables: bool = False,
    artifacts: bool = True,
    before: RunRecord | None = None,
) -> Fetched:
    """Bring a run here, however far it is, or only one ``step`` of it.

    ``variables`` brings the variables too, which may be large; what is known of them comes
    always.  ``artifacts`` brings the files that the steps have kept.  ``before`` is the record of
    an earlier fetch into the same ``places``: what is not to be had any more stays as it is.
    Where the source notebook lies no server knows.
    Raises ServerError if the run is not there, is none of kale-pm's, or has no such step;
    OSError if something cannot be written.
    """
    run = get_run(connection, run_id)
    spec = compiled_pipeline(connection, run)
    all_tasks = {task.name: task for task in tasks_of(spec) if task.name.isidentifier()}
    if not all_tasks:
        raise ServerError(
            f"the run {run_id} was not compiled by kale-pm",
            hint="its steps and artifacts are to be seen in the user interface",
        )
    if step is not None and step not in all_tasks:
        raise ServerError(
            f"the run {run_id} has no step '{step}'", hint="its steps: " + ", ".join(all_tasks)
        )
    keys = looped_tasks(spec)
    looped = [name for name, task in all_tasks.items() if task.key in keys]
    tasks = {name: task for name, task in all_tasks.items() if name not in looped}
    if step in looped or not tasks:
        what = f"step {step}" if step in looped else "every step of it"
        raise ServerError(f"the run {run_id} is a sweep: {what} {_LOOPED}", hint=_TRIALS)
    record = run_record(run, tuple(tasks.values()))
    states = {name: each.state for name, each in record.steps.items()}
    search = Search(connection, run, tasks, states, inputs_of(spec, tasks), places.log)
    wanted = [name for name in tasks if step in (None, name)]
    kept = kept_files(spec, tasks)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        evidence = search.evidence(wanted, pool)
        files = {n: _files(kept[n], evidence[n]) for n in wanted}

        def brought(name: str) -> tuple[Lack, ...]:
            what = Wanted(files[name] if artifacts else {}, variables)
            return tuple(bring(connection, record.steps[name], evidence[name], places, what))

        lacks = dict(zip(wanted, pool.map(brought, wanted), strict=True))
    steps = {
        name: _completed(
            record.steps[name],
            evidence.get(name, Evidence()),
            places,
            files.get(name, {}),
            before.steps.get(name) if before else None,
        )
        for name in tasks
    }
    whole = replace(
        record,
        id=run_id,
        pipeline=title(spec) or record.pipeline,
        parameters=parameters(spec, record.parameters),
        steps=steps,
        metrics={name: value for each in steps.values() for name, value in each.metrics.items()},
    )
    if step is None:
        lacks |= {name: (Lack("what it gave", f"it {_LOOPED}", _TRIALS),) for name in looped}
    return Fetched(whole, {name: found for name, found in lacks.items() if found})


def named_run(text: str) -> tuple[str, str | None]:
    """The id of a run, and the address of its server if ``text`` is that of the run's page.

    >>> named_run("https://kubeflow.example.org/pipeline/#/runs/details/4f2a-11")
    ('4f2a-11', 'https://kubeflow.example.org/pipeline')
    >>> named_run("4f2a-11")
    ('4f2a-11', None)

    Raises UsageError for what is no id.
    """
    address, _, name = text.rstrip("/").rpartition("/")
    if not _RUN.fullmatch(name):
        raise UsageError(f"'{text}' is no id of a run", hint="it stands on the page of the run")
    host = address.partition("/#/")[0]
    return name, host if host != address else None


def _files(kept: Mapping[str, str], evidence: Evidence) -> dict[str, str]:
    """What the files of a step are called here, by the names of their artifacts.

    A name ends as that of the file that the step has written, if its log tells it.
    """
    told = (evidence.last.outputs or {}).get("files", {})
    suffixes = {name: PurePosixPath(str(told.get(name, ""))).suffix for name in kept}
    return {
        name: name + (suffixes[name] if _SUFFIX.fullmatch(suffixes[name]) else usual)
        for name, usual in kept.items()
    }


def _completed(
    step: StepRecord,
    evidence: Evidence,
    places: Places,
    files: Mapping[str, str],
    before: StepRecord | None,
) -> StepRecord:
    """The step as the server knows it, with what its log and its files tell."""
    path = places.notebook(step.name)
    notebook = path.relative_to(places.folder).as_posix() if path.exists() else None
    here = {name: places.artifact(step.name, file) for name, file in files.items()}
    step = replace(
        step,
        inputs=step.parents,
        needs=_needs(path) if notebook else (),
        notebook=notebook if step.state.is_final else None,
        artifacts={
            name: file.relative_to(places.folder).as_posix()
            for name, file in here.items()
            if file.exists()
        },
    )
    if not evidence.told and before is not None and before.state is step.state:
        # Its pod may be gone by now, and what it told with it.
        artifacts = {**before.artifacts, **step.artifacts}
        return replace(before, needs=step.needs, notebook=step.notebook, artifacts=artifacts)
    last = evidence.last
    facts = (last.outputs if step.state.is_success else last.error) or {}
    step = replace(
        step,
        started=_float(facts.get("started"), step.started),
        seconds=_float(facts.get("seconds"), step.seconds),
        metrics={n: strict_json.number(v) for n, v in facts.get("metrics", {}).items()},
        why=_tries(evidence),
    )
    if step.state is State.FAILED and last.error:
        step = replace(step, error=told_error(last.error.get("error", {}), step.error))
    if step.state is State.CACHED:
        origin = _RUN_IN_URI.search(evidence.uris.get("notebook", ""))
        step = replace(step, cached_from=origin[1] if origin else None)
    return step


def _tries(evidence: Evidence) -> str:
    return f"it took {len(evidence.told)} tries" if len(evidence.told) > 1 else ""


def _float(value: Any, otherwise: float | None) -> float | None:
    return float(value) if isinstance(value, (int, float)) else otherwise


def _needs(notebook: Path) -> tuple[str, ...]:
    """The variables that the step loads, by the cell of its notebook that does it."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        loading = next(
            "".join(cell["source"])
            for cell in cells
            if cell["metadata"].get("kale_pm", {}).get("role") == "load"
        )
        calls = [node for node in ast.walk(ast.parse(loading)) if isinstance(node, ast.Call)]
    except (OSError, ValueError, KeyError, TypeError, SyntaxError, StopIteration):
        return ()
    names = (argument for call in calls for argument in call.args)
    return tuple(
        name.value
        for name in names
        if isinstance(name, ast.Constant) and isinstance(name.value, str)
    )
