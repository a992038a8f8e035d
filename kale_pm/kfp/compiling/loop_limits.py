"""What a sweep may be in one run of a KFP server, and what is worth saying before it starts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.claims import EXISTING
from kale_pm.kfp.compiling.sizes import KIB, LARGEST_ARGUMENT
from kale_pm.model import Pipeline
from kale_pm.sweep import Plan

# A loop of some 475 is known to end with a wrong state (kubeflow/pipelines, issue 12131).
_MANY = 300  # trials
_RECORD = 60  # bytes of what a step hands to the last one, but for names and values
_METRIC = 50  # bytes of a metric therein
# kale_pm.metric("loss", loss), sb.glue("loss", loss)
_RECORDING = re.compile(r"\b(?:metric|glue)\(")
_NAMED = 4  # steps that a warning names


def without_own_volumes(pipeline: Pipeline) -> tuple[Pipeline, tuple[str, ...]]:
    """The pipeline as all trials can run in one run, and warnings of what is left out.

    Raises CompileError for volumes that a run makes for itself, and for snapshots at its end.
    """
    configuration = pipeline.configuration
    for volume in configuration.volumes:
        if volume.type not in EXISTING:
            raise CompileError(
                f"volume '{volume.name}' is made for one run, and all trials of a sweep would "
                "write to it side by side",
                hint="mount a claim that is there already, or give every trial a run of its own, "
                "and a volume, with --as-runs",
            )
        if volume.snapshot or volume.snapshot_name:
            raise CompileError(
                f"volume '{volume.name}': there is no snapshot at the end of a sweep, since all "
                "trials have written to it by then",
                hint="take it out, or give every trial a run of its own with --as-runs",
            )
    if not (configuration.marshal_volume or configuration.marshal_path):
        return pipeline, ()
    changed = replace(
        configuration, marshal_volume=False, marshal_path=None, marshal_volume_size=None
    )
    warning = "the marshal volume is left out of a sweep: the variables travel as artifacts"
    return replace(pipeline, configuration=changed), (warning,)


def check_items(items: Sequence[Mapping[str, str]]) -> None:
    """CompileError if the values of so many trials are too much for one argument."""
    size = _size(items)
    if size > LARGEST_ARGUMENT:
        raise _too_many(len(items), f"their values take {size / KIB:.0f} KiB")


def check_records(
    pipeline: Pipeline, items: Sequence[Mapping[str, str]], keys: Mapping[str, str]
) -> None:
    """CompileError if the last step cannot receive what the steps say that they record.

    It would fail when all else is done.  ``keys`` are the steps in the loop, with the key of the
    text that is theirs.
    """
    size = 0
    for name, key in keys.items():
        step = pipeline.step(name)
        calls = sum(len(_RECORDING.findall(cell.source)) for cell in step.code)
        if metrics := len(step.metrics) + calls:
            size += sum(_RECORD + metrics * _METRIC + len(json.dumps(item[key])) for item in items)
    if size > LARGEST_ARGUMENT:
        raise _too_many(len(items), f"what they record takes some {size / KIB:.0f} KiB")


def check_loop(items: Sequence[Mapping[str, str]], root: int, last: int) -> None:
    """CompileError if the trials make an argument too large.

    That is ``root``, the bytes of the graph in which the loop is, or ``last``, those of the last
    step, which knows all trials.
    """
    if root > LARGEST_ARGUMENT and _size(items) > root // 2:
        raise _too_many(len(items), f"their values and the steps take {root / KIB:.0f} KiB")
    if last > LARGEST_ARGUMENT:
        raise _too_many(len(items), f"what the last step knows takes {last / KIB:.0f} KiB")


def _size(items: Sequence[Mapping[str, str]]) -> int:
    # As JSON in JSON: the graph of tasks holds the items as a text.
    return len(json.dumps(json.dumps(items)))


def loop_warnings(plan: Plan, inside: Sequence[str], varied: Sequence[str]) -> Iterator[str]:
    """Warnings of a loop over the steps ``inside``."""
    count, all_steps = len(plan.trials), len(plan.reach)
    if count > _MANY:
        yield (
            f"{count:,} trials in one run: servers are known to lose track of loops of some 475; "
            "--as-runs gives every trial a run of its own"
        )
    if len(inside) == all_steps:
        yield f"no step is shared: all {all_steps} depend on what varies ({', '.join(varied)})"
    partly = [step for step in inside if plan.by_step[step] < count]
    if partly:
        executions = count * len(inside) + all_steps - len(inside)
        more = f" and {len(partly) - _NAMED} more" if len(partly) > _NAMED else ""
        yield (
            f"{executions:,} step executions, where this machine would do with {plan.count:,}: a "
            f"loop runs all of its steps for every trial, also {', '.join(partly[:_NAMED])}{more}, "
            "which not all that varies reaches"
        )


def _too_many(count: int, what: str) -> CompileError:
    return CompileError(
        f"{count:,} trials are too many for one run: {what}, and KFP hands it to a pod as one "
        f"argument, of at most {LARGEST_ARGUMENT // KIB} KiB",
        hint="sweep over fewer at a time, or give every trial a run of its own with --as-runs",
    )
