"""``@step``, ``@pipeline`` and ``@artifact``, and what they make of a function."""

from __future__ import annotations

import functools
import inspect
import os.path
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    ParamSpec,
    TypeVar,
    Unpack,
    cast,
    overload,
)

from kale_pm.errors import UsageError
from kale_pm.notebook.configuration import unknown_settings
from kale_pm.sdk.artifacts import Artifact
from kale_pm.sdk.options import StepWords, option_tags
from kale_pm.sdk.refusals import (
    check_body,
    check_function,
    check_name,
    check_registry,
    refuse_artifact,
    with_artifact,
)
from kale_pm.sdk.script.program import is_a_script, tell_what_ends_the_script
from kale_pm.sdk.source.functions import FunctionSource, function_source
from kale_pm.sdk.tracing.current import current_trace
from kale_pm.sdk.tracing.defaults import settled_defaults
from kale_pm.sdk.tracing.proxies import place
from kale_pm.sdk.tracing.trace import refuse_while_tracing, trace_for

if TYPE_CHECKING:
    from kale_pm.face import Pipeline, Run, Sweep
    from kale_pm.kfp import CompileResult
    from kale_pm.kfp.cluster_run import ClusterRun, Schedule
    from kale_pm.sdk.alone.step_run import StepRun

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_ARTIFACTS = "__kale_pm_artifacts__"


class StepFunction(Generic[_Parameters, _Result]):
    """A function that is a step where a pipeline calls it, and a function everywhere else."""

    def __init__(
        self, function: Callable[_Parameters, _Result], name: str | None, words: Mapping[str, Any]
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.title: str = name or function.__name__
        self.words = words
        self.artifacts: tuple[Artifact, ...] = getattr(function, _ARTIFACTS, ())

    def __call__(self, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        trace = trace_for(self)
        if trace is None:
            return self.function(*args, **kwargs)
        return cast(_Result, trace.call(self, args, kwargs))

    def bind(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], where: str = ""
    ) -> inspect.BoundArguments:
        """The arguments by the names of its parameters.

        Raises UsageError where they do not fit; ``where`` is the place of the call, if nothing
        else tells it.
        """
        try:
            return self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(
                f"{where and f'{where}: '}step '{self.title}': {error}",
                hint=f"its parameters: {self.function.__name__}{self.signature}",
            ) from None

    def run(self, *args: Any, **kwargs: Any) -> StepRun:
        """Execute it as a step, alone, with these arguments; what it gave, and its run.

        It runs in a kernel of its own and leaves an executed notebook, as in a pipeline.  A
        failure raises StepFailed.
        """
        from kale_pm.sdk.alone.step_run import run_alone

        refuse_while_tracing(f"{self!r}.run")
        return run_alone(self, args, kwargs)

    def __repr__(self) -> str:
        return f"<step '{self.title}'>"

    def __get__(self, owner: object, kind: type | None = None) -> Any:
        # Where it is the method of a class it stays one.
        return self if owner is None else functools.partial(cast(Any, self), owner)

    @cached_property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.function)

    @cached_property
    def _source(self) -> FunctionSource:
        return function_source(self.function, OURS)

    @property
    def source(self) -> FunctionSource:
        settled = settled_defaults(self.function, self._source)
        if settled != self._source.settled:  # a name in a default means something else by now
            self._source = replace(self._source, settled=settled)
        return self._source

    @cached_property
    def tags(self) -> tuple[str, ...]:
        kept = {each.name: each.path for each in self.artifacts}
        own = option_tags(self.words, self._where)
        return (*own, *option_tags({"artifacts": kept}, self._where))

    @property
    def files(self) -> frozenset[str]:
        """The paths of all that it keeps as artifacts."""
        kept = (tag.split(":", 2)[2] for tag in self.tags if tag.startswith("artifact:"))
        return frozenset(map(os.path.normpath, kept))

    @property
    def _where(self) -> str:
        return f"{self.source.place}: step '{self.title}'"

    def check(self) -> None:
        """Raise UsageError if this cannot be a step, whatever it is called with."""
        if inspect.isgeneratorfunction(inspect.unwrap(self.function)):
            raise UsageError(
                f"{self._where} is a generator: its values exist one at a time, in one process",
                hint="return them as a list",
            )
        check_registry(self._where, self.function)
        _ = self.tags


class PipelineFunction:
    """A function whose body says which step gets what; to call it is to run the pipeline."""

    def __init__(
        self, function: Callable[..., Any], name: str | None, settings: Mapping[str, Any]
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.title: str = name or function.__name__
        self.settings = dict(settings)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it: from a script's own top level as its command line says, else on this machine.

        Inside of another pipeline its steps become steps of that one.
        """
        __tracebackhide__ = True
        trace = current_trace()
        if trace is not None:
            with trace.inside(self):
                return self.function(*args, **kwargs)
        if is_a_script(sys._getframe(1).f_globals):
            from kale_pm.sdk.script.command_line import run_as_script

            return run_as_script(self, args, kwargs)
        return self.to_pipeline(*args, **kwargs).run()

    def to_pipeline(self, *args: Any, **kwargs: Any) -> Pipeline:
        """The pipeline as an object with verbs, as :func:`kale_pm.load` gives it of a notebook.

        The arguments take the place of the parameters' defaults.  Raises UsageError for what
        no pipeline can be, ParameterError for a value that does not fit.
        """
        from kale_pm.sdk.tracing.definition import define
        from kale_pm.sdk.writing.reading import read_pipeline

        __tracebackhide__ = True
        return read_pipeline(define(self, args, kwargs))

    def run(self, *args: Any, **options: Any) -> Run:
        """Run it on this machine; see :meth:`kale_pm.Pipeline.run`."""
        return self.to_pipeline(*args).run(**options)

    def sweep(self, **options: Any) -> Sweep:
        """Run it for many values; see :meth:`kale_pm.Pipeline.sweep`."""
        return self.to_pipeline().sweep(**options)

    def compile(self, output: str | Path | None = None, **options: Any) -> CompileResult:
        """Compile it for Kubeflow Pipelines; see :meth:`kale_pm.Pipeline.compile`."""
        return self.to_pipeline().compile(output, **options)

    def submit(self, host: str | None = None, **options: Any) -> ClusterRun | Schedule:
        """Run it on a KFP server; see :meth:`kale_pm.Pipeline.submit`."""
        return self.to_pipeline().submit(host, **options)

    def write_notebook(self, path: str | Path) -> Path:
        """Write the pipeline as a tagged notebook, from which everything else is made."""
        from kale_pm.sdk.tracing.definition import define
        from kale_pm.sdk.writing.reading import write_notebook

        return write_notebook(define(self), Path(path))

    def check(self) -> None:
        """Raise UsageError if calling the function does not carry out its body, as steps."""
        function = inspect.unwrap(self.function)
        check_body(self.title, function)
        names = getattr(function, "__globals__", {})
        for name in getattr(getattr(function, "__code__", None), "co_names", ()):
            if _keeps_files_as_no_step(names.get(name)):
                raise UsageError(
                    f"'{name}', which the pipeline '{self.title}' calls, keeps an artifact, but is "
                    "no step",
                    hint="write @artifact above a @step",
                )

    def __repr__(self) -> str:
        return f"<pipeline '{self.title}'>"

    def _repr_html_(self) -> str:
        return self.to_pipeline()._repr_html_()


@overload
def step(name: Callable[_Parameters, _Result], /) -> StepFunction[_Parameters, _Result]: ...


@overload
def step(
    name: str | None = None, **words: Unpack[StepWords]
) -> Callable[[Callable[_Parameters, _Result]], StepFunction[_Parameters, _Result]]: ...


def step(name: Any = None, *more: Any, **words: Any) -> Any:
    """Make a function a step of pipelines; outside of one it stays the function that it is.

    ``name`` is by default that of the function; the words are those of ``StepWords``.  Raises
    UsageError for what can be no step whatever it does.
    """
    if callable(name) and not more and not words:
        return step()(name)
    check_name("step", name, more)

    def decorate(function: Any) -> Any:
        check_function("step", function, _made(function))
        return StepFunction(function, name, words)

    return decorate


def pipeline(name: Any = None, *more: Any, **settings: Any) -> Any:
    """Make a function the definition of a pipeline.

    ``settings`` are those of a notebook's metadata, in Kale's words and ours, such as
    ``experiment``, ``image``, ``volumes`` and ``steps_defaults``.  Raises UsageError for one that
    does not exist, and for what can be no pipeline whatever it does.
    """
    if callable(name) and not more and not settings:
        return pipeline()(name)
    check_name("pipeline", name, more)
    for problem in unknown_settings(settings, f"{place()}: @pipeline"):
        raise UsageError(problem.message, hint=problem.hint)

    def decorate(function: Any) -> Any:
        check_function("pipeline", function, _made(function))
        if hasattr(function, _ARTIFACTS):
            refuse_artifact(f"the pipeline '{function.__name__}'")
        return PipelineFunction(function, name, settings)

    return decorate


def artifact(name: str = "", path: str | Path = "") -> Callable[[Any], Any]:
    """Keep a file that the step writes as ``name``: with the run, and shown in its notebook.

    ``path`` is relative to the script's folder, and does not leave it.  May stand above or below
    @step.  Raises UsageError without the two, and for what is no step.
    """
    if not isinstance(name, str) or not isinstance(path, str | Path) or not name or not str(path):
        raise UsageError(
            f"{place()}: @artifact takes the name of an artifact and the path of its file",
            hint='write @artifact(name="chart", path="chart.svg")',
        )

    def decorate(thing: Any) -> Any:
        one = Artifact(name, str(path))
        inner = _below(thing)
        if isinstance(inner, PipelineFunction):
            refuse_artifact(repr(inner))
        if isinstance(inner, StepFunction):
            inner.artifacts = with_artifact(one, inner.artifacts)
        elif callable(thing):
            setattr(thing, _ARTIFACTS, with_artifact(one, getattr(thing, _ARTIFACTS, ())))
        else:
            check_function("artifact", thing)
        return thing

    return decorate


def _made(thing: object) -> str | None:
    """What a decorator has made of it already, if anything."""
    return {StepFunction: "step", PipelineFunction: "pipeline"}.get(type(thing))


def _below(thing: object) -> object:
    """The step or the pipeline that it is, or above which it is a decorator's function."""
    if not callable(thing):
        return thing
    kinds = (StepFunction, PipelineFunction)
    return inspect.unwrap(thing, stop=lambda each: isinstance(each, kinds))


def _keeps_files_as_no_step(thing: object) -> bool:
    is_such = inspect.isfunction(thing) and hasattr(thing, _ARTIFACTS)
    # A decorator above @step passes on what the function has.
    return is_such and not isinstance(_below(thing), StepFunction)


OURS = (step, artifact)

tell_what_ends_the_script()


def is_pipeline(thing: object) -> bool:
    """Whether it is a function that ``@pipeline`` has decorated."""
    return isinstance(thing, PipelineFunction)
