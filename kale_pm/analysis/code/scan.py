"""From the cells of one block to its effects."""

from __future__ import annotations

from collections.abc import Sequence

from kale_pm.analysis.code.effects import Effects
from kale_pm.analysis.code.knowledge import Knowledge
from kale_pm.analysis.code.statements import Flow
from kale_pm.model import Cell, Problem
from kale_pm.notebook.source import parse


def scan(
    cells: Sequence[Cell], known: Knowledge, step: str | None = None
) -> tuple[Effects, list[Problem]]:
    """Follow the code of ``cells``, which run one after another in one namespace.

    ``known`` is what is known of the variables before; afterwards it holds what is known
    then.  A cell that is not Python gives the problem ``syntax-error``.
    """
    flow = Flow(known)
    problems = []
    for cell in cells:
        if not cell.is_code:
            continue
        try:
            tree = parse(cell.source)
        except SyntaxError as error:
            known.open_ended = True  # it may define anything
            problems.append(
                Problem(
                    "syntax-error",
                    "error",
                    f"the cell is not valid Python: {error.msg}",
                    hint="run the cell in Jupyter to see the error",
                    step=step,
                    cell=cell.number,
                    line=error.lineno,
                )
            )
            continue
        flow.cell = cell.number
        flow.state.dead = False
        try:
            flow.follow(tree.body)
        except RecursionError:
            flow.forget_nesting()
            flow.anything("code that is nested too deeply to be followed")
    effects, state = flow.effects, flow.state
    effects.binds = state.bound
    effects.may_bind = state.maybe - state.bound
    effects.deletes = state.gone
    groups = {id(group): group for group in map(known.groups.of, effects.shares)}
    effects.shares.update(*groups.values())
    return effects, problems
