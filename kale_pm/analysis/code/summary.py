"""What is left of a function or class that was followed: its effects when it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from kale_pm.analysis.code.bindings import join
from kale_pm.analysis.code.effects import ITSELF, Code, Place
from kale_pm.analysis.code.knowledge import Knowledge

if TYPE_CHECKING:
    from kale_pm.analysis.code.definitions import Definitions


class Summary:
    """What is left of a function that was followed: only names that mean something outside."""

    def __init__(
        self, flow: Definitions, parameters: list[str], receiver: str | None, local: set[str]
    ) -> None:
        self.flow = flow
        self.parameters = parameters
        self.receiver = receiver
        self.local = local

    def meaning(self, name: str) -> str | None:
        """What a name of the body is called in a summary; None if it means nothing outside."""
        if name in self.parameters or name == ITSELF:
            return name
        if name in self.local:
            return None
        return ITSELF if self.flow.is_around(name) else name

    def names(self, names: Iterable[str]) -> frozenset[str]:
        meanings = (self.meaning(name) for name in names)
        return frozenset(name for name in meanings if name is not None)

    def code(
        self,
        name: str,
        place: Place,
        is_lazy: bool,
        outside: Knowledge,
        before: Mapping[str, frozenset[Code]],
    ) -> Code:
        """``outside`` is what was known around the definition, ``before`` at its start."""
        flow, effects = self.flow, self.flow.effects
        state = join([*flow.exits, flow.state])
        own = frozenset((*self.parameters, ITSELF))
        mutates, touches = self.names(effects.mutates), self.names(effects.touches)
        first = 1 if self.receiver is not None else 0
        return Code(
            name=name,
            place=place,
            parameters=tuple(self.parameters[first:]),
            receiver=self.receiver,
            reads=frozenset(effects.reads),
            binds=frozenset() if state.dead else frozenset(state.bound),
            may_bind=frozenset(state.maybe),
            mutates=mutates - own,
            touches=touches - own,
            mutates_parameters=mutates & own,
            touches_parameters=touches & own,
            returns=self.names(flow.returned),
            returns_code=flow.returned_code,
            keeps=self._keeps(own, outside),
            gains=self._gains(before),
            captures=frozenset(flow.captured),
            is_lazy=is_lazy,
            dynamic=effects.dynamic,
            notices=tuple(effects.notices),
        )

    def _keeps(self, own: frozenset[str], outside: Knowledge) -> frozenset[frozenset[str]]:
        groups = (self.names(group) for group in self.flow.known.groups.all())
        return frozenset(
            group
            for group in groups
            if len(group) > 1 and (group & own or not group <= set(outside.groups.of(min(group))))
        )

    def _gains(self, before: Mapping[str, frozenset[Code]]) -> dict[str, frozenset[Code]]:
        gains: dict[str, frozenset[Code]] = {}
        for name, code in self.flow.known.code.items():
            if code is before.get(name):
                continue
            new, meaning = code - before.get(name, frozenset()), self.meaning(name)
            if new and meaning is not None:
                gains[meaning] = gains.get(meaning, frozenset()) | new
        return gains


# Special methods that only assignments, deletions, calls and the making of objects lead to.
_EXPLICIT = frozenset(
    f"__{name}__"
    for name in (
        "init", "new", "post_init", "init_subclass", "class_getitem", "set_name", "del", "call",
        "setattr", "setitem", "delattr", "delitem", "iadd", "imul", "ior", "isub",
    )
)  # fmt: skip


def _is_restless(method: Code) -> bool:
    special = method.name.startswith("__") and method.name not in _EXPLICIT
    return (special or method.is_property) and method.changes_receiver


def class_code(
    name: str, place: Place, methods: Mapping[str, Code], others: frozenset[Code]
) -> Code:
    """Using an instance may use any of its methods; making one calls ``__init__``.

    ``others`` is the code of the classes it inherits from and of its attributes.
    """
    every = [*methods.values(), *others]
    init = methods.get("__init__")
    parameters = init.parameters if init else ()
    making = [methods[maker] for maker in ("__init__", "__new__") if maker in methods]
    changed_by_making = frozenset[str]().union(*(method.mutates for method in making))

    def union(part: Callable[[Code], frozenset[str]]) -> frozenset[str]:
        return frozenset[str]().union(*map(part, every))

    return Code(
        name=name,
        place=place,
        parameters=parameters,
        reads=union(lambda code: code.reads),
        binds=init.binds if init else frozenset(),
        may_bind=union(lambda code: code.binds | code.may_bind),
        # Who has an instance need not call what changes the class.
        mutates=union(lambda code: code.mutates) - {name} | changed_by_making,
        touches=union(lambda code: code.touches),
        mutates_parameters=init.mutates_parameters & set(parameters) if init else frozenset(),
        touches_parameters=init.touches_parameters & set(parameters) if init else frozenset(),
        returns=frozenset(parameters),
        returns_code=frozenset[Code]().union(*(init.gains.values() if init else ())),
        keeps=init.keeps if init else frozenset(),
        gains=init.gains if init else {},
        captures=union(lambda code: code.captures),
        methods=methods,
        is_class=True,
        is_restless=any(map(_is_restless, methods.values()))
        or any(code.is_restless for code in others),
        dynamic=any(code.dynamic for code in every),
        notices=tuple(notice for code in every for notice in code.notices),
    )
