"""One step as a KFP component: what it is called, what goes in and what comes out."""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.claims import CLAIMS_TASK, new_claims
from kale_pm.kfp.parameters import KfpParameter
from kale_pm.model import Pipeline, Step
from kale_pm.notebook.names import collisions, folded

# What every step gives, in the order in which the user interface shows it.
OUTPUTS = {
    "notebook": "dsl.Artifact",
    "html": "dsl.HTML",
    "metrics": "dsl.Metrics",
    "state": "dsl.Artifact",
    "context": "dsl.Artifact",
}
# Argo takes 128 characters, and KFP has its driver of a task called like it, with "-driver".
LONGEST_TASK = 121
# What the user interface of KFP shows, by the suffix of the file; all else it offers to load.
_SHOWN = {".html": "dsl.HTML", ".htm": "dsl.HTML", ".md": "dsl.Markdown"}
# The task of any step, in a loop of the generated file.
ANY_TASK = "task"
# The exit task, as the generated file calls it.
EXIT_TASK = "closing"
# What the generated file calls a part of the pipeline, its task and its outputs, by its number.
PART_NAMES = ("part_{}".format, "part_{}_task".format, "Part{}".format)
# The task that carries the runtime for all steps, as the generated file calls it.
RUNTIME_TASK = "kale_pm_runtime"


@dataclass(frozen=True)
class Component:
    """A step in the words of the DSL.

    ``task`` is a name in the generated file.  ``parameters`` are those that the step uses,
    ``states`` the steps whose variables it may read, ``contexts`` its other parents.  Of
    these only the manifests travel, since a pod fetches every input as a whole.
    """

    step: Step
    task: str
    parameters: tuple[KfpParameter, ...]
    states: tuple[str, ...]
    contexts: tuple[str, ...]

    @property
    def kfp_name(self) -> str:
        """What KFP calls the task and, after ``comp-`` and ``exec-``, its parts."""
        return folded(self.step.name)

    @property
    def artifacts(self) -> tuple[tuple[str, str], ...]:
        """Name and type of the outputs that are files which the step keeps."""
        return tuple(
            (each.name, _SHOWN.get(each.suffix.lower(), "dsl.Artifact"))
            for each in self.step.options.artifacts
        )

    @property
    def inputs(self) -> dict[str, tuple[str, str]]:
        """Input artifact -> the step that gives it, and the output of that step."""
        return {
            **{f"state_{name}": (name, "state") for name in self.states},
            **{f"context_{name}": (name, "context") for name in self.contexts},
        }


def reserved_names(pipeline: Pipeline, more: Sequence[str] = ()) -> tuple[str, ...]:
    """The names that the generated file needs for itself, ``more`` among them."""
    names_of_steps = [step.name for step in pipeline.steps]
    functions = [
        *(f"step_{name}" for name in names_of_steps),
        *(f"steps_{number}" for number, _ in enumerate(names_of_steps, start=1)),
        *(f"bundle_{name}" for name in names_of_steps),
        *(name(n) for n, _ in enumerate(names_of_steps, start=1) for name in PART_NAMES),
    ]
    claims = (claim.variable for claim in new_claims(pipeline.configuration))
    names = ("dsl", "kubernetes", "carry_runtime", RUNTIME_TASK, *functions, *more)
    return (*names, "claim_names", CLAIMS_TASK, "close_run", EXIT_TASK, ANY_TASK, *claims)


def components(
    pipeline: Pipeline, parameters: Mapping[str, KfpParameter], more: Sequence[str] = ()
) -> tuple[Component, ...]:
    """All steps, parents first; ``more`` are further names that no task has.

    Raises CompileError for a name that is too long, and ``name-collision`` if KFP would take two
    steps for one.
    """
    _refuse_long_names(pipeline)
    _refuse_collisions(pipeline)
    names = [parameter.kfp_name for parameter in parameters.values()]
    reserved = {
        *reserved_names(pipeline, more),
        *names,
        *(f"p_{name}" for name in names),
        "runtime",
        "part",
    }
    reserved |= {f"{output}_{name}" for output in ("state", "context") for name in pipeline.order}
    tasks: dict[str, str] = {}
    for name in pipeline.order:
        task = name
        while task in reserved or keyword.iskeyword(task) or task in tasks.values():
            task += "_task"
        tasks[name] = task
    return tuple(
        Component(
            step=step,
            task=tasks[step.name],
            parameters=tuple(parameters[name] for name in step.parameters),
            states=step.input_steps,
            contexts=tuple(n for n in pipeline.parents[step.name] if n not in step.input_steps),
        )
        for step in map(pipeline.step, pipeline.order)
    )


def describe(step: Step) -> str:
    """One sentence: what the step needs, gives and records."""
    sources: dict[str, list[str]] = {}
    for need in step.needs:
        sources.setdefault(need.source.step, []).append(need.name)
    needs = ", ".join(f"{_listing(names)} from {source}" for source, names in sources.items())
    gives = _listing([*step.gives, *step.gives_if_changed])
    parts = [
        f"needs {needs}" if needs else "",
        f"gives {gives}" if gives else "",
        f"records {_listing(step.metrics)}" if step.metrics else "",
    ]
    sentence = "; ".join(part for part in parts if part) or "needs and gives no variables"
    return f"{sentence[0].upper()}{sentence[1:]}."


def _listing(names: list[str] | tuple[str, ...]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _refuse_long_names(pipeline: Pipeline) -> None:
    for step in pipeline.steps:
        excess = len(folded(step.name)) - LONGEST_TASK
        if excess > 0:
            raise CompileError(
                f"step {step.name}: its name is too long for Kubeflow by {excess} characters",
                hint="rename it",
            )


def _refuse_collisions(pipeline: Pipeline) -> None:
    for first, other in collisions(step.name for step in pipeline.steps):
        raise CompileError(
            f"name-collision: the steps '{first}' and '{other}' are both '{folded(other)}' for KFP",
            hint="rename one of them by more than underscores",
        )
