"""The page of a step that the user interface of KFP shows: its metrics and its notebook."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

# The user interface fetches the page as a whole and puts it into an attribute of its own page.
LARGEST = 4_000_000  # bytes


def write_page(
    path: Path, executed: Path, step: str, *, wanted: bool, metrics: Mapping[str, Any]
) -> None:
    """The executed notebook as a page, with its ``metrics`` on top.

    Where it would be larger than a browser shows in that place, notes stand for the largest
    outputs.  A page that cannot be made never fails a step.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if wanted:
        try:
            page = _page(executed, step, metrics)
        except Exception as error:  # noqa: BLE001 - whatever a notebook holds, the step is done
            page = _note(step, f"The notebook cannot be shown: {error}")
    else:
        page = _note(step, "The report of this step is switched off.")
    # Outputs may hold half characters that no encoding takes.
    path.write_text(page, encoding="utf-8", errors="replace")


def _page(executed: Path, step: str, metrics: Mapping[str, Any]) -> str:
    import nbformat

    from kale_pm.runtime.render import frame, render_fragment

    table = _table(metrics)
    notebook = nbformat.read(executed, as_version=4)
    page = frame(table + render_fragment(notebook), title=step)
    excess = _size(page) - LARGEST
    if excess <= 0:
        return page
    _leave_out(notebook, excess)
    page = frame(table + render_fragment(notebook), title=step)
    if _size(page) <= LARGEST:
        return page
    note = "This step wrote too much for a page: its notebook has it all."
    return frame(table + _paragraph(note), title=step)


def _table(metrics: Mapping[str, Any]) -> str:
    if not metrics:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(_value(value))}</td></tr>'
        for name, value in metrics.items()
    )
    return f'<div class="rendered_html output_html"><table><tbody>{rows}</tbody></table></div>'


def _value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) and math.isfinite(value) else str(value)


def _leave_out(notebook: NotebookNode, excess: int) -> None:
    """Put notes in the place of the largest outputs, which together have ``excess`` bytes."""
    from nbformat.v4 import new_output

    outputs = [
        (_weight(output), cell, index)
        for cell in notebook.cells
        if cell.cell_type == "code"
        for index, output in enumerate(cell.outputs)
    ]
    for weight, cell, index in sorted(outputs, key=lambda each: each[0], reverse=True):
        if excess <= 0:
            return
        note = f"An output of {weight / 1e6:.1f} MB is left out here; the notebook has it.\n"
        cell.outputs[index] = new_output("stream", name="stderr", text=note)
        excess -= weight


def _weight(output: NotebookNode) -> int:
    texts = [output.get("text", ""), *output.get("data", {}).values()]
    return max(_size(str(text)) for text in texts)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _note(step: str, text: str) -> str:
    title = escape(step)
    return f"<!doctype html><meta charset='utf-8'><title>{title}</title>{_paragraph(text)}\n"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"
