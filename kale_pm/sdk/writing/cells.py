"""One call of a step as the cells of its step."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kale_pm.errors import UsageError
from kale_pm.notebook.names import legal_step_name
from kale_pm.sdk.artifacts import artifact_source
from kale_pm.sdk.source.expressions import call
from kale_pm.sdk.source.functions import FunctionSource
from kale_pm.sdk.tracing.call import Call
from kale_pm.sdk.tracing.links import Links
from kale_pm.sdk.tracing.proxies import Value
from kale_pm.sdk.writing.argument_code import call_arguments, enclosing_variables, parameter_values
from kale_pm.sdk.writing.body import Body, body_of, renamed, whole_because

# What any step may look up: kale-pm's own cells do, too.
_EVERYWHERE = frozenset({"kale_pm", *dir(builtins)})


@dataclass(frozen=True)
class Draft:
    """A cell to be: where its lines come from is said as for a piece of the prelude."""

    text: str
    is_code: bool = True
    marks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Surroundings:
    """What a step's cells must know of all others.

    ``texts`` has the code of each name that the prelude binds, ``looked_up`` are names that its
    functions look up, or those of any step.  ``home`` is the function in which the code of the
    step's module stands, if it is in one.  ``named`` gives the name of what no literal can say,
    if it has one.
    """

    links: Links
    texts: Mapping[str, str]
    parameters: frozenset[str]
    looked_up: frozenset[str]
    named: Callable[[object], str | None]
    home: str = ""

    @property
    def bound(self) -> frozenset[str]:
        """The names that mean something in every step."""
        return self.parameters | self.texts.keys()

    def code_of(self, thing: object) -> str | None:
        """The code that stands for a value of another step, or the name of a thing that has one."""
        return self.links.of(thing) if isinstance(thing, Value) else self.named(thing)


def cells_of(each: Call, around: Surroundings, keep_whole: str = "") -> list[Draft]:
    """The cells of one step: its title, its arguments, its body, what it keeps and gives.

    ``keep_whole`` says why the function is not to be taken apart into cells, if it is not.
    """
    source = each.step.source
    cells = [Draft(_title(each), is_code=False)]
    reason = "its module has a place of its own" if around.home else whole_because(source)
    reason = reason or keep_whole
    free = None if reason else _with_free_names(each, around)
    if free is None:
        cells += _whole(each, around, reason or "all steps use the name of one of its variables")
    else:
        cells += _apart(each, around, free)
    if each.step.artifacts:
        cells.append(_at_the_top_of(source, artifact_source(each.step.artifacts)))
    return cells


def _title(each: Call) -> str:
    documentation = each.step.source.documentation
    title = each.step.title if each.name == legal_step_name(each.step.title) else each.name
    return f"## {title}" + (f"\n\n{documentation}" if documentation else "")


# -- taken apart ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Free:
    """A function whose variables are named as nothing else that its step sees."""

    text: str
    renamed: Mapping[str, str]


def _with_free_names(each: Call, around: Surroundings) -> _Free | None:
    """The function with other variables where theirs mean something else in every step."""
    source = each.step.source
    values = parameter_values(each, around.code_of)
    same = {name for name, value in values.items() if name == value}
    others = around.bound | around.looked_up | _EVERYWHERE
    clashing = source.locals & others
    known = others | source.locals | around.links.names
    # What the step gives under the name of a variable may be that variable from the beginning.
    own = {*around.links.items.get(each, ()), around.links.whole.get(each)}
    text = source.text
    names: dict[str, str] = {}
    for name in sorted(clashing):
        if name in same and not _is_rebound(source, name):
            continue
        new = f"{each.name}_{name}"
        while new in known - own:
            new += "_"
        changed = renamed(text, name, new)
        if changed is None:
            return None
        names[name], text = new, changed
    return _Free(text, names)


def _is_rebound(source: FunctionSource, name: str) -> bool:
    nodes = [node for statement in source.body for node in ast.walk(statement)]
    by_name = (n for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load))
    # Imports, definitions, except clauses and patterns bind names that are no ast.Name.
    others = {getattr(n, field, None) for n in nodes for field in ("name", "asname", "rest")}
    return name in others or any(node.id == name for node in by_name)


def _apart(each: Call, around: Surroundings, free: _Free) -> list[Draft]:
    source = each.step.source
    body = body_of(free.text)
    first = source.first_line
    known = {**enclosing_variables(each, around.code_of), **parameter_values(each, around.code_of)}
    named = {free.renamed.get(name, name): value for name, value in known.items()}
    binding = [f"{name} = {value}" for name, value in named.items() if name != value]
    cells = [_at_the_top_of(source, "\n".join(binding))] if binding else []
    cells += [Draft(chunk.text, marks=((1, first + chunk.line - 1),)) for chunk in body.chunks]
    outputs = list(_outputs(each, around.links, body))
    if outputs:
        marks = tuple((line, first + body.line - 1) for line, _ in enumerate(outputs, 1))
        cells.append(Draft("\n".join(outputs), marks=marks if body.line else ()))
    return cells or [Draft("pass")]


def _at_the_top_of(source: FunctionSource, text: str) -> Draft:
    """A cell of code that is ours: what it stands for is said where the function begins."""
    lines = range(1, text.count("\n") + 2)
    return Draft(text, marks=tuple((line, source.node.lineno) for line in lines))


def _outputs(each: Call, links: Links, body: Body) -> Iterator[str]:
    whole, items = links.whole.get(each), links.items.get(each)
    given = body.returned
    if items and not whole and body.is_tuple:
        for name, text in zip(items, given, strict=True):
            if name != text:
                yield f"{name} = {text}"
        yield from _unpacking(each, links)
        return
    if whole is None and items is None:
        # Nothing is given, but what stands behind return may do something.
        yield from given
        return
    text = (
        ", ".join(given) + ("," if body.is_tuple and len(given) == 1 else "") if given else "None"
    )
    if whole is not None:
        if whole != text:
            yield f"{whole} = {text}"
        text = whole
    if items is not None:
        yield f"{_targets(items)} = {text}"
        yield from _unpacking(each, links)


def _unpacking(each: Call, links: Links) -> Iterator[str]:
    """The values that were unpacked in turn: here, where each of them is there to be counted."""
    for names, value in links.unpacked(each):
        yield f"{_targets(names)} = {value}"


def _targets(items: Sequence[str]) -> str:
    return f"{items[0]}," if len(items) == 1 else ", ".join(items)


# -- kept whole -----------------------------------------------------------------------------


def _whole(each: Call, around: Surroundings, reason: str) -> list[Draft]:
    source, links = each.step.source, around.links
    name = source.node.name
    cells = []
    around_it = enclosing_variables(each, around.code_of)
    enclosing = [f"{key} = {value}" for key, value in around_it.items()]
    if around.home:
        function = f'{around.home}()["{name}"]'
    elif around.texts.get(name) == source.written:
        function = name  # another step calls it, too: so it stands in the prelude
    else:
        function, text = _definition(each, around)
        lines = [*enclosing, f"# A function, as it was written: {reason}."]
        marks = ((len(lines) + 1, source.first_line),)
        cells.append(Draft("\n".join([*lines, text]), marks=marks))
    made = call(function, call_arguments(each, around.code_of))
    whole, items = links.whole.get(each), links.items.get(each)
    if whole is not None:
        lines = [f"{whole} = {made}"]
        lines += [f"{_targets(items)} = {whole}"] if items else []
    elif items is not None:
        lines = [f"{_targets(items)} = {made}"]
    else:
        lines = [made]
    lines += _unpacking(each, links)
    return [*cells, Draft("\n".join(lines))]


def _definition(each: Call, around: Surroundings) -> tuple[str, str]:
    """The name and the text of the function, under another name where all steps use its own."""
    source = each.step.source
    name = source.node.name
    if name not in around.bound:
        return name, source.text
    if source.is_recursive:
        raise UsageError(
            f"{source.place}: the function '{name}' calls itself, and something else that all "
            f"steps see has its name",
            hint="rename one of them",
        )
    other = f"{each.name}_function"
    while other in around.bound | around.links.names:
        other += "_"
    return other, re.sub(rf"^def\s+{name}\b", f"def {other}", source.text, count=1, flags=re.M)
