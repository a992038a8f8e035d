"""Texts that cannot harm the terminal nor fill it: messages, errors, sizes, signs of a state."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from kale_pm.errors import KalePmError, StepFailed
from kale_pm.record import State

STYLES = {
    State.WAITING: ("·", "dim"),
    State.RUNNING: ("▸", "cyan"),
    State.DONE: ("✓", "green"),
    State.CACHED: ("=", "blue"),
    State.FAILED: ("✗", "bold red"),
    State.SKIPPED: ("-", "yellow"),
    State.INTERRUPTED: ("!", "yellow"),
}
"""The sign of a state, and its colour."""

_SCREEN = 16  # lines of an error message that leave room for what to do about it
_NAMED = 10  # steps, where there are more than a line holds
# What would move the cursor, recolour the screen, turn the text around or break the line.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LONG_WORD = re.compile(r"(\S{60})\S{40,}?(['\"]?[.,:;?)]*)(?!\S)")


def visible(text: str) -> str:
    r"""``text`` with control characters and lone surrogates as escapes such as ``\x1b``."""
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def told(text: str) -> str:
    """A message or hint in which no tag or name fills the screen."""
    return visible(cut(_LONG_WORD.sub(r"\1…\2", text), 2000))


def warning_view(message: str) -> Text:
    return Text.assemble(("warning ", "yellow"), visible(message))


def error_view(error: KalePmError) -> RenderableType:
    """What went wrong and what to do; a message of a thousand lines is cut to a screenful."""
    lines = str(error).splitlines() or [""]
    if len(lines) > _SCREEN:
        lines = [*lines[:_SCREEN], f"… and {len(lines) - _SCREEN} more lines"]
    message = "\n".join(visible(cut(line, 1000)) for line in lines)
    return Group(Text.assemble(("error ", "bold red"), message), hint_view(error.hint))


def hint_view(hint: str) -> RenderableType:
    """What to do about something; nothing where nobody knows."""
    lines = hint.splitlines()
    return Group(*(Text(f"  → {visible(cut(line, 1000))}", "cyan") for line in lines))


def more_failures_view(failures: Sequence[StepFailed]) -> RenderableType:
    """How many steps failed besides those that are told, their names, and where to look."""
    names = [cut(failure.step, 40) for failure in failures[:_NAMED]]
    listing = ", ".join(names) + (", …" if len(failures) > _NAMED else "")
    count = "1 more step" if len(failures) == 1 else f"{len(failures)} more steps"
    parts = [Text.assemble(("error ", "bold red"), f"{count} failed: {visible(listing)}")]
    run = failures[0].run
    if run is not None:
        told = f"all are told in {run.report}, by step in {run.folder / 'run.json'}"
        parts.append(Text(f"  → {visible(told)}", "cyan"))
    return Group(*parts)


def cut(text: str, length: int) -> str:
    """At most ``length`` characters of the text."""
    return text if len(text) <= length else text[: length - 1] + "…"


def short_type(name: str) -> str:
    """A type as people call it.

    >>> short_type("pandas.core.frame.DataFrame")
    'DataFrame'
    """
    return name.rpartition(".")[2]


def file_size(size: int) -> str:
    """A number of bytes as people say it.

    >>> [file_size(size) for size in (0, 287, 3805, 337_844, 999_950, 2_500_000_000)]
    ['0 B', '287 B', '3.8 kB', '338 kB', '1.0 MB', '2.5 GB']
    """
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if amount < 999.5 or unit == "TB":
            break
    return f"{amount:.1f} {unit}" if amount < 99.95 else f"{amount:.0f} {unit}"
