"""The names by which values travel from step to step."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kale_pm.sdk.functions import FunctionSource
from kale_pm.sdk.proxies import Value, origin_of
from kale_pm.sdk.tracing import Call, ParameterValue


@dataclass(frozen=True)
class Links:
    """The names by which values travel between the steps: no step uses them for anything else.

    ``whole`` goes by the call, ``items`` too: one name for each value that it was unpacked into.
    """

    whole: Mapping[Call, str] = field(default_factory=dict)
    items: Mapping[Call, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        return frozenset([*self.whole.values(), *(n for each in self.items.values() for n in each)])

    @property
    def described(self) -> dict[str, str]:
        """The names, with the values in words."""
        found = {name: each.described(()) for each, name in self.whole.items()}
        for each, names in self.items.items():
            found |= {name: each.described((index,)) for index, name in enumerate(names)}
        return found

    def of(self, value: Value) -> str:
        """The code that gives the value to the step that takes it."""
        origin, path = origin_of(value)
        if isinstance(origin, ParameterValue):
            return origin.code
        if not path:
            return self.whole[origin]
        return self.items[origin][path[0]] + "".join(f"[{index}]" for index in path[1:])


def links_of(calls: Sequence[Call], taken: Collection[str], used: Iterable[Value]) -> Links:
    """A name for every value of every call; ``used`` are all that some step takes."""
    known = set(taken)
    wholes = {origin for origin, path in map(origin_of, used) if not path}
    whole: dict[Call, str] = {}
    items: dict[Call, tuple[str, ...]] = {}
    for each in calls:
        source = each.step.source
        words = _returned_words(source)
        count = each.items
        if count is None and words and each not in wholes:
            count = len(words)
        if count is not None:
            names = words or [""] * count
            items[each] = tuple(
                _free(f"{each.name}_{word or number}", known)
                for number, word in enumerate(names, 1)
            )
        if each in wholes or (count is None and not source.gives_nothing):
            word = _single_word(source)
            whole[each] = _free(f"{each.name}_{word or 'result'}", known)
    return Links(whole, items)


def _free(name: str, taken: set[str]) -> str:
    while name in taken or keyword.iskeyword(name):
        name += "_"
    taken.add(name)
    return name


def _returned_words(source: FunctionSource) -> list[str]:
    """Of ``return a, b`` the names, empty where something else than a name stands."""
    if not source.lengths or len(source.lengths) < len(source.returns):
        return []
    if len(set(source.lengths.values())) > 1:
        return []
    value = source.returns[-1].value
    assert isinstance(value, ast.Tuple)
    return [each.id if isinstance(each, ast.Name) else "" for each in value.elts]


def _single_word(source: FunctionSource) -> str:
    values = [each.value for each in source.returns]
    names = {each.id for each in values if isinstance(each, ast.Name)}
    is_one = len(names) == 1 and all(isinstance(each, ast.Name) for each in values)
    return names.pop() if is_one else ""
