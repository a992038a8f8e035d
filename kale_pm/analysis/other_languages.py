"""Notebooks in a language that is not analysed: their steps are ordered by tags alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from kale_pm.analysis.flow.edges import Edges, without_cycles
from kale_pm.model import Pipeline, Problem
from kale_pm.notebook.other_languages import takes_values
from kale_pm.notebook.parameters import parameter_cells


def ordered(pipeline: Pipeline, *, infer: bool = False) -> Pipeline:
    """The same pipeline with its edges, and with notes that tell what is not known of it.

    No variable flows between its steps.  Every step may use every parameter.  Without any
    ``prev:`` each step follows the one above it; with ``infer`` those do that have none.
    """
    implied: Edges = ()
    if infer or not pipeline.edges:
        orphans = {step.name for step in pipeline.steps if not step.prev}
        chain = pairwise(step.name for step in pipeline.steps)
        above = tuple(edge for edge in chain if edge[1] in orphans)
        implied = without_cycles(pipeline.steps, pipeline.edges, above)
    names = tuple(parameter.name for parameter in pipeline.parameters)
    problems = [*pipeline.problems, _note(pipeline, is_chain=bool(implied)), *_unset(pipeline)]
    problems.sort(key=lambda problem: (not problem.is_error, problem.cell or 0))
    return replace(
        pipeline,
        steps=tuple(replace(step, parameters=names) for step in pipeline.steps),
        implied_edges=implied,
        problems=tuple(problems),
    )


def _note(pipeline: Pipeline, *, is_chain: bool) -> Problem:
    message = f"cells of {pipeline.language} are not analysed: no variables flow between the steps"
    if is_chain:
        message += "; a step without a prev: tag follows the one above it"
    hint = "order the steps with prev:NAME tags, and hand over files"
    return Problem("not-analysed", "note", message, hint)


def _unset(pipeline: Pipeline) -> list[Problem]:
    """Parameters cells whose values nobody can set."""
    if takes_values(pipeline.language):
        return []
    message = f"its values cannot be set from outside: papermill does not write {pipeline.language}"
    hint = "read them from a file or from the environment"
    return [
        Problem("not-analysed", "note", message, hint, cell=cell.number)
        for cell in parameter_cells(pipeline.prelude)
    ]
