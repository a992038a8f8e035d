"""A pipeline as the calls of its steps: found by calling its function with proxies."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kale_pm.errors import UsageError
from kale_pm.notebook.names import legal_step_name
from kale_pm.sdk.source.functions import function_source
from kale_pm.sdk.tracing.call import Call, ParameterValue, in_order, values_in
from kale_pm.sdk.tracing.current import CURRENT
from kale_pm.sdk.tracing.moment import as_it_is_now, enclosing, plain_constants
from kale_pm.sdk.tracing.proxies import Value, origin_of, place

if TYPE_CHECKING:
    from kale_pm.sdk.decorators import PipelineFunction, StepFunction

_all: list[Trace] = []  # of whatever thread


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
        bound = step.bind(args, kwargs, where)
        for name, parameter in step.signature.parameters.items():
            for value in values_in(parameter.default):
                raise UsageError(
                    f"{where}: step '{step.title}': the default of '{name}' is {value!r}",
                    hint=f"give it where the step is called: {step.title}({name}=...)",
                )
        try:
            list(values_in(bound.arguments))
            arguments = as_it_is_now(dict(bound.arguments))
            positional, named = as_it_is_now(list(args)), as_it_is_now(dict(kwargs))
            around = as_it_is_now(enclosing(step.function))
        except RecursionError:
            raise UsageError(
                f"{where}: step '{step.title}': an argument holds itself, or is nested too deeply",
                hint="make it inside of the step",
            ) from None
        constants = plain_constants(step.function)
        call = Call(step, arguments, where, positional, named, around, constants)
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
        for call in in_order(self.calls):
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


def trace_for(step: StepFunction[..., Any]) -> Trace | None:
    """The trace in which a step is called, if it is in one.

    Raises UsageError in a thread that the body of a pipeline has started: it would be executed.
    """
    trace = CURRENT.get()
    if trace is None:
        for each in tuple(_all):
            each.refuse_stray(step)
    return trace


def refuse_while_tracing(what: str) -> None:
    """Raise UsageError where the body of a pipeline asks for ``what``, which executes steps."""
    if CURRENT.get() is not None:
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
    token = CURRENT.set(found)
    _all.append(found)
    try:
        with found.inside(pipeline) if pipeline is not None else nullcontext():
            yield found
    except UsageError as error:
        if error not in found.strays:
            raise
    finally:
        _all.remove(found)
        CURRENT.reset(token)
    for each in found.strays:  # without the lines of the thread
        raise UsageError(each.message, hint=each.hint)
    found.order_writers()
    found.settle_names()
