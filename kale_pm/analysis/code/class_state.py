"""Changes of a class through its instances: of what all instances share."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from kale_pm.analysis.code.catalogue import MUTATING_METHODS

Function = ast.FunctionDef | ast.AsyncFunctionDef
_MUTABLE = ("list", "dict", "set", "defaultdict", "OrderedDict", "Counter", "deque")


def shared_attributes(body: Collection[ast.stmt]) -> frozenset[str]:
    """The attributes in a class body that hold one mutable object for all instances.

    >>> shared_attributes(ast.parse("seen = []; size = 2").body)
    frozenset({'seen'})
    """
    found: set[str] = set()
    for statement in body:
        match statement:
            case ast.Assign(targets=targets, value=value) if _is_mutable(value):
                found.update(target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                if _is_mutable(value):
                    found.add(name)
    methods = [statement for statement in body if isinstance(statement, Function)]
    return frozenset(found - {name for method in methods for name in _own_attributes(method)})


def changes_class(method: Function, shared: Collection[str]) -> bool:
    """Does ``method`` change its class, of which the attributes ``shared`` hold objects?

    So does ``self.seen.append(1)`` where all instances share ``seen``, and ``type(self).made = 1``.
    """
    receiver = _receiver(method)
    if receiver is None:
        return False
    for node in ast.walk(method):
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in MUTATING_METHODS:
                if _attribute_of(value, receiver) in shared:
                    return True
            case ast.Subscript(value=value, ctx=ast.Store() | ast.Del()):
                if _attribute_of(value, receiver) in shared:
                    return True
            case ast.AugAssign(target=ast.Attribute() as target):
                if _attribute_of(target, receiver) in shared:
                    return True
            case ast.Attribute(value=value, ctx=ast.Store() | ast.Del()):
                if _name(_instance(value)) == receiver:
                    return True
    return False


def is_class(node: ast.expr) -> bool:
    """Is this the class of something: ``type(x)`` or ``x.__class__``?"""
    return _instance(node) is not None


def _instance(node: ast.expr) -> ast.expr | None:
    match node:
        case ast.Call(func=ast.Name(id="type"), args=[instance]):
            return instance
        case ast.Attribute(value=instance, attr="__class__"):
            return instance
    return None


def _name(node: ast.expr | None) -> str | None:
    return node.id if isinstance(node, ast.Name) else None


def _is_mutable(value: ast.expr) -> bool:
    # A descriptor or a field of a dataclass makes an object for each instance.
    return isinstance(value, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp)) or (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id
        in ("list", "dict", "set", "defaultdict", "OrderedDict", "Counter", "deque")
    )


def _receiver(method: Function) -> str | None:
    first = [*method.args.posonlyargs, *method.args.args][:1]
    return first[0].arg if first else None


def _own_attributes(method: Function) -> Iterator[str]:
    """The attributes that ``method`` sets on its instance: they hide those of the class."""
    receiver = _receiver(method)
    for node in ast.walk(method):
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Attribute) and _name(target.value) == receiver:
                    yield target.attr


def _attribute_of(node: ast.expr, name: str) -> str | None:
    """``seen`` of ``self.seen``, where ``self`` is ``name``; also behind an item of it."""
    while isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute) and name in (
        _name(node.value),
        _name(_instance(node.value)),
    ):
        return node.attr
    return None
