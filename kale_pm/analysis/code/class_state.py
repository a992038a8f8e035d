"""Changes of a class through its instances: of what all instances share."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping

from kale_pm.analysis.code.catalogue import MUTATING_METHODS

Function = ast.FunctionDef | ast.AsyncFunctionDef
_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp)
# These stand in a class body for something that each instance has of its own.
_DESCRIPTORS = ("field", "Field", "property", "Column", "relationship", "attrib", "ib", "auto")
_MUTABLE = ("list", "dict", "set", "defaultdict", "OrderedDict", "Counter", "deque")


def shared_attributes(body: Collection[ast.stmt]) -> dict[str, bool]:
    """The attributes in a class body that may hold one mutable object for all instances.

    True where they surely do.

    >>> shared_attributes(ast.parse("seen = []; size = 2; log = LOG").body)
    {'seen': True, 'log': False}
    """
    found: dict[str, bool] = {}
    for statement in body:
        match statement:
            case ast.Assign(targets=targets, value=value) if _may_be_mutable(value):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
                found |= dict.fromkeys(names, isinstance(value, _DISPLAYS))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                if _may_be_mutable(value):
                    found[name] = isinstance(value, _DISPLAYS)
    methods = [statement for statement in body if isinstance(statement, Function)]
    own = {name for method in methods for name in _own_attributes(method)}
    return {name: surely for name, surely in found.items() if name not in own}


def changes_class(method: Function, shared: Mapping[str, bool]) -> bool:
    """Does ``method`` change its class, of which the attributes ``shared`` hold objects?

    So does ``self.seen.append(1)`` where all instances share ``seen``, and ``type(self).made = 1``.
    """
    receiver = _receiver(method)
    if receiver is None:
        return False
    is_own = _receives_class(method)
    for node in ast.walk(method):
        match node:
            case ast.Call(func=ast.Name(id="next"), args=[value, *_]):
                if _attribute_of(value, receiver) in shared:
                    return True
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in MUTATING_METHODS:
                if _attribute_of(value, receiver) in shared:
                    return True
            case ast.Subscript(value=value, ctx=ast.Store() | ast.Del()):
                if _attribute_of(value, receiver) in shared:
                    return True
            case ast.AugAssign(target=ast.Attribute() as target):
                # A number that all share becomes the instance's own.
                if shared.get(_attribute_of(target, receiver) or ""):
                    return True
            case ast.Attribute(value=value, ctx=ast.Store() | ast.Del()):
                if _name(_instance(value)) == receiver or (is_own and _name(value) == receiver):
                    return True
    return False


def decorators(method: Function) -> set[str]:
    """The last names of the decorators: ``cached_property`` of ``@functools.cached_property``."""
    return {_last_name(decorator) for decorator in method.decorator_list}


def _receives_class(method: Function) -> bool:
    return "classmethod" in decorators(method) or method.name in ("__new__", "__init_subclass__")


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else _name(node) or ""


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


def _may_be_mutable(value: ast.expr) -> bool:
    match value:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name not in _DESCRIPTORS
    return isinstance(value, (ast.Name, *_DISPLAYS))


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
