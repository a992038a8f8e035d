"""The values that a module's variables have where its pipeline is called, for the steps to have.

A step gets the statements that bind what it uses.  Others may have changed that since: then the
value itself stands there, as a literal, or, where none can say it, what has changed it as well.
"""

from __future__ import annotations

import ast
import pathlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from kale_pm.errors import UsageError
from kale_pm.sdk.changes import Effects, changed_by, global_names, reads_command_line
from kale_pm.sdk.functions import shown
from kale_pm.sdk.literals import binding, literal
from kale_pm.sdk.modules import ModuleSource, Statement

_FIXED = (str, bytes, int, float, tuple, frozenset, type(None), pathlib.PurePath)
_CONTAINERS = (list, dict, set, deque)
_HINT = (
    "make it a parameter of the pipeline, or build it in a function that the step calls; it may "
    "also be changed at the top of the script, outside of any if"
)
_COMPUTING = (
    *(ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
    *(ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom),
)


def statements_for(
    module: ModuleSource, wanted: Collection[str], is_pipeline: Callable[[object], bool]
) -> list[Statement]:
    """What binds ``wanted`` in a step as it is bound here now.

    Raises UsageError where nothing that a step may run gives the value that there is.
    """
    literals: dict[str, str] = {}
    changing: set[str] = set()
    while True:
        chosen = module.needed(wanted, is_pipeline, literals, changing)
        names = set(wanted).union(*(each.reads for each in chosen))
        found, others = _settled(
            module, names - literals.keys(), chosen, literals.keys(), is_pipeline
        )
        # What still runs in a step changes it there: then the value before that is needed.
        still = [each for each in chosen if not each.binds & names or each.binds & names - {*found}]
        again = literals.keys() & _all(changed_by(each.nodes, module.effects) for each in still)
        others |= again | (found.keys() & changing)
        literals = {name: text for name, text in literals.items() if name not in again}
        found = {name: text for name, text in found.items() if name not in others}
        if not found and others <= changing:
            break
        literals |= found
        changing |= others
    changing &= names
    _refuse_changes_elsewhere(module, changing, chosen, is_pipeline)
    _refuse_command_lines(module, changing, chosen)
    return _with_literals(
        module, chosen, {name: literals[name] for name in literals if name in names}
    )


def _all(parts: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*parts)


def _settled(
    module: ModuleSource,
    names: Collection[str],
    chosen: Sequence[Statement],
    literals: Collection[str],
    is_pipeline: Callable[[object], bool],
) -> tuple[dict[str, str], set[str]]:
    """The names that become literals, and those of which all changes have to go along."""
    given = _given_by(chosen)
    rebound = _all(global_names(each.nodes) for each in module.statements)
    rebound |= _all(each.binds for each in module.statements if each.is_for_scripts)
    left_out = _all(
        _changes(module, each, is_pipeline, module.effects)
        for each in module.statements
        if each not in chosen
    )
    found: dict[str, str] = {}
    others: set[str] = set()
    for name in sorted(module.names.keys() & names):
        own = [each for each in module.statements if name in each.binds and not each.is_for_scripts]
        if any(each.is_import for each in own) or (not own and name not in rebound):
            continue
        value = module.names[name]
        text = None if any(each.defines(name) for each in own) else literal(value, module)
        if text is None:
            others |= {name} if own else set()
        elif _is_alias(own, value, module.names):
            continue
        elif name in given and literal(given[name], module) == text:
            continue  # the statements say it as it is
        elif (
            not own
            or name in given
            or (name in left_out and (name in rebound or not isinstance(value, _FIXED)))
            or _depends(module, own, literals)
            or _all(changed_by(each.nodes, module.effects) for each in own).intersection(literals)
        ):
            found[name] = text
    return found, others


def _changes(
    module: ModuleSource,
    statement: Statement,
    is_pipeline: Callable[[object], bool],
    effects: Effects,
) -> frozenset[str]:
    """What a statement that is in no step has changed here, the body of a pipeline included."""
    changed = changed_by(statement.nodes, effects)
    if statement.is_for_scripts:
        changed |= statement.binds
    for name in statement.binds:
        if is_pipeline(module.names.get(name)):
            changed |= effects.changed.get(name, frozenset())
    return changed


def _depends(module: ModuleSource, own: Iterable[Statement], literals: Collection[str]) -> bool:
    """Whether code in a kernel would give something else: of the command line, or too late."""
    return any(
        _reached(module, each.reads).intersection(literals)
        or reads_command_line(_carried_out(module, each))
        for each in own
    )


def _carried_out(module: ModuleSource, statement: Statement) -> list[ast.stmt]:
    """The nodes of a statement and of the functions that it calls."""
    calls = [each for node in statement.nodes for each in ast.walk(node)]
    called = {
        each.func.id
        for each in calls
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)
    }
    helpers = _helpers(module, _reached(module, called))
    return [node for each in [statement, *helpers] for node in each.nodes]


def _helpers(module: ModuleSource, names: Collection[str]) -> list[Statement]:
    return [each for each in module.statements if each.is_definition and each.binds & {*names}]


def _reached(module: ModuleSource, names: Collection[str]) -> set[str]:
    """The names, and those that the functions among them read, and theirs."""
    found = set(names)
    while True:
        more = {name for each in _helpers(module, found) for name in each.reads}
        if more <= found:
            return found
        found |= more


def _is_alias(own: Sequence[Statement], value: object, names: Mapping[str, object]) -> bool:
    """Whether ``b = a`` still holds: a change of the one is to be seen in the other."""
    match own:
        case [Statement(nodes=(ast.Assign(targets=[ast.Name()], value=ast.Name(id=other)),))]:
            return names.get(other) is value and not isinstance(value, _FIXED)
    return False


def _given_by(chosen: Iterable[Statement]) -> dict[str, object]:
    """The values that statements give which use nothing but literals and each other."""
    values: dict[str, object] = {"__builtins__": {}}
    for each in chosen:
        touched = each.binds | {each.sets_up}
        if not _is_plain(each, values.keys()):
            for name in touched:
                values.pop(name, None)
            continue
        try:
            bare = ast.Module([_bare(node) for node in each.nodes], [])
            exec(compile(bare, "<constants>", "exec"), values)
        except Exception:  # noqa: BLE001 - whatever it raises, it gives nothing
            for name in touched:
                values.pop(name, None)
    del values["__builtins__"]
    return values


def _is_plain(statement: Statement, known: Collection[str]) -> bool:
    kinds = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)
    if not all(isinstance(node, kinds) for node in statement.nodes):
        return False
    nodes = [inner for node in statement.nodes for inner in ast.walk(_bare(node))]
    reads = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return reads.issubset(known) and not any(isinstance(each, _COMPUTING) for each in nodes)


def _bare(node: ast.stmt) -> ast.stmt:
    """Without a type hint, which gives no value."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return ast.copy_location(ast.Assign([node.target], node.value), node)
    return node


def _with_literals(
    module: ModuleSource, chosen: Sequence[Statement], literals: Mapping[str, str]
) -> list[Statement]:
    """``chosen`` with the literals where the variables were bound first."""
    added: dict[Statement, list[Statement]] = {}
    for name, text in literals.items():
        places = [
            each
            for each in module.statements
            if name in each.binds or name in global_names(each.nodes)
        ]
        kept = [each for each in places if each in chosen and name in each.binds]
        place = kept[-1] if kept else places[0]
        added.setdefault(place, []).append(_made(binding(name, text), place.line))
    found = []
    for each in module.statements:
        found += [each] if each in chosen else []
        found += added.get(each, [])
    imports = [
        _made(f"import {name}", 1)
        for name, called in {"argparse": "argparse.Namespace(", "pathlib": "pathlib.Path("}.items()
        if any(called in text for text in literals.values())
        and not any(name in each.binds for each in found)
    ]
    return [*imports, *found]


def _made(text: str, line: int) -> Statement:
    return Statement(text, line, tuple(ast.parse(text).body))


def _refuse_changes_elsewhere(
    module: ModuleSource,
    names: Collection[str],
    chosen: Collection[Statement],
    is_pipeline: Callable[[object], bool],
) -> None:
    """Raise UsageError for what only the script itself changes, and no literal can say."""
    for each in module.statements:
        if each in chosen:
            continue
        changed = _changes(module, each, is_pipeline, module.sure_effects)
        perhaps = _changes(module, each, is_pipeline, module.effects)
        changed |= {n for n in perhaps if isinstance(module.names.get(n), _CONTAINERS)}
        for name in sorted(changed.intersection(names)):
            why = f"no literal can say what it is now (of type {type(module.names[name]).__name__})"
            if literal(module.names[name], module) is not None:
                why = "what is kept for the steps changes it once more"
            raise UsageError(
                f"{shown(module.file)}:{each.line}: '{name}', which a step uses, is changed here, "
                f"where only the script itself runs, and {why}",
                hint=_HINT,
            )


def _refuse_command_lines(
    module: ModuleSource, names: Collection[str], chosen: Iterable[Statement]
) -> None:
    """Raise UsageError for what a step would read from a command line that it has not."""
    for each in chosen:
        parses = reads_command_line(_carried_out(module, each), parsing_only=True)
        for name in sorted(each.binds.intersection(names)):
            if parses and not any(each.defines(bound) for bound in each.binds):
                raise UsageError(
                    f"{shown(module.file)}:{each.line}: '{name}', which a step uses, comes from "
                    f"the command line, which steps do not have, and no literal can say it "
                    f"(of type {type(module.names[name]).__name__})",
                    hint=_HINT,
                )
