"""The ways to sweep: here, in one run of a cluster, in many; and the options of each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kale_pm.commands.options import on_kfp
from kale_pm.errors import UsageError

Kfp = Annotated[
    bool, on_kfp("--kfp", help="Run nothing; compile one pipeline with a loop over the trials.")
]
AsRuns = Annotated[
    bool,
    on_kfp("--as-runs", help="Submit a run for each trial to a server, which can compare them."),
]
Package = Annotated[
    Path | None,
    on_kfp("-o", "--output", metavar="FILE", help="The YAML file; default: NOTEBOOK.sweep.yaml."),
]
Parallelism = Annotated[
    int | None,
    on_kfp("--parallelism", min=1, metavar="N", help="Trials at a time in the loop; default: 10."),
]
RunNames = Annotated[
    str | None, on_kfp("--run-name", metavar="NAME", help="How the names of all runs begin.")
]


_HERE, _ONE_RUN, _MANY_RUNS = "", "--kfp", "--as-runs"
# The ways to sweep that an option belongs to, if these are not all.
_WAYS = {
    **dict.fromkeys(
        (
            *("stop_when", "reports", "retry", "jobs", "fresh", "fail_fast", "verify", "kernel"),
            *("folder", "verbose", "as_csv"),
        ),
        (_HERE,),
    ),
    **dict.fromkeys(("image", "no_install"), (_ONE_RUN, _MANY_RUNS)),
    **dict.fromkeys(("package", "dsl", "parallelism"), (_ONE_RUN,)),
    **dict.fromkeys(
        (
            *("experiment", "run_name", "service_account", "pipeline_root", "host", "namespace"),
            *("authentication", "token_file", "ca", "insecure"),
        ),
        (_MANY_RUNS,),
    ),
}


def refuse_strange(context: typer.Context, *, kfp: bool, as_runs: bool) -> None:
    """UsageError for two ways at once, or for an option that the chosen way does not have."""
    if kfp and as_runs:
        raise UsageError(
            "--as-runs goes not with --kfp: one submits a run for each trial, the other compiles "
            "one pipeline with all of them",
            hint="choose one",
        )
    way = _MANY_RUNS if as_runs else _ONE_RUN if kfp else _HERE
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        is_given = source is not None and source.name == "COMMANDLINE"
        ways = _WAYS.get(name, (way,))
        if is_given and way not in ways:
            option = min(parameter.opts, key=len)
            raise UsageError(
                f"{option} goes not with {way}" if way else f"{option} is for a sweep on a cluster",
                hint=f"leave it out, or add {' or '.join(ways)}" if all(ways) else "leave it out",
            )
