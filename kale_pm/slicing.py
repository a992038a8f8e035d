"""Cut: one sub-notebook, a slice, for every step.

A slice is a whole notebook: the prelude, a cell that loads what the step needs, the step's
own cells, and a cell that saves what it gives.  Stock papermill runs it too.  Equal input
gives equal bytes: nothing of a run, no path and no time enters a slice.

In a language that is not Python nothing can be loaded or saved: the slice has neither cell.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kale_pm.model import Cell, Pipeline, Step
from kale_pm.notebook.parameters import parameter_cells, split_prelude

if TYPE_CHECKING:
    from nbformat import NotebookNode

LINE = 88  # characters, as formatters of notebooks have it


def cut(pipeline: Pipeline, name: str) -> NotebookNode:
    """The slice of step ``name``; KeyError if there is no such step."""
    from nbformat import from_dict

    step = pipeline.step(name)
    cells = [_copy(cell, "step") for cell in step.cells]
    if pipeline.is_analysed:
        load = _added(step, "load", _load_source(pipeline, step))
        save = _added(step, "save", _save_source(step))
        cells = [*_prelude(pipeline, step), load, *cells, save]
    else:
        cells = [*_whole_prelude(pipeline), *cells]
    kernelspec = {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        **pipeline.kernelspec,
    }
    place = {"pipeline": pipeline.name, "step": name, "order": pipeline.order.index(name)}
    metadata = {"kernelspec": kernelspec, "kale_pm": place}
    # Not by nbformat's own functions: they check all that they make by the schema, which in a
    # notebook of thousands of cells takes longer than all else.
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
    notebook: NotebookNode = from_dict(content)
    return notebook


def to_bytes(notebook: NotebookNode) -> bytes:
    """The notebook as a file: sorted keys, one form only."""
    text = json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    # Half of a surrogate pair has no UTF-8, but JSON has an escape for it.
    return text.encode(errors="backslashreplace")


def _prelude(pipeline: Pipeline, step: Step) -> list[NotebookNode]:
    """The prelude; all literal parameters stand in one cell, where the first of them stood.

    Papermill injects its values after the first cell tagged ``parameters`` and knows no
    other: so whatever is computed from parameters must come after that one cell.
    """
    assignments, kept = _split(pipeline.prelude)
    sources = {cell.number: cell.source for cell in kept}
    own_cells = {cell.number for cell in parameter_cells(pipeline.prelude)}
    cells: list[NotebookNode] = []
    for cell in pipeline.prelude:
        if cell.number not in own_cells:
            cells.append(_copy(cell, "prelude"))
            continue
        if cell.number == min(own_cells) and assignments:
            merged = _copy(cell, "parameters")
            merged.source = "\n".join(source for _, source in assignments)
            merged.metadata["tags"] = ["parameters"]
            cells.append(merged)
        if cell.number in sources:
            derived = _copy(cell, "prelude")
            derived.id = _id(step, f"derived {cell.number}")
            derived.source = sources[cell.number]
            derived.metadata["tags"] = []
            cells.append(derived)
    return cells


# All slices of a notebook begin with the same prelude.
_split = lru_cache(maxsize=4)(split_prelude)


def _whole_prelude(pipeline: Pipeline) -> list[NotebookNode]:
    """The prelude as it stands; papermill injects its values after the last parameters cell."""
    own_cells = [cell.number for cell in parameter_cells(pipeline.prelude)]
    cells = []
    for cell in pipeline.prelude:
        is_last = cell.number in own_cells[-1:]
        copy = _copy(cell, "parameters" if is_last else "prelude")
        if cell.number in own_cells:
            copy.metadata["tags"] = ["parameters"] if is_last else []
        cells.append(copy)
    return cells


def _load_source(pipeline: Pipeline, step: Step) -> str:
    arguments = [json.dumps(need.name, ensure_ascii=False) for need in step.needs]
    arguments += [f'step="{step.name}"', f"pipeline={json.dumps(pipeline.name)}"]
    if step.watch:
        arguments.append(f"watch={json.dumps(list(step.watch), ensure_ascii=False)}")
    if not pipeline.configuration.replay:
        arguments.append("replay=False")
    return f"import kale_pm.runtime\n\n{_call('kale_pm.runtime.load', arguments)}"


def _save_source(step: Step) -> str:
    arguments = [json.dumps(name, ensure_ascii=False) for name in step.stores]
    if step.metrics:
        arguments.append(f"metrics={json.dumps(list(step.metrics), ensure_ascii=False)}")
    return _call("kale_pm.runtime.save", arguments)


def _call(function: str, arguments: Sequence[str]) -> str:
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= LINE:
        return line
    lines = [""]
    for argument in arguments:
        if lines[-1] and len(lines[-1]) + len(argument) + 6 > LINE:
            lines.append("")
        lines[-1] += f" {argument}," if lines[-1] else f"{argument},"
    return "\n".join([f"{function}(", *(f"    {line}" for line in lines), ")"])


def _copy(cell: Cell, role: str) -> NotebookNode:
    metadata = {"kale_pm": {"role": role, "cell": cell.number}, "tags": list(cell.tags)}
    return _cell(cell.kind, cell.id, cell.source, metadata)


def _added(step: Step, role: str, source: str) -> NotebookNode:
    metadata = {"kale_pm": {"role": role}, "tags": []}
    return _cell("code", _id(step, role), source, metadata)


def _cell(kind: str, id_: str, source: str, metadata: dict[str, Any]) -> NotebookNode:
    from nbformat import from_dict

    code: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return from_dict({"cell_type": kind, "id": id_, "metadata": metadata, "source": source, **code})


def _id(step: Step, role: str) -> str:
    return hashlib.blake2b(f"{step.name} {role}".encode(), digest_size=6).hexdigest()
