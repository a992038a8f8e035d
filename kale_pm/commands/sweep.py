"""``sweep``: many runs of the notebook, which differ in the values of its parameters."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kale_pm.commands.local_sweep import Output, show_plan, sweep_here, try_again
from kale_pm.commands.options import (
    Authentication,
    Ca,
    Dsl,
    Experiment,
    FailFast,
    Folder,
    Fresh,
    Host,
    Image,
    Infer,
    Insecure,
    Jobs,
    Json,
    Kernel,
    Namespace,
    NoInstall,
    PipelineRoot,
    ServiceAccount,
    Strict,
    TokenFile,
    Verbose,
    Verify,
)
from kale_pm.commands.shared import load_pipeline, refuse_errors, server_access, sweep_called
from kale_pm.commands.sweep_on_kfp import Compiling, Submitting, compile_trials, run_trials
from kale_pm.commands.sweep_ways import (
    AsRuns,
    Kfp,
    Package,
    Parallelism,
    RunNames,
    refuse_strange,
)
from kale_pm.errors import UsageError

if TYPE_CHECKING:
    from kale_pm.face import Pipeline
    from kale_pm.local.sweeping import SweepOptions
    from kale_pm.sweep import Plan

_of_trials = partial(typer.Option, rich_help_panel="The trials")
_of_the_best = partial(typer.Option, rich_help_panel="The best of them")


def sweep(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NOTEBOOK|SWEEP",
            help="The tagged notebook; with --retry also the id of a sweep.",
        ),
    ],
    *,
    parameter: Annotated[
        list[str] | None,
        _of_trials(
            "-p",
            "--parameter",
            metavar="NAME=VALUES",
            help="The values of a parameter: 'lr=0.1,0.01', 'depth=3:9:2' as Python's range, or "
            "'rate=1e-4..1e-1 log 7' for seven from end to end. May be repeated.",
        ),
    ] = None,
    trials: Annotated[
        Path | None,
        _of_trials("--trials", metavar="FILE", help="A file of trials: CSV, JSON or JSON lines."),
    ] = None,
    random: Annotated[
        int | None,
        _of_trials(
            "--random",
            min=1,
            metavar="N",
            help="Draw N trials at random, also between two ends: 'rate=1e-4..1e-1 log'.",
        ),
    ] = None,
    seed: Annotated[
        int,
        _of_trials("--seed", metavar="S", help="Another one draws other trials."),
    ] = 0,
    dry_run: Annotated[
        bool,
        _of_trials(
            "--dry-run", help="Run nothing; list the trials, and how often each step is executed."
        ),
    ] = False,
    best: Annotated[
        str | None,
        _of_the_best(
            "--best",
            metavar="METRIC:max|min",
            help="Which trial is the best, such as accuracy:max.",
        ),
    ] = None,
    stop_when: Annotated[
        str | None,
        _of_the_best(
            "--stop-when",
            metavar="CONDITION",
            help="Begin no other trial once one is so, such as 'accuracy>=0.95'.",
        ),
    ] = None,
    reports: Annotated[
        str,
        _of_the_best(
            "--reports",
            metavar="N|all",
            help="How many of the best trials get a report of their own, and of the failed ones.",
        ),
    ] = "32",
    retry: Annotated[
        bool,
        typer.Option("--retry", help="Only what is not done, in the newest sweep or in SWEEP."),
    ] = False,
    jobs: Jobs = None,
    fresh: Fresh = False,
    fail_fast: FailFast = False,
    verify: Verify = False,
    kernel: Kernel = None,
    folder: Folder = None,
    kfp: Kfp = False,
    as_runs: AsRuns = False,
    package: Package = None,
    dsl: Dsl = None,
    parallelism: Parallelism = None,
    image: Image = None,
    no_install: NoInstall = False,
    experiment: Experiment = None,
    run_name: RunNames = None,
    service_account: ServiceAccount = None,
    pipeline_root: PipelineRoot = None,
    host: Host = None,
    namespace: Namespace = None,
    authentication: Authentication = None,
    token_file: TokenFile = None,
    ca: Ca = None,
    insecure: Insecure = False,
    verbose: Verbose = False,
    as_json: Json = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print the table of trials as CSV.")
    ] = False,
    strict: Strict = False,
    infer_edges: Infer = False,
) -> None:
    """Run the notebook once for each trial, and find the best one.

    The trials are all combinations of the values. What the same values reach is
    executed once for all of them. The same command again takes up what is done.
    """
    from kale_pm.local import RunOptions
    from kale_pm.local.sweeping import SweepOptions
    from kale_pm.trials.goal import read_condition, read_goal

    refuse_strange(context, kfp=kfp, as_runs=as_runs)
    if as_csv and (as_json or dry_run):
        raise UsageError(f"--csv goes not with {'--json' if as_json else '--dry-run'}")
    options = SweepOptions(
        RunOptions(
            folder=folder,
            jobs=jobs,
            kernel=kernel,
            fresh=fresh,
            fail_fast=fail_fast,
            verify=verify,
        ),
        goal=read_goal(best) if best is not None else None,
        stop_when=read_condition(stop_when) if stop_when is not None else None,
        reports=_reports(reports),
    )
    output = Output(verbose, as_json, as_csv)
    asked = {"-p": parameter, "--trials": trials, "--random": random, "--dry-run": dry_run}
    for option in filter(asked.get, asked) if retry else ():
        raise UsageError(f"{option} goes not with --retry: the trials are those of then")
    if retry:
        try_again(name, options, output, strict, infer_edges)
        return
    pipeline = load_pipeline(_notebook(name, folder), strict, infer_edges)
    refuse_errors(pipeline)
    values = _values(pipeline, parameter or [])
    plan = pipeline.plan_sweep(trials=trials, random=random, seed=seed, parameters=values)
    plan = _doubted(pipeline, plan, options)
    if as_runs:
        access = server_access(
            host, namespace, authentication, token_file=token_file, ca=ca, insecure=insecure
        )
        submitting = Submitting(
            access, image, not no_install, experiment, run_name, service_account, pipeline_root
        )
        run_trials(pipeline, plan, options.goal, submitting, dry_run=dry_run, as_json=as_json)
    elif kfp:
        compiling = Compiling(package, dsl, image, not no_install, parallelism)
        compile_trials(pipeline, plan, options.goal, compiling, dry_run=dry_run, as_json=as_json)
    elif dry_run:
        show_plan(pipeline, plan, options, output)
    else:
        sweep_here(pipeline, plan, options, output)


def _reports(text: str) -> int:
    if text == "all":
        return sys.maxsize
    if not text.isdecimal():
        raise UsageError(f"--reports: '{text}' is no number", hint="--reports 10, or all")
    return int(text)


def _notebook(name: str, folder: Path | None) -> Path:
    """The notebook of this name; a sweep is none."""
    found = None if Path(name).exists() else sweep_called(name, folder)
    if found is None:
        return Path(name)
    raise UsageError(
        f"{name} is a sweep",
        hint=f"--retry tries again what of it is not done; for other trials name its notebook, "
        f"{found.record.notebook}",
    )


def _values(pipeline: Pipeline, assignments: Sequence[str]) -> Mapping[str, object]:
    from kale_pm.notebook import parse_assignment
    from kale_pm.sweep import read_assignments

    given: dict[str, str] = {}
    for name, text in map(parse_assignment, assignments):
        if name in given:
            right = f"-p '{name}={given[name]},{text}'"
            raise UsageError(f"-p {name} is given twice", hint=f"for all of the values: {right}")
        given[name] = text
    return read_assignments(pipeline.parameters, given, pipeline.language)


def _doubted(pipeline: Pipeline, plan: Plan, options: SweepOptions) -> Plan:
    """The plan, with warnings of metrics that are asked for and that no cell seems to give."""
    from kale_pm.face.planning import doubts

    metrics = [each.metric for each in (options.goal, options.stop_when) if each is not None]
    return replace(plan, warnings=(*plan.warnings, *doubts(pipeline, metrics)))
