"""What a sweep is about to do: from the values that somebody gives to a plan."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kale_pm.errors import UsageError
from kale_pm.model import Parameter, Pipeline
from kale_pm.notebook import describe
from kale_pm.notebook.source import parse
from kale_pm.notebook.spelling import nearest
from kale_pm.sweep import Plan, Row, plan_sweep, read_trials, space_of, trials

_RECORDING = ("metric", "glue")  # functions whose first argument is the name of a metric
_RIGHT_TRIALS = "give a file, a DataFrame, or a list: [{'depth': 3}, {'depth': 5}]"


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
    space = space_of(
        pipeline.parameters, values, _rows(rows, pipeline.parameters), pipeline.language
    )
    found, warnings = trials(pipeline.parameters, space, random=random, seed=seed)
    plan = plan_sweep(pipeline, found, space.names)
    first = plan.trials[0].parameters
    given = dict.fromkeys([*space.fixed, *space.names])
    fixed = {name: first[name] for name in given if name not in plan.varied}
    return replace(plan, fixed=fixed, warnings=(*warnings, *plan.warnings))


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


def _rows(rows: Any, parameters: Sequence[Parameter]) -> Sequence[Mapping[str, Any]]:
    if rows is None:
        return ()
    if isinstance(rows, str | Path):
        return read_trials(Path(rows))
    if not isinstance(rows, Iterable):
        raise UsageError(f"trials={rows!r} names no trials", hint=_RIGHT_TRIALS)
    is_frame = all(hasattr(rows, name) for name in ("columns", "index", "to_dict"))
    found = list(_of_frame(rows, parameters) if is_frame else rows)
    if not found:
        raise UsageError("there is no trial in trials=", hint=_RIGHT_TRIALS)
    return found


def _of_frame(frame: Any, parameters: Sequence[Parameter]) -> Iterator[Row]:
    """The rows of a DataFrame of pandas, in which a gap is None where None is allowed."""
    known = {parameter.name: parameter for parameter in parameters}
    rows, gaps = (each.to_dict("records") for each in (frame, frame.isna()))
    for label, row, is_gap in zip(frame.index, rows, gaps, strict=False):
        place = f"row {label} of the DataFrame"
        for name in filter(is_gap.get, row):
            parameter = known.get(str(name))
            if parameter is None or parameter.type in ("float", "any"):
                continue  # there NaN is a value
            # Beside NaN the whole numbers of a column are floats, which are none of an int.
            are_floats = parameter.type == "int" and isinstance(row[name], float)
            if are_floats or not parameter.optional:
                reason = f"{place}: there is no value in the column '{name}'"
                raise UsageError(reason, hint=_filling(parameter))
            row[name] = None
        yield Row(row, place)


def _filling(parameter: Parameter) -> str:
    name = parameter.name
    if parameter.optional:
        return f"for gaps between whole numbers: frame.astype({{'{name}': 'Int64'}})"
    as_int = f".astype({{'{name}': int}})" if parameter.type == "int" else ""
    return (
        f"fill the gaps: frame.fillna({{'{name}': {parameter.default!r}}}){as_int}, "
        f"or give a list of mappings, where '{name}' may be left out"
    )


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
