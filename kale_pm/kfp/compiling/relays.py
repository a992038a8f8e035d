"""Steps that hand a variable on as they received it, so that a pod need not ask many.

Where a variable may be changed by one step after the other, only the run can tell who did it,
and whoever reads it asks them all.  On this machine that costs nothing.  A pod fetches all that
each of them gave, and a package grows with the square of its steps.
"""

from __future__ import annotations

from dataclasses import replace

from kale_pm.model import Need, Pipeline, Source

MOST_ASKED = 8  # steps, for one variable
FEW_ASKED = 3  # where there are many steps, and little room for what each is given


def with_relays(pipeline: Pipeline, most: int = MOST_ASKED) -> Pipeline:
    """The same pipeline, in which no step asks more than ``most`` for one variable.

    The nearest of too many sources stores the variable even if nothing changed it there, and
    those before it are asked no more.  Steps side by side are all asked, however many they are.
    """
    received = {step.name: {need.name for need in step.needs} for step in pipeline.steps}
    relays: dict[str, dict[str, None]] = {}  # variable -> the steps that hand it on
    needs: dict[str, tuple[Need, ...]] = {}
    for name in pipeline.order:
        found = []
        for need in pipeline.step(name).needs:
            known = relays.setdefault(need.name, {})
            sources = _without_relayed(pipeline, need.sources, known)
            nearest = sources[0].step
            if len(sources) > most and need.name in received[nearest]:
                known[nearest] = None
                sources = _without_relayed(pipeline, sources, known)
            found.append(Need(need.name, sources[0], sources[1:]))
        needs[name] = tuple(found)
    if not any(relays.values()):
        return pipeline
    steps = tuple(
        replace(
            step,
            needs=needs[step.name],
            stores=tuple(
                sorted({*step.stores, *(n for n, names in relays.items() if step.name in names)})
            ),
        )
        for step in pipeline.steps
    )
    return replace(pipeline, steps=steps)


def _without_relayed(
    pipeline: Pipeline, sources: tuple[Source, ...], relays: dict[str, None]
) -> tuple[Source, ...]:
    """The sources, but for those whose variable one of the others hands on."""
    covered: set[str] = set()
    for source in sources:
        if source.step in relays:
            covered |= pipeline.ancestors[source.step]
    return tuple(source for source in sources if source.step not in covered)
