"""What somebody should know of a sweep before it starts."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from kale_pm.analysis.flow.file_uses import Kind, file_uses, names_in
from kale_pm.analysis.flow.parameters import parameters_of_prelude
from kale_pm.model import Cell, Pipeline
from kale_pm.notebook.parameters import split_prelude
from kale_pm.notebook.paths import is_file_name
from kale_pm.notebook.source import parse

_MANY = 1_000  # trials


def cautions(
    pipeline: Pipeline,
    reach: Mapping[str, Sequence[str]],
    varied: Sequence[str],
    trials: int,
    executions: int,
) -> tuple[str, ...]:
    """Warnings of a plan: how large it is, what is not shared, what the trials write over.

    ``reach`` names for every step the ``varied`` parameters that it depends on.
    """
    if trials < 2:
        return ()
    return (
        *_of_size(trials, executions),
        *_of_sharing(pipeline, reach, varied),
        *_of_files(pipeline, reach, varied),
    )


def _of_size(trials: int, executions: int) -> Iterator[str]:
    if trials > _MANY:
        yield f"{trials:,} trials: {executions:,} step executions"


def _of_sharing(
    pipeline: Pipeline, reach: Mapping[str, Sequence[str]], varied: Sequence[str]
) -> Iterator[str]:
    if not pipeline.is_analysed:
        yield (
            f"cells of {pipeline.language} are not analysed: every step depends on every "
            "parameter, and a file of one name is written by all trials"
        )
        return
    of_prelude = parameters_of_prelude(pipeline)
    for name in varied:
        if name in of_prelude:
            cell = _first_reading(pipeline, name)
            where = f" (cell {cell})" if cell else ""
            yield f"the prelude reads {name}{where}: every step depends on it"
        elif not any(name in names for names in reach.values()):
            yield f"no step reads {name}: its values make no difference"


def _first_reading(pipeline: Pipeline, name: str) -> int | None:
    """The first cell of the prelude that reads the parameter."""
    _, kept = split_prelude(pipeline.prelude)
    for cell, tree in _trees(kept):
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
                return cell.number
    return None


def _of_files(
    pipeline: Pipeline, reach: Mapping[str, Sequence[str]], varied: Sequence[str]
) -> Iterator[str]:
    """Literal paths that a step writes which several executions share, each once a step."""
    if not pipeline.is_analysed:
        return
    cells = [*pipeline.prelude, *(cell for step in pipeline.steps for cell in step.cells)]
    names = names_in(tree for _, tree in _trees(cells))
    # A path that varies is another one in every trial.
    fixed = {name: text for name, text in names.texts.items() if name not in varied}
    names = replace(names, texts=fixed)
    written: dict[tuple[str, str], int] = {}
    for step in pipeline.steps:
        for cell, tree in _trees(step.cells) if reach[step.name] else ():
            for use in file_uses(tree, names):
                # What is named like a writer need not be one: frame.to_period("month").
                if use.kind is Kind.WRITES and use.exact and is_file_name(use.path):
                    written.setdefault((step.name, use.path), cell.number)
    for (name, path), number in written.items():
        writers = [step for step, other in written if other == path]
        alone = all(_is_kept_for_its_readers(pipeline, reach, step, writers) for step in writers)
        advice = ", or use -j 1" if alone else ""
        yield (
            f"step {name} (cell {number}) writes '{path}' in every trial: "
            f"put a parameter into its name{advice}"
        )


def _is_kept_for_its_readers(
    pipeline: Pipeline, reach: Mapping[str, Sequence[str]], step: str, writers: Sequence[str]
) -> bool:
    """Whether one job alone writes a file of ``step`` again only after all who take it have read.

    The trials that share the step are neighbours then, since they share what comes before it.
    """
    own = set(reach[step])
    before = pipeline.order[: pipeline.order.index(step)]
    return all(own.issuperset(reach[each]) for each in before) and all(
        set(reach[each]) == own for each in writers
    )


def _trees(cells: Sequence[Cell]) -> Iterator[tuple[Cell, ast.Module]]:
    for cell in cells:
        if cell.is_code:
            try:
                yield cell, parse(cell.source)
            except SyntaxError:
                continue
