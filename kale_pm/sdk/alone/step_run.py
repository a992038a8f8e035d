"""One step executed alone: a pipeline around it, of which it is the only one that counts."""

from __future__ import annotations

import inspect
import io
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kale_pm.errors import SaveError
from kale_pm.face import Run
from kale_pm.sdk.source.expressions import LONGEST, NotPlain, expression
from kale_pm.sdk.tracing.call import values_in
from kale_pm.sdk.tracing.proxies import Value
from kale_pm.sdk.tracing.trace import Trace, tracing

if TYPE_CHECKING:
    from kale_pm.sdk.decorators import StepFunction
    from kale_pm.sdk.source.modules import ModuleSource


@dataclass(frozen=True)
class StepRun:
    """What a step gave when it was executed alone; ``run`` is the run around it."""

    value: Any = field(repr=False)
    run: Run
    name: str

    @property
    def notebook(self) -> Path | None:
        """The executed notebook."""
        return self.run.steps[self.name].notebook

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.run.steps[self.name].metrics


def run_alone(
    step: StepFunction[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> StepRun:
    """Execute ``step`` with these arguments, in a kernel of its own.

    Arguments that no code can say, or only very long code, go by a file, which a step of their
    own reads.  Raises UsageError for what cannot be a step, SaveError for an argument that cannot
    be stored, StepFailed where the step fails.
    """
    from kale_pm.sdk.source.modules import module_of
    from kale_pm.sdk.tracing.definition import Definition
    from kale_pm.sdk.writing.reading import read_pipeline

    step.check()
    given = step.bind(args, kwargs)
    module = module_of(inspect.unwrap(step.function), step.source)
    # Of its own, since others may run a step with the same arguments at the same time.
    with tempfile.TemporaryDirectory(prefix="kale-pm-arguments-") as folder:
        with tracing() as traced:
            positional, by_name = _passed(given, module, Path(folder) / "arguments.pickle", traced)
            result = step(*positional, **by_name)
        call = traced.calls[-1]
        results = list(values_in(result))
        definition = Definition(step.title, {}, step.source, module, {}, traced.calls, results)
        pipeline = read_pipeline(definition)
        run = pipeline.run()
    (result_name,) = pipeline.step(call.name).stores
    return StepRun(run.steps[call.name][result_name], run, call.name)


def _passed(
    given: inspect.BoundArguments, module: ModuleSource, file: Path, traced: Trace
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments by position and by name; what no code can say is what a step gives."""
    names, values = _names(given), [*given.args, *given.kwargs.values()]
    stored = {index: each for index, each in enumerate(values) if not _is_plain(each)}
    if stored:
        used = _store(stored.values(), [names[index] for index in stored], module, file)
        for index, value in zip(stored, _taken(file, used, len(stored), traced), strict=True):
            values[index] = value
    count = len(given.args)
    return values[:count], dict(zip(given.kwargs, values[count:], strict=True))


def _names(given: inspect.BoundArguments) -> list[str]:
    """The name of each argument, in the order of ``given.args`` and ``given.kwargs``."""
    found: list[str] = []
    for name, value in given.arguments.items():
        kind = given.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            found += [name] * len(value)
        elif kind is inspect.Parameter.VAR_KEYWORD:
            found += value
        else:
            found.append(name)
    return found


def _is_plain(value: object) -> bool:
    try:
        return len(expression(value, lambda _: None)) <= LONGEST
    except (NotPlain, RecursionError, ValueError):  # ValueError: an integer of many digits
        return False


def _taken(file: Path, used: Sequence[object], count: int, traced: Trace) -> list[Value]:
    """What stands for the values of the file, which a step of their own reads."""
    from kale_pm.sdk.alone.arguments import taking
    from kale_pm.sdk.decorators import StepFunction

    # It would never be found again; what it gives is compared anyway.
    StepFunction(taking, "given_arguments", {"cache": False})(str(file), *used)
    reading = traced.calls[-1]
    reading.items = count
    return [Value(reading, (index,)) for index in range(count)]


def _store(
    values: Iterable[object], names: Iterable[str], module: ModuleSource, file: Path
) -> list[object]:
    """Write the values down; what the step that reads them has to have of ``module``."""
    from kale_pm.sdk.alone.references import Pickler

    stream = io.BytesIO()
    pickler = Pickler(stream, module)
    try:
        pickler.dump(tuple(values))
    except Exception as error:  # noqa: BLE001 - whatever their classes raise
        raise SaveError(
            ", ".join(names), str(error), hint="a step gets its arguments by way of a file"
        ) from None
    file.write_bytes(stream.getvalue())
    return list(pickler.used.values())
