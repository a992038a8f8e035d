"""What a pipeline is made of: the calls of its steps, its parameters, its settings."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kale_pm.errors import UsageError
from kale_pm.sdk.decorators import PipelineFunction
from kale_pm.sdk.source.functions import FunctionSource, function_source
from kale_pm.sdk.source.modules import ModuleSource, module_of
from kale_pm.sdk.tracing.call import Call, ParameterValue, values_in
from kale_pm.sdk.tracing.parameters import assignments_of, codes_of
from kale_pm.sdk.tracing.proxies import Value, refused_elsewhere
from kale_pm.sdk.tracing.trace import refuse_while_tracing, tracing


@dataclass(frozen=True)
class Definition:
    """What a pipeline is made of: settings, parameters as assignments, and calls of steps.

    ``source`` and ``module`` say where it was written.  ``assignments`` are those of its
    parameters by name, ``results`` the values that it gives.
    """

    title: str
    settings: Mapping[str, Any]
    source: FunctionSource
    module: ModuleSource
    assignments: Mapping[str, str]
    calls: Sequence[Call]
    results: Sequence[Value]


def define(
    function: PipelineFunction, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
) -> Definition:
    """Trace the pipeline; the arguments take the place of its parameters' defaults.

    Raises UsageError for what no pipeline can be, ParameterError for a value that does not fit.
    """
    __tracebackhide__ = True  # for IPython and pytest: an error of the body is not about this
    refuse_while_tracing(f"what runs or compiles {function!r}")
    function.check()
    source = function_source(function.function)
    assignments = assignments_of(function, source, args, kwargs or {})
    parameters = [
        ParameterValue(name, code)
        for name, code in codes_of(function, assignments, args, kwargs or {}).items()
    ]
    values = OrderedDict((each.name, Value(each)) for each in parameters)
    given = inspect.BoundArguments(inspect.signature(function.function), values)
    with tracing(function, parameters) as traced:
        try:
            result = function.function(*given.args, **given.kwargs)
        except TypeError as error:
            refused = refused_elsewhere(error)
            if refused is None:
                raise
            raise refused from error
    if not traced.calls:
        raise UsageError(
            f"{source.place}: the pipeline '{function.title}' calls no step",
            hint="call functions that are decorated with @step",
        )
    results = list(values_in(result))
    traced.check_own(results, source.place)
    return Definition(
        function.title,
        function.settings,
        source,
        module_of(inspect.unwrap(function.function), source),
        assignments,
        traced.calls,
        results,
    )
