"""How ``vars`` shows the variables of a run, and what lies in a pack."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from kale_pm.record import State
from kale_pm.terminal.text import STYLES, file_size, short_type, visible

if TYPE_CHECKING:
    from kale_pm.local.results.packs import PackContent
    from kale_pm.local.results.variables import RunVariable

WHOLE = "every byte is as it was written"
_SHARING = "variables joined by a line share objects; the size is that of all of them"


def variables_view(
    run: str,
    state: State,
    variables: Mapping[str, RunVariable],
    *,
    packs: bool,
    missing: Sequence[str] = (),
) -> RenderableType:
    """The variables of a run as they are at its end; ``packs`` adds the files they lie in.

    What the steps in ``missing`` gave is unknown.
    """
    sizes = {(found.pack, found.component): found.size for found in variables.values()}
    number = f"{len(variables)} {'variable' if len(variables) == 1 else 'variables'}"
    told = f"{number}, {file_size(sum(sizes.values()))}"
    listing = _listing(_head(run, state, told), {"": variables}, packs)
    if not missing:
        return listing
    steps = ", ".join(map(visible, missing))
    said = f"what {steps} gave is unknown: fetch the run again"
    return Group(listing, Text(), Text(said, "yellow"))


def step_variables_view(
    run: str,
    step: str,
    state: State,
    *,
    received: Mapping[str, RunVariable],
    gave: Mapping[str, RunVariable],
    packs: bool,
) -> RenderableType:
    """The variables that a step of a run was given, and those that it gave."""
    head = _head(run, state, f"step {visible(step)}, {state.value}")
    return _listing(head, {"received": received, "gave": gave}, packs)


def _head(run: str, state: State, told: str) -> Text:
    sign, style = STYLES[state]
    return Text.assemble((f"{sign} {visible(run)}", style), f"  {told}")


def _listing(
    head: Text, sections: Mapping[str, Mapping[str, RunVariable]], packs: bool
) -> RenderableType:
    table = _Table(("  variable", "type", "size", "given by", "needed by"))
    for title, section in sections.items():
        if title:
            table.add(Text(title if section else f"{title} nothing", "bold"))
        for name, found in section.items():
            line, first = _joint(name, [n for n in found.shares_with if n in section])
            table.add(
                Text.assemble((line, "dim"), (name, "cyan")),
                _text(f"module {found.module}" if found.module else short_type(found.type)),
                _size(found, first),
                _text(found.given_by),
                _text(", ".join(found.needed_by)),
            )
    shown = [found for section in sections.values() for found in section.values()]
    parts: list[RenderableType] = [head]
    if table.rows:
        parts += [Text(), table]
    for more in (_notes(shown), _places(shown) if packs else ()):
        lines = list(more)
        parts += [Text(), *lines] if lines else []
    return Group(*parts)


def _size(variable: RunVariable, first: bool) -> Text:
    """What stands in the place of the size where nothing is stored."""
    match variable.kind:
        case "stored":
            return Text(file_size(variable.size) if first else "")
        case "module":
            return Text()
        case "unsaved":
            return Text("not stored", "yellow")
        case "deleted":
            return Text("deleted", "dim")


def _joint(name: str, others: Iterable[str]) -> tuple[str, bool]:
    """The piece of the line that joins variables, and whether it is the uppermost one."""
    names = sorted([name, *others])
    if len(names) == 1:
        return "  ", True
    return {names[0]: "┌ ", names[-1]: "└ "}.get(name, "│ "), name == names[0]


def _notes(variables: Sequence[RunVariable]) -> Iterator[Text]:
    """What the table has no room for."""
    if any(variable.shares_with for variable in variables):
        yield Text(_SHARING, "dim")
    for variable in variables:
        if variable.rival is not None:
            yield Text(
                f"{variable.name} was changed by {variable.rival}, too, side by side with "
                f"{variable.given_by}: neither has what the notebook has",
                "yellow",
            )
        if variable.reason is not None:
            yield Text(f"{variable.name} was not stored: {visible(variable.reason)}", "yellow")
    origins: dict[str, dict[str, None]] = {}
    for variable in variables:
        if variable.cached_from is not None:
            origins.setdefault(variable.cached_from, {})[variable.given_by] = None
    for run, steps in origins.items():
        yield Text(f"what {', '.join(steps)} gave was made in run {visible(run)}", "blue")


def _places(variables: Iterable[RunVariable]) -> Iterator[Text]:
    found: dict[Path, dict[str, list[str]]] = {}
    for variable in variables:
        if variable.pack is not None:
            packs = found.setdefault(variable.pack.parent, {})
            packs.setdefault(variable.pack.name, []).append(variable.name)
    for folder, packs in found.items():
        yield Text(visible(str(folder)), "bold")
        for pack, names in packs.items():
            yield Text.assemble(f"  {visible(pack)}", (f"  {', '.join(names)}", "dim"))


def pack_view(pack: PackContent) -> RenderableType:
    """What lies in a pack, component by component."""
    table = _Table(("  variable", "type", "size", "segments", "hash"))
    for component in pack.components:
        for name, type_ in sorted(component.types.items()):
            line, first = _joint(name, component.types.keys() - {name})
            table.add(
                Text.assemble((line, "dim"), (name, "cyan")),
                _text(short_type(type_)),
                Text(file_size(component.size) if first else ""),
                Text(str(component.segments) if first else ""),
                Text(component.id[:12] if first else "", "dim"),
            )
    said = f"format {pack.format}, written by Python {pack.python}, {file_size(pack.size)}"
    head = Text.assemble((visible(str(pack.path)), "bold"), f"  {visible(said)}")
    parts: list[RenderableType] = [head, Text(), table]
    if any(len(component.types) > 1 for component in pack.components):
        parts += [Text(), Text(_SHARING, "dim")]
    if pack.verified:
        parts += [Text(), Text(WHOLE)]
    return Group(*parts)


def _text(text: str) -> Text:
    return Text(visible(text))


@dataclass
class _Table:
    """A table whose last column has a line for each word where there is little room."""

    titles: tuple[str, ...]
    rows: list[tuple[Text, ...]] = field(default_factory=list)

    def add(self, *cells: Text) -> None:
        self.rows.append(cells)

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        table = self._table(", ")
        unlimited = options.update(max_width=sys.maxsize)
        if Measurement.get(console, unlimited, table).maximum > options.max_width:
            table = self._table(",\n")
        yield table

    def _table(self, separator: str) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for title in self.titles:
            if title in ("size", "segments"):
                table.add_column(title, justify="right", no_wrap=True)
            else:
                table.add_column(title, overflow="ellipsis" if title == "type" else "fold")
        for row in self.rows:
            *cells, last = row
            if len(row) == len(self.titles):
                last = Text(separator).join(last.split(", "))
            table.add_row(*cells, last)
        return table
