"""What a notebook says, before anything runs: ``check``, ``show``, ``slice``, ``compile``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kale_pm.commands.options import (
    Dsl,
    Image,
    Infer,
    Json,
    NoInstall,
    Notebook,
    Strict,
    on_kfp,
)
from kale_pm.commands.shared import image_of_steps, load_pipeline, refuse_errors, writing
from kale_pm.console import (
    mention_warnings,
    say,
    show_json,
    show_unreadable,
    show_view,
    show_warning,
)
from kale_pm.errors import NotebookError, UsageError


def check(
    notebook: Notebook, as_json: Json = False, strict: Strict = False, infer_edges: Infer = False
) -> None:
    """Show the steps, what flows between them, and the problems."""
    from kale_pm.terminal import pipeline_view, problem_counts, problems_view

    try:
        pipeline = load_pipeline(notebook, strict, infer_edges)
    except NotebookError as error:
        if as_json:
            show_unreadable(error)
        raise
    if as_json:
        show_json(pipeline.to_dict())
    else:
        show_view(pipeline_view(pipeline))
        show_view("")
        if pipeline.problems:
            show_view(problems_view(pipeline, pipeline.problems))
        show_view(problem_counts(pipeline.problems))
    if pipeline.errors:
        raise typer.Exit(1)


def show(
    notebook: Notebook,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Write a .svg, or Mermaid as .mmd or .md."
        ),
    ] = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print Mermaid, not text.")] = False,
    infer_edges: Infer = False,
) -> None:
    """Draw the steps as a graph."""
    from kale_pm.report import as_mermaid, as_svg, as_text

    pipeline = load_pipeline(notebook, infer_edges=infer_edges)
    refuse_errors(pipeline, {"cycle", "unknown-step", "bad-tags"})
    parents, implied = pipeline.parents, pipeline.implied_edges
    if output is None:
        say(as_mermaid(parents, implied=implied) if mermaid else as_text(parents))
        return
    if output.suffix == ".svg":
        text = as_svg(parents, implied=implied)
    elif output.suffix in (".mmd", ".md"):
        text = as_mermaid(parents, implied=implied)
        text = f"```mermaid\n{text}\n```\n" if output.suffix == ".md" else text
    else:
        raise UsageError(f"{output}: unknown kind of picture", hint="end it in .svg, .mmd or .md")
    with writing(output):
        output.write_text(text, encoding="utf-8")
    say(output)


def slice_(
    notebook: Notebook,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where to write the slices.")
    ] = Path("slices"),
) -> None:
    """Write the sub-notebook of every step."""
    from kale_pm.slicing import cut, to_bytes

    pipeline = load_pipeline(notebook)
    refuse_errors(pipeline)
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        for step in pipeline.steps:
            path = output / f"{step.name}.ipynb"
            path.write_bytes(to_bytes(cut(pipeline, step.name)))
            say(path)


def compile_(
    notebook: Notebook,
    *,
    output: Annotated[
        Path | None,
        on_kfp(
            "-o", "--output", metavar="FILE", help="The YAML file; default: beside the notebook."
        ),
    ] = None,
    dsl: Dsl = None,
    image: Image = None,
    no_install: NoInstall = False,
    strict: Strict = False,
    infer_edges: Infer = False,
) -> None:
    """Compile the notebook for Kubeflow Pipelines."""
    pipeline = load_pipeline(notebook, strict, infer_edges)
    refuse_errors(pipeline)
    mention_warnings(pipeline)
    image = image_of_steps(pipeline, image)
    with writing(output or pipeline.path):
        result = pipeline.compile(output, dsl=dsl, image=image, install=not no_install)
    for warning in result.warnings:
        show_warning(warning)
    say(f"{result.path}  {result.size / 1000:.0f} kB, {len(pipeline.steps)} steps")
    if result.dsl_path is not None:
        say(result.dsl_path)
