"""What an execution may have written, as far as its code says: not all is seen by the audit."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from kale_pm.analysis.flow.file_uses import Kind, file_uses, names_in
from kale_pm.local.cache.watched import paths_in_code, touched_since, words_of
from kale_pm.notebook.paths import could_be_a_path, literal_path

_FILLED_BY_IPYTHON = re.compile(r"\{(\w+)\}|\$(\w+)")


def written_in_code(
    trees: Iterable[ast.AST], parameters: Mapping[str, Any], folder: Path, moment: float
) -> set[str]:
    """Files that the code names, not only to read them, and that have changed since ``moment``.

    ``moment`` is in seconds since the epoch.  Names into which the values of ``parameters`` are
    put are those of these values alone; of one that only the run can tell all files that fit
    count.
    """
    copies = deepcopy(tuple(trees))
    values = _scalars(parameters, copies)
    filler = _Filler(values)
    filled = [filler.visit(tree) for tree in copies]
    names = names_in(filled)
    texts = {**names.texts, **{name: str(value) for name, value in values.items()}}
    names = replace(names, texts=texts)
    found: set[str] = set()
    for use in (use for tree in filled for use in file_uses(tree, names)):
        if use.kind is not Kind.READS:
            text = _FILLED_BY_IPYTHON.sub(lambda m: texts.get(m[1] or m[2], m[0]), use.path)
            found.update((text, *words_of(text)))
    for node in (node for tree in filled for node in ast.walk(tree)):
        if isinstance(node, ast.JoinedStr) and literal_path(node, texts) is None:
            found |= paths_in_code([node], (), folder)
    paths = {os.path.normpath(path) for path in found if could_be_a_path(path)}
    return {path for path in paths if touched_since(folder, [path], moment)}


def _scalars(parameters: Mapping[str, Any], trees: Iterable[ast.AST]) -> dict[str, Any]:
    """The parameters whose value is a text or a number that the code does not replace."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    bound = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    return {
        name: value
        for name, value in parameters.items()
        if name not in bound and isinstance(value, (str, int, float))
    }


class _Filler(ast.NodeTransformer):
    """Puts known values into f-strings."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        match node:
            case ast.FormattedValue(value=ast.Name(id=name), conversion=-1, format_spec=spec):
                layout = "" if spec is None else literal_path(spec, {})
                if name in self._values and layout is not None:
                    try:
                        text = format(self._values[name], layout)
                    except (ValueError, TypeError):
                        return node
                    return ast.copy_location(ast.Constant(text), node)
        return node
