"""A pipeline as the calls of its steps: found by calling its function with proxies."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kale_pm.errors import UsageError
from kale_pm.notebook.names import legal_step_name
from kale_pm.sdk.proxies import Value, origin_of, place

if TYPE_CHECKING:
    from kale_pm.sdk.decorators import PipelineFunction, StepFunction


_PLAIN = (bool, int, float, str, type(None))
_FEW = 100  # entries of a list that is looked at for changes


@dataclass(frozen=True)
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
    takes from a function around it, as far as they had values.  ``items`` says into how many
    values what it gives was unpacked, if it was.
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
        count = known if known is not None else wanted
        if count is None:
            raise UsageError(
                f"{place}: {self.described(path)} is gone through, and nothing says how many "
                f"values that are",
                hint="unpack it into names: first, second = step(...); or loop inside of a step",
            )
        if not path:
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
    def parents(self) -> tuple[Call, ...]:
        """The calls whose values it takes, and those that it was told to come after."""
        origins = (origin_of(value)[0] for value in values_in(self.arguments))
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


def _as_it_is_now(thing: Any) -> Any:
    """The argument, whatever the body of the pipeline does to its lists and tables later.

    All else stays the very thing that it is: a module may have a name for it.
    """
    if type(thing) is dict:
        return {key: _as_it_is_now(entry) for key, entry in thing.items()}
    if type(thing) in (list, tuple, set):
        return type(thing)(map(_as_it_is_now, thing))
    return thing


def plain_constants(function: Callable[..., Any]) -> dict[str, str]:
    """The plain variables of a function's module as texts, which tell whether they change."""
    return {
        name: repr(value)
        for name, value in inspect.unwrap(function).__globals__.items()
        if type(value) in _PLAIN
        or (
            (type(value) in (list, tuple, dict, set) and len(value) <= _FEW)
            and all(type(entry) in _PLAIN for entry in value)
        )
    }


def _enclosing(function: Callable[..., Any]) -> dict[str, Any]:
    """The variables of a function around this one, as far as they have values."""
    inner = inspect.unwrap(function)
    found = {}
    for name, cell in zip(inner.__code__.co_freevars, inner.__closure__ or (), strict=True):
        with suppress(ValueError):  # it is empty
            found[name] = cell.cell_contents
    return found


@dataclass
class Trace:
    """What the body of a pipeline has called so far."""

    calls: list[Call] = field(default_factory=list)
    pipelines: list[PipelineFunction] = field(default_factory=list)

    def call(
        self, step: StepFunction[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Value:
        """One more call of a step; what stands for that which it gives."""
        where = place()
        step.check()
        try:
            bound = step.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(
                f"{where}: step '{step.title}': {error}",
                hint=f"its parameters: {step.function.__name__}{step.signature}",
            ) from None
        try:
            list(values_in(bound.arguments))
            arguments = _as_it_is_now(dict(bound.arguments))
            positional, named = _as_it_is_now(list(args)), _as_it_is_now(dict(kwargs))
            enclosing = _as_it_is_now(_enclosing(step.function))
        except RecursionError:
            raise UsageError(
                f"{where}: step '{step.title}': an argument holds itself, or is nested too deeply",
                hint="make it inside of the step",
            ) from None
        call = Call(step, arguments, where, positional, named, enclosing)
        self.calls.append(call)
        return Value(call)

    @contextmanager
    def inside(self, pipeline: PipelineFunction) -> Iterator[None]:
        """The body of ``pipeline`` is gone through; UsageError where that never ends."""
        if pipeline in self.pipelines:
            raise UsageError(
                f"{place()}: the pipeline '{pipeline.title}' calls itself: it would never end",
                hint="a pipeline may call other pipelines, whose steps become its own",
            )
        self.pipelines.append(pipeline)
        try:
            yield
        finally:
            self.pipelines.pop()

    def settle_names(self) -> None:
        """Name the calls: a step that is called again gets a number.  Raises UsageError."""
        owners: dict[str, Call] = {}
        for call in self.calls:
            name = legal_step_name(call.step.title)
            owner = owners.setdefault(name, call)
            if owner.step is not call.step:
                raise UsageError(
                    f"{call.place}: two steps are called '{name}': "
                    f"{owner.step.source.place} and {call.step.source.place}",
                    hint="give one of them another name: @step(name=...)",
                )
        taken = set(owners)
        for call in self.calls:
            name = legal_step_name(call.step.title)
            if owners[name] is call:
                call.name = name
                continue
            number = 2
            while f"{name}_{number}" in taken:
                number += 1
            call.name = f"{name}_{number}"
            taken.add(call.name)


_current: ContextVar[Trace | None] = ContextVar("kale_pm_trace", default=None)


def current_trace() -> Trace | None:
    """The trace that goes on, if a pipeline is being traced."""
    return _current.get()


@contextmanager
def tracing(pipeline: PipelineFunction | None = None) -> Iterator[Trace]:
    """Within, calls of steps are written down, and nothing is executed.

    Raises UsageError for what cannot be known before the steps have run.
    """
    found = Trace()
    token = _current.set(found)
    try:
        with found.inside(pipeline) if pipeline is not None else nullcontext():
            yield found
    finally:
        _current.reset(token)
    found.settle_names()
