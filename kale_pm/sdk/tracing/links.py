"""The names by which values travel from step to step."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from kale_pm.sdk.source.functions import FunctionSource
from kale_pm.sdk.tracing.call import Call, ParameterValue
from kale_pm.sdk.tracing.proxies import Value, origin_of


@dataclass(frozen=True)
class Links:
    """The names by which values travel between the steps: no step uses them for anything else.

    ``whole`` goes by the call, ``items`` too: one name for each value that it was unpacked into.
    ``nested`` are the names of those into which such a value was unpacked in turn, by its place.
    """

    whole: Mapping[Call, str] = field(default_factory=dict)
    items: Mapping[Call, tuple[str, ...]] = field(default_factory=dict)
    nested: Mapping[Call, Mapping[tuple[int, ...], tuple[str, ...]]] = field(default_factory=dict)

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(self.described)

    @cached_property
    def described(self) -> dict[str, str]:
        """The names, with the values in words."""
        found = {name: each.described(()) for each, name in self.whole.items()}
        for each, names in self.items.items():
            for path, inner in {(): names, **self.nested.get(each, {})}.items():
                found |= {name: each.described((*path, i)) for i, name in enumerate(inner)}
        return found

    def unpacked(self, each: Call) -> Iterator[tuple[tuple[str, ...], str]]:
        """What is unpacked of the values of ``each``: the names, and that of the value itself."""
        for path, names in self.nested.get(each, {}).items():
            yield names, _at(path, self.items[each], self.nested[each])

    def of(self, value: Value) -> str:
        """The code that gives the value to the step that takes it."""
        origin, path = origin_of(value)
        if isinstance(origin, ParameterValue):
            return origin.code
        if not path:
            return self.whole[origin]
        return _at(path, self.items[origin], self.nested[origin])


def links_of(calls: Sequence[Call], taken: Collection[str], used: Iterable[Value]) -> Links:
    """A name for every value of every call; ``used`` are all that some step takes."""
    known = set(taken)
    wholes = {origin for origin, path in map(origin_of, used) if not path}
    whole: dict[Call, str] = {}
    items: dict[Call, tuple[str, ...]] = {}
    nested: dict[Call, dict[tuple[int, ...], tuple[str, ...]]] = {}
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
            nested[each] = {}
            for path, number in sorted(each.nested.items(), key=lambda entry: len(entry[0])):
                inner = _at(path, items[each], nested[each])
                nested[each][path] = tuple(
                    _free(f"{inner}_{place}", known) for place in range(1, number + 1)
                )
        if each in wholes or (count is None and not source.gives_nothing):
            word = _single_word(source)
            whole[each] = _free(f"{each.name}_{word or 'result'}", known)
    return Links(whole, items, nested)


def _at(
    path: tuple[int, ...],
    items: Sequence[str],
    nested: Mapping[tuple[int, ...], Sequence[str]],
) -> str:
    *outer, last = path
    return (nested[tuple(outer)] if outer else items)[last]


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
