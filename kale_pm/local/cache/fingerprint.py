"""The key of a step: equal keys mean that it would do the same again.

Comments, formatting and line numbers are not part of it, what runs is: the step's code, the
prelude, the values of the parameters it uses, the very versions of the variables and of the
global state it receives, its options, the packages and the interpreter.

Of a language that is not analysed all text counts, comments as well, and the very executions
of the steps above: whatever they have changed, it may use.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kale_pm.local.cache.parts import Parts, readable, short
from kale_pm.local.kernels.environment import Environment
from kale_pm.model import Cell, Pipeline, Step
from kale_pm.notebook import split_prelude, syntax_tree
from kale_pm.runtime.manifest import FORMAT, Change, Version

_ENVIRONMENT_NAME = re.compile(r"[A-Z_][A-Z0-9_]+")
KEY_FORMAT = 4

# With one of these any function of the prelude may be found by a computed name.
_DYNAMIC = frozenset({"eval", "exec", "globals", "locals", "vars", "__main__", "__dict__"})


@dataclass(frozen=True)
class Fingerprint:
    """The key of a step, 32 hexadecimal digits, and the parts that it is made of.

    ``trees`` are the code that may run.
    """

    key: str
    parts: Parts
    trees: Sequence[ast.Module] = field(default=(), repr=False, compare=False)


def fingerprint(
    pipeline: Pipeline,
    step: Step,
    *,
    parameters: Mapping[str, Any],
    versions: Mapping[str, Version],
    context: Mapping[str, Change],
    kernel: Sequence[object],
    has: Environment,
    arriving: Collection[str] | None = None,
    after: Mapping[str, str] | None = None,
) -> Fingerprint:
    """What ``step`` would do.

    ``versions`` and ``context`` are what arrives along its edges, ``kernel`` says how its
    kernel is started, ``has`` what the kernel's interpreter has of ``all_imports``, and
    ``arriving`` is that of :func:`code_trees`.  ``after`` names the executions of those parents
    of which nobody knows what they have changed.
    """
    after = after or {}
    prelude, own = _running(pipeline, step, arriving)
    trees = [tree for _, tree in (*prelude, *own)]
    inherited = {name: change.value for name, change in context.items()}
    # As text: to JSON the order of a dict would not matter.
    values = {name: repr(parameters[name]) for name in step.parameters}
    needs = {need.name: _component(versions.get(need.name)) for need in step.needs}
    packages = {name: has.packages.get(name) for name in imported_names(trees)}
    missing = missing_modules(pipeline, has)
    secret = {secret.variable for each in pipeline.steps for secret in each.options.secrets}
    named = environment(trees, secret)
    content = {
        "format": [KEY_FORMAT, FORMAT],
        # The executed notebook that is kept must be this step's, and so are its versions.
        "pipeline": pipeline.name,
        "step": step.name,
        "python": has.python,
        "kernel": kernel,
        "code": [ast.dump(tree) for tree in trees],
        "parameters": values,
        "needs": needs,
        "after": after,
        "metrics": step.metrics,
        "context": inherited if pipeline.configuration.replay else None,
        "options": repr(step.options),
        "packages": packages,
        "missing": missing,
        "environment": named,
    }
    parts = {
        "cells": {str(number): short(ast.dump(tree)) for number, tree in own},
        **_prelude_parts(prelude),
        "parameters": {name: readable(value) for name, value in values.items()},
        "inputs": {name: short(component) for name, component in needs.items()},
        "after": {name: short(execution) for name, execution in after.items()},
        "packages": {name: version or "" for name, version in packages.items()},
        "python": {"": has.python},
        "kernel": {"": short(repr(kernel))},
        "options": {name: short(repr(value)) for name, value in vars(step.options).items()},
        "environment": {name: _hint(value) for name, value in named.items()},
        "context": {name: short(value) for name, value in inherited.items()},
        "other": {"": short(repr([content["format"], step.metrics, missing]))},
    }
    text = json.dumps(content, sort_keys=True, default=repr)
    key = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return Fingerprint(key, parts, trees)


def _prelude_parts(prelude: Iterable[_Numbered]) -> dict[str, dict[str, str]]:
    definitions: dict[str, str] = {}
    others: dict[str, str] = {}
    for number, tree in prelude:
        for index, statement in enumerate(tree.body):
            text = ast.dump(statement)
            kind = "import" if isinstance(statement, ast.Import | ast.ImportFrom) else "function"
            kind = "class" if isinstance(statement, ast.ClassDef) else kind
            for name in _bound(statement):
                named = f"{kind} {name}"
                definitions[named] = short(definitions.get(named, "") + text)
            if not _bound(statement):
                others[f"{number}:{index}"] = short(text)
    return {"definitions": definitions, "prelude": others}


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


def environment(trees: Iterable[ast.AST], secret: Collection[str]) -> dict[str, str | None]:
    """The environment variables that the code names, as hashes, without the ``secret`` ones.

    A secret that was renewed gives the same results, and nothing of it gets to the disk.
    """
    names = {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _ENVIRONMENT_NAME.fullmatch(node.value)
    }
    return {name: _hash(os.environ.get(name)) for name in sorted(names - {*secret})}


def _hash(value: str | None) -> str | None:
    return None if value is None else hashlib.blake2b(value.encode(), digest_size=16).hexdigest()


def _hint(digest: str | None) -> str:
    # Kept by itself, a whole hash would let one try out which value it is of.
    return "" if digest is None else digest[:4]


def _component(version: Version | None) -> str:
    # Of what no step above touched the step sees the prelude's own, of what was deleted nothing.
    return "inherited" if version is None else version.component or "deleted"


def code_trees(
    pipeline: Pipeline, step: Step, arriving: Collection[str] | None = None
) -> list[ast.Module]:
    """The syntax trees of all that may run in the step, parameters' literals left out.

    Of the prelude's imports and definitions only those that can be reached from what runs: by
    name, from the step itself or from another statement of the prelude, or inside of a variable
    that the step receives.  ``arriving`` are the names that may come so; None stands for all
    that the steps above use.
    """
    prelude, own = _running(pipeline, step, arriving)
    return [tree for _, tree in (*prelude, *own)]


def definitions(pipeline: Pipeline) -> set[str]:
    """The names that the prelude's imports, functions and classes bind."""
    trees = _trees(split_prelude(pipeline.prelude)[1])
    return set().union(*(_bound(statement) for tree in trees for statement in tree.body))


def _running(
    pipeline: Pipeline, step: Step, arriving: Collection[str] | None
) -> tuple[list[_Numbered], list[_Numbered]]:
    """The trees of :func:`code_trees` with the numbers of their cells: prelude, and own cells."""
    prelude = _numbered(split_prelude(pipeline.prelude)[1])
    own = _numbered(step.code)
    running = [tree for _, tree in own]
    if arriving is None and step.needs:
        above = pipeline.ancestors[step.name]
        running += _trees(cell for name in above for cell in pipeline.step(name).code)
    return _reachable(prelude, running, arriving or ()), own


_Numbered = tuple[int, ast.Module]


def _numbered(cells: Iterable[Cell]) -> list[_Numbered]:
    """Without cells that hold nothing but comments."""
    found = [(cell.number, syntax_tree(cell)) for cell in cells if cell.is_code]
    return [(number, tree) for number, tree in found if tree.body]


def _trees(cells: Iterable[Cell]) -> list[ast.Module]:
    return [tree for _, tree in _numbered(cells)]


def _reachable(
    prelude: Iterable[_Numbered], running: Iterable[ast.Module], arriving: Collection[str]
) -> list[_Numbered]:
    """The prelude without the imports and definitions that nothing can reach."""
    waiting = [statement for _, tree in prelude for statement in tree.body]
    names = set(arriving).union(*(_mentioned(tree) for tree in running))
    kept: set[ast.stmt] = set()
    while True:
        reached = [s for s in waiting if _runs(s) or names & ({*_bound(s)} | _DYNAMIC)]
        if not reached:
            break
        waiting = [s for s in waiting if s not in reached]
        kept |= {*reached}
        names |= set().union(*(_mentioned(statement) for statement in reached))
    found = [(number, [s for s in tree.body if s in kept]) for number, tree in prelude]
    return [(number, ast.Module(body, [])) for number, body in found if body]


def _runs(statement: ast.stmt) -> bool:
    """Whether a statement of the prelude does more than to bind names."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return bool(statement.decorator_list)
        case ast.ClassDef():
            return not _is_plain(statement)
        case ast.Import():
            return False
        case ast.ImportFrom():
            return statement.module == "__future__" or statement.names[0].name == "*"
    return True


def _is_plain(definition: ast.ClassDef) -> bool:
    """Whether nobody but those who name the class can notice it.

    A base may register its subclasses, a decorator what it decorates, and anything may happen
    in the body; ``dataclass`` alone is well known and everywhere.
    """
    decorators = {ast.unparse(each).partition("(")[0] for each in definition.decorator_list}
    return (
        not definition.bases
        and not definition.keywords
        and decorators <= {"dataclass", "dataclasses.dataclass"}
        and all(_only_defines(statement) for statement in definition.body)
    )


def _only_defines(statement: ast.stmt) -> bool:
    match statement:
        case ast.FunctionDef(decorator_list=decorators):
            names = {ast.unparse(each) for each in decorators}
            return names <= {"property", "staticmethod", "classmethod"}
        case ast.Pass() | ast.Expr(value=ast.Constant()) | ast.Assign(value=ast.Constant()):
            return True
        case ast.AnnAssign(value=None | ast.Constant()):
            return True
    return False


def _bound(statement: ast.stmt) -> set[str]:
    """The names that an import, a function or a class binds."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
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
