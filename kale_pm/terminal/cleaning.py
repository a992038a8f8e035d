"""How ``clean`` tells what it removed, or would remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from kale_pm.terminal.text import file_size, visible

if TYPE_CHECKING:
    from kale_pm.local.results.cleaning import Cleaning

_LISTED = 20  # runs; more would hide what comes after them
_KINDS = {
    "cache": ("stored result", "stored results"),
    "packs": ("file of variables", "files of variables"),
    "notebooks": ("kept notebook", "kept notebooks"),
    "artifacts": ("kept artifact", "kept artifacts"),
    "reports": ("rendered notebook", "rendered notebooks"),
    "steps": ("history of a step", "histories of steps"),
    "leftovers": ("leftover", "leftovers"),
}


def cleaning_view(cleaning: Cleaning, *, is_plan: bool) -> RenderableType:
    """What went and what stays; ``is_plan`` where nothing was removed yet."""
    counts = [_count(len(cleaning.runs), ("run", "runs"))] if cleaning.runs else []
    counts += [_count(len(cleaning.files[k]), _KINDS[k]) for k in _KINDS if k in cleaning.files]
    stays = f"{_count(len(cleaning.kept), ('run', 'runs'))}, {file_size(cleaning.left)}"
    stay = "would stay" if is_plan else "stay" if len(cleaning.kept) != 1 else "stays"
    removed = "would remove" if is_plan else "removed"
    parts: list[RenderableType] = []
    if counts:
        parts += [Text(f"{removed} run {visible(run)}") for run in cleaning.runs[:_LISTED]]
        if len(cleaning.runs) > _LISTED:
            parts.append(Text(f"… and {len(cleaning.runs) - _LISTED} more", "dim"))
        parts.append(Text(f"{removed} {', '.join(counts)}: {file_size(cleaning.freed)}", "bold"))
    else:
        parts.append(Text("nothing to remove"))
    parts.append(Text(f"{stays} {stay}", "dim"))
    if cleaning.going_on:
        runs = ", ".join(map(visible, cleaning.going_on))
        said = f"{runs} goes on: stored results stay that it might use; clean again when it is done"
        parts.append(Text(said, "yellow"))
    if cleaning.is_cut_short:
        parts.append(Text("a run began meanwhile: clean again when it is done", "yellow"))
    return Group(*parts)


def _count(number: int, names: tuple[str, str]) -> str:
    return f"{number} {names[number != 1]}"
