"""The functions of the generated file: each a component, for one step or for many.

A function for each step reads best.  But KFP writes every component down with all that is in
it, so in a large pipeline steps that are of the same kind share one, and their notebooks
arrive as a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kale_pm.kfp.compiling.component import Component, describe
from kale_pm.kfp.compiling.python_text import literal
from kale_pm.kfp.parameters import KfpParameter

FOLDED_ABOVE = 40  # steps
_BUNDLE = "bundle"


@dataclass(frozen=True)
class Surroundings:
    """Where a step runs: its image, what is installed in it, and from which package indexes.

    ``home`` is the home folder that the pod is given, where the image's own will not do.
    """

    image: str
    packages: tuple[str, ...] = ()
    install: bool = True
    indexes: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    home: str | None = None


@dataclass(frozen=True)
class Function:
    """A function that runs a step.

    ``inputs`` are the names of its input artifacts, ``artifacts`` names and types of outputs that
    not every step has.  ``step`` and ``bundle`` are expressions;
    where the function serves many steps, they are names of further ``arguments``.
    """

    name: str
    description: str
    step: str
    bundle: str
    parameters: tuple[KfpParameter, ...]
    inputs: tuple[str, ...]
    artifacts: tuple[tuple[str, str], ...]
    surroundings: Surroundings
    arguments: tuple[str, ...] = ()

    @property
    def carries(self) -> str | None:
        """The function of the generated file that gives the step's bundle, if it is its own."""
        return None if self.arguments else self.bundle.removesuffix("()")


def functions(
    components: Sequence[Component], surroundings: Mapping[str, Surroundings], *, folded: bool
) -> dict[str, Function]:
    """The function of every step, by the step's name."""
    if not folded:
        return {each.step.name: _own(each, surroundings[each.step.name]) for each in components}
    kinds: dict[object, list[Component]] = {}
    for component in components:
        place = surroundings[component.step.name]
        names = tuple(parameter.name for parameter in component.parameters)
        kind = (names, len(component.inputs), component.artifacts, place)
        kinds.setdefault(kind, []).append(component)
    return {
        component.step.name: function
        for number, similar in enumerate(kinds.values(), start=1)
        for function in [_shared(number, similar, surroundings[similar[0].step.name])]
        for component in similar
    }


def bundle_name(component: Component) -> str:
    """What the generated file calls the function that gives the bundle of a step."""
    return f"bundle_{component.step.name}"


def _own(component: Component, surroundings: Surroundings) -> Function:
    return Function(
        name=f"step_{component.step.name}",
        description=describe(component.step),
        step=literal(component.step.name),
        bundle=f"{bundle_name(component)}()",
        parameters=component.parameters,
        inputs=tuple(component.inputs),
        artifacts=component.artifacts,
        surroundings=surroundings,
    )


def _shared(number: int, components: Sequence[Component], surroundings: Surroundings) -> Function:
    first, last = components[0].step.name, components[-1].step.name
    described = f"Steps such as {first} and {last}." if len(components) > 1 else f"Step {first}."
    return Function(
        name=f"steps_{number}",
        description=described,
        step="step",
        bundle=_BUNDLE,
        parameters=components[0].parameters,
        inputs=tuple(f"input_{n}" for n in range(1, len(components[0].inputs) + 1)),
        artifacts=components[0].artifacts,
        surroundings=surroundings,
        arguments=("step", _BUNDLE),
    )
