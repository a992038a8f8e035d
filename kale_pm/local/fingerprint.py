"""The key of a step: equal keys mean that it would do the same again.

Comments, formatting and line numbers are not part of it, what runs is: the step's code, the
prelude, the values of the parameters it uses, the very versions of the variables and of the
global state it receives, its options, the packages and the interpreter.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kale_pm.local.environment import Environment
from kale_pm.model import Cell, Pipeline, Step
from kale_pm.notebook import parse, split_prelude
from kale_pm.runtime.manifest import FORMAT, Change, Version

_ENVIRONMENT_NAME = re.compile(r"[A-Z_][A-Z0-9_]+")
KEY_FORMAT = 2

# With one of these any function of the prelude may be found by a computed name.
_DYNAMIC = frozenset({"eval", "exec", "globals", "locals", "vars", "__main__", "__dict__"})


def step_key(
    pipeline: Pipeline,
    step: Step,
    *,
    parameters: Mapping[str, Any],
    versions: Mapping[str, Version],
    context: Mapping[str, Change],
    kernel: Sequence[object],
    has: Environment,
) -> str:
    """The key of ``step``, 32 hexadecimal digits.

    ``versions`` and ``context`` are what arrives along its edges, ``kernel`` says how its
    kernel is started, and ``has`` what the kernel's interpreter has of ``all_imports``.
    """
    trees = code_trees(pipeline, step)
    content = {
        "format": [KEY_FORMAT, FORMAT],
        # The executed notebook that is kept must be one of this pipeline.
        "pipeline": pipeline.name,
        "python": has.python,
        "kernel": kernel,
        "code": [ast.dump(tree) for tree in trees],
        # As text: to JSON the order of a dict would not matter.
        "parameters": {name: repr(parameters[name]) for name in step.parameters},
        "needs": {need.name: _component(versions.get(need.name)) for need in step.needs},
        "metrics": step.metrics,
        "context": {name: change.value for name, change in context.items()}
        if pipeline.configuration.replay
        else None,
        "options": repr(step.options),
        "packages": {name: has.packages.get(name) for name in imported_names(trees)},
        "missing": missing_modules(pipeline, has),
        "environment": environment(trees),
    }
    text = json.dumps(content, sort_keys=True, default=repr)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def missing_modules(pipeline: Pipeline, has: Environment) -> list[str]:
    """Modules that the prelude imports and that are neither installed nor beside the notebook.

    Every step would fail.
    """
    return sorted(
        name
        for name in imported_names(_trees(pipeline.prelude)) & {*has.missing}
        if not (pipeline.folder / name).is_dir() and not (pipeline.folder / f"{name}.py").is_file()
    )


def all_imports(pipeline: Pipeline) -> set[str]:
    """The top-level names of all modules that any cell of the pipeline imports."""
    cells = [*pipeline.prelude, *(cell for step in pipeline.steps for cell in step.cells)]
    return imported_names(_trees(cells))


def environment(trees: Iterable[ast.AST]) -> dict[str, str | None]:
    """The environment variables that the code names, as hashes: a value may be a secret."""
    names = {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _ENVIRONMENT_NAME.fullmatch(node.value)
    }
    return {name: _hash(os.environ.get(name)) for name in sorted(names)}


def _hash(value: str | None) -> str | None:
    return None if value is None else hashlib.blake2b(value.encode(), digest_size=16).hexdigest()


def _component(version: Version | None) -> str:
    # Of what no step above touched the step sees the prelude's own, of what was deleted nothing.
    return "inherited" if version is None else version.component or "deleted"


def code_trees(pipeline: Pipeline, step: Step) -> list[ast.Module]:
    """The syntax trees of all that may run in the step, parameters' literals left out.

    Of the prelude's imports and functions only those that can be reached from what runs: by
    name, from the step itself, from another statement of the prelude, or from a step above
    it, since a variable that comes from there may hold one of them.
    """
    prelude = _trees(split_prelude(pipeline.prelude)[1])
    own = _trees(step.code)
    above = pipeline.ancestors[step.name] if step.needs else ()
    running = [*own, *_trees(cell for name in above for cell in pipeline.step(name).code)]
    return [*_reachable(prelude, running), *own]


def _trees(cells: Iterable[Cell]) -> list[ast.Module]:
    return [parse(cell.source) for cell in cells if cell.is_code]


def _reachable(prelude: Iterable[ast.Module], running: Iterable[ast.Module]) -> list[ast.Module]:
    """The prelude without the imports and functions that nothing can reach."""
    waiting = [statement for tree in prelude for statement in tree.body]
    names = set().union(*(_mentioned(tree) for tree in running))
    kept: list[ast.stmt] = []
    while True:
        reached = [s for s in waiting if _runs(s) or names & ({*_bound(s)} | _DYNAMIC)]
        if not reached:
            return [ast.Module([s for tree in prelude for s in tree.body if s in kept], [])]
        waiting = [s for s in waiting if s not in reached]
        kept += reached
        names |= set().union(*(_mentioned(statement) for statement in reached))


def _runs(statement: ast.stmt) -> bool:
    """Whether a statement of the prelude does more than to bind names."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return bool(statement.decorator_list)
        case ast.Import():
            return False
        case ast.ImportFrom():
            return statement.module == "__future__" or statement.names[0].name == "*"
    return True


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a plain import or function binds."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return {statement.name}
        case ast.Import() | ast.ImportFrom():
            return {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    return set()


def _mentioned(tree: ast.AST) -> set[str]:
    """All names in the code, and the words of its texts: queries and magics hold names too."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= set(re.findall(r"\w+", node.value))
    return names


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
