"""The values that a module's variables have where its pipeline is called, for the steps to have.

A step gets the statements that bind what it uses.  Others may have changed that since: then the
value itself stands there, as a literal, or, where none can say it, what has changed it as well.
"""

from __future__ import annotations

import ast
import pathlib
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import ModuleType

from kale_pm.errors import UsageError
from kale_pm.sdk.changes import (
    Effects,
    changed_by,
    executed,
    global_names,
    mentions,
    reads_command_line,
)
from kale_pm.sdk.functions import shown
from kale_pm.sdk.literals import binding, literal
from kale_pm.sdk.modules import ModuleSource, Statement, imported

_FIXED = (str, bytes, int, float, tuple, frozenset, type(None), pathlib.PurePath)
_CONTAINERS = (list, dict, set, deque)
_HINT = (
    "make it a parameter of the pipeline, or build it in a function that the step calls; it may "
    "also be changed at the top of the script, outside of any if"
)
# What gives another value each time that it is asked.
_MOMENTARY = frozenset(
    {
        *("choice", "choices", "ctime", "default_rng", "gauss", "getpass", "getpid", "input"),
        *("integers", "mkdtemp", "mkstemp", "monotonic", "normal", "now", "perf_counter", "rand"),
        *("randint", "randn", "random", "randrange", "sample", "shuffle", "strftime", "time"),
        *("time_ns", "today", "token_hex", "token_urlsafe", "uniform", "urandom", "utcnow"),
        *("uuid1", "uuid4"),
    }
)
# What is the step's machine's to say, and may be a secret.
_ENVIRONMENT = frozenset({"environ", "environb", "getenv"})
_SIMPLE_CALLS = {
    each.__name__: each
    for each in (
        *(abs, bool, bytes, dict, divmod, enumerate, float, frozenset, int, len, list, max, min),
        *(pow, range, reversed, round, set, sorted, str, sum, tuple, zip),
    )
}
_UNKNOWN = (ast.Lambda, ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)


def statements_for(
    module: ModuleSource, wanted: Collection[str], is_pipeline: Callable[[object], bool]
) -> list[Statement]:
    """What binds ``wanted`` in a step as it is bound here now.

    Raises UsageError where nothing that a step may run gives the value that there is.
    """
    literals: dict[str, str] = {}  # in the place of the statements, or behind them
    running: set[str] = set()  # by their statements, with all that may change them
    while True:
        momentary = {name for name in literals if _is_momentary(module, name)}
        chosen = module.needed(wanted, is_pipeline, literals.keys() - momentary, running)
        names = set(wanted).union(*(each.reads for each in chosen))
        found, others = _settled(
            module, names - literals.keys(), chosen, literals.keys(), is_pipeline
        )
        # What still runs in a step changes it there: then the value before that is needed.
        still = [each for each in chosen if not each.binds & names or each.binds & names - {*found}]
        others |= literals.keys() & _all(changed_by(each.nodes, module.effects) for each in still)
        others |= found.keys() & running
        if found.keys() <= others <= running:
            others = _read_before_a_change(module, literals, chosen, is_pipeline)
            if not others:
                break
        literals = {n: text for n, text in (literals | found).items() if n not in others}
        running |= others
    running &= names
    _refuse_command_lines(module, running, chosen)
    late = _changed_elsewhere(module, running, chosen, is_pipeline)
    literals = {name: literals[name] for name in literals if name in names}
    statements = [*_with_literals(module, chosen, literals), *_late(module, late)]
    return [*_imports_for({**literals, **late}, statements), *statements]


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
    given = _given_by(module, chosen)
    rebound = _rebound(module)
    left_out = _all(
        _changes(module, each, is_pipeline, module.effects)
        for each in module.statements
        if each not in chosen
    )
    found: dict[str, str] = {}
    others: set[str] = set()
    for name in sorted(module.names.keys() & names):
        own = _own(module, name)
        value = module.names[name]
        if any(each.is_import for each in own):
            if name in rebound and not any(imported(each, name, module) is value for each in own):
                found[name] = _literal_of_import(module, name, own)
            continue
        if not own and name not in rebound:
            continue
        text = _literal(module, name, own)
        if text is None:
            others |= {name} if own else set()
        elif _is_alias(own, value, module.names):
            continue
        elif name in given and literal(given[name], module) == text:
            continue  # the statements say it as it is
        elif (
            not own
            or name in given
            or not isinstance(value, _FIXED)  # whoever holds it may have changed it
            or (name in left_out and name in rebound)
            or _is_momentary(module, name)
            or _depends(module, own, literals)
            or _all(changed_by(each.nodes, module.effects) for each in own).intersection(literals)
        ):
            found[name] = text
    return found, others


def _own(module: ModuleSource, name: str) -> list[Statement]:
    return [each for each in module.statements if name in each.binds and not each.is_for_scripts]


def _is_momentary(module: ModuleSource, name: str) -> bool:
    return mentions(_all_carried_out(module, _own(module, name)), _MOMENTARY)


def _rebound(module: ModuleSource) -> frozenset[str]:
    """What functions of the module may bind in it, or what runs in the script alone."""
    found = _all(global_names(each.nodes) for each in module.statements)
    return found | _all(each.binds for each in module.statements if each.is_for_scripts)


def _literal(module: ModuleSource, name: str, own: Sequence[Statement]) -> str | None:
    """The value of a variable as a literal; None where none says it, or none should.

    What the environment holds may be a secret, and is that of the step's machine.
    """
    if any(each.defines(name) for each in own):
        return None
    if mentions(_all_carried_out(module, own), _ENVIRONMENT):
        return None
    return literal(module.names[name], module)


def _literal_of_import(module: ModuleSource, name: str, own: Sequence[Statement]) -> str:
    text = literal(module.names[name], module)
    if text is None:
        raise UsageError(
            f"{shown(module.file)}:{own[0].line}: '{name}', which a step uses, is imported here, "
            f"and bound later to what no literal can say (of type "
            f"{type(module.names[name]).__name__})",
            hint=_HINT,
        )
    return text


def _read_before_a_change(
    module: ModuleSource,
    literals: Collection[str],
    chosen: Collection[Statement],
    is_pipeline: Callable[[object], bool],
) -> set[str]:
    """The names that were something else when a statement that runs in a step read them."""
    places = {each: place for place, each in enumerate(module.statements)}
    changing = [
        _changes(module, each, is_pipeline, module.likely_effects) | each.binds
        for each in module.statements
    ]
    at_any_time = _all(global_names(each.nodes) for each in module.statements)
    found = set()
    for each in chosen:
        if each.is_import or each.binds & {*literals}:
            continue
        for name in _read_at_once(module, each).intersection(literals):
            place = places[each]
            is_changed_before = sum(name in names for names in changing[:place]) > 1
            if (
                name in at_any_time
                or any(name in names for names in changing[place + 1 :])
                or (not is_changed_before and not _is_said(module, name))
            ):
                found.add(name)
    return found


def _is_said(module: ModuleSource, name: str) -> bool:
    """Whether the statements of a variable give the value that it has now."""
    given = _given_by(module, _own(module, name))
    return name not in given or literal(given[name], module) == literal(module.names[name], module)


def _read_at_once(module: ModuleSource, statement: Statement) -> frozenset[str]:
    read = {
        each.id
        for each in executed(statement.nodes)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)
    }
    called = {
        each.func.id
        for each in executed(statement.nodes)
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)
    }
    return frozenset(read | _reached(module, called))


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


def _all_carried_out(module: ModuleSource, statements: Iterable[Statement]) -> list[ast.stmt]:
    return [node for each in statements for node in _carried_out(module, each)]


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


def _given_by(module: ModuleSource, chosen: Iterable[Statement]) -> dict[str, object]:
    """The values that statements give which use nothing but literals and each other.

    They are executed here, with a few functions of Python's own that ask nobody.
    """
    values: dict[str, object] = {"__builtins__": _SIMPLE_CALLS}
    simple = _SIMPLE_CALLS.keys() - module.names.keys()
    for each in chosen:
        touched = each.binds | each.sets_up
        if not _is_plain(each, values.keys() | simple):
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
    bound = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    reads = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return reads <= {*known, *bound} and not any(isinstance(each, _UNKNOWN) for each in nodes)


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
    return found


def _imports_for(literals: Mapping[str, str], statements: Sequence[Statement]) -> list[Statement]:
    return [
        _made(f"import {name}", 1)
        for name, called in {"argparse": "argparse.Namespace(", "pathlib": "pathlib.Path("}.items()
        if any(called in text for text in literals.values())
        and not any(name in each.binds for each in statements)
    ]


def _made(text: str, line: int) -> Statement:
    return Statement(text, line, tuple(ast.parse(text).body))


def _changed_elsewhere(
    module: ModuleSource,
    running: Collection[str],
    chosen: Collection[Statement],
    is_pipeline: Callable[[object], bool],
) -> dict[str, str]:
    """The literals of what its statements alone do not give, because others have changed it.

    Raises UsageError for what only the script itself changes, and no literal can say.
    """
    imports = _all(each.binds for each in chosen if each.is_import)
    imports -= {name for name in imports if _is_of_python(module.names.get(name))}
    found: dict[str, str] = {}
    for name in running:
        text = _literal(module, name, _own(module, name))
        if text is not None and isinstance(module.names[name], _FIXED):
            found |= {} if _is_said(module, name) else {name: text}
    for each in module.statements:
        if each in chosen:
            continue
        sure = _changes(module, each, is_pipeline, module.sure_effects)
        likely = _changes(module, each, is_pipeline, module.likely_effects)
        for name in sorted((sure | likely).intersection({*running, *imports})):
            text = None if name in imports else _literal(module, name, _own(module, name))
            if text is not None:
                found[name] = text
            elif name in sure or isinstance(module.names.get(name), _CONTAINERS):
                kind = type(module.names.get(name)).__name__
                raise UsageError(
                    f"{shown(module.file)}:{each.line}: '{name}', which a step uses, is changed "
                    f"here, where only the script itself runs, and no literal can say what it is "
                    f"now (of type {kind})",
                    hint=_HINT,
                )
    return found


def _is_of_python(thing: object) -> bool:
    """Whether it is a module of Python's own, as sys and os, which the script may well set."""
    return isinstance(thing, ModuleType) and thing.__name__ in sys.stdlib_module_names


def _late(module: ModuleSource, literals: Mapping[str, str]) -> list[Statement]:
    line = module.statements[-1].line if module.statements else 1
    return [_made(binding(name, text), line) for name, text in literals.items()]


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
