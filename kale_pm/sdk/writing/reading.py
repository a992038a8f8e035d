"""From a traced pipeline to one that is understood: the road of every notebook, in memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kale_pm.analysis import understand
from kale_pm.model import Problem
from kale_pm.notebook import outline, read_configuration
from kale_pm.sdk.script.traced import TracedPipeline
from kale_pm.sdk.script.wording import in_words_of_a_script
from kale_pm.sdk.tracing.definition import Definition
from kale_pm.sdk.writing.document import KERNELSPEC, Written, write

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

    A step that would let its own be seen is kept whole: as a function it has its variables for
    itself.  Which these are, the analysis finds out.
    """
    whole: dict[str, str] = {}
    while True:
        written = write(definition, keep_whole=whole)
        found = _understood(written, definition.source.place, strict, overrides)
        leaking = dict(_leaking(found, written, definition, whole))
        if leaking.keys() <= whole.keys():
            return written, found
        whole = leaking | whole


def _leaking(
    pipeline: TracedPipeline, written: Written, definition: Definition, whole: Collection[str]
) -> Iterator[tuple[str, str]]:
    """The steps that may read what another one has left in a variable of its own, or leave it.

    With each comes why.  Who has such a variable too may read it before it is set; everybody else
    needs it for what another step has given: a function, or an object, that looks it up.
    """
    own = {each.name: each.step.source.locals for each in definition.calls}
    for step in pipeline.steps:
        for need in step.needs:
            if need.name in written.names:
                continue
            if need.name in own[step.name] and step.name not in whole:
                yield step.name, "it may read a variable that it has not set"
            else:
                for source in need.sources:
                    yield source.step, "what it gives needs its variables"


def _understood(
    written: Written, place: str, strict: bool, overrides: Mapping[str, object]
) -> TracedPipeline:
    configuration, problems = read_configuration(written.document, overrides)
    outlined = outline(written.document, configuration)
    # Nobody wrote the metadata: they are what @pipeline says.
    settings = (
        replace(each, message=each.message.replace(_METADATA, f"{place}: @pipeline"))
        for each in problems
    )
    outlined = replace(outlined, problems=(*settings, *outlined.problems))
    pipeline = understand(outlined, strict=strict)
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
    fields |= {"problems": kept, "steps": steps, "marks": written.marks, "owners": written.owners}
    return TracedPipeline(**fields)


def _placed(problem: Problem, written: Written) -> Problem:
    """The problem as the author of the script knows it: its line, its values, its words."""
    place = written.marks.place(problem.cell, problem.line)
    message = in_words_of_a_script(problem.message)
    for name, words in written.values.items():
        message = message.replace(f"'{name}'", words)
    message = f"{place}: {message}" if place else message
    hint = in_words_of_a_script(problem.hint)
    return replace(problem, cell=None, line=None, message=message, hint=hint)


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
