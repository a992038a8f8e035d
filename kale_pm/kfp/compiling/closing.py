"""The exit task: where a pipeline has one, and what it must know."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kale_pm import strict_json
from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.claims import EXISTING, INDENT, OWN_SNAPSHOT, RUN_ID
from kale_pm.kfp.compiling.component import EXIT_TASK
from kale_pm.kfp.compiling.python_text import call, literal
from kale_pm.kfp.compiling.volumes import SharedVolume, VolumePlan, mounting, telling_run
from kale_pm.kfp.parameters import KfpParameter
from kale_pm.model import Pipeline
from kale_pm.notebook.kubernetes_syntax import object_name


@dataclass(frozen=True)
class ExitTask:
    """The task that runs after all others, whatever came of them.

    ``facts`` are what it knows of the pipeline; ``lines`` make the task.
    ``has_report`` tells whether a volume holds the notebooks for a report of the run; only then
    it takes the ``parameters``, to show them.
    """

    facts: Mapping[str, Any]
    lines: tuple[str, ...]
    has_report: bool
    parameters: tuple[KfpParameter, ...]

    @property
    def bundle(self) -> str:
        """The facts as they travel: JSON, packed by zlib, in base64."""
        return base64.b64encode(zlib.compress(strict_json.dumps(self.facts).encode(), 9)).decode()

    @property
    def description(self) -> str:
        """What it does, in a sentence."""
        done = "Publish the report of the whole run, and remove" if self.has_report else "Remove"
        return f"{done} what was made for this run alone."


def exit_task(
    pipeline: Pipeline, volumes: VolumePlan, parameters: tuple[KfpParameter, ...]
) -> ExitTask | None:
    """The exit task of ``pipeline``; None if there is nothing to publish and to tidy up."""
    shared = volumes.shared if volumes.shared and volumes.shared.has_report else None
    snapshots = list(_snapshots(pipeline, volumes))
    if shared is None and not volumes.claims and not snapshots:
        return None
    shown = parameters if shared else ()
    return ExitTask(
        facts=_facts(pipeline, volumes, snapshots, shown),
        lines=tuple(_lines(shared, shown)),
        has_report=shared is not None,
        parameters=shown,
    )


def _lines(shared: SharedVolume | None, parameters: tuple[KfpParameter, ...]) -> Iterator[str]:
    arguments = ["run=dsl.PIPELINE_JOB_ID_PLACEHOLDER"]
    if shared is not None:
        arguments.append(f"volume={shared.path}")
    arguments += [f"p_{p.kfp_name}={p.kfp_name}" for p in parameters]
    yield call(f"{EXIT_TASK} = close_run", arguments, INDENT)
    yield call(f"{EXIT_TASK}.set_display_name", [literal("report" if shared else "tidy up")])
    yield f"{EXIT_TASK}.set_caching_options(False)"
    if shared is not None:
        if shared.claim is not None:
            yield mounting(EXIT_TASK, shared.claim, literal(shared.claim.name))
        yield telling_run(EXIT_TASK)


def _facts(
    pipeline: Pipeline,
    volumes: VolumePlan,
    snapshots: list[dict[str, str | None]],
    parameters: tuple[KfpParameter, ...],
) -> dict[str, Any]:
    steps = {
        step.name: {
            "parents": pipeline.parents[step.name],
            "inputs": step.input_steps,
            "needs": [need.name for need in step.needs],
            "report": step.options.report is not False,
        }
        for step in map(pipeline.step, pipeline.order)
    }
    return {
        "pipeline": pipeline.name,
        "notebook": pipeline.path.name,
        "steps": steps,
        "implied": pipeline.implied_edges,
        "parameters": {
            f"p_{p.kfp_name}": {"name": p.name, "type": p.parameter.type} for p in parameters
        },
        "claims": [claim.suffix for claim in volumes.claims],
        "snapshots": snapshots,
        "own_snapshots": [
            claim.volume.name for claim in volumes.claims if claim.volume.type == OWN_SNAPSHOT
        ],
    }


def _snapshots(pipeline: Pipeline, volumes: VolumePlan) -> Iterator[dict[str, str | None]]:
    """The snapshots to take at the end: of an existing claim, or of one that the run makes."""
    suffixes = {claim.volume.name: claim.suffix for claim in volumes.claims}
    for volume in pipeline.configuration.volumes:
        if volume.type == OWN_SNAPSHOT or not (volume.snapshot or volume.snapshot_name):
            continue
        name = volume.snapshot_name or f"{pipeline.name}-{volume.name}".lower()
        _refuse_name(volume.name, name)
        existing = volume.name if volume.type in EXISTING else None
        yield {"name": name, "claim": existing, "suffix": suffixes.get(volume.name)}


def _refuse_name(volume: str, snapshot: str) -> None:
    try:
        # The id of the run may have to follow it.
        object_name(f"{snapshot}-{'0' * RUN_ID}")
    except ValueError:
        raise CompileError(
            f"volume '{volume}': a snapshot cannot be called '{snapshot}'",
            hint="write a snapshot_name of at most 216 lower-case letters, digits, dashes and dots",
        ) from None
