"""Which of a module's variables its statements change, without binding them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_READING = frozenset({"copy", "count", "get", "index", "items", "keys", "values"})
_SETTING = frozenset({"setattr", "delattr"})
_PARSING = frozenset({"parse_args", "parse_known_args", "parse_intermixed_args"})
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Effects:
    """What the functions and classes of a module do to its variables.

    ``changed`` goes by their names; ``through_arguments`` are those that change what they get,
    ``of_subclasses`` the classes that do something where another one inherits from them.
    """

    changed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    through_arguments: frozenset[str] = frozenset()
    of_subclasses: frozenset[str] = frozenset()
    methods: bool = True


def effects_of(
    definitions: Sequence[tuple[Definition, frozenset[str]]], *, methods: bool
) -> Effects:
    """The effects of definitions, each with the names that it looks up in its module.

    With ``methods`` a call of a method may change its object, as ``seen.append(1)`` does.
    """
    through = frozenset(node.name for node, _ in definitions if _changes_arguments(node))
    inherited = frozenset(
        node.name
        for node, _ in definitions
        if any(getattr(inner, "name", "") == "__init_subclass__" for inner in ast.walk(node))
    )
    effects = Effects({}, through, inherited, methods)
    while True:
        changed = {
            node.name: frozenset(_changed(ast.walk(node), effects)) & reads
            for node, reads in definitions
        }
        if changed == effects.changed:
            return effects
        effects = Effects(changed, through, inherited, methods)


def changed_by(nodes: Iterable[ast.stmt], effects: Effects) -> frozenset[str]:
    """The names whose values a statement at the top of a module may change in place."""
    return frozenset(_changed(executed(nodes), effects))


def global_names(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """What functions inside of ``nodes`` may bind in their module."""
    found = (each for node in nodes for each in ast.walk(node) if isinstance(each, ast.Global))
    return frozenset(name for each in found for name in each.names)


def reads_command_line(nodes: Iterable[ast.AST], *, parsing_only: bool = False) -> bool:
    """Whether the code looks at ``sys.argv``, itself or by parsing it."""
    names = _PARSING if parsing_only else {"argv", *_PARSING}
    return any(
        getattr(each, "attr", None) in names or getattr(each, "id", None) in names
        for node in nodes
        for each in ast.walk(node)
    )


def added_to(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """The variables that ``count += 1`` reads, which the compiler's tables do not tell."""
    found = (each.target for each in executed(nodes) if isinstance(each, ast.AugAssign))
    return frozenset(each.id for each in found if isinstance(each, ast.Name))


def executed(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All that runs at once: of a definition its decorators, not its body."""
    for node in nodes:
        yield node
        if not isinstance(node, (*DEFINITIONS, ast.Lambda)):
            yield from executed(ast.iter_child_nodes(node))


def _changed(nodes: Iterable[ast.AST], effects: Effects) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Global(names=names):
                yield from names
            case (
                ast.Subscript(ctx=ast.Store() | ast.Del())
                | ast.Attribute(ctx=ast.Store() | ast.Del())
            ):
                yield _root(node)
            case ast.Call(func=ast.Attribute(attr=method) as target):
                if effects.methods and method not in _READING:
                    yield _root(target)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
                yield from effects.changed.get(name, ())
                if name in effects.through_arguments | _SETTING:
                    yield from map(_root, [*args, *(each.value for each in keywords)])
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                for decorator in node.decorator_list:
                    yield from effects.changed.get(_root(decorator), ())
                for base in getattr(node, "bases", ()):
                    if _root(base) in effects.of_subclasses:
                        yield _root(base)
                        yield from effects.changed.get(_root(base), ())


def _changes_arguments(node: Definition) -> bool:
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
    return bool((parameters - {"self", "cls"}) & set(_changed(ast.walk(node), Effects())))


def _root(node: ast.AST) -> str:
    """The name with which ``a.b[0].c()`` begins; empty if it is none."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
