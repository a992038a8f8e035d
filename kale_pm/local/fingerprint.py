"""The key of a step: equal keys mean that it would do the same again.

Comments, formatting and line numbers are not part of it, what runs is: the step's code, the
prelude, the values of the parameters it uses, the very versions of the variables and of the
global state it receives, its options, the packages and the interpreter.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from kale_pm.model import Cell, Pipeline, Step
from kale_pm.notebook import parse, split_prelude
from kale_pm.runtime.manifest import FORMAT, Change, Version

KEY_FORMAT = 1


def step_key(
    pipeline: Pipeline,
    step: Step,
    *,
    parameters: Mapping[str, Any],
    versions: Mapping[str, Version],
    context: Mapping[str, Change],
    kernel: str,
) -> str:
    """The key of ``step``, 32 hexadecimal digits.

    ``versions`` and ``context`` are what arrives along its edges, ``kernel`` names the
    kernelspec that will run it.
    """
    trees = code_trees(pipeline, step)
    content = {
        "format": [KEY_FORMAT, FORMAT],
        "python": sys.version.split()[0],
        "kernel": kernel,
        "code": [ast.dump(tree) for tree in trees],
        "parameters": {name: parameters[name] for name in step.parameters},
        "needs": {
            need.name: _component(versions.get(need.name))
            for need in step.needs
        },
        "gives": [step.gives, step.gives_if_changed, step.watch, step.metrics],
        "context": {name: change.value for name, change in context.items()}
        if pipeline.configuration.replay
        else None,
        "options": repr(step.options),
        "packages": package_versions(imported_names(trees)),
    }
    text = json.dumps(content, sort_keys=True, default=repr)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _component(version: Version | None) -> str | None:
    return version.component if version else None


def code_trees(pipeline: Pipeline, step: Step) -> list[ast.Module]:
    """The syntax trees of all that runs in the step, parameters' literals left out."""
    return [*_prelude_trees(split_prelude(pipeline.prelude)[1]), *_prelude_trees(step.code)]


def _prelude_trees(cells: Iterable[Cell]) -> list[ast.Module]:
    return [parse(cell.source) for cell in cells if cell.is_code]


def imported_names(trees: Iterable[ast.AST]) -> set[str]:
    """The top-level names of all modules that the code imports."""
    names: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - sys.stdlib_module_names


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """The installed version of the distribution that provides each module."""
    return {name: _version(name) for name in sorted(names)}


@cache
def _version(module: str) -> str:
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        pass
    # sklearn comes with scikit-learn: the whole list is read only for such names.
    distributions = _distributions().get(module, [])
    return " ".join(f"{name} {importlib.metadata.version(name)}" for name in distributions)


@cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()
