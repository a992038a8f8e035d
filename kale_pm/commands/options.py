"""Options and arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Notebook = Annotated[Path, typer.Argument(metavar="NOTEBOOK", help="The tagged notebook.")]
Strict = Annotated[bool, typer.Option("--strict", help="Treat warnings as errors.")]
Infer = Annotated[
    bool, typer.Option("--infer-edges", help="Steps without a prev: follow their data.")
]
Folder = Annotated[
    Path | None,
    typer.Option("--dir", metavar="FOLDER", help="Where .kale-pm lies; default: the notebook's."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
Where = Annotated[
    Path | None,
    typer.Argument(
        metavar="NOTEBOOK|FOLDER",
        help="The notebook whose runs are meant, or a folder; default: the working directory.",
    ),
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, or the notebook of its newest run.")
]
