"""How the steps of a large pipeline are divided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest

from kale_pm.kfp.compiling.component import Component
from kale_pm.kfp.compiling.parts import Part, parts
from kale_pm.model import Step

TEXT = 1_000  # bytes that travel with each task


def component(name: str, states: Sequence[str] = (), contexts: Sequence[str] = ()) -> Component:
    return Component(Step(name, ()), name, (), tuple(states), tuple(contexts))


def chain(length: int) -> list[Component]:
    return [component(f"s{n}", [f"s{n - 1}"] if n else []) for n in range(length)]


def divided(steps: Sequence[Component], largest: int) -> tuple[Part, ...]:
    return parts(steps, dict.fromkeys((each.step.name for each in steps), TEXT), largest)


def names(part: Part) -> list[str]:
    return [each.step.name for each in part.components]


def test_steps_that_fit_are_not_divided() -> None:
    assert divided(chain(5), 100_000) == ()


def test_every_step_is_in_one_part_and_their_order_stays() -> None:
    found = divided(chain(20), 10_000)
    assert len(found) > 1
    assert [name for part in found for name in names(part)] == [f"s{n}" for n in range(20)]
    assert [part.number for part in found] == list(range(1, len(found) + 1))


def test_what_crosses_a_border_is_given_here_and_taken_there() -> None:
    found = divided(chain(20), 10_000)
    for before, after in pairwise(found):
        last = names(before)[-1]
        assert after.takes == before.gives == {f"state_{last}": (last, "state")}
    assert not found[0].takes
    assert not found[-1].gives


def test_what_is_needed_much_later_is_given_once() -> None:
    steps = [*chain(20), component("end", ["s0", "s19"], ["s1"])]
    first, *_, last = divided(steps, 10_000)
    expected = {"state_s0": ("s0", "state"), "context_s1": ("s1", "context")}
    assert {name: last.takes[name] for name in expected} == expected
    assert first.gives.items() >= expected.items()


def test_borders_are_where_little_crosses() -> None:
    def diamonds(count: int) -> list[Component]:
        found = [component("j0")]
        for n in range(1, count + 1):
            sides = [component(f"a{n}_{side}", [f"j{n - 1}"]) for side in range(3)]
            found += [*sides, component(f"j{n}", [side.step.name for side in sides])]
        return found

    for part in divided(diamonds(12), 16_000)[:-1]:
        assert names(part)[-1].startswith("j")
        assert len(part.gives) == 1


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_step_that_fits_nowhere_is_a_part_by_itself(size: int) -> None:
    steps = chain(3)
    texts: Mapping[str, int] = {"s0": size, "s1": 200_000, "s2": size}
    found = parts(steps, texts, 100_000)
    assert [name for part in found for name in names(part)] == ["s0", "s1", "s2"]
    assert ["s1"] in map(names, found)


def test_a_part_is_called_by_its_first_and_last_step() -> None:
    first, *_ = divided(chain(20), 10_000)
    assert first.title == f"part 1: s0 to {names(first)[-1]}"
    assert divided(chain(3), 1)[1].title == "part 2: s1"
