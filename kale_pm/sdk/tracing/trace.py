"""A pipeline as the calls of its steps: found by calling its function with proxies."""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from kale_pm.errors import UsageError
from kale_pm.notebook.names import legal_step_name
from kale_pm.sdk.source.functions import function_source
from kale_pm.sdk.tracing.proxies import Value, origin_of, place

if TYPE_CHECKING:
    from kale_pm.sdk.decorators import PipelineFunction, StepFunction


_PLAIN = (bool, int, float, str, type(None))
_FEW = 100  # entries of a list that is looked at for changes
_LONG = 1000  # characters


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


def _in_order(calls: Sequence[Call]) -> Iterator[Call]:
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
    found = {}
    for name, value in list(inspect.unwrap(function).__globals__.items()):
        entries = value if type(value) in (list, tuple, dict, set) else [value]
        if len(entries) <= _FEW and all(type(entry) in _PLAIN for entry in entries):
            with suppress(ValueError):  # an integer of very many digits
                found[name] = _told(value)
    return found


def _told(value: object) -> str:
    return str(hash(value)) if isinstance(value, str) and len(value) > _LONG else repr(value)


def _enclosing(function: Callable[..., Any]) -> dict[str, Any]:
    """The variables of a function around this one, as far as they have values."""
    inner = inspect.unwrap(function)
    found = {}
    for name, cell in zip(inner.__code__.co_freevars, inner.__closure__ or (), strict=True):
        with suppress(ValueError):  # it is empty
            found[name] = cell.cell_contents
    return found


@dataclass(eq=False)
class Trace:
    """What the body of a pipeline has called so far.

    ``parameters`` are those of the pipeline, ``threads`` those that ran before it, ``strays`` the
    errors of others, which may never be looked at there.
    """

    calls: list[Call] = field(default_factory=list)
    pipelines: list[PipelineFunction] = field(default_factory=list)
    parameters: Sequence[ParameterValue] = ()
    threads: Set[threading.Thread] = field(default_factory=lambda: {*threading.enumerate()})
    strays: list[UsageError] = field(default_factory=list)

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
        for name, parameter in step.signature.parameters.items():
            for value in values_in(parameter.default):
                raise UsageError(
                    f"{where}: step '{step.title}': the default of '{name}' is {value!r}",
                    hint=f"give it where the step is called: {step.title}({name}=...)",
                )
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
        constants = plain_constants(step.function)
        call = Call(step, arguments, where, positional, named, enclosing, constants)
        self.check_own(call.values, where)
        self.calls.append(call)
        return Value(call)

    def check_own(self, values: Iterable[Value], where: str) -> None:
        """Raise UsageError for a value that another pipeline has made, or an earlier call."""
        for value in values:
            origin, _ = origin_of(value)
            if origin not in self.calls and origin not in self.parameters:
                raise UsageError(
                    f"{where}: {value!r} is used here, but belongs to another pipeline, or to an "
                    f"earlier call of this one",
                    hint="let this pipeline call the step, or the other pipeline as a whole",
                )

    def refuse_stray(self, step: StepFunction[..., Any]) -> None:
        """Raise UsageError if this is a thread that the body has started, as its age tells."""
        if not self.pipelines or threading.current_thread() in self.threads:
            return
        pipeline = self.pipelines[-1]
        error = UsageError(
            f"{function_source(pipeline.function).place}: the pipeline '{pipeline.title}' calls "
            f"{step!r} in a thread: what its steps are is known in that of the pipeline alone",
            hint="call it without a thread: no step runs by then, and later those that need "
            "nothing of each other run at the same time anyway",
        )
        self.strays.append(error)
        raise error

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

    def order_writers(self) -> None:
        """Let calls that keep the same file come one after another: each keeps its own then."""
        paths = Counter(path for call in self.calls for path in call.step.files)
        shared = {path for path, count in paths.items() if count > 1}
        if not shared:
            return
        last: dict[str, Call] = {}
        # New edges that go along with an order of all calls close no circle.
        for call in _in_order(self.calls):
            for path in sorted(shared & call.step.files):
                if path in last and last[path] not in call.ancestors:
                    call.after.append(last[path])
                last[path] = call

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
_all: list[Trace] = []  # of whatever thread


def current_trace() -> Trace | None:
    """The trace that goes on, if a pipeline is being traced."""
    return _current.get()


def trace_for(step: StepFunction[..., Any]) -> Trace | None:
    """The trace in which a step is called, if it is in one.

    Raises UsageError in a thread that the body of a pipeline has started: it would be executed.
    """
    trace = _current.get()
    if trace is None:
        for each in tuple(_all):
            each.refuse_stray(step)
    return trace


def refuse_while_tracing(what: str) -> None:
    """Raise UsageError where the body of a pipeline asks for ``what``, which executes steps."""
    if _current.get() is not None:
        raise UsageError(
            f"{place()}: {what} is called in the body of a pipeline, which says what is to run, "
            f"and runs nothing itself",
            hint="call it like a function, as a part of this pipeline, or run it outside",
        )


@contextmanager
def tracing(
    pipeline: PipelineFunction | None = None, parameters: Sequence[ParameterValue] = ()
) -> Iterator[Trace]:
    """Within, calls of steps are written down, and nothing is executed.

    Raises UsageError for what cannot be known before the steps have run.
    """
    found = Trace(parameters=parameters)
    token = _current.set(found)
    _all.append(found)
    try:
        with found.inside(pipeline) if pipeline is not None else nullcontext():
            yield found
    except UsageError as error:
        if error not in found.strays:
            raise
    finally:
        _all.remove(found)
        _current.reset(token)
    for each in found.strays:  # without the lines of the thread
        raise UsageError(each.message, hint=each.hint)
    found.order_writers()
    found.settle_names()
