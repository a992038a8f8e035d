"""Imports of a module, as they stand in a notebook."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Collection

from kale_pm.errors import UsageError
from kale_pm.sdk.source.functions import shown
from kale_pm.sdk.source.modules import SDK, ModuleSource
from kale_pm.sdk.source.statements import Statement


def imported(statement: Statement, name: str, module: ModuleSource) -> object:
    """What an import gives for ``name`` now; None if that is not known."""
    for node in statement.nodes:
        if isinstance(node, ast.ImportFrom):
            source = _absolute(node, module) if node.level else node.module or ""
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return getattr(sys.modules.get(source), alias.name, None)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if (alias.asname or alias.name.partition(".")[0]) == name:
                    return sys.modules.get(alias.name if alias.asname else name)
    return None


def import_text(statement: Statement, names: Collection[str], module: ModuleSource) -> str:
    """The import as it stands in a notebook: absolute, and of what is needed only.

    Empty where nothing of it is.  Raises UsageError where the SDK itself is needed in a step.
    """
    texts = [_import(node, names, module) for node in statement.nodes]
    if texts == [ast.unparse(node) for node in statement.nodes]:
        return statement.text
    return "\n".join(filter(None, texts))


def _import(node: ast.stmt, names: Collection[str], module: ModuleSource) -> str:
    assert isinstance(node, ast.Import | ast.ImportFrom)
    kept = [
        alias
        for alias in node.names
        if alias.name == "*"
        or (alias.asname or alias.name).partition(".")[0] in names
        or (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    ]
    if isinstance(node, ast.Import):
        if any(alias.name.startswith(SDK) for alias in kept):
            raise _sdk_in_a_step(node, module)
        return ast.unparse(ast.Import(kept)) if kept else ""
    source = node.module or ""
    if node.level:
        source = _absolute(node, module)
    if source == "kale_pm" and any(alias.name == "sdk" for alias in kept):
        raise _sdk_in_a_step(node, module)
    if source == SDK or source.startswith(f"{SDK}."):
        # Of the SDK only this one belongs into a step; the runtime, which goes along, has it.
        source, kept = "kale_pm", [alias for alias in kept if alias.name == "metric"]
    return ast.unparse(ast.ImportFrom(source, kept, 0)) if kept else ""


def _absolute(node: ast.ImportFrom, module: ModuleSource) -> str:
    name = "." * node.level + (node.module or "")
    try:
        return importlib.util.resolve_name(name, module.package or None)
    except (ImportError, ValueError):
        raise UsageError(
            f"{shown(module.file)}:{node.lineno}: the relative import of '{name}' leads nowhere",
            hint="write the import without the dot, and keep the module beside the script",
        ) from None


def _sdk_in_a_step(node: ast.stmt, module: ModuleSource) -> UsageError:
    return UsageError(
        f"{shown(module.file)}:{node.lineno}: a step uses kale_pm.sdk itself, which does not "
        f"travel to the cluster",
        hint="import what it uses by its name: from kale_pm.sdk import metric",
    )
