"""Options and arguments that several commands have: one wording and one panel for each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# -- the notebook, and what is printed ------------------------------------------------------

Notebook = Annotated[Path, typer.Argument(metavar="NOTEBOOK", help="The tagged notebook.")]
Strict = Annotated[bool, typer.Option("--strict", help="Treat warnings as errors.")]
Infer = Annotated[
    bool, typer.Option("--infer-edges", help="Steps without a prev: follow their data.")
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "-p", "--parameter", metavar="NAME=VALUE", help="A parameter's value; may be repeated."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Print what the cells print.")]

# -- runs of before -------------------------------------------------------------------------

Folder = Annotated[
    Path | None,
    typer.Option("--dir", metavar="FOLDER", help="Where .kale-pm lies; default: the notebook's."),
]
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

# -- execution on this machine --------------------------------------------------------------

Jobs = Annotated[
    int | None,
    typer.Option("-j", "--jobs", min=1, metavar="N", help="Steps at a time; default: cores."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Reuse nothing of earlier runs.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="End everything at the first failure.")]
Verify = Annotated[bool, typer.Option("--verify", help="Check every stored byte that is used.")]
Kernel = Annotated[
    str | None,
    typer.Option("--kernel", metavar="NAME", help="Another kernel than the notebook's."),
]

# -- Kubeflow Pipelines ---------------------------------------------------------------------

KFP = "On Kubeflow Pipelines"
Dsl = Annotated[
    Path | None,
    typer.Option(
        "--py",
        metavar="FILE",
        help="Also write the pipeline as a Python file.",
        rich_help_panel=KFP,
    ),
]
Image = Annotated[
    str | None,
    typer.Option(
        "--image",
        metavar="IMAGE",
        help="The container image of the steps.",
        rich_help_panel=KFP,
    ),
]
NoInstall = Annotated[
    bool,
    typer.Option("--no-install", help="The image has all packages already.", rich_help_panel=KFP),
]
Experiment = Annotated[
    str | None,
    typer.Option(
        "--experiment", metavar="NAME", help="The experiment to run in.", rich_help_panel=KFP
    ),
]
ServiceAccount = Annotated[
    str | None,
    typer.Option(
        "--service-account",
        metavar="NAME",
        help="The service account of the pods.",
        rich_help_panel=KFP,
    ),
]
PipelineRoot = Annotated[
    str | None,
    typer.Option(
        "--pipeline-root",
        metavar="URI",
        help="Where the artifacts are kept.",
        rich_help_panel=KFP,
    ),
]

# -- the KFP server -------------------------------------------------------------------------

_SERVER = "The server"
Host = Annotated[
    str | None,
    typer.Option("--host", metavar="URL", help="Its address.", rich_help_panel=_SERVER),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace", metavar="NAME", help="Your profile in Kubeflow.", rich_help_panel=_SERVER
    ),
]
Authentication = Annotated[
    str | None,
    typer.Option(
        "--authentication",
        metavar="WAY",
        help="How to sign in: auto, none, token, service-account, dex or cookie. Tokens, cookies "
        "and passwords come from KALE_PM_TOKEN, KALE_PM_COOKIE, KALE_PM_USERNAME and "
        "KALE_PM_PASSWORD.",
        rich_help_panel=_SERVER,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="A file with the token, read for every request.",
        rich_help_panel=_SERVER,
    ),
]
Ca = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        metavar="FILE",
        help="The certificates to believe, as PEM.",
        rich_help_panel=_SERVER,
    ),
]
Insecure = Annotated[
    bool,
    typer.Option("--insecure", help="Believe any certificate.", rich_help_panel=_SERVER),
]
