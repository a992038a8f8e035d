"""One call of a step in the body of a pipeline, and what its values come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from kale_pm.errors import UsageError
from kale_pm.sdk.tracing.current import current_trace
from kale_pm.sdk.tracing.proxies import Value, origin_of

if TYPE_CHECKING:
    from kale_pm.sdk.decorators import StepFunction


@dataclass(frozen=True, eq=False)
class ParameterValue:
    """A parameter of the pipeline; ``code`` gives its value to a step."""

    name: str
    code: str

    def described(self, path: tuple[int, ...]) -> str:  # noqa: ARG002 - Origin's
        return f"the parameter '{self.name}'"

    def unpacked(self, path: tuple[int, ...], wanted: int | None, place: str) -> int:  # noqa: ARG002
        raise UsageError(
            f"{place}: {self.described(path)} is taken apart, but its value is known only when "
            f"the pipeline runs",
            hint="pass it on as it is, and take it apart inside of a step",
        )

    def length(self, path: tuple[int, ...]) -> int | None:  # noqa: ARG002
        return None

    def follow(self, other: Value, place: str) -> None:  # noqa: ARG002
        raise UsageError(
            f"{place}: {self.described(())} comes after nothing: it is there from the beginning",
            hint="write .after(...) behind the call of a step",
        )


@dataclass(eq=False)
class Call:
    """One call of a step; its ``name`` is settled when the whole pipeline is known.

    ``arguments`` go by the names of the function's parameters; the ``positional`` and the
    ``named`` ones are the same as they were written.  ``enclosing`` are the variables that it
    takes from a function around it, as far as they had values, ``constants`` the plain variables
    of its module at the time of the call.  ``items`` says into how many values what it gives was
    unpacked, if it was, and ``nested`` the same of these values, by the
    places at which they were.
    """

    step: StepFunction[..., Any]
    arguments: Mapping[str, Any]
    place: str
    positional: Sequence[Any] = ()
    named: Mapping[str, Any] = field(default_factory=dict)
    enclosing: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict, repr=False)
    after: list[Call] = field(default_factory=list)
    items: int | None = None
    nested: dict[tuple[int, ...], int] = field(default_factory=dict)
    name: str = ""

    def described(self, path: tuple[int, ...]) -> str:
        which = "".join(f"[{index}]" for index in path)
        return f"what step '{self.step.title}' gives{which}"

    def unpacked(self, path: tuple[int, ...], wanted: int | None, place: str) -> int:
        """See Origin.  Of what was unpacked before only the line that unpacks it can tell."""
        known = None if path else self._length(place)
        if known is not None and wanted not in (known, None):
            raise UsageError(
                f"{place}: step '{self.step.title}' gives {known} values, and {wanted} are taken",
                hint=f"its return statement: {self.step.source.place}",
            )
        before = self.nested.get(path) if path else self.items
        count = next((each for each in (known, wanted, before) if each is not None), None)
        if count is None:
            raise UsageError(
                f"{place}: {self.described(path)} is gone through, and nothing says how many "
                f"values that are",
                hint="unpack it into names: first, second = step(...); or loop inside of a step",
            )
        if before not in (count, None):
            raise UsageError(
                f"{place}: {self.described(path)} is unpacked into {count} values, and before that "
                f"into {before}",
                hint="it has one length: unpack it once, and use these names",
            )
        if path:
            self.nested[path] = count
        else:
            self.items = count
        return count

    def length(self, path: tuple[int, ...]) -> int | None:
        """See Origin.  It is known where every return names as many values."""
        source = self.step.source
        counts = set(source.lengths.values())
        sure = not path and len(source.lengths) == len(source.returns) and len(counts) == 1
        return counts.pop() if sure else None

    def _length(self, place: str) -> int | None:
        source = self.step.source
        if source.gives_nothing:
            raise UsageError(
                f"{place}: step '{self.step.title}' returns nothing that could be unpacked",
                hint=f"end {source.place} with return",
            )
        lengths = source.lengths
        if len(set(lengths.values())) > 1 or 0 < len(lengths) < len(source.returns):
            lines = ", ".join(f"line {each.lineno}" for each in source.returns)
            raise UsageError(
                f"{place}: step '{self.step.title}' does not always return the same number of "
                f"values ({source.place}: {lines}), so they cannot be unpacked",
                hint="let every return give as many values, or take them as one",
            )
        return next(iter(lengths.values()), None)

    def follow(self, other: Value, place: str) -> None:
        trace = current_trace()
        if trace is not None:
            trace.check_own([Value(self), other], place)
        origin, _ = origin_of(other)
        if isinstance(origin, Call):
            if self in (origin, *origin.ancestors):
                raise UsageError(
                    f"{place}: {self._told()} cannot come after {origin._told()}, which "
                    + ("is itself" if self is origin else "comes after it"),
                    hint="take this .after(...) out, or what makes the other come after it",
                )
            self.after.append(origin)

    def _told(self) -> str:
        """The step; where it is called more than once, which call that is."""
        trace = current_trace()
        calls = [each for each in trace.calls if each.step is self.step] if trace else [self]
        if len(calls) == 1:
            return f"step '{self.step.title}'"
        return f"call {calls.index(self) + 1} of step '{self.step.title}' ({self.place})"

    @property
    def values(self) -> list[Value]:
        """What it takes of other steps and of the pipeline's parameters."""
        return [*values_in(self.arguments), *values_in(self.enclosing)]

    @property
    def parents(self) -> tuple[Call, ...]:
        """The calls whose values it takes, and those that it was told to come after."""
        origins = (origin_of(value)[0] for value in self.values)
        calls = (origin for origin in origins if isinstance(origin, Call))
        return tuple(dict.fromkeys([*calls, *self.after]))

    @property
    def ancestors(self) -> set[Call]:
        found: set[Call] = set()
        waiting = [self]
        while waiting:
            new = set(waiting.pop().parents) - found
            found |= new
            waiting += new
        return found


def values_in(thing: object) -> Iterator[Value]:
    """The proxies in an argument, in lists and tables too."""
    if isinstance(thing, Value):
        yield thing
    elif isinstance(thing, Mapping):
        for entry in thing.values():
            yield from values_in(entry)
    elif isinstance(thing, (list, tuple, set, frozenset)):
        for entry in thing:
            yield from values_in(entry)


def in_order(calls: Sequence[Call]) -> Iterator[Call]:
    """Each of the calls after its parents, and else as they were made."""
    numbers = {call: number for number, call in enumerate(calls)}
    sorter = TopologicalSorter({call: call.parents for call in calls})
    sorter.prepare()
    ready: list[int] = []
    while sorter.is_active():
        for call in sorter.get_ready():
            heappush(ready, numbers[call])
        found = calls[heappop(ready)]
        yield found
        sorter.done(found)
