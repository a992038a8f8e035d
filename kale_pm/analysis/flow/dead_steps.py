"""Steps whose result nobody sees."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator

from kale_pm.analysis.code.catalogue import PURE_BUILTINS
from kale_pm.analysis.flow.missing import missing_names
from kale_pm.analysis.flow.sources import Flows, Prelude
from kale_pm.model import Pipeline, Problem, Step
from kale_pm.notebook.source import parse

# Calls of these do nothing that anybody could see.
_SILENT_BUILTINS = PURE_BUILTINS - {"print", "display", "iter", "super", "getattr", "hasattr"}
_NAMES = 3  # that a message lists, at most
_SILENT_MODULES = frozenset({"cmath", "math", "statistics"})
_EXPRESSIONS = (
    ast.Attribute, ast.BinOp, ast.BoolOp, ast.Compare, ast.Constant, ast.Dict, ast.DictComp,
    ast.FormattedValue, ast.GeneratorExp, ast.IfExp, ast.JoinedStr, ast.Lambda, ast.List,
    ast.ListComp, ast.Name, ast.NamedExpr, ast.Set, ast.SetComp, ast.Slice, ast.Starred,
    ast.Subscript, ast.Tuple, ast.UnaryOp,
)  # fmt: skip


def dead_steps(pipeline: Pipeline, flows: Flows, prelude: Prelude) -> Iterator[Problem]:
    """Steps that only compute what no other step reads; of the last one the user may look on.

    It must be certain: one call of unknown code, and the step may have an effect.  Nothing is
    said while names are missing: a step that seems dead may be what a misspelt one is for.
    """
    found = list(_dead_steps(pipeline, flows, prelude))
    if found and not _lacks_names(pipeline, flows, prelude):
        yield from found


def _lacks_names(pipeline: Pipeline, flows: Flows, prelude: Prelude) -> bool:
    places = range(len(flows.graph.order))
    return any(
        problem.code in ("undefined-name", "not-upstream")
        for place in places
        for problem in missing_names(pipeline, flows, place, prelude)
    )


def _dead_steps(pipeline: Pipeline, flows: Flows, prelude: Prelude) -> Iterator[Problem]:
    for step in pipeline.steps[:-1]:
        if step.gives or step.gives_if_changed or step.metrics:
            continue
        place = flows.graph.place[step.name]
        effects = flows.effects[place]
        own = {*prelude.names, *effects.binds, *effects.may_bind, *flows.sources[place]}
        if effects.dynamic or effects.notices or not _only_computes(step, flows, place, own):
            continue
        others = (other for index, other in enumerate(flows.effects) if index != place)
        if any(not effects.binds.isdisjoint(other.reads) for other in others):
            continue  # another step would read it, if only it came after this one
        made = sorted(effects.binds - flows.known[place].modules.keys())
        names = " or ".join(f"'{name}'" for name in made[:_NAMES])
        if len(made) > _NAMES:
            names += f" and {len(made) - _NAMES} more"
        yield Problem(
            "dead-step",
            "warning",
            f"nobody sees what step {step.name} does: no other step reads {names}, and it "
            f"prints, shows and writes nothing",
            hint="use its result in a later step, show it in the last line of the cell, or tag "
            "the step skip",
            step=step.name,
            cell=step.code[0].number,
        )


def _only_computes(step: Step, flows: Flows, place: int, own: Collection[str]) -> bool:
    """Whether the step binds names, and certainly does nothing else."""
    try:
        bodies = [parse(cell.source).body for cell in step.code]
        statements = [statement for body in bodies for statement in body]
        # What stands last in a cell is shown.
        shown = any(body and isinstance(body[-1], ast.Expr) for body in bodies)
        modules = {
            name
            for name, dotted in flows.known[place].modules.items()
            if dotted.partition(".")[0] in _SILENT_MODULES
        }
        silent = all(_is_silent(statement, own, modules) for statement in statements)
    except (SyntaxError, RecursionError):
        return False
    makes = flows.effects[place].binds - flows.known[place].modules.keys()
    return bool(makes) and silent and not shown


def _is_silent(node: ast.stmt, own: Collection[str], modules: Collection[str]) -> bool:
    def silent(*parts: ast.expr | None) -> bool:
        return all(part is None or _is_pure(part, own, modules) for part in parts)

    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=targets, value=value):
            return all(map(_is_name, targets)) and silent(value)
        case ast.AnnAssign(target=target, value=value):
            return _is_name(target) and silent(value)
        case ast.AugAssign(target=target, value=value):
            return _is_name(target) and silent(value)
        case ast.FunctionDef(decorator_list=[], args=arguments):
            return silent(*arguments.defaults, *arguments.kw_defaults)
        case ast.ClassDef(decorator_list=[], bases=[], keywords=[], body=body):
            return all(_is_silent(statement, own, modules) for statement in body)
        case ast.Import(names=names):
            return all(_is_standard(alias.name) for alias in names)
        case ast.ImportFrom(module=str(module), level=0):
            return _is_standard(module)
        case ast.If(test=test, body=body, orelse=other):
            return silent(test) and all(_is_silent(n, own, modules) for n in [*body, *other])
        case ast.For(target=target, iter=source, body=body, orelse=[]):
            inner = all(_is_silent(statement, own, modules) for statement in body)
            return _is_name(target) and silent(source) and inner
    return False


def _is_name(target: ast.expr) -> bool:
    match target:
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return all(map(_is_name, parts))
        case ast.Starred(value=value):
            return _is_name(value)
    return isinstance(target, ast.Name)


def _is_pure(node: ast.expr, own: Collection[str], modules: Collection[str]) -> bool:
    for part in ast.walk(node):
        match part:
            case ast.Call(func=ast.Name(id=name)):
                if name in modules or (name in _SILENT_BUILTINS and name not in own):
                    continue
                return False
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
                if name not in modules:
                    return False
            case ast.Call():
                return False
            case ast.expr() if not isinstance(part, _EXPRESSIONS):
                return False
    return True


def _is_standard(module: str) -> bool:
    """Modules of others may do anything while they are imported."""
    return module.partition(".")[0] in sys.stdlib_module_names - {"antigravity", "this"}
