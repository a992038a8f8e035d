"""``debug``: a step that failed, opened where it failed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kale_pm.commands.options import Folder, RunName
from kale_pm.commands.shared import chosen_run
from kale_pm.console import say
from kale_pm.errors import KalePmError, UsageError


def debug(
    run_name: RunName,
    step: Annotated[str, typer.Argument(metavar="STEP", help="The step.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to write it; default: STEP-debug.ipynb beside the notebook.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the FILE of -o.")] = False,
    show_it: Annotated[bool, typer.Option("--open", help="Open it in Jupyter.")] = False,
    folder: Folder = None,
) -> None:
    """Write a notebook that takes up a step of a run where it failed, and print its path.

    It loads what the step was given in that run, and holds its cells up to the failing one.
    """
    from kale_pm.local.results.debugging import write_debug_notebook

    found = chosen_run(run_name, folder)
    found.step(step)
    try:
        path = write_debug_notebook(found.record, found.folder, step, output, overwrite=force)
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or output}: {error.strerror}",
            hint="choose another place: -o FILE",
        ) from error
    say(path)
    if show_it:
        _open_in_jupyter(path)


def _open_in_jupyter(path: Path) -> None:
    """Start Jupyter on the notebook, and come back when it has ended."""
    import subprocess

    from kale_pm.local.results.debugging import jupyter_command

    command = jupyter_command()
    if not command:
        raise KalePmError(
            "there is no Jupyter here to open it in",
            hint=f"pip install jupyterlab, then: jupyter lab {path}; or open it in your editor",
        )
    try:
        code = subprocess.run([*command, str(path)], check=False).returncode
    except KeyboardInterrupt:
        return  # Jupyter hears of it, too, and ends by itself
    if code:
        raise KalePmError(f"{' '.join(command)} ended with code {code}", hint="see what it printed")
