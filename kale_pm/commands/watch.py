"""``run --watch``: run, wait for a save, run again what changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kale_pm.commands.shared import INTERRUPTED
from kale_pm.console import say, show_error
from kale_pm.errors import KalePmError, UsageError

if TYPE_CHECKING:
    from kale_pm.face import Pipeline, Run
    from kale_pm.local import RunOptions


def watch_and_run(
    notebook: Path,
    options: RunOptions,
    *,
    load: Callable[[], Pipeline],
    run: Callable[[Pipeline, RunOptions], Run],
    show: Callable[[Run], None],
) -> None:
    """Run the notebook, and again after every save, until Ctrl-C.

    ``load`` and ``show`` may end in typer.Exit where the notebook has errors or a step failed:
    then the next save is waited for.  ``run`` ends so when it was interrupted, and that is
    the end.  What is to be executed anew is so the first time only.
    """
    from kale_pm.local.interruption import interruptible
    from kale_pm.local.watching import Watch

    watch = Watch(notebook)
    has_run = False
    known: Pipeline | None = None  # what ran last, if nothing went wrong
    changed: tuple[str, ...] = (watch.notebook.name,)
    try:
        with interruptible():
            while True:
                watch.look()
                expected, known = known, None
                try:
                    pipeline = load()
                    if pipeline == expected and changed == (watch.notebook.name,):
                        known = expected
                        say("the code is the same", error=True)
                    else:
                        finished = run(pipeline, options)
                        has_run, known = True, None if finished.failures else pipeline
                        options = replace(options, fresh=False, start=None)
                        watch.learn(pipeline, finished.record, finished.folder)
                        show(finished)
                except KalePmError as error:
                    if not has_run and _is_hopeless(error, notebook):
                        raise
                    show_error(error)
                except typer.Exit as end:
                    if end.exit_code == INTERRUPTED:
                        raise
                say(_waiting(watch.notebook, len(watch.files) - 1), error=True)
                changed = watch.wait()
                say(f"\n{time.strftime('%H:%M:%S')}  {_listing(changed)} changed", error=True)
    except KeyboardInterrupt:
        say("\nno longer watching", error=True)


def _is_hopeless(error: KalePmError, notebook: Path) -> bool:
    """Whether no save would help: there is nothing to save, or the command is wrong."""
    return isinstance(error, UsageError) or not notebook.exists()


def _waiting(notebook: Path, others: int) -> str:
    more = f" and {others} {'file' if others == 1 else 'files'}" if others else ""
    return f"watching {notebook.name}{more}; Ctrl-C ends it"


def _listing(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
