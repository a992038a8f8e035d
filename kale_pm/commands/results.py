"""What one run or one sweep gave: ``report`` and ``vars``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kale_pm.commands.options import Folder, Json
from kale_pm.commands.shared import chosen_run, sweep_called
from kale_pm.console import counting, say, show_error, show_json, show_view
from kale_pm.errors import KalePmError, UsageError

if TYPE_CHECKING:
    from kale_pm.face import Run, Sweep


def report(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN|SWEEP", help="Its id, or the notebook of its newest run or sweep."
        ),
    ] = "latest",
    best: Annotated[
        str | None,
        typer.Option(
            "--best",
            metavar="METRIC:max|min",
            help="Of a sweep: choose the best trial anew, and run nothing.",
        ),
    ] = None,
    show_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Write the report of a run or of a sweep again, and print where it is.

    Without a name that of the newest of all runs and sweeps.
    """
    from kale_pm.face import Sweep, find_sweep

    if best is not None:
        found: Run | Sweep = find_sweep(name, near=folder).by(best)
    else:
        found = _newest(name, folder)
    path = _write_report(found) if isinstance(found, Sweep) else found.write_report()
    if as_json:
        show_json(found.to_dict())
    else:
        say(path)
    if show_it:
        typer.launch(str(path))


def _newest(name: str, folder: Path | None) -> Run | Sweep:
    """What is meant by a name; where both a run and a sweep may be, the one that began last."""
    from kale_pm.face import find_run

    sweep = sweep_called(name, folder)
    if sweep is None:
        return chosen_run(name, folder)
    try:
        run = find_run(name, near=folder)
    except KalePmError:  # it has none, or is a script that was only swept
        return sweep
    return sweep if sweep.record.started > run.record.started else run


def _write_report(sweep: Sweep) -> Path:
    """Write the page of a sweep, and tell which trial is the best one."""
    from kale_pm.terminal import best_view

    with counting("report") as tell:
        path = sweep.write_report(tell=tell)
    if sweep.goal is not None:
        show_view(best_view(sweep), error=True)
    return path


def vars_(
    run_name: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run's id, the notebook of its newest run, or a .pack file."
        ),
    ] = "latest",
    step: Annotated[
        str | None,
        typer.Argument(metavar="STEP", help="What this step received and gave; default: the end."),
    ] = None,
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every byte of the files they lie in.")
    ] = False,
    folder: Folder = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Print the files they lie in.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the variables that a run stored, who gave them and who needs them.

    With a .pack file in the place of RUN: what lies in it.  Nothing is loaded.
    """
    from kale_pm.local.results.packs import damaged_packs
    from kale_pm.terminal import WHOLE, step_variables_view, variables_view

    if run_name.endswith(".pack"):
        if step is not None:
            raise UsageError(f"{run_name} has no steps", hint="leave out the step")
        _show_pack(Path(run_name), verify, as_json)
        return
    found = chosen_run(run_name, folder)
    if step is None:
        sections = {"variables": found.variables}
        view = variables_view(
            found.id, found.state, found.variables, packs=verbose, missing=found.unknown_steps
        )
    else:
        chosen = found.step(step)
        sections = {"received": chosen.received, "gave": chosen.variables}
        view = step_variables_view(found.id, step, chosen.state, **sections, packs=verbose)
    packs = [v.pack for each in sections.values() for v in each.values() if v.pack is not None]
    damaged = damaged_packs(packs) if verify else {}
    if as_json:
        told = {title: {n: vars(v) for n, v in each.items()} for title, each in sections.items()}
        faults = {str(path): error.message for path, error in damaged.items()}
        show_json({"run": found.id, "step": step, **told, "verified": verify, "damaged": faults})
    else:
        show_view(view)
        if verify and not damaged:
            say(f"\n{WHOLE}")
    for error in damaged.values():
        show_error(error)
    if damaged:
        raise typer.Exit(1)


def _show_pack(path: Path, verify: bool, as_json: bool) -> None:
    from kale_pm.local.results.packs import read_pack
    from kale_pm.terminal import pack_view

    content = read_pack(path, verify=verify)
    if as_json:
        show_json({**vars(content), "components": [vars(each) for each in content.components]})
    else:
        show_view(pack_view(content))
