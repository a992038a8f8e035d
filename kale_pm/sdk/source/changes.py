"""Which of a module's variables its statements change, without binding them."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

_READING = frozenset({"copy", "count", "get", "index", "items", "keys", "values"})
_CHANGING = frozenset(
    {
        *("add", "append", "appendleft", "clear", "difference_update", "discard", "extend"),
        *("extendleft", "fill", "insert", "intersection_update", "pop", "popitem", "popleft"),
        *("put", "remove", "reverse", "rotate", "setdefault", "sort"),
        *("symmetric_difference_update", "update"),
    }
)
# What these give may be a part of the object; what other methods give is new.
_GIVING_PARTS = frozenset(
    {
        *("get", "items", "iterrows", "itertuples", "pop", "ravel", "reshape", "setdefault"),
        *("squeeze", "swapaxes", "transpose", "values", "view"),
    }
)
_SETTING = frozenset({"setattr", "delattr", "next"})
_SEEING_THROUGH = frozenset({"vars", "getattr", "iter", "reversed"})
_PARSING = frozenset({"parse_args", "parse_known_args", "parse_intermixed_args"})
_BUILTINS = frozenset(dir(builtins))
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Doubt(IntEnum):
    """What counts as a change."""

    SURE = 0  # what is written as one: ``a.b = 1``, ``a.append(1)``
    METHODS = 1  # also any other method, which may change its object
    ARGUMENTS = 2  # and any call of somebody else's function, which may change what it gets


@dataclass(frozen=True)
class Effects:
    """What the functions and classes of a module do to its variables.

    ``changed`` goes by their names; ``through_arguments`` are those that change what they get,
    ``of_subclasses`` the classes that do something where another one inherits from them.
    ``parts`` says of which variables a name may be a part, and what a call as ``table()`` gives.
    """

    doubt: Doubt
    changed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    through_arguments: frozenset[str] = frozenset()
    of_subclasses: frozenset[str] = frozenset()
    parts: Mapping[str, frozenset[str]] = field(default_factory=dict)


def effects_of(
    nodes: Sequence[ast.stmt], reads: Mapping[str, frozenset[str]], doubt: Doubt
) -> Effects:
    """The effects of a module's definitions.

    ``nodes`` are the statements of the module, ``reads`` the names that its definitions look up
    in it.
    """
    definitions = {each.name: each for each in nodes if isinstance(each, DEFINITIONS)}
    effects = Effects(
        doubt,
        dict.fromkeys(definitions, frozenset()),
        _until_stable(lambda known: _changing_arguments(definitions.values(), known)),
        _until_stable(lambda known: _noticing_subclasses(definitions.values(), known)),
        _parts(nodes, definitions.values()),
    )
    while True:
        changed = {
            name: _with_wholes(_changed(ast.walk(node), effects), effects.parts)
            & reads.get(name, frozenset())
            for name, node in definitions.items()
        }
        if changed == effects.changed:
            return effects
        effects = replace(effects, changed=changed)


def changed_by(nodes: Iterable[ast.stmt], effects: Effects) -> frozenset[str]:
    """The names whose values a statement at the top of a module may change in place."""
    return _with_wholes(_changed(executed(nodes), effects), effects.parts)


def global_names(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """What functions inside of ``nodes`` may bind in their module, by ``globals()`` as well."""
    found = set()
    for each in (inner for node in nodes for inner in ast.walk(node)):
        match each:
            case ast.Global(names=names):
                found.update(names)
            case ast.Subscript(
                value=ast.Call(func=ast.Name("globals")),
                slice=ast.Constant(value=str(name)),
                ctx=ast.Store() | ast.Del(),
            ):
                found.add(name)
    return frozenset(found)


def reads_command_line(nodes: Iterable[ast.AST], *, parsing_only: bool = False) -> bool:
    """Whether the code looks at ``sys.argv``, itself or by parsing it."""
    return mentions(nodes, _PARSING if parsing_only else {"argv", *_PARSING})


def mentions(nodes: Iterable[ast.AST], words: Collection[str]) -> bool:
    """Whether one of the words is a name or an attribute in the code."""
    return any(
        getattr(each, "attr", None) in words or getattr(each, "id", None) in words
        for node in nodes
        for each in ast.walk(node)
    )


def added_to(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """The variables that ``count += 1`` reads, which the compiler's tables do not tell."""
    found = (each.target for each in executed(nodes) if isinstance(each, ast.AugAssign))
    return frozenset(each.id for each in found if isinstance(each, ast.Name))


def executed(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All that runs at once: of a function its decorators and defaults, not its body."""
    for node in nodes:
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from executed([*node.decorator_list, *_defaults(node.args)])
        elif isinstance(node, ast.Lambda):
            yield from executed(_defaults(node.args))
        else:
            yield from executed(ast.iter_child_nodes(node))


def root(node: ast.AST) -> str:
    """The name with which ``a.b[0].c()`` begins; empty if it is none."""
    while True:
        match node:
            case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in _SEEING_THROUGH:
                node = first
            case ast.Call(func=inner) | ast.Attribute(value=inner) | ast.Subscript(value=inner):
                node = inner
            case ast.Starred(value=inner):
                node = inner
            case ast.Name(id=name):
                return name
            case _:
                return ""


def _held(node: ast.AST) -> str:
    """The variable that may hold the value of ``node``, or a part of it; empty if none does.

    What a call gives is new, but for that of some methods, or of a function that has a variable.
    """
    match node:
        case ast.Call(func=ast.Name(id=name)) if name not in _SEEING_THROUGH:
            return f"{name}()"
        case ast.Call(func=ast.Attribute(attr=method)) if method not in _GIVING_PARTS:
            return ""
        case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.Call(func=inner):
            return _held(inner)
    return root(node)


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [*arguments.defaults, *filter(None, arguments.kw_defaults)]


def _changed(nodes: Iterable[ast.AST], effects: Effects) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Global(names=names):
                yield from names
            case (
                ast.Subscript(ctx=ast.Store() | ast.Del())
                | ast.Attribute(ctx=ast.Store() | ast.Del())
            ):
                yield _held(node)
            case ast.AugAssign(target=ast.Name(id=name)):
                yield name  # lists and arrays do so in place
            case ast.Call():
                yield from _changed_by_call(node, effects)
            case ast.For(target=target, iter=source, body=body):
                # What a loop does to its variable it may do to what it goes through.
                less = replace(effects, doubt=Doubt(max(effects.doubt - 1, Doubt.SURE)))
                if _names(target) & {*_changed(_walked(body), less)}:
                    yield from _names(source)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield from _changed_by_definition(node, effects)


def _changed_by_call(node: ast.Call, effects: Effects) -> Iterator[str]:
    arguments = [_held(each) for each in [*node.args, *(each.value for each in node.keywords)]]
    if effects.doubt:
        for argument in arguments:  # a function that is given away may be called
            yield from effects.changed.get(argument, ())
    match node.func:
        case ast.Attribute(attr=method) as target:
            if method in _CHANGING or (effects.doubt and method not in _READING):
                yield _held(target)
            is_unknown = method not in _READING
        case ast.Name(id=name):
            yield from effects.changed.get(name, ())
            if effects.doubt:
                yield from effects.parts.get(name, ())
            if name in effects.through_arguments | _SETTING:
                yield from arguments
            is_unknown = name not in effects.changed and name not in _BUILTINS
        case _:
            is_unknown = True
    if is_unknown and effects.doubt >= Doubt.ARGUMENTS:
        # Of what is given away, classes and functions are not likely to be changed.
        yield from (each for each in arguments if each not in effects.changed)


def _changed_by_definition(node: Definition, effects: Effects) -> Iterator[str]:
    for decorator in node.decorator_list:
        yield from effects.changed.get(root(decorator), ())
        if effects.doubt and isinstance(decorator, ast.Attribute):
            yield root(decorator)
    if isinstance(node, ast.ClassDef):
        for keyword in node.keywords:
            yield from effects.changed.get(root(keyword.value), ())
        for base in map(root, node.bases):
            if base in effects.of_subclasses:
                yield base
                yield from effects.changed.get(base, ())


def _until_stable(more: Callable[[frozenset[str]], frozenset[str]]) -> frozenset[str]:
    known: frozenset[str] = frozenset()
    while (found := more(known)) != known:
        known = found
    return known


def _changing_arguments(definitions: Iterable[Definition], known: frozenset[str]) -> frozenset[str]:
    effects = Effects(Doubt.METHODS, through_arguments=known)
    return frozenset(each.name for each in definitions if _changes_arguments(each, effects))


def _changes_arguments(node: Definition, effects: Effects) -> bool:
    functions = [
        each for each in ast.walk(node) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    parameters = {
        each.arg
        for function in functions
        for each in ast.walk(function.args)
        if isinstance(each, ast.arg)
    }
    # What a method does to its own object is no change of what the caller has given.
    return bool((parameters - {"self", "cls"}) & set(_changed(ast.walk(node), effects)))


def _noticing_subclasses(
    definitions: Iterable[Definition], known: frozenset[str]
) -> frozenset[str]:
    return frozenset(
        each.name
        for each in definitions
        if any(getattr(inner, "name", "") == "__init_subclass__" for inner in ast.walk(each))
        or any(keyword.arg == "metaclass" for keyword in getattr(each, "keywords", ()))
        or known.intersection(map(root, getattr(each, "bases", ())))
    )


def _parts(
    nodes: Iterable[ast.stmt], definitions: Iterable[Definition]
) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for node in executed(nodes):
        if isinstance(node, ast.Assign):
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            for name in set().union(*map(_names, node.targets)):
                found.setdefault(name, set()).update(map(_held, values))
    for definition in definitions:
        returned = [each.value for each in ast.walk(definition) if isinstance(each, ast.Return)]
        called = found.setdefault(f"{definition.name}()", set())
        called.update(_held(each) for each in returned if each)
    return {name: frozenset(wholes - {name, ""}) for name, wholes in found.items()}


def _with_wholes(names: Iterable[str], parts: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The names, and those of which they may be parts."""
    found: set[str] = set()
    waiting = set(names) - {""}
    while waiting:
        found |= waiting
        waiting = set().union(*(parts.get(name, frozenset()) for name in waiting)) - found
    return frozenset(found)


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _walked(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    return (each for node in nodes for each in ast.walk(node))
