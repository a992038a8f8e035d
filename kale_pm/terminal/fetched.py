"""How a run looks that was brought here from a KFP server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kale_pm.record import RunRecord, StepRecord
from kale_pm.report.page import duration
from kale_pm.terminal.text import STYLES, visible

if TYPE_CHECKING:
    from kale_pm.kfp.server.bringing import Lack


def fetched_view(record: RunRecord) -> RenderableType:
    """The steps, where each stands, and which notebook it has here."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for step in record.steps.values():
        sign, style = STYLES[step.state]
        table.add_row(
            Text(f"{sign} {visible(step.name)}", style),
            Text(step.state.value, style),
            Text(duration(step.seconds) if step.seconds is not None else "", "dim"),
            Text(visible(_about(step))),
        )
    sign, style = STYLES[record.state]
    return Group(table, Text(f"{sign} {visible(record.id)}  {record.state.value}", style))


def lacks_view(lacks: Mapping[str, Sequence[Lack]]) -> Text:
    """What is not to be had, and once for all what to do about it."""
    text = Text()
    hints: dict[str, None] = {}
    for step, found in lacks.items():
        for lack in found:
            text.append(f"step {visible(step)} lacks {lack.what}: ", "yellow")
            text.append(f"{visible(lack.reason)}\n")
            hints[lack.hint] = None
    for hint in filter(None, hints):
        text.append(f"  {visible(hint)}\n", "dim")
    text.rstrip()
    return text


def _about(step: StepRecord) -> str:
    if step.error is not None:
        return step.error.message
    return step.notebook or step.why
