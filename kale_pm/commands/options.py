"""Options and arguments that several commands have: one wording and one panel for each."""

from __future__ import annotations

from functools import partial
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

on_kfp = partial(typer.Option, rich_help_panel="On Kubeflow Pipelines")
Dsl = Annotated[
    Path | None, on_kfp("--py", metavar="FILE", help="Also write the pipeline as a Python file.")
]
Image = Annotated[
    str | None, on_kfp("--image", metavar="IMAGE", help="The container image of the steps.")
]
NoInstall = Annotated[bool, on_kfp("--no-install", help="The image has all packages already.")]
Experiment = Annotated[
    str | None, on_kfp("--experiment", metavar="NAME", help="The experiment to run in.")
]
ServiceAccount = Annotated[
    str | None, on_kfp("--service-account", metavar="NAME", help="The service account of the pods.")
]
PipelineRoot = Annotated[
    str | None, on_kfp("--pipeline-root", metavar="URI", help="Where the artifacts are kept.")
]

# -- the KFP server -------------------------------------------------------------------------

_on_server = partial(typer.Option, rich_help_panel="The server")
Host = Annotated[str | None, _on_server("--host", metavar="URL", help="Its address.")]
Namespace = Annotated[
    str | None, _on_server("--namespace", metavar="NAME", help="Your profile in Kubeflow.")
]
Authentication = Annotated[
    str | None,
    _on_server(
        "--authentication",
        metavar="WAY",
        help="How to sign in: auto, none, token, service-account, dex or cookie. Tokens, cookies "
        "and passwords come from KALE_PM_TOKEN, KALE_PM_COOKIE, KALE_PM_USERNAME and "
        "KALE_PM_PASSWORD.",
    ),
]
TokenFile = Annotated[
    Path | None,
    _on_server(
        "--token-file", metavar="FILE", help="A file with the token, read for every request."
    ),
]
Ca = Annotated[
    Path | None, _on_server("--ca", metavar="FILE", help="The certificates to believe, as PEM.")
]
Insecure = Annotated[bool, _on_server("--insecure", help="Believe any certificate.")]
