"""``fetch``: a run on a KFP server, brought here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kale_pm.commands.options import (
    Authentication,
    Ca,
    Folder,
    Host,
    Insecure,
    Json,
    Namespace,
    TokenFile,
)
from kale_pm.commands.shared import are_certificates_checked
from kale_pm.console import say, show_json, show_view


def fetch(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="The run's id, or the address of its page.")
    ],
    step: Annotated[
        str | None, typer.Argument(metavar="STEP", help="Only the notebook of this step.")
    ] = None,
    *,
    variables: Annotated[
        bool, typer.Option("--variables", help="Bring the values of the variables, too.")
    ] = False,
    no_artifacts: Annotated[
        bool,
        typer.Option("--no-artifacts", help="Leave the files there that the steps have kept."),
    ] = False,
    notebook: Annotated[
        Path | None,
        typer.Option(
            "--notebook",
            metavar="NOTEBOOK",
            help="The notebook that was submitted; its settings may name the server.",
        ),
    ] = None,
    folder: Folder = None,
    host: Host = None,
    namespace: Namespace = None,
    authentication: Authentication = None,
    token_file: TokenFile = None,
    ca: Ca = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Bring a run from a KFP server: executed notebooks, logs, files, and the report.

    Of a run that goes on, what there is. Exit code 1 if something is not to be had.
    """
    verify = are_certificates_checked(ca, insecure)
    from kale_pm.face import fetch as bring
    from kale_pm.terminal import fetched_view, lacks_view

    fetched = bring(
        run,
        step,
        host=host,
        namespace=namespace,
        authentication=authentication,
        token_file=token_file,
        ca=ca,
        verify=verify,
        notebook=notebook,
        folder=folder,
        variables=variables,
        artifacts=not no_artifacts,
    )
    if as_json:
        lacks = {name: [vars(lack) for lack in found] for name, found in fetched.lacks.items()}
        show_json({**fetched.to_dict(), "lacks": lacks})
    elif step is None:
        show_view(fetched_view(fetched.record), error=True)
        say(fetched.report)
    elif (path := fetched.step(step).notebook) is not None:
        say(path)
    if fetched.lacks:
        if not as_json:
            show_view(lacks_view(fetched.lacks), error=True, soft_wrap=True)
        raise typer.Exit(1)
    if step is not None and not fetched.step(step).state.is_final and not as_json:
        say(
            f"step {step} is {fetched.step(step).state.value}: fetch it when it has ended",
            error=True,
        )
