"""A sweep on Kubeflow Pipelines, as ``kale-pm sweep --kfp`` and ``--as-runs`` show it."""

from __future__ import annotations

import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kale_pm.commands.shared import Warnings, described, image_of_steps, writing
from kale_pm.console import mention_warnings, say, show_json, show_view
from kale_pm.errors import UsageError

if TYPE_CHECKING:
    from kale_pm.face import Pipeline
    from kale_pm.kfp.compiling.compile import CompileResult
    from kale_pm.kfp.server.access import Access
    from kale_pm.kfp.submit_trials import TrialRun
    from kale_pm.sweep import Plan
    from kale_pm.trials.goal import Goal


@dataclass(frozen=True)
class Compiling:
    """What ``--kfp`` was given; None where nothing was."""

    package: Path | None
    dsl: Path | None
    image: str | None
    install: bool
    parallelism: int | None


@dataclass(frozen=True)
class Submitting:
    """What ``--as-runs`` was given; None where nothing was."""

    access: Access
    image: str | None
    install: bool
    experiment: str | None
    run_name: str | None
    service_account: str | None
    pipeline_root: str | None


def compile_trials(
    pipeline: Pipeline,
    plan: Plan,
    goal: Goal | None,
    options: Compiling,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Compile one pipeline with all trials, and say where it is; for a dry run say only how."""
    if goal is None:
        raise UsageError(
            "--kfp needs --best: the last step of the pipeline chooses by it",
            hint="add --best METRIC:max or METRIC:min, such as --best accuracy:max",
        )
    warnings = _announced(pipeline, plan, as_json)
    # Only the path, or JSON, belongs on the standard output.
    with redirect_stdout(sys.stderr):
        image = image_of_steps(pipeline, options.image)
    output = options.package or pipeline.path.with_suffix(".sweep.yaml")

    def compiled(package: Path, dsl: Path | None) -> CompileResult:
        from kale_pm.kfp.compiling.compile import compile_sweep
        from kale_pm.kfp.compiling.loop import PARALLELISM, Swept

        swept = Swept(plan, goal, options.parallelism or PARALLELISM)
        return compile_sweep(
            pipeline, swept, package, dsl=dsl, image=image, install=options.install
        )

    if dry_run:
        with tempfile.TemporaryDirectory(prefix="kale-pm-") as folder:
            result = compiled(Path(folder) / "sweep.yaml", None)
    else:
        with writing(output):
            result = compiled(output, options.dsl)
    warnings.add(*result.warnings)
    if as_json:
        show_json(
            {
                **described(plan),
                "package": None if dry_run else str(result.path),
                "size": result.size,
                "warnings": warnings.texts,
            }
        )
        return
    if dry_run:
        _show_trials(plan)
        say(f"{result.size / 1000:.0f} kB to be written to {output}")
        return
    say(f"{result.path}  {result.size / 1000:.0f} kB, {len(plan.trials):,} trials")
    if result.dsl_path is not None:
        say(result.dsl_path)


def run_trials(
    pipeline: Pipeline,
    plan: Plan,
    goal: Goal | None,
    options: Submitting,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Submit a run for each trial, and print their pages as they start; or what would be sent."""
    from kale_pm.kfp.submission import SubmitOptions
    from kale_pm.kfp.submit_trials import prepare_trials, submit_trials

    warnings = _announced(pipeline, plan, as_json)
    if goal is not None:
        warnings.add(f"--best {goal} is left out: with --as-runs you compare the runs yourself")
    with redirect_stdout(sys.stderr):
        image = image_of_steps(pipeline, options.image)
    how = SubmitOptions(
        experiment=options.experiment,
        run_name=options.run_name,
        service_account=options.service_account,
        pipeline_root=options.pipeline_root,
        image=image,
        install=options.install,
    )
    if dry_run:
        ready = prepare_trials(pipeline, plan, how)
        warnings.add(*ready.warnings)
        if as_json:
            show_json({**ready.to_dict(), "warnings": warnings.texts})
        else:
            _show_trials(plan)
            size = len(ready.sample.package) / 1000
            say(f"{len(ready.orders):,} runs to be started, of one package of {size:.0f} kB")
        return
    server = options.access.settled(pipeline.configuration, pipeline.folder)

    def tell(trial: TrialRun) -> None:
        if not as_json:
            say(trial.run.link)

    runs = submit_trials(pipeline, plan, server, how, warn=warnings.add, tell=tell)
    if as_json:
        show_json({"runs": [run.to_dict() for run in runs], "warnings": warnings.texts})
    else:
        say(f"{len(runs):,} runs in the experiment {runs[0].run.experiment}", error=True)


def _announced(pipeline: Pipeline, plan: Plan, as_json: bool) -> Warnings:
    """What is to be known of the notebook, and of the plan."""
    if not as_json:
        mention_warnings(pipeline)
    warnings = Warnings(as_json)
    warnings.add(*plan.warnings)
    return warnings


def _show_trials(plan: Plan) -> None:
    from kale_pm.terminal import plan_view

    show_view(plan_view(plan, plan.varied, stored=0))
