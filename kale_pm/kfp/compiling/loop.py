"""The trials of a sweep as a loop of the pipeline: its items, its steps, and its last step.

What no varied parameter reaches stands before the loop, and runs once.  KFP settles three things:

- All values of an item are texts, since KFP gives them all the type of the first one.
- Their names are prefixed, since they become attributes of an object that has some of its own.
- What the steps recorded is collected as parameters.  A list of artifacts would be five times as
  large, and the last step receives all of it as one argument.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kale_pm import strict_json
from kale_pm.errors import CompileError, ParameterError
from kale_pm.kfp.compiling.loop_limits import check_items, check_records, loop_warnings
from kale_pm.kfp.parameters import KfpParameter, as_text, encode, encode_as_text, json_text
from kale_pm.model import Pipeline
from kale_pm.sweep import Plan, Trial
from kale_pm.trials.collected import PARAMETER, reaching
from kale_pm.trials.goal import Goal

PARALLELISM = 10  # trials at a time
# What the generated file calls the items, one of them, and the task of the last step.
ITEMS, ITEM, LAST_TASK = "TRIALS", "trial", "best"
# Its function, and the key under which KFP knows its task.
LAST_FUNCTION, LAST_KEY = "select_best", "select-best"
NAMES = (ITEMS, ITEM, LAST_TASK, LAST_FUNCTION)


@dataclass(frozen=True)
class Swept:
    """What is asked for: the trials, which of them is the best, and how many run at a time."""

    plan: Plan
    goal: Goal
    parallelism: int = PARALLELISM


@dataclass(frozen=True)
class Loop:
    """The trials in the words of KFP.

    ``items`` has a mapping for every trial: the values of varied parameters, and for each set of
    them that reaches a step a text that tells these values.  ``keys`` are the steps in the loop,
    with the key of the text that is theirs.  ``parameters`` go by their names in the notebook,
    the ``varied`` ones being texts; ``fixed`` are those of the pipeline, with the values of this
    sweep as their defaults.  ``bundle`` is what the last step knows.
    """

    items: tuple[Mapping[str, str], ...] = field(repr=False)
    goal: Goal
    parallelism: int
    keys: Mapping[str, str]
    varied: frozenset[str]
    parameters: Mapping[str, KfpParameter]
    fixed: tuple[KfpParameter, ...]
    bundle: str = field(repr=False)
    warnings: tuple[str, ...]

    @property
    def title(self) -> str:
        """What the last step looks for."""
        way = "highest" if self.goal.direction == "max" else "lowest"
        return f"trial with the {way} {self.goal.metric}"

    def value(self, kfp_name: str) -> str:
        """The expression for a parameter in a task of the loop."""
        return f"{ITEM}.{PARAMETER}{kfp_name}" if kfp_name in self.varied else kfp_name


def loop_of(pipeline: Pipeline, parameters: Mapping[str, KfpParameter], swept: Swept) -> Loop:
    """The loop for the trials of ``swept``; ``parameters`` go by their names in the notebook.

    Raises CompileError where there is nothing to loop over, and for more trials than a server
    takes in one run.
    """
    trials, varied = swept.plan.trials, swept.plan.varied
    if not varied:
        raise CompileError(
            "a single trial is no sweep",
            hint="give a parameter several values, or run it once with kale-pm submit",
        )
    # Of what was to vary, some may be the same in all trials.
    reach = {
        step: tuple(name for name in swept.plan.reach[step] if name in varied)
        for step in pipeline.order
    }
    if not any(reach.values()):
        raise CompileError(
            f"no step reads {', '.join(varied)}: all trials would be the same",
            hint="vary a parameter that a step uses",
        )
    sets = {
        names: f"of_{n}" for n, names in enumerate(dict.fromkeys(filter(None, reach.values())), 1)
    }
    keys = {step: sets[names] for step, names in reach.items() if names}
    items = tuple(_items(pipeline, parameters, trials, varied, sets))
    check_items(items)
    check_records(pipeline, items, keys)
    known, fixed = _settled(parameters, varied, trials[0].parameters)
    facts = {
        "title": pipeline.name,
        "notebook": pipeline.path.name,
        "goal": str(swept.goal),
        "varied": varied,
        "fixed": {
            PARAMETER + p.kfp_name: {"name": p.name, "type": p.parameter.type} for p in fixed
        },
        "reach": reach,
        "trials": [_texts(trial, varied) for trial in trials],
    }
    return Loop(
        items=items,
        goal=swept.goal,
        parallelism=swept.parallelism,
        keys=keys,
        varied=frozenset(parameters[name].kfp_name for name in varied),
        parameters=known,
        fixed=fixed,
        bundle=base64.b64encode(zlib.compress(strict_json.dumps(facts).encode(), 9)).decode(),
        warnings=tuple(loop_warnings(swept.plan, tuple(keys), varied)),
    )


def _items(
    pipeline: Pipeline,
    parameters: Mapping[str, KfpParameter],
    trials: Sequence[Trial],
    varied: Sequence[str],
    sets: Mapping[tuple[str, ...], str],
) -> Iterator[dict[str, str]]:
    """An item for each trial; ``sets`` are the parameters that reach a step, with their key."""
    used = {name for step in pipeline.steps for name in step.parameters}
    for trial in trials:
        item = {
            PARAMETER + parameters[name].kfp_name: encode_as_text(
                trial.parameters[name], parameters[name].parameter
            )
            for name in varied
            if name in used
        }
        texts = _texts(trial, varied)
        yield item | {key: reaching(texts, names) for names, key in sets.items()}


def _texts(trial: Trial, names: Sequence[str]) -> dict[str, str]:
    return {name: json_text(trial.parameters[name]) for name in names}


def _settled(
    parameters: Mapping[str, KfpParameter], varied: Sequence[str], values: Mapping[str, Any]
) -> tuple[dict[str, KfpParameter], tuple[KfpParameter, ...]]:
    """All parameters as the steps take them, and the fixed ones as the pipeline does."""
    known, fixed = {}, []
    for name, parameter in parameters.items():
        if name in varied:
            known[name] = as_text(parameter)
            continue
        value = values[name]
        try:
            known[name], default = parameter, encode(value, parameter.parameter)
        except ParameterError:  # a number that KFP cannot keep, such as infinity
            known[name], default = as_text(parameter), encode_as_text(value, parameter.parameter)
        fixed.append(replace(known[name], default=default))
    return known, tuple(fixed)
