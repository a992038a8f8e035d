"""Sort the cells of a notebook into prelude, steps and metrics, and draw the edges.

The last tagged cell above decides where an untagged code cell belongs: to its step, or to the
prelude.  Skipped cells and metrics cells are passed over, as neither is ever run: a cell below
the metrics of the last step belongs to that step.  Markdown stays with the step's cell that
follows it; the prelude, which every slice repeats, goes without.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kale_pm.errors import NotebookError
from kale_pm.model import PYTHON, Cell, Pipeline, Problem, Step, topological_order
from kale_pm.notebook.document import Document
from kale_pm.notebook.other_languages import spelled
from kale_pm.notebook.parameters import read_parameters
from kale_pm.notebook.source import is_blank, parse
from kale_pm.notebook.spelling import nearest
from kale_pm.notebook.step_options import Setting, inherited, options_from
from kale_pm.notebook.tags import PRELUDE_ROLES, CellTags, bad_tags, parse_tags
from kale_pm.settings import Configuration, StepOptions


@dataclass
class _Draft:
    """A step as it is being gathered: the cell number of each prev tag and option goes along."""

    cells: list[Cell] = field(default_factory=list)
    prev: dict[str, int] = field(default_factory=dict)
    settings: dict[tuple[str, str | None], tuple[Setting, int]] = field(default_factory=dict)


@dataclass
class _Sorted:
    """What became of the cells of a notebook."""

    prelude: list[Cell] = field(default_factory=list)
    drafts: dict[str, _Draft] = field(default_factory=dict)
    metrics: list[Cell] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def outline(document: Document, configuration: Configuration) -> Pipeline:
    """The pipeline that the tags describe, before any analysis of its code.

    The ``steps_defaults`` hold where a step's own tags say nothing.  An edge to a step that does
    not exist stays among the edges, beside its problem.  Problems come in the order of the cells.

    Raises NotebookError where no cell belongs to a step.
    """
    found = _sort(document)
    problems = found.problems
    if not found.drafts:
        hint = "tag the cells of a step with block:NAME"
        if problems:
            place = f"cell {problems[0].cell}: "
            hint += f"; {place}{problems[0].message.removeprefix(place)}"
        raise NotebookError(document.path, "it has no step", hint=hint)
    defaults = configuration.steps_defaults
    metrics, metric_problems = _metric_names(found.metrics)
    edges = [(parent, name) for name, draft in found.drafts.items() for parent in draft.prev]
    problems += metric_problems + _unknown_steps(found.drafts) + _cycles(found.drafts)
    return Pipeline(
        path=document.path,
        configuration=configuration,
        prelude=tuple(found.prelude),
        steps=tuple(_step(name, draft, defaults) for name, draft in found.drafts.items()),
        parameters=read_parameters(found.prelude),
        metrics=metrics,
        edges=tuple(edges),
        problems=tuple(sorted(problems, key=lambda problem: problem.cell or 0)),
        kernelspec=_kernelspec(document),
    )


def _kernelspec(document: Document) -> Mapping[str, str]:
    """Of a language that is not Python complete, lest a kernel of Python takes its place."""
    if document.language == PYTHON:
        return document.kernelspec
    language = spelled(document.language)
    named = {"name": document.language, "display_name": language, **document.kernelspec}
    return {**named, "language": language}


def _sort(document: Document) -> _Sorted:
    found = _Sorted()
    # The step that untagged cells join; "" for the prelude, None above the first tagged cell.
    target: str | None = None
    markdown: list[Cell] = []
    for cell in document.cells:
        if not cell.is_code:
            if cell.kind == "markdown" and "skip" not in cell.tags:
                markdown.append(cell)
            continue
        above, markdown = markdown, []
        tags, problems = parse_tags(cell.tags, cell.number)
        found.problems += [replace(problem, step=tags.step) for problem in problems]
        if tags.role == "skip":
            continue
        if tags.role == "metrics":
            found.metrics.append(cell)
            continue
        if tags.step is not None:
            target = tags.step
        elif tags.role in PRELUDE_ROLES:
            target = ""
        if target:
            draft = found.drafts.setdefault(target, _Draft())
            draft.cells += [*above, cell]
            _add(draft, target, tags, cell.number, found.problems)
        elif target == "":
            found.prelude.append(cell)
        elif not is_blank(cell):
            found.prelude.append(cell)
            found.problems.append(_untagged(cell))
    return found


def _untagged(cell: Cell) -> Problem:
    message = "this cell has no tag and stands above the first step: every step runs it"
    hint = "tag it imports, functions, block:NAME or skip"
    return Problem("untagged-prelude", "warning", message, hint, cell=cell.number)


def _add(draft: _Draft, step: str, tags: CellTags, number: int, problems: list[Problem]) -> None:
    for parent in tags.prev:
        draft.prev.setdefault(parent, number)
    for setting in tags.settings:
        place = (setting.field, setting.key)
        other, where = draft.settings.setdefault(place, (setting, number))
        if other.value != setting.value:
            what = setting.field if setting.key is None else f"{setting.field} {setting.key}"
            message = (
                f"step {step} has two values for {what}: "
                f"{_shown(other)} (cell {where}) and {_shown(setting)}"
            )
            problems.append(bad_tags(message, "keep one of the two tags", number, step))


def _shown(setting: Setting) -> str:
    if isinstance(setting.value, bool):
        return "enabled" if setting.value else "disabled"
    return str(setting.value)


def _step(name: str, draft: _Draft, defaults: StepOptions) -> Step:
    own = [setting for setting, _ in draft.settings.values()]
    options = options_from([*inherited(defaults, own), *own])
    return Step(name, tuple(draft.cells), tuple(draft.prev), options)


def _unknown_steps(drafts: Mapping[str, _Draft]) -> list[Problem]:
    return [
        Problem(
            "unknown-step",
            "error",
            f"prev:{parent} names no step of this notebook",
            _known_step(parent, drafts),
            step=name,
            cell=number,
        )
        for name, draft in drafts.items()
        for parent, number in draft.prev.items()
        if parent not in drafts
    ]


def _known_step(parent: str, names: Iterable[str]) -> str:
    if parent in PRELUDE_ROLES:
        return f"the {parent} run first in every step: remove the tag"
    near = nearest(parent, names)
    return f"did you mean prev:{near}?" if near else f"the steps are: {', '.join(names)}"


def _cycles(drafts: Mapping[str, _Draft]) -> list[Problem]:
    names = list(drafts)
    parents = {
        name: tuple(parent for parent in draft.prev if parent in drafts)
        for name, draft in drafts.items()
    }
    problems = []
    while stuck := set(names).difference(topological_order(names, parents)):
        cycle = _cycle(next(name for name in names if name in stuck), parents, stuck)
        first = min(cycle, key=names.index)
        turn = cycle.index(first)
        path = [*cycle[turn:], *cycle[:turn], first]
        problems.append(
            Problem(
                "cycle",
                "error",
                f"the steps wait for each other: {' -> '.join(path)}",
                f"remove one of these prev tags, such as prev:{path[-2]} of {first}",
                step=first,
                cell=drafts[first].prev[path[-2]],
            )
        )
        # Without the edges of this cycle, the next one comes to light.
        parents |= {
            name: tuple(parent for parent in parents[name] if parent not in cycle) for name in cycle
        }
    return problems


def _cycle(start: str, parents: Mapping[str, Sequence[str]], stuck: set[str]) -> list[str]:
    """One cycle, each step before its child.  Every stuck step has a stuck parent to walk to."""
    walk = [start]
    while (parent := next(name for name in parents[walk[-1]] if name in stuck)) not in walk:
        walk.append(parent)
    return walk[walk.index(parent) :][::-1]


def _metric_names(cells: Iterable[Cell]) -> tuple[tuple[str, ...], list[Problem]]:
    names: dict[str, None] = {}
    problems = []
    for cell in cells:
        if not cell.is_python:
            problems.append(_unrecorded(cell))
            continue
        try:
            body = parse(cell.source).body
        except SyntaxError as error:
            problems.append(
                Problem("syntax-error", "error", error.msg, cell=cell.number, line=error.lineno)
            )
            continue
        for statement in body:
            named = _named(statement)
            names |= dict.fromkeys(named)
            if not named:
                message = "a metrics cell only names metrics, it is never run"
                hint = "write each name alone or as print(name); move other code to a step"
                line = statement.lineno
                problems.append(
                    Problem("bad-metrics", "warning", message, hint, cell=cell.number, line=line)
                )
    return tuple(names), problems


def _unrecorded(cell: Cell) -> Problem:
    message = f"the variables of {spelled(cell.language)} cannot be read: no metric is recorded"
    hint = "print them in a step, whose executed notebook shows them"
    return Problem("bad-metrics", "warning", message, hint, cell=cell.number)


def _named(statement: ast.stmt) -> list[str]:
    """The names in ``name``, ``a, b`` and ``print(a, b)``; none where anything else stands."""
    if not isinstance(statement, ast.Expr):
        return []
    match statement.value:
        case ast.Name() as name:
            parts: list[ast.expr] = [name]
        case ast.Tuple(elts=elements):
            parts = elements
        case ast.Call(func=ast.Name(id="print"), args=arguments, keywords=[]):
            parts = arguments
        case _:
            return []
    names = [part.id for part in parts if isinstance(part, ast.Name)]
    return names if len(names) == len(parts) else []
