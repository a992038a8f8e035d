"""Which executions of steps the trials of a sweep need together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kale_pm.model import Pipeline
from kale_pm.record import Task
from kale_pm.sweep.cautions import cautions
from kale_pm.sweep.space import Trial


@dataclass(frozen=True)
class Execution:
    """One execution of a step, and the numbers of the trials that share it, the lowest first."""

    step: str
    trials: tuple[int, ...]

    @property
    def owner(self) -> int:
        return self.trials[0]

    @property
    def task(self) -> Task:
        """It, by the number of the trial that owns it."""
        return self.owner, self.step


@dataclass(frozen=True)
class Plan:
    """The executions that all trials need, each once.

    ``varied`` are the parameters by which the trials differ, in the order in which they were
    given.  ``reach`` says for every step which of them it depends on, itself or by a step above
    it.  ``executions`` are in the order in which they are best begun: one trial after the
    other, and those together that share their first steps.  ``parents`` are what an execution
    waits for.  ``owners`` are, for every step, the trial whose execution each trial takes.
    ``fixed`` are the values that were given and are the same in all trials.
    """

    trials: tuple[Trial, ...]
    varied: tuple[str, ...]
    reach: Mapping[str, tuple[str, ...]]
    executions: tuple[Execution, ...]
    parents: Mapping[Task, tuple[Task, ...]]
    owners: Mapping[str, Mapping[int, int]] = field(repr=False)
    warnings: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def owner(self, trial: int, step: str) -> int:
        """The trial whose execution of ``step`` is that of ``trial``; KeyError if none is."""
        return self.owners[step][trial]

    @property
    def count(self) -> int:
        """How many executions there are: never less where different values give the same."""
        return len(self.executions)

    @property
    def unshared(self) -> int:
        """How many there would be if each trial executed all steps for itself."""
        return len(self.trials) * len(self.reach)

    @property
    def by_step(self) -> Mapping[str, int]:
        """How often each step is executed, parents first."""
        return {step: len(set(owners.values())) for step, owners in self.owners.items()}


def plan_sweep(pipeline: Pipeline, trials: Sequence[Trial], varied: Sequence[str]) -> Plan:
    """The plan of the trials, which differ in the parameters ``varied`` and in no other.

    Two trials share the execution of a step if they agree on all that reaches it.  A step
    sees nothing else of them: its kernel is given its own parameters, and what the steps
    above it gave.
    """
    trials = tuple(sorted(trials, key=lambda trial: trial.number))
    reach = _reach(pipeline, varied)
    # Steps that the same parameters reach are shared alike.
    by_reach = {names: _first_alike(trials, names) for names in dict.fromkeys(reach.values())}
    owners = {step: by_reach[names] for step, names in reach.items()}
    executions = tuple(_executions(trials, reach, by_reach))
    parents = {
        execution.task: tuple(
            (owners[parent][execution.owner], parent) for parent in pipeline.parents[execution.step]
        )
        for execution in executions
    }
    warnings = cautions(pipeline, reach, varied, len(trials), len(executions))
    differing = tuple(name for name in varied if _differs(trials, name))
    return Plan(trials, differing, reach, executions, parents, owners, warnings)


def _differs(trials: Sequence[Trial], name: str) -> bool:
    """Whether not all trials have the same; by their text, since 1 == 1.0 == True."""
    return len({repr(trial.parameters[name]) for trial in trials}) > 1


def _reach(pipeline: Pipeline, varied: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name in pipeline.order:
        reaching = {*pipeline.step(name).parameters}
        reaching.update(*(found[parent] for parent in pipeline.parents[name]))
        found[name] = tuple(parameter for parameter in varied if parameter in reaching)
    return found


def _first_alike(trials: Sequence[Trial], names: Sequence[str]) -> dict[int, int]:
    first: dict[tuple[str, ...], int] = {}
    return {
        # As cache keys have it: 1, 1.0 and True are equal, but not the same value.
        trial.number: first.setdefault(
            tuple(repr(trial.parameters[name]) for name in names), trial.number
        )
        for trial in trials
    }


def _executions(
    trials: Sequence[Trial],
    reach: Mapping[str, tuple[str, ...]],
    by_reach: Mapping[tuple[str, ...], Mapping[int, int]],
) -> Iterator[Execution]:
    """Trial by trial, those that share their first steps together; parents before children.

    So nothing comes between a step and those that read a file of it, as far as that can be:
    trials that share no more than a later step are not always neighbours.
    """
    sharers = {names: _sharers(owners) for names, owners in by_reach.items()}
    begun: set[Task] = set()
    for trial in sorted(
        trials, key=lambda trial: [owners[trial.number] for owners in by_reach.values()]
    ):
        for step, names in reach.items():
            owner = by_reach[names][trial.number]
            if (owner, step) not in begun:
                begun.add((owner, step))
                yield Execution(step, sharers[names][owner])


def _sharers(owners: Mapping[int, int]) -> dict[int, tuple[int, ...]]:
    """Owner -> the trials that take its execution, in their order."""
    found: dict[int, list[int]] = {}
    for number, owner in owners.items():
        found.setdefault(owner, []).append(number)
    return {owner: tuple(numbers) for owner, numbers in found.items()}
