"""What a sweep is about to do: from the values that somebody gives to a plan."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kale_pm.errors import UsageError
from kale_pm.model import Pipeline
from kale_pm.notebook import describe
from kale_pm.notebook.source import parse
from kale_pm.notebook.spelling import nearest
from kale_pm.sweep import Plan, plan_sweep, read_trials, space_of, trials

_RECORDING = ("metric", "glue")  # functions whose first argument is the name of a metric


def plan_of(
    pipeline: Pipeline,
    values: Mapping[str, object],
    rows: str | Path | Sequence[Mapping[str, Any]] | Any = None,
    *,
    random: int | None = None,
    seed: int = 0,
) -> Plan:
    """The plan of all trials that ``values`` and ``rows`` make, with warnings of both.

    ``rows`` is a file of trials, a list of mappings, or a DataFrame.  Raises UsageError where
    nothing varies, and whatever kale_pm.sweep says of its input.
    """
    if rows is None and not values:
        known = ", ".join(describe(parameter) for parameter in pipeline.parameters)
        raise UsageError(
            "nothing varies: say which parameters, and their values, as in lr=0.1,0.01",
            hint=f"parameters: {known}" if known else "this notebook has no parameters",
        )
    space = space_of(pipeline.parameters, values, _rows(rows), pipeline.language)
    found, warnings = trials(pipeline.parameters, space, random=random, seed=seed)
    plan = plan_sweep(pipeline, found, space.names)
    return replace(plan, warnings=(*warnings, *plan.warnings))


def doubts(pipeline: Pipeline, metrics: Sequence[str]) -> Iterator[str]:
    """Warnings of metrics that no cell seems to record: the name may be misspelt."""
    trees = list(_trees(pipeline)) if pipeline.is_analysed else []
    named = [name for step in pipeline.steps for name in step.metrics]
    recorded = [_first_argument(call) for tree in trees for call in _recordings(tree)]
    if not trees or None in recorded:  # a name that is computed may be any
        return
    texts = {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    known = list(dict.fromkeys([*named, *filter(None, recorded)]))
    for metric in dict.fromkeys(metrics):
        if metric not in known and metric not in texts:
            near = nearest(metric, known)
            others = f"; metrics: {', '.join(known)}" if known else ", nor any other"
            advice = f": did you mean '{near}'?" if near else others
            yield f"no cell names a metric '{metric}'{advice}"


def _rows(rows: Any) -> Sequence[Mapping[str, Any]]:
    if rows is None:
        return ()
    if isinstance(rows, str | Path):
        return read_trials(Path(rows))
    to_dict = getattr(rows, "to_dict", None)
    return list(to_dict("records") if callable(to_dict) else rows)


def _trees(pipeline: Pipeline) -> Iterator[ast.Module]:
    for cell in (*pipeline.prelude, *(cell for step in pipeline.steps for cell in step.cells)):
        if cell.is_code:
            try:
                yield parse(cell.source)
            except SyntaxError:
                continue


def _recordings(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in _RECORDING:
                yield node


def _first_argument(call: ast.Call) -> str | None:
    """The name that a call records; None if it is computed."""
    named = [keyword.value for keyword in call.keywords if keyword.arg == "name"]
    first = next(iter([*call.args, *named]), None)
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        return first.value
    return None
