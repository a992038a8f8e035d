"""From a traced pipeline to one that is understood: the road of every notebook, in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kale_pm.analysis import understand
from kale_pm.model import Problem
from kale_pm.notebook import outline, read_configuration
from kale_pm.sdk.definition import Definition
from kale_pm.sdk.traced import TracedPipeline
from kale_pm.sdk.writing import KERNELSPEC, Written, write

_METADATA = "notebook metadata 'kale_pm'"


def read_pipeline(
    definition: Definition,
    *,
    strict: bool = False,
    overrides: Mapping[str, object] | None = None,
) -> TracedPipeline:
    """The pipeline, understood.  Raises UsageError for what cannot be written as a notebook."""
    return _settled(definition, strict, overrides or {})[1]


def _settled(
    definition: Definition, strict: bool, overrides: Mapping[str, object]
) -> tuple[Written, TracedPipeline]:
    """The notebook in which no step sees the variables of another, and its pipeline.

    A step whose cells may read what another step has left behind is kept whole: as a function
    it has its variables for itself.  Which these are, the analysis finds out.
    """
    whole: set[str] = set()
    while True:
        written = write(definition, keep_whole=whole)
        found, leaking = _understood(written, definition.source.place, strict, overrides)
        if not leaking - whole:
            return written, found
        whole |= leaking


def _understood(
    written: Written, place: str, strict: bool, overrides: Mapping[str, object]
) -> tuple[TracedPipeline, set[str]]:
    configuration, problems = read_configuration(written.document, overrides)
    outlined = outline(written.document, configuration)
    # Nobody wrote the metadata: they are what @pipeline says.
    settings = (
        replace(each, message=each.message.replace(_METADATA, f"{place}: @pipeline"))
        for each in problems
    )
    outlined = replace(outlined, problems=(*settings, *outlined.problems))
    pipeline = understand(outlined, strict=strict)
    leaking = {
        step.name
        for step in pipeline.steps
        if any(need.name not in written.names for need in step.needs)
    }
    kept = tuple(
        _placed(problem, written)
        for problem in pipeline.problems
        if problem.code != "inferred-edges"
    )
    steps = tuple(
        replace(
            step,
            stores=tuple(sorted({*step.stores, *written.given_by(step.name)})),
            gives=tuple(sorted({*step.gives, *written.given_by(step.name)})),
        )
        for step in pipeline.steps
    )
    fields = {name: getattr(pipeline, name) for name in pipeline.__dataclass_fields__}
    fields |= {"problems": kept, "steps": steps, "marks": written.marks}
    return TracedPipeline(**fields), leaking


def _placed(problem: Problem, written: Written) -> Problem:
    """The problem with the line of the script that it is about, which nobody sees as a cell."""
    place = written.marks.place(problem.cell, problem.line)
    message = f"{place}: {problem.message}" if place else problem.message
    return replace(problem, cell=None, line=None, message=message)


def write_notebook(definition: Definition, path: Path) -> Path:
    """Write the notebook that the pipeline is made from; its path."""
    document = _settled(definition, False, {})[0].document
    metadata = {"kernelspec": KERNELSPEC, "kale_pm": dict(document.metadata["kale_pm"])}
    cells = []
    for cell in document.cells:
        code: dict[str, Any] = {"outputs": [], "execution_count": None} if cell.is_code else {}
        own = {"cell_type": cell.kind, "id": cell.id, "source": cell.source}
        cells.append({**own, "metadata": {"tags": list(cell.tags)}, **code})
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
