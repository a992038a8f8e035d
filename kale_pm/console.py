"""What reaches the screen: for people on a terminal, as plain lines elsewhere, as JSON.

The only file that prints.  How things look is said in ``terminal``.
"""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from kale_pm.errors import KalePmError, NotebookError, StepFailed
    from kale_pm.events import Event, Listener, SweepListener
    from kale_pm.face import Pipeline
    from kale_pm.model import Problem
    from kale_pm.trials.goal import Goal

_FAILURES = 5  # that are told in full; the report tells all
_UNWRAPPED = 10_000  # columns, where no terminal says how many there are


# Signs that a terminal without Unicode shows by others; none is longer, so that tables hold.
_SIGNS = str.maketrans("▸✓✗★·═…→│┌└—", ">+x*.=~>|++-")
_ERRORS = "kale_pm.plain"


def prepare() -> None:
    """A name or an output that the terminal cannot show must not end the command."""
    codecs.register_error(_ERRORS, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Our own signs as plain ones, what else cannot be shown as escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end].translate(_SIGNS)
    return signs.encode("ascii", "backslashreplace").decode("ascii"), error.end


def say(what: object, *, error: bool = False) -> None:
    """Print a text as it is: a path, a version, a drawing."""
    print(what, file=sys.stderr if error else sys.stdout, flush=True)


def show_view(what: RenderableType, *, error: bool = False, soft_wrap: bool = False) -> None:
    """Print for people; where a program may read, lines are neither wrapped nor filled up.

    ``soft_wrap`` leaves long lines to the terminal, so that a path can be copied whole.
    """
    console = _console(error)
    if console.is_terminal:
        console.print(what, soft_wrap=soft_wrap)
        return
    console.width = _UNWRAPPED
    with console.capture() as captured:
        console.print(what)
    lines = captured.get().removesuffix("\n").split("\n")
    say("\n".join(line.rstrip() for line in lines), error=error)


def show_error(error: KalePmError) -> None:
    """Print what went wrong and what to do about it."""
    from kale_pm.terminal import error_view

    show_view(error_view(error), error=True, soft_wrap=True)


def show_hint(text: str) -> None:
    """Print what to do about that which was printed before."""
    from kale_pm.terminal import hint_view

    show_view(hint_view(text), error=True, soft_wrap=True)


def show_warning(text: str) -> None:
    """Print what somebody should know, though the command goes on."""
    from kale_pm.terminal import warning_view

    show_view(warning_view(text), error=True)


def show_failures(failures: Sequence[StepFailed]) -> None:
    """Print the first failures of a run, and of the others which they are and where to look."""
    from kale_pm.terminal import more_failures_view

    for failure in failures[:_FAILURES]:
        show_error(failure)
    if len(failures) > _FAILURES:
        view = more_failures_view(failures[_FAILURES:])
        show_view(view, error=True, soft_wrap=True)


def show_refusal(pipeline: Pipeline, errors: Sequence[Problem]) -> None:
    """Print the errors that keep the pipeline from being used, and how many there are."""
    from kale_pm.terminal import problems_view

    show_view(problems_view(pipeline, errors), error=True)
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    show_view(f"{pipeline.path}: {count}", error=True)


def mention_warnings(pipeline: Pipeline) -> None:
    """Print how many warnings there are, and what shows them; nothing if there are none."""
    count = sum(problem.severity == "warning" for problem in pipeline.problems)
    if count:
        noun = "warning" if count == 1 else "warnings"
        show_warning(f"{count} {noun}: {pipeline.check_command}")


def show_json(content: dict[str, Any]) -> None:
    """Print one JSON object that every reader takes, escaped where the terminal asks for it."""
    from kale_pm import strict_json

    text = strict_json.dumps(content, indent=1, ensure_ascii=False, default=str)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = strict_json.dumps(content, indent=1, default=str)
    say(text)


def show_unreadable(error: NotebookError) -> None:
    """Print what ``check --json`` does where there is no pipeline: the usual keys, and why."""
    from kale_pm.model import Problem

    problem = Problem("unreadable", "error", error.message, error.hint)
    show_json(
        {
            "steps": {},
            "edges": [],
            "implied_edges": [],
            "aliases": [],
            "error": problem.code,
            "problems": [vars(problem)],
        }
    )


@contextmanager
def progress(pipeline: Pipeline, verbose: bool, quiet: bool) -> Iterator[Listener]:
    """The listener that shows a run: live lines on a terminal, plain lines elsewhere."""
    from rich.live import Live

    from kale_pm.events import Warned, ignore
    from kale_pm.terminal import RunLines, RunView, event_line

    console = _console(error=True)
    if quiet:
        yield ignore
        return
    if not console.is_terminal or console.is_dumb_terminal or verbose:
        lines = RunLines(verbose)

        def tell(event: Event) -> None:
            for line in lines.hear(event):
                console.print(line, highlight=False, soft_wrap=True)

        yield tell
        return
    view = RunView(pipeline.order)
    with Live(view, console=console, refresh_per_second=8) as live:

        def draw(event: Event) -> None:
            view.hear(event)
            if isinstance(event, Warned):
                live.console.print(event_line(event), soft_wrap=True)

        yield draw


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Who hears how many of how many things are made, and shows it on a terminal."""
    console = _console(error=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield lambda _count, _all: None
        return
    with console.status("") as status:
        yield lambda count, total: status.update(f"{what} {count + 1:,} of {total:,}")


@dataclass(frozen=True)
class SweepProgress:
    """Who shows a sweep: ``hear`` what happens, ``tell`` how many of how many reports it writes."""

    hear: SweepListener
    tell: Callable[[int, int], None] = lambda _count, _all: None


@contextmanager
def sweep_progress(
    steps: Sequence[str], goal: Goal | None, verbose: bool, quiet: bool
) -> Iterator[SweepProgress]:
    """Show a sweep while it goes on: live on a terminal, as plain lines elsewhere.

    Where it is to be ``quiet`` only warnings are shown.
    """
    from rich.live import Live

    from kale_pm.events import OfTrial, SweepEvent, Warned
    from kale_pm.terminal import SweepLines, SweepView, event_line

    console = _console(error=True)
    if quiet:

        def warn(event: SweepEvent) -> None:
            warned = event.event if isinstance(event, OfTrial) else event
            if isinstance(warned, Warned):
                console.print(event_line(warned), soft_wrap=True)

        yield SweepProgress(warn)
        return
    if not console.is_terminal or console.is_dumb_terminal or verbose:
        lines = SweepLines(goal, verbose)

        def print_lines(event: SweepEvent) -> None:
            for line in lines.hear(event):
                console.print(line, soft_wrap=True)

        yield SweepProgress(print_lines)
        return
    view = SweepView(steps, goal)
    # What is drawn goes away at the end: the table of all trials takes its place.
    with Live(view, console=console, refresh_per_second=8, transient=True) as live:

        def draw(event: SweepEvent) -> None:
            for line in view.hear(event):
                live.console.print(line, soft_wrap=True)

        yield SweepProgress(draw, view.tell)


def _console(error: bool) -> Console:
    from rich.console import Console

    return Console(stderr=error, highlight=False)
