"""Steps that hand a variable on, so that a pod need not ask many."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_pm.kfp.compiling.relays import MOST_ASKED, with_relays
from kale_pm.model import Need, Pipeline, Source, Step
from kale_pm.settings import Configuration

LENGTH = 30


def chain(length: int = LENGTH) -> Pipeline:
    """Each step may change ``table``: whoever needs it asks all steps before."""
    steps = [Step("s0", (), gives=("table",), stores=("table",))]
    for number in range(1, length):
        sources = [Source(f"s{before}", "table") for before in reversed(range(number))]
        need = Need("table", sources[0], tuple(sources[1:]))
        steps.append(Step(f"s{number}", (), (f"s{number - 1}",), needs=(need,)))
    edges = tuple((f"s{n - 1}", f"s{n}") for n in range(1, length))
    return Pipeline(Path("nb.ipynb"), Configuration("nb"), (), tuple(steps), edges=edges)


def asked(pipeline: Pipeline, step: str) -> list[str]:
    (need,) = pipeline.step(step).needs
    return [source.step for source in need.sources]


def test_a_short_chain_stays_as_it_is() -> None:
    pipeline = chain(MOST_ASKED)
    assert with_relays(pipeline) == pipeline


def test_nobody_asks_more_than_a_few() -> None:
    made = with_relays(chain())
    for step in made.steps[1:]:
        assert len(asked(made, step.name)) <= MOST_ASKED


def test_who_is_asked_last_has_stored_it_or_the_first_has() -> None:
    made = with_relays(chain())
    for step in made.steps[1:]:
        assert "table" in made.step(asked(made, step.name)[-1]).stores


def test_all_that_came_after_the_relay_are_still_asked() -> None:
    made = with_relays(chain())
    for number in range(1, LENGTH):
        sources = asked(made, f"s{number}")
        assert sources == [f"s{n}" for n in reversed(range(number))][: len(sources)]


@pytest.mark.parametrize("count", [3, 20])
def test_steps_side_by_side_are_all_asked(count: int) -> None:
    sources = [Source(f"p{n}", "table") for n in range(count)]
    steps = [Step("first", (), gives=("table",))]
    first = Need("table", Source("first", "table"))
    steps += [Step(f"p{n}", (), ("first",), needs=(first,)) for n in range(count)]
    need = Need("table", sources[0], tuple(sources[1:]))
    steps.append(Step("last", (), tuple(f"p{n}" for n in range(count)), needs=(need,)))
    edges = [("first", f"p{n}") for n in range(count)] + [(f"p{n}", "last") for n in range(count)]
    pipeline = Pipeline(Path("n"), Configuration("n"), (), tuple(steps), edges=tuple(edges))
    assert set(asked(with_relays(pipeline), "last")) == {f"p{n}" for n in range(count)}
