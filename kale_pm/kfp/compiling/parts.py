"""Parts: pipelines within the pipeline, where one graph of tasks is too small for its steps.

KFP hands the graph of a pipeline to a pod as one argument, and that of a pipeline within it as
another.  So the steps of a large pipeline are divided.  It has its price: a part starts when
all parts have ended from which it takes anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kale_pm.kfp.compiling.component import PART_NAMES, Component
from kale_pm.kfp.compiling.sizes import KIB
from kale_pm.kfp.parameters import KfpParameter

# An estimate must leave room; sizes.py measures what came of it.
LARGEST_PART = 100 * KIB
# Bytes of a task's JSON: of the task, of an input artifact and of a parameter, but for names.
_TASK, _INPUT, _PARAMETER = 420, 110, 60


@dataclass(frozen=True)
class Part:
    """Steps that are a pipeline within the pipeline.

    ``takes`` are artifacts of earlier parts, ``gives`` those that later parts take: by what
    they are called, the step that makes them and its output.
    """

    number: int
    components: tuple[Component, ...]
    takes: Mapping[str, tuple[str, str]]
    gives: Mapping[str, tuple[str, str]]

    @property
    def function(self) -> str:
        """What the generated file calls it."""
        return PART_NAMES[0](self.number)

    @property
    def task(self) -> str:
        """What the generated file calls its task."""
        return PART_NAMES[1](self.number)

    @property
    def outputs(self) -> str:
        """What the generated file calls the class of its outputs."""
        return PART_NAMES[2](self.number)

    @property
    def title(self) -> str:
        """How people see it: by its first and its last step."""
        first, last = self.components[0].step.name, self.components[-1].step.name
        return f"part {self.number}: {first}" + (f" to {last}" if last != first else "")

    @property
    def parameters(self) -> tuple[KfpParameter, ...]:
        used = {p.name: p for component in self.components for p in component.parameters}
        return tuple(used.values())


def parts(
    components: Sequence[Component], texts: Mapping[str, int], largest: int = LARGEST_PART
) -> tuple[Part, ...]:
    """The steps in parts of at most ``largest`` bytes; no parts if they fit into one.

    ``components`` come parents first.  ``texts`` are the bytes that travel with the task of a
    step, by its name.
    """
    groups: list[Sequence[Component]] = []
    rest = list(components)
    while rest:
        count = _fitting(rest, texts, largest)
        if count < len(rest):
            count = _narrowest(rest, count)
        groups.append(rest[:count])
        rest = rest[count:]
    if len(groups) < 2:
        return ()
    taken = [_taken(group) for group in groups]
    return tuple(
        Part(
            number=number,
            components=tuple(group),
            takes=taken[number - 1],
            gives=_given(group, taken[number:]),
        )
        for number, group in enumerate(groups, start=1)
    )


def _fitting(components: Sequence[Component], texts: Mapping[str, int], largest: int) -> int:
    """How many of the first components fit into one part; one does in any case."""
    size = 0
    for count, component in enumerate(components):
        size += _weight(component) + texts[component.step.name]
        if size > largest:
            return max(count, 1)
    return len(components)


def _weight(component: Component) -> int:
    inputs = sum(_INPUT + 3 * _size(step) for step, _ in component.inputs.values())
    parameters = sum(_PARAMETER + 2 * _size(p.kfp_name) for p in component.parameters)
    return _TASK + 4 * _size(component.step.name) + inputs + parameters


def _size(name: str) -> int:
    return len(name.encode())


def _narrowest(components: Sequence[Component], most: int) -> int:
    """Where to divide: where little crosses the border, which is where steps wait for another."""
    candidates = range(max(1, most * 2 // 3), most + 1)
    return min(candidates, key=lambda count: (_crossing(components, count), -count))


def _crossing(components: Sequence[Component], count: int) -> int:
    before = {component.step.name for component in components[:count]}
    return len(
        {
            source
            for component in components[count:]
            for source in component.inputs.values()
            if source[0] in before
        }
    )


def _taken(group: Sequence[Component]) -> dict[str, tuple[str, str]]:
    own = {component.step.name for component in group}
    return {
        name: source
        for component in group
        for name, source in component.inputs.items()
        if source[0] not in own
    }


def _given(
    group: Sequence[Component], later: Sequence[Mapping[str, tuple[str, str]]]
) -> dict[str, tuple[str, str]]:
    own = {component.step.name for component in group}
    return {name: source for takes in later for name, source in takes.items() if source[0] in own}
