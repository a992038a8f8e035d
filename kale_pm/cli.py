"""The command line: argv -> one of the commands -> exit code.

Exit codes: 0 done, 1 the notebook or a step failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kale_pm.commands.debug import debug
from kale_pm.commands.fetch import fetch
from kale_pm.commands.history import clean, diff, runs
from kale_pm.commands.notebook import check, compile_, show, slice_
from kale_pm.commands.results import report, vars_
from kale_pm.commands.run import run
from kale_pm.commands.submit import submit
from kale_pm.commands.sweep import sweep
from kale_pm.console import prepare, say, show_error
from kale_pm.errors import KalePmError

app = typer.Typer(
    help="One tagged notebook in; a pipeline whose every step is an executed notebook out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from kale_pm import __version__

        say(f"kale-pm {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command()(check)
app.command()(show)
app.command(name="slice")(slice_)
app.command()(run)
app.command()(sweep)
app.command(name="compile")(compile_)
app.command()(submit)
app.command()(fetch)
app.command()(runs)
app.command()(report)
app.command(name="vars")(vars_)
app.command()(diff)
app.command()(debug)
app.command()(clean)


def main() -> None:
    """The entry point ``kale-pm``."""
    prepare()
    try:
        app(prog_name="kale-pm")
    except KalePmError as error:
        show_error(error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
