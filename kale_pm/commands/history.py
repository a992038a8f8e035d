"""What there is of earlier runs and sweeps: ``runs``, ``diff`` and ``clean``."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from kale_pm.commands.options import Folder, Json, RunName, Where
from kale_pm.commands.shared import chosen_run
from kale_pm.console import show_error, show_json, show_view

_SHOWN = 20  # runs, where nobody says how many


def runs(
    where: Where = None,
    *,
    number: Annotated[
        int | None,
        typer.Option(
            "-n", "--number", min=1, metavar="N", help="Only the N newest; default: 20, JSON: all."
        ),
    ] = None,
    trials: Annotated[
        bool, typer.Option("--trials", help="The trials of sweeps, too, each as a run.")
    ] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """List the runs and the sweeps, the newest first.

    Parameters are shown where they are not the notebook's defaults of today.
    """
    from kale_pm.local.results.history import PastRun, PastSweep, locate, read_history
    from kale_pm.terminal import history_view

    store, pipeline = locate(where, folder)
    history = read_history(store, pipeline, trials=trials)
    found: list[PastRun | PastSweep] = [*history.runs, *history.sweeps]
    found.sort(key=lambda each: (each.record.started, each.record.id), reverse=True)
    if as_json:
        newest = found[:number]
        faults = {path.name: error.message for path, error in history.damaged.items()}
        show_json(
            {
                "folder": str(store.folder),
                "runs": [each.to_dict() for each in newest if isinstance(each, PastRun)],
                "sweeps": [each.to_dict() for each in newest if isinstance(each, PastSweep)],
                "damaged": faults,
            }
        )
        return
    shown = found[: number or _SHOWN]
    older = len(found) - len(shown)
    if shown:
        show_view(history_view(shown, older=older, now=time.time()))
    elif not history.damaged:
        show_view(f"no runs in {store.folder}" + (f" of {pipeline}" if pipeline else ""))
    for error in history.damaged.values():
        show_error(error)


def diff(
    before: RunName,
    after: RunName,
    *,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Every changed line of every cell.")
    ] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Show what differs between two runs: parameters, metrics, code, variables, times."""
    from kale_pm.terminal import comparison_view

    comparison = chosen_run(before, folder).diff(chosen_run(after, folder))
    if as_json:
        show_json(comparison.to_dict())
    else:
        show_view(comparison_view(comparison, whole=verbose))


def clean(
    where: Where = None,
    *,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=0, metavar="N", help="Keep the N newest runs of each notebook."),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Remove runs older than this: 30d, 12h."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="SIZE", help="Remove the oldest runs down to this: 5GB."),
    ] = None,
    latest_too: Annotated[
        bool,
        typer.Option("--all", help="The newest run of a notebook, too; alone: every run."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Remove old runs, and all files that no other run needs.

    A run goes if one of the options says so. Without any only those files go. The newest run of
    each notebook stays, and a run that goes on.
    """
    from kale_pm.local.results import cleaning
    from kale_pm.local.results.amounts import parse_age, parse_size
    from kale_pm.local.results.history import locate
    from kale_pm.terminal import cleaning_view

    age = parse_age(older_than) if older_than is not None else None
    limit = parse_size(size) if size is not None else None
    store, pipeline = locate(where, folder)
    rules = cleaning.Rules(keep, age, limit, latest_too, pipeline)
    done = (cleaning.plan_cleaning if dry_run else cleaning.clean)(store, rules)
    if as_json:
        show_json({**done.to_dict(), "dry_run": dry_run, "folder": str(store.folder)})
    else:
        show_view(cleaning_view(done, is_plan=dry_run))
        if limit is not None and done.left > limit and not latest_too:
            show_view(f"that is more than {size}: the newest run of each notebook stays; see --all")
