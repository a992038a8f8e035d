"""The parameters of a pipeline: reading them, and cutting them out of their cells.

A parameter is a top-level assignment of a literal to one name in a ``parameters`` cell.  The
slices run all of them first, so one stays where it is when a statement above it that stays
behind mentions its name: of ``n = 1; m = n * 2; n = 3`` the first is the parameter, and the
three still end as in one kernel.  Of several that may move, the last one holds.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from kale_pm.model import Cell, Parameter
from kale_pm.notebook.literals import LiteralAssignment, movable
from kale_pm.notebook.other_languages import plain_parameters
from kale_pm.notebook.source import is_blank, parse, python_text
from kale_pm.notebook.tags import parse_tags


def parameter_cells(prelude: Iterable[Cell]) -> tuple[Cell, ...]:
    """The cells of the prelude that hold parameters: tagged so, or untagged below such a one.

    In a language that is not Python only the tagged ones.
    """
    found, inside = [], False
    for cell in prelude:
        role = parse_tags(cell.tags, cell.number)[0].role
        # In another language an untagged one may work with the values that are set above it.
        inside = role == "parameters" if role else inside and cell.is_python
        if inside:
            found.append(cell)
    return tuple(found)


def read_parameters(prelude: Sequence[Cell]) -> tuple[Parameter, ...]:
    """The parameters of a notebook, in the order in which they first appear."""
    cells = parameter_cells(prelude)
    parameters = [part.parameter() for part in movable(prelude, cells)]
    parameters += (parameter for cell in cells for parameter in plain_parameters(cell))
    return tuple({parameter.name: parameter for parameter in parameters}.values())


def split_prelude(
    prelude: Sequence[Cell],
) -> tuple[tuple[tuple[str, str], ...], tuple[Cell, ...]]:
    """Cut the parameters out of the prelude.

    Gives (name, source of its assignment) for every parameter, in the order of
    :func:`read_parameters`, and the cells of the prelude without these assignments; a cell
    that held nothing else is left out.  The assignments belong where the first of
    :func:`parameter_cells` stood.
    """
    cells = parameter_cells(prelude)
    assignments, rests = _cut(prelude, cells)
    kept = (replace(cell, source=rests.get(cell.number, cell.source)) for cell in prelude)
    emptied = {number for number, rest in rests.items() if not rest}
    return assignments, tuple(cell for cell in kept if cell.number not in emptied)


def _cut(
    prelude: Sequence[Cell], cells: Sequence[Cell]
) -> tuple[tuple[tuple[str, str], ...], dict[int, str]]:
    """The sources of the assignments, and of each of ``cells`` (by number) what remains."""
    moving: dict[int, dict[tuple[int, int], LiteralAssignment]] = {
        cell.number: {} for cell in cells
    }
    for part in movable(prelude, cells):
        place = (part.statement.lineno, part.statement.col_offset)
        moving[part.cell.number][place] = part
    sources: dict[str, str] = {}
    rests: dict[int, str] = {}
    for cell in cells:
        if moving[cell.number]:
            taken, rests[cell.number] = _cut_cell(cell, moving[cell.number])
            # Later assignments of a name win, in the place of the first.
            sources |= taken
        else:
            rests[cell.number] = "" if is_blank(cell) else cell.source
    return tuple(sources.items()), rests


def _cut_cell(
    cell: Cell, moving: Mapping[tuple[int, int], LiteralAssignment]
) -> tuple[dict[str, str], str]:
    # Lines stand alike in both, but a cell that is indented as a whole moves to the left.
    text = cell.source if _is_plain(cell.source, moving) else python_text(cell.source)
    lines = text.split("\n")
    sources: dict[str, str] = {}
    rest: list[str] = []
    anything_left = False
    done = 0
    for group in _groups(parse(cell.source).body):
        first, last = _first_line(group[0]), group[-1].end_lineno or group[-1].lineno
        between, own = lines[done : first - 1], lines[first - 1 : last]
        done = last
        going = [part for node in group if (part := moving.get((node.lineno, node.col_offset)))]
        staying = [node for node in group if (node.lineno, node.col_offset) not in moving]
        comments: list[str] = []
        if going and not staying:
            while between and between[-1].lstrip().startswith("#"):
                comments.insert(0, between.pop())
        rest += between
        tail = _comment_after(group[-1], lines)
        for part in going:
            above = "".join(f"{line}\n" for line in comments) if part is going[0] else ""
            beside = tail if part is going[-1] and not staying else ""
            sources[part.name] = above + _assignment_source(part, text) + beside
        if staying:
            anything_left = True
            kept = [ast.get_source_segment(text, node) or "" for node in staying]
            rest += own if not going else ["; ".join(kept) + tail]
    rest += lines[done:]
    return sources, "\n".join(rest).strip("\n") if anything_left else ""


def _is_plain(source: str, moving: Mapping[tuple[int, int], LiteralAssignment]) -> bool:
    ours, theirs = source.split("\n"), python_text(source).split("\n")
    spans = [(part.statement.lineno - 1, part.statement.end_lineno) for part in moving.values()]
    return all(ours[start:end] == theirs[start:end] for start, end in spans)


def _groups(body: Sequence[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """Statements that share a line, joined by semicolons, together."""
    group: list[ast.stmt] = []
    for node in body:
        if group and _first_line(node) > (group[-1].end_lineno or 0):
            yield group
            group = []
        group.append(node)
    if group:
        yield group


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _comment_after(node: ast.stmt, lines: Sequence[str]) -> str:
    line = lines[(node.end_lineno or node.lineno) - 1]
    # Columns of the tree count bytes of UTF-8.
    after = line.encode()[node.end_col_offset or 0 :].decode().strip().lstrip("; ")
    return f"  {after}" if after.startswith("#") else ""


def _assignment_source(part: LiteralAssignment, text: str) -> str:
    statement = part.statement
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        names = {node.id for node in ast.walk(statement.annotation) if isinstance(node, ast.Name)}
        if not all(hasattr(builtins, name) for name in names):
            # The import that the annotation needs may not have run at the top.
            return f"{part.name} = {ast.unparse(statement.value)}"
    return ast.get_source_segment(text, statement) or ""
