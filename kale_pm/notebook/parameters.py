"""The parameters of a pipeline: reading them, cutting them out, and giving them values.

A parameter is a top-level assignment of a literal to one name in a ``parameters`` cell.  The
slices run all of them first, so one stays where it is when a statement above it that stays
behind mentions its name: of ``n = 1; m = n * 2; n = 3`` the first is the parameter, and the
three still end as in one kernel.  Of several that may move, the last one holds.
"""

from __future__ import annotations

import ast
import builtins
import copy
import json
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kale_pm.errors import ParameterError, UsageError
from kale_pm.model import Cell, Parameter, ParameterType
from kale_pm.notebook.source import is_blank, parse, python_text
from kale_pm.notebook.tags import parse_tags

_TYPES: dict[str, ParameterType] = {
    "bool": "bool", "int": "int", "float": "float", "str": "str", "list": "list", "dict": "dict",
    "List": "list", "Dict": "dict", "Any": "any", "object": "any",
}  # fmt: skip
_NEVER = object()


def parameter_cells(prelude: Iterable[Cell]) -> tuple[Cell, ...]:
    """The cells of the prelude that hold parameters: tagged so, or untagged below such a one."""
    found, inside = [], False
    for cell in prelude:
        role = parse_tags(cell.tags, cell.number)[0].role
        inside = role == "parameters" if role else inside
        if inside:
            found.append(cell)
    return tuple(found)


def read_parameters(prelude: Sequence[Cell]) -> tuple[Parameter, ...]:
    """The parameters of a notebook, in the order in which they first appear."""
    found: dict[str, Parameter] = {}
    for part in _movable(prelude, parameter_cells(prelude)):
        found[part.name] = part.parameter()
    return tuple(found.values())


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


def split_parameters(cells: Sequence[Cell]) -> tuple[list[tuple[str, str]], str]:
    """Cut parameters cells into [(name, source of its assignment)] and the source that remains.

    All ``cells`` are taken for parameters cells.  What remains runs after the assignments; it
    is empty where it would hold comments only.
    """
    assignments, rests = _cut(cells, cells)
    return list(assignments), "\n".join(rest for rest in rests.values() if rest)


def describe(parameter: Parameter) -> str:
    """``name: type = default``, as a listing shows it."""
    null = " | None" if parameter.optional and parameter.type != "any" else ""
    return f"{parameter.name}: {parameter.type}{null} = {parameter.default!r}"


def parse_assignment(text: str) -> tuple[str, str]:
    """Split ``name=value`` at the first ``=``.  Raises UsageError where there is none."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"'{text}' is no name=value", hint="write it as -p name=value")
    return name.strip(), value


def convert(parameter: Parameter, text: str) -> Any:
    """The value that ``text`` means for this parameter.

    str is taken as it is; bool is true or false, in any case of letters; int and float are
    Python's spelling (``inf`` and ``nan`` too); list and dict are JSON; any is JSON where it
    parses, else the text.  ``null`` is None where None is allowed.

    Raises ParameterError where the text does not fit.
    """
    return _fitted(parameter, text, [parameter])


def bind(parameters: Sequence[Parameter], given: Mapping[str, str | object]) -> dict[str, object]:
    """The value of every parameter: the given ones converted and checked, else the default.

    A text is converted as by :func:`convert`; any other value must be of the type (an int will
    do for a float).  Raises ParameterError for an unknown name or a value that does not fit.
    """
    known = {parameter.name: parameter for parameter in parameters}
    for name in given:
        if name not in known:
            listing = [describe(parameter) for parameter in parameters]
            raise ParameterError(name, "there is no such parameter", listing)
    return {
        name: _fitted(parameter, given[name], parameters)
        if name in given
        else copy.deepcopy(parameter.default)
        for name, parameter in known.items()
    }


def _fitted(parameter: Parameter, value: object, known: Sequence[Parameter]) -> Any:
    try:
        if isinstance(value, str):
            return _from_text(parameter, value)
        return _checked(parameter, value)
    except (ValueError, RecursionError) as error:
        listing = [describe(entry) for entry in known]
        raise ParameterError(parameter.name, str(error), listing) from None


def _from_text(parameter: Parameter, text: str) -> Any:
    if parameter.optional and text.strip() == "null":
        return None
    match parameter.type:
        case "str":
            return text
        case "bool":
            word = text.strip().lower()
            if word not in ("true", "false"):
                raise ValueError(f"'{text}' is neither true nor false")
            return word == "true"
        case "int" | "float":
            try:
                return int(text) if parameter.type == "int" else float(text)
            except ValueError:
                raise ValueError(f"'{text}' is no {parameter.type}") from None
        case "any":
            try:
                return json.loads(text)
            except ValueError:
                return text
        case "list" | "dict":
            try:
                value = json.loads(text)
            except ValueError:
                raise ValueError(f"'{text}' is no JSON, as a {parameter.type} has to be") from None
            return _checked(parameter, value)


def _checked(parameter: Parameter, value: object) -> object:
    if value is None and (parameter.optional or parameter.type == "any"):
        return None
    # The numeric towers take numpy's scalars in; a bool is an int only to Python.
    is_bool = isinstance(value, bool)
    match parameter.type:
        case "int" if isinstance(value, numbers.Integral) and not is_bool:
            return int(value)
        case "float" if isinstance(value, numbers.Real) and not is_bool:
            return float(value)
        case "bool" if is_bool:
            return value
        case "list" if isinstance(value, (list, tuple)) and _is_json(list(value)):
            return list(value)
        case "dict" if isinstance(value, dict) and _is_json(value):
            return value
        case "any" if _is_json(value):
            return value
    wanted = "a JSON value" if parameter.type == "any" else f"of type {parameter.type}"
    raise ValueError(f"{value!r} is not {wanted}")


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(entry) for key, entry in value.items())
    if isinstance(value, list):
        return all(_is_json(entry) for entry in value)
    return value is None or isinstance(value, (bool, int, float, str))


@dataclass(frozen=True)
class _Assignment:
    """A literal assignment that may move to the top."""

    name: str
    value: Any
    cell: Cell
    statement: ast.Assign | ast.AnnAssign

    def parameter(self) -> Parameter:
        noted: ParameterType | None = None
        optional = self.value is None
        if isinstance(self.statement, ast.AnnAssign):
            noted, may_be_none = _annotated(self.statement.annotation)
            optional = optional or may_be_none
        type_ = noted or _TYPES.get(type(self.value).__name__, "any")
        line = self.statement.lineno
        return Parameter(self.name, type_, self.value, optional, self.cell.number, line)


def _movable(prelude: Sequence[Cell], cells: Sequence[Cell]) -> Iterator[_Assignment]:
    """The assignments that are parameters.

    ``prelude`` may hold other cells between ``cells``: what they mention does not move either.
    """
    numbers_of_cells = {cell.number for cell in cells}
    passed: set[str] = set()
    started = False
    for cell in prelude:
        ours = cell.number in numbers_of_cells
        started = started or ours
        if not started or not cell.is_code:
            continue
        for statement in _statements(cell):
            name, value = _literal_assignment(statement) if ours else (None, None)
            if name is None or name in passed or "*" in passed:
                passed |= _mentions(statement)
            else:
                assert isinstance(statement, (ast.Assign, ast.AnnAssign))
                yield _Assignment(name, value, cell, statement)


def literal_assignments(cell: Cell) -> list[tuple[str, int]]:
    """(name, line) of every top-level assignment of a literal to one name."""
    found = ((_literal_assignment(part)[0], part.lineno) for part in _statements(cell))
    return [(name, line) for name, line in found if name is not None]


def _statements(cell: Cell) -> list[ast.stmt]:
    try:
        return parse(cell.source).body
    except SyntaxError:
        # The cell stays as it is; the analysis of the prelude reports it.
        return []


def _literal_assignment(statement: ast.stmt) -> tuple[str | None, Any]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    else:
        return None, None
    result = _literal(value)
    if not isinstance(target, ast.Name) or result is _NEVER:
        return None, None
    return target.id, result


def _literal(node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
        return value if _is_json(value) else _NEVER
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return _NEVER


def _mentions(statement: ast.stmt) -> set[str]:
    """The names that a statement binds or reads as it runs; ``*`` for a star import.

    The bodies of functions run later, when they are called, and are left out.
    """
    names: set[str] = set()
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
            waiting += [*node.decorator_list, node.args]
            continue
        elif isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Lambda):
            waiting.append(node.args)
            continue
        waiting += ast.iter_child_nodes(node)
    return names


def _annotated(node: ast.expr) -> tuple[ParameterType | None, bool]:
    """The type that an annotation names (None for one we do not know), and whether None may be."""
    match node:
        case ast.Constant(value=None):
            return None, True
        case ast.Constant(value=str(text)):
            try:
                return _annotated(ast.parse(text.strip(), mode="eval").body)
            except (SyntaxError, ValueError):
                return None, False
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _TYPES.get(name), name in ("Any", "object")
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union([left, right])
        case ast.Subscript(value=value, slice=inner):
            arguments = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            match value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", ""):
                case "Optional":
                    return _annotated(inner)[0], True
                case "Union":
                    return _union(arguments)
                case "Annotated" | "Final":
                    return _annotated(arguments[0])
            return _annotated(value)
    return None, False


def _union(members: list[ast.expr]) -> tuple[ParameterType | None, bool]:
    read = [_annotated(member) for member in members]
    optional = any(may_be_none for _, may_be_none in read)
    values = {
        type_
        for member, (type_, _) in zip(members, read, strict=True)
        if not (isinstance(member, ast.Constant) and member.value is None)
    }
    return (values.pop() if len(values) == 1 else "any"), optional


def _cut(
    prelude: Sequence[Cell], cells: Sequence[Cell]
) -> tuple[tuple[tuple[str, str], ...], dict[int, str]]:
    """The sources of the assignments, and of each of ``cells`` (by number) what remains."""
    moving: dict[int, dict[tuple[int, int], _Assignment]] = {cell.number: {} for cell in cells}
    for part in _movable(prelude, cells):
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
            rests[cell.number] = "" if is_blank(cell.source) else cell.source
    return tuple(sources.items()), rests


def _cut_cell(
    cell: Cell, moving: Mapping[tuple[int, int], _Assignment]
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


def _is_plain(source: str, moving: Mapping[tuple[int, int], _Assignment]) -> bool:
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


def _assignment_source(part: _Assignment, text: str) -> str:
    statement = part.statement
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        names = {node.id for node in ast.walk(statement.annotation) if isinstance(node, ast.Name)}
        if not all(hasattr(builtins, name) for name in names):
            # The import that the annotation needs may not have run at the top.
            return f"{part.name} = {ast.unparse(statement.value)}"
    return ast.get_source_segment(text, statement) or ""
