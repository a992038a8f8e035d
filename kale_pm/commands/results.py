"""What one run gave: ``report`` and ``vars``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kale_pm.commands.options import Folder, Json, RunName
from kale_pm.console import say, show_error, show_json, show_view
from kale_pm.errors import UsageError


def report(
    run_name: RunName = "latest",
    show_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Write the report of a run again, and print where it is."""
    from kale_pm.face import find_run

    found = find_run(run_name, near=folder)
    path = found.write_report()
    if as_json:
        show_json(found.to_dict())
    else:
        say(path)
    if show_it:
        typer.launch(str(path))


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
    from kale_pm.face import find_run
    from kale_pm.local.results.packs import damaged_packs
    from kale_pm.terminal import WHOLE, step_variables_view, variables_view

    if run_name.endswith(".pack"):
        if step is not None:
            raise UsageError(f"{run_name} has no steps", hint="leave out the step")
        _show_pack(Path(run_name), verify, as_json)
        return
    found = find_run(run_name, near=folder)
    if step is None:
        sections = {"variables": found.variables}
        view = variables_view(found.id, found.state, found.variables, packs=verbose)
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
