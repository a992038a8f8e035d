"""What a module defines goes by its name: from here to the kernel of a step, and back.

A step's kernel has run the code of the module in its own ``__main__``: each class has a twin
there.  A pickle that is written here names the twin, as those do that steps write; and what a
step has written by name is looked up here, in the module.  So a class is the reader's own on
both sides.  What has no name (lambdas, classes inside of functions) goes by value, and so does
what a kernel cannot import, or would import with a base that is no twin.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakSet

import cloudpickle
import cloudpickle.cloudpickle

from kale_pm.errors import UsageError
from kale_pm.runtime.storage import classes, instances
from kale_pm.runtime.storage.pickler import make_function, prelude_object
from kale_pm.runtime.storage.prelude import CACHED_FUNCTION
from kale_pm.sdk.decorators import OURS, StepFunction, is_pipeline
from kale_pm.sdk.source.modules import ModuleSource
from kale_pm.sdk.source.prelude import Use, prelude_of
from kale_pm.sdk.source.reach import is_in_reach

_DEFINITIONS = (type, types.FunctionType, CACHED_FUNCTION, StepFunction)

_filled: WeakSet[type] = WeakSet()  # classes that came by value and live here since


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Writes what ``module`` defines as the name that it has there, all else as cloudpickle does.

    ``used`` are the things at the top of the module whose names the stream has: the process that
    reads it has to have run their code.
    """

    def __init__(self, file: io.BytesIO, module: ModuleSource) -> None:
        super().__init__(file, protocol=5)
        self.used: dict[str, Any] = {}
        self._module = module
        self._names: dict[int, str] = {}
        for name, thing in module.names.items():
            if self._is_own(thing):
                self._names.setdefault(id(thing), name)
        self._is_carried = functools.cache(lambda name: _is_carried(name, module))
        self._is_in_reach = functools.cache(lambda name: is_in_reach(name, module))
        self._by_value: list[types.ModuleType] = []

    def reducer_override(self, obj: Any) -> Any:
        name = self._name(obj)
        top = name.partition(".")[0]
        if name and self._is_carried(top):
            self.used[top] = self._module.names[top]
            return prelude_object, (name,)
        if isinstance(obj, type | types.FunctionType):
            self._go_by_value(obj)
        return super().reducer_override(obj)

    def dump(self, obj: Any) -> None:
        try:
            super().dump(obj)
        finally:
            for module in self._by_value:
                cloudpickle.unregister_pickle_by_value(module)
            self._by_value.clear()

    def _go_by_value(self, thing: Any) -> None:
        """Have cloudpickle write it, and what its module has beside it, by value if need be."""
        name = str(thing.__module__)
        module = sys.modules.get(name)
        if module is None or name in {"__main__", *cloudpickle.list_registry_pickle_by_value()}:
            return  # cloudpickle does so already
        bases = thing.__mro__[1:] if isinstance(thing, type) else ()
        if any(self._name(base) for base in bases) or not self._is_in_reach(name):
            cloudpickle.register_pickle_by_value(module)
            self._by_value.append(module)

    def _is_own(self, thing: Any) -> bool:
        if isinstance(thing, _DEFINITIONS):
            return getattr(thing, "__module__", None) == self._module.name
        return type(thing) is object or self._is_sentinel(thing)

    def _is_sentinel(self, thing: Any) -> bool:
        """Whether it is nothing but itself, an instance of a class that is here for that."""
        kind = type(thing)
        return (
            kind.__module__ == self._module.name
            and instances.base_of(kind) is object
            and not instances.has_own_reduction(kind)
            and instances.state_of(thing) == (None, {})
        )

    def _name(self, thing: Any) -> str:
        """The name of what the module has, dotted for what a class of it has; else empty."""
        if id(thing) in self._names:
            return self._names[id(thing)]
        name = getattr(thing, "__qualname__", "") if isinstance(thing, _DEFINITIONS) else ""
        top, *inner = name.split(".")
        owner = self._module.names.get(top)
        if not inner or id(owner) not in self._names:
            return ""
        found = functools.reduce(lambda it, part: getattr(it, part, None), inner, owner)
        return name if found is thing else ""


def _is_carried(name: str, module: ModuleSource) -> bool:
    """Whether a step's kernel can have it: the code of the module that binds it can go along."""
    use = Use(module, frozenset({name}), {})
    try:
        prelude = prelude_of([use], ours=OURS, is_pipeline=is_pipeline, taken=frozenset())
    except UsageError:
        return False
    return name in prelude.texts


def loading(namespaces: Mapping[str, Mapping[str, Any]]) -> Callable[..., Any]:
    """A ``pickle.loads`` for what steps have written.

    ``namespaces`` are, by the names that the kernels' ``__main__`` had from modules of this
    process, the variables of these modules.
    """

    def loads(stream: bytes | memoryview, *, buffers: Sequence[Any] = ()) -> Any:
        return _Unpickler(io.BytesIO(stream), buffers, namespaces).load()

    return loads


class _Unpickler(pickle.Unpickler):
    def __init__(
        self,
        file: io.BytesIO,
        buffers: Sequence[Any],
        namespaces: Mapping[str, Mapping[str, Any]],
    ) -> None:
        super().__init__(file, buffers=buffers)
        self._namespaces = namespaces
        tracked = cloudpickle.cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS
        self._living = {kind for kind in tracked if kind not in _filled}
        self._instead: dict[Any, Any] = {
            prelude_object: self._found,
            make_function: self._function,
            classes.fill_class: self._fill,
        }

    def find_class(self, module: str, name: str, /) -> Any:
        found = super().find_class(module, name)
        return self._instead.get(found, found) if type(found) is types.FunctionType else found

    def _found(self, qualname: str) -> Any:
        top, *inner = qualname.split(".")
        names = self._namespaces.get(top, {})
        if top not in names:
            return prelude_object(qualname)
        return functools.reduce(getattr, inner, names[top])

    def _function(self, code: types.CodeType, closure: Any) -> types.FunctionType:
        return types.FunctionType(code, self._globals, closure=closure)

    @functools.cached_property
    def _globals(self) -> dict[str, Any]:
        """What functions find that were made in a step: what they found there."""
        modules = {id(names): names for names in self._namespaces.values()}
        if len(modules) == 1:
            (names,) = modules.values()
            if isinstance(names, dict):
                return names
        return {name: names[name] for name, names in self._namespaces.items() if name in names}

    def _fill(self, kind: type, ranked: Any) -> None:
        """Classes that went there by value and came back are those of this process, as they are."""
        if kind not in self._living:
            _filled.add(kind)
            classes.fill_class(kind, ranked)
