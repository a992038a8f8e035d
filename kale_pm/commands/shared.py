"""What several commands do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kale_pm.console import show_refusal
from kale_pm.errors import UsageError

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


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What cannot be written in the block is an error of the user's choice of a place."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or path}: {error.strerror}", hint="choose another place"
        ) from error
