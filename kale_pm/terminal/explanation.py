"""How ``run --explain`` says what would run."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kale_pm.local import Explanation
from kale_pm.terminal.text import told

_WORDS = {True: ("will run", "cyan"), False: ("will not run", "dim"), None: ("may run", "yellow")}


def explanation_view(explanations: Mapping[str, Explanation]) -> RenderableType:
    """A line for each step, and how many of them there are of each kind."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, explanation in explanations.items():
        word, style = _WORDS[explanation.runs]
        table.add_row(Text(name, style), Text(word, style), Text(told(explanation.why)))
    kinds = [explanation.runs for explanation in explanations.values()]
    counts = [f"{kinds.count(kind)} {_WORDS[kind][0]}" for kind in _WORDS if kind in kinds]
    return Group(table, Text(), Text(", ".join(counts)))
