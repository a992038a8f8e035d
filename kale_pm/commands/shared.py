"""What several commands do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kale_pm.console import say, show_refusal, show_view
from kale_pm.errors import ClusterError, UsageError

if TYPE_CHECKING:
    from kale_pm.face import Pipeline

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
