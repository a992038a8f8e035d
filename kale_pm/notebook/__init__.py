"""Read a tagged notebook into an outlined pipeline: cells, tags, parameters, configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kale_pm.model import Pipeline
from kale_pm.notebook.configuration import read_configuration
from kale_pm.notebook.document import Document, read_document
from kale_pm.notebook.outline import outline
from kale_pm.notebook.parameters import parameter_cells, read_parameters, split_prelude
from kale_pm.notebook.source import is_blank, parse, python_text, syntax_tree
from kale_pm.notebook.tags import CellTags, parse_tags
from kale_pm.notebook.values import bind, describe, parse_assignment

__all__ = [
    "CellTags",
    "Document",
    "bind",
    "describe",
    "is_blank",
    "outline",
    "parameter_cells",
    "parse",
    "parse_assignment",
    "parse_tags",
    "python_text",
    "read",
    "read_configuration",
    "read_document",
    "read_parameters",
    "split_prelude",
    "syntax_tree",
]


def read(path: str | Path, overrides: Mapping[str, object] | None = None) -> Pipeline:
    """The pipeline that a notebook describes; what flows between its steps is still unknown.

    ``overrides`` are settings as in ``[tool.kale-pm]``; None says nothing.  Problems of the
    configuration come first, then those of the cells in their order.

    Raises NotebookError where the notebook cannot be read or has no step.
    """
    document = read_document(Path(path))
    configuration, problems = read_configuration(document, overrides or {})
    pipeline = outline(document, configuration)
    return replace(pipeline, problems=(*problems, *pipeline.problems))
