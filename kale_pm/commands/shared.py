"""What several commands do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kale_pm.console import say, show_refusal, show_view
from kale_pm.errors import ClusterError, KalePmError, StoreError, UsageError

if TYPE_CHECKING:
    from kale_pm.face import Pipeline, Run, Sweep

INTERRUPTED = 130  # the exit code of what a signal cut short


def load_pipeline(notebook: Path, strict: bool = False, infer_edges: bool = False) -> Pipeline:
    from kale_pm.face import load

    return load(notebook, strict=strict, infer_edges=infer_edges)


def refuse_errors(pipeline: Pipeline, codes: set[str] | None = None) -> None:
    """End with exit code 1 if the pipeline has errors, of ``codes`` if there are any."""
    errors = [problem for problem in pipeline.errors if codes is None or problem.code in codes]
    if errors:
        show_refusal(pipeline, errors)
        raise typer.Exit(1)


def chosen_run(name: str, folder: Path | None) -> Run:
    """The run of this name; of a sweep the trial that ``SWEEP:best`` or ``SWEEP:7`` names.

    Raises StoreError if there is none, UsageError for a sweep as a whole or a number that no
    trial has.
    """
    from kale_pm.face import find_run, find_sweep

    sweep_name, colon, trial = name.rpartition(":")
    if colon and (trial == "best" or trial.isdecimal()):
        sweep = find_sweep(sweep_name, near=folder)
        return (sweep.best if trial == "best" else sweep.trial(int(trial))).run
    try:
        return find_run(name, near=folder)
    except StoreError:
        found = sweep_called(name, folder)
        if found is None:
            raise
    which = f"{name}:best" if found.goal is not None else f"{name}:1"
    raise UsageError(
        f"{name} is a sweep, not a run", hint=f"name one of its trials: {which}, {found.id}.0001"
    )


def sweep_called(name: str, folder: Path | None) -> Sweep | None:
    """The sweep of this name, if there is one and it can be read."""
    from kale_pm.face import find_sweep

    try:
        return find_sweep(name, near=folder)
    except KalePmError:
        return None


def image_of_steps(pipeline: Pipeline, named: str | None) -> str | None:
    """The image that the option ``named`` or the settings name, else this notebook server's own.

    None leaves it to the compiler.  That it is the server's is told, and so is a server that
    may not be asked.
    """
    from kale_pm.kfp.cluster.notebook_server import notebook_server
    from kale_pm.terminal import warning_view

    if named or pipeline.configuration.image:
        return named or pipeline.configuration.image
    try:
        server = notebook_server(os.environ)
    except ClusterError as error:
        text = f"{error}; so the steps start from a stock image: name one with --image"
        show_view(warning_view(text), error=True)
        return None
    if server is None:
        return None
    say(f"image {server.image}  (this notebook server's)")
    return server.image


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What cannot be written in the block is an error of the user's choice of a place."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or path}: {error.strerror}", hint="choose another place"
        ) from error
