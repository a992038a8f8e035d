"""What several commands can be told is told to all of them in the same way."""

from __future__ import annotations

import pytest
import typer

from kale_pm.cli import app

EXECUTING = ("--jobs", "--fresh", "--fail-fast", "--kernel")
COMPILING = ("--py", "--image", "--no-install")
SUBMITTING = ("--experiment", "--service-account", "--pipeline-root")
REACHING = ("--host", "--namespace", "--authentication", "--token-file", "--ca", "--insecure")


@pytest.mark.parametrize(
    ("commands", "options"),
    [
        (("run", "sweep"), EXECUTING),
        (("compile", "sweep"), COMPILING),
        (("submit", "sweep"), (*COMPILING[1:], *SUBMITTING)),
        (("submit", "sweep", "fetch"), REACHING),
    ],
)
def test_an_option_is_explained_alike_wherever_it_is(
    commands: tuple[str, ...], options: tuple[str, ...]
) -> None:
    first, *others = (_explained(command) for command in commands)
    for option in options:
        for other in others:
            assert other[option] == first[option]


def _explained(command: str) -> dict[str, tuple[str, str, str]]:
    """Of every option its value, its panel and its help."""
    group = typer.main.get_command(app)
    return {
        max(option.opts, key=len): (option.metavar, option.rich_help_panel, option.help)
        for option in group.commands[command].params
        if hasattr(option, "rich_help_panel") and hasattr(option, "help")
    }
