"""A variable that could not be stored: which cell made it, and who would have needed it."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

from kale_pm.model import Pipeline, Step
from kale_pm.notebook import parse
from kale_pm.record import CellError


def with_origin(error: CellError, pipeline: Pipeline, step: Step) -> CellError:
    """``error`` with the place in the source notebook, where it is about storing a variable.

    The cell that saves is kale-pm's own, and says nothing to the reader.
    """
    found = re.match(r"cannot save (\w+)", error.evalue)
    if error.ename != "SaveError" or found is None or error.cell is not None:
        return error
    name = found[1]
    needing = [
        other.name
        for other in pipeline.steps
        for need in other.needs
        if need.name == name and step.name in {source.step for source in need.sources}
    ]
    evalue = error.evalue
    if needing:
        evalue += f" (needed by step {', '.join(needing)})"
    cell, line, source = _binding(step, name)
    return replace(error, evalue=evalue, cell=cell, line=line, source=source)


def _binding(step: Step, name: str) -> tuple[int | None, int | None, str]:
    """Cell, line and source of the last statement of the step that binds ``name``."""
    for cell in reversed(step.code):
        for node in reversed(list(ast.walk(parse(cell.source)))):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
                return cell.number, node.lineno, cell.source.splitlines()[node.lineno - 1].strip()
    return None, None, ""
