"""The trials of a sweep as runs of their own on a KFP server, which compares them side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kale_pm.errors import ServerError
from kale_pm.kfp import own_volumes
from kale_pm.kfp.cluster_run import ClusterRun
from kale_pm.kfp.parameters import Encoded, size_warnings
from kale_pm.kfp.server.access import Settled
from kale_pm.kfp.submission import Prepared, SubmitOptions, encoded, new_mark, prepare
from kale_pm.kfp.submit import send, start
from kale_pm.model import Pipeline
from kale_pm.sweep import Plan, Trial
from kale_pm.trials.values import json_text, shortened

_LONGEST_NAME = 120  # characters of a run's name


@dataclass(frozen=True)
class TrialRun:
    """A trial that was started: its number, the values that it differs by, and its run."""

    number: int
    parameters: Mapping[str, Any]
    run: ClusterRun

    def to_dict(self) -> dict[str, Any]:
        return {"trial": self.number, "parameters": dict(self.parameters), **self.run.to_dict()}


@dataclass(frozen=True)
class PreparedTrials:
    """What will be sent: the compiled pipeline, once, and an order for every trial by its number.

    ``varied`` are the values by which each trial differs.
    """

    orders: Mapping[int, Prepared]
    varied: Mapping[int, Mapping[str, Any]]
    warnings: tuple[str, ...]

    @property
    def sample(self) -> Prepared:
        """One of the orders: in package and experiment they are alike."""
        return next(iter(self.orders.values()))

    def to_dict(self) -> dict[str, Any]:
        trials = [
            {"trial": number, "name": order.name, "parameters": dict(order.parameters)}
            for number, order in self.orders.items()
        ]
        own = ("name", "parameters")
        shared = {key: fact for key, fact in self.sample.to_dict().items() if key not in own}
        return {**shared, "warnings": list(self.warnings), "trials": trials}


def prepare_trials(pipeline: Pipeline, plan: Plan, options: SubmitOptions) -> PreparedTrials:
    """Compile ``pipeline`` and make up what to send for each trial, without a server.

    The values come from the plan, not from the ``options``.  Raises PipelineError, CompileError,
    or ParameterError for a value that KFP cannot carry.
    """
    ready = prepare(pipeline, replace(options, parameters={}, cron=None))
    defaults = {parameter.name: parameter.default for parameter in pipeline.parameters}
    varied = plan.varied
    width = len(str(plan.trials[-1].number))
    orders = {}
    for trial in plan.trials:
        given = {
            name: value
            for name, value in trial.parameters.items()
            if name in varied or repr(value) != repr(defaults[name])
        }
        orders[trial.number] = replace(
            ready,
            parameters=encoded(pipeline, given),
            name=_name(ready.name, trial, varied, width),
            mark=new_mark(),
        )
    return PreparedTrials(
        orders,
        {each.number: {name: each.parameters[name] for name in varied} for each in plan.trials},
        (*ready.warnings, *_warnings(plan, [order.parameters for order in orders.values()])),
    )


def submit_trials(
    pipeline: Pipeline,
    plan: Plan,
    server: Settled,
    options: SubmitOptions,
    *,
    warn: Callable[[str], None],
    tell: Callable[[TrialRun], None],
) -> tuple[TrialRun, ...]:
    """Compile and upload once, and start a run for every trial, in their order.

    ``warn`` hears what the user should know before anything is sent, ``tell`` of each run as soon
    as it is started.  Where the runs are to have copies of the notebook server's own volumes,
    each of them copies these when it starts.

    Raises PipelineError, CompileError, ParameterError, ClusterError, or ServerError; the message
    of the last one says how many runs go on.
    """
    ready = prepare_trials(pipeline, plan, options)
    connection = server.connect()
    # One run would remove the snapshots that the others still need.
    with own_volumes.prepared(pipeline, os.environ, recurring=True, listener=_ignore) as volumes:
        if volumes.pipeline is not pipeline:
            ready = prepare_trials(volumes.pipeline, plan, options)
        for warning in (*volumes.warnings, *ready.warnings):
            warn(warning)
        sent = send(ready.sample, connection)
        runs: list[TrialRun] = []
        for number, order in ready.orders.items():
            try:
                found = start(order, sent, connection)
            except ServerError as error:
                raise _stopped(error, number, len(runs)) from error
            assert isinstance(found, ClusterRun)
            runs.append(TrialRun(number, ready.varied[number], found))
            tell(runs[-1])
    return tuple(runs)


def _ignore(_: object) -> None:
    pass


def _stopped(error: ServerError, number: int, running: int) -> ServerError:
    so_far = f"; the runs of {running} before it go on" if running else ""
    message = f"trial {number} was not started{so_far}: {error.message}"
    return ServerError(message, hint=error.hint, status=error.status)


def _name(name: str, trial: Trial, varied: tuple[str, ...], width: int) -> str:
    """The run's name, by which people tell the trials of a sweep apart."""
    values = ", ".join(f"{each}={json_text(trial.parameters[each])}" for each in varied)
    return shortened(f"{name} {trial.number:0{width}}: {values}".rstrip(": "), _LONGEST_NAME)


def _warnings(plan: Plan, parameters: list[Encoded]) -> Iterator[str]:
    largest = max(parameters, key=lambda values: len(str(values)))
    yield from size_warnings(largest)
    shared = [step for step, count in plan.by_step.items() if count < len(plan.trials)]
    if shared:
        yield (
            f"every run executes {', '.join(shared)} for itself, unless KFP's cache has the "
            "results already; without --as-runs what the trials share runs once"
        )
