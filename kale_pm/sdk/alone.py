"""One step executed alone: a pipeline around it, of which it is the only one that counts."""

from __future__ import annotations

import hashlib
import inspect
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kale_pm.errors import SaveError, UsageError
from kale_pm.face import Run
from kale_pm.sdk.expressions import LONGEST, NotPlain, expression
from kale_pm.sdk.proxies import Value
from kale_pm.sdk.tracing import tracing, values_in

if TYPE_CHECKING:
    from kale_pm.sdk.decorators import StepFunction


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
    from kale_pm.sdk.arguments import taking
    from kale_pm.sdk.decorators import StepFunction
    from kale_pm.sdk.definition import Definition
    from kale_pm.sdk.modules import module_of
    from kale_pm.sdk.reading import read_pipeline

    step.check()
    try:
        given = step.signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UsageError(
            f"step '{step.title}': {error}",
            hint=f"its parameters: {step.function.__name__}{step.signature}",
        ) from None
    stored = {name: value for name, value in given.arguments.items() if not _is_plain(value)}
    file = _stored(stored) if stored else None
    with tracing() as traced:
        if file is not None:
            # What stands in the file the file's name tells: what it gives is compared anyway.
            StepFunction(taking, "given_arguments", {"cache": False})(str(file))
            (reading,) = traced.calls
            reading.items = len(stored)
            values = [Value(reading, (index,)) for index in range(len(stored))]
            given.arguments.update(zip(stored, values, strict=True))
        result = step(*given.args, **given.kwargs)
    call = traced.calls[-1]
    module = module_of(inspect.unwrap(step.function), step.source)
    definition = Definition(
        step.title, {}, step.source, module, {}, traced.calls, list(values_in(result))
    )
    pipeline = read_pipeline(definition)
    try:
        run = pipeline.run()
    finally:
        if file is not None:
            file.unlink(missing_ok=True)
    (result_name,) = pipeline.step(call.name).stores
    return StepRun(run.steps[call.name][result_name], run, call.name)


def _is_plain(value: object) -> bool:
    try:
        return len(expression(value, lambda _: None)) <= LONGEST
    except NotPlain:
        return False


def _stored(values: Mapping[str, Any]) -> Path:
    import cloudpickle

    try:
        content = cloudpickle.dumps(tuple(values.values()))
    except Exception as error:  # noqa: BLE001 - whatever their classes raise
        names = ", ".join(values)
        raise SaveError(
            names, str(error), hint="a step gets its arguments by way of a file"
        ) from None
    digest = hashlib.blake2b(content, digest_size=12).hexdigest()
    path = Path(tempfile.gettempdir()) / f"kale-pm-arguments-{digest}.pickle"
    path.write_bytes(content)
    return path
