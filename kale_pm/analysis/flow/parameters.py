"""Which parameters each step uses, and those that none does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from kale_pm.analysis.code.magics import is_shell
from kale_pm.analysis.flow.sources import Flows
from kale_pm.model import Pipeline, Problem
from kale_pm.notebook.source import parse

# Calls whose texts hold names of variables.
_READING_TEXTS = frozenset({"eval", "exec", "query"})


def used_parameters(
    pipeline: Pipeline, flows: Flows, place: int, in_prelude: set[str], metrics: tuple[str, ...]
) -> tuple[str, ...]:
    """The parameters that the step at ``place`` reads, in its own code or in its prelude.

    ``in_prelude`` are those of the prelude, which runs in every step, and ``metrics`` the
    names that the step records.
    """
    effects = flows.effects[place]
    read = effects.reads.keys() | in_prelude | set(metrics)
    return tuple(
        parameter.name
        for parameter in pipeline.parameters
        if parameter.name in read or effects.dynamic
    )


def parameters_of_prelude(pipeline: Pipeline) -> set[str]:
    """The parameters that the prelude reads while it runs, also through its own functions."""
    names = {parameter.name for parameter in pipeline.parameters}
    running: list[ast.AST] = []
    bodies: dict[str, list[ast.AST]] = {}
    for statement in _statements(pipeline) if names else ():
        name, now, later = _taken_apart(statement)
        running += now
        bodies.setdefault(name, []).extend(later)
    read: set[str] = set()
    while running:
        new = _names_read(running) - read
        read |= new
        running = [body for name in new for body in bodies.pop(name, ())]
    return read & names


def _statements(pipeline: Pipeline) -> Iterator[ast.stmt]:
    for cell in pipeline.prelude:
        if cell.is_code:
            try:
                yield from parse(cell.source).body
            except SyntaxError:
                continue


def _taken_apart(node: ast.stmt) -> tuple[str, list[ast.AST], list[ast.AST]]:
    """The name of a function or class, what of it runs at once, and what when it is called."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name, [*node.decorator_list, node.args], [*node.body]
        case ast.ClassDef(name=name):
            methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
            rest = [part for part in node.body if part not in methods]
            now = [*node.decorator_list, *node.bases, *node.keywords, *rest]
            return name, [*now, *(method.args for method in methods)], [*methods]
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda(args=arguments, body=body)):
            return name, [arguments], [body]
    return "", [node], []


def _names_read(nodes: Iterable[ast.AST]) -> set[str]:
    names: set[str] = set()
    for node in nodes:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
                names.add(part.id)
            elif isinstance(part, ast.Call) and _reads_texts(part):
                for value in (a.value for a in part.args if isinstance(a, ast.Constant)):
                    names.update(re.findall(r"\w+", str(value)))
    return names


def _reads_texts(node: ast.Call) -> bool:
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr in _READING_TEXTS or is_shell(function.value)
    return isinstance(function, ast.Name) and function.id in _READING_TEXTS


def unused_parameters(pipeline: Pipeline) -> Iterator[Problem]:
    """Parameters that no step uses."""
    used = {name for step in pipeline.steps for name in step.parameters}
    for parameter in pipeline.parameters:
        if parameter.name not in used:
            yield Problem(
                "unused-parameter",
                "warning",
                f"no step uses the parameter '{parameter.name}'",
                hint="remove it, or check its spelling in the steps",
                cell=parameter.cell or None,
                line=parameter.line or None,
            )
