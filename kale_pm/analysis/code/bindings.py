"""Which names are bound at one point of the code, and what holds where ways come together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kale_pm.analysis.code.effects import Code


@dataclass
class State:
    """Which names are bound at one point: for certain, possibly, and certainly not.

    ``dead`` code cannot be reached: it follows a return, raise, break or continue.
    ``applied`` is the code whose effects are already noted here.
    """

    bound: set[str] = field(default_factory=set)
    maybe: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    dead: bool = False
    applied: set[Code] = field(default_factory=set)

    def fork(self) -> State:
        return State(set(self.bound), set(self.maybe), set(self.gone), self.dead, set(self.applied))


def join(states: Iterable[State]) -> State:
    """Where several ways come together; ways that ended before do not count."""
    every = list(states)
    living = [state for state in every if not state.dead]
    maybe: set[str] = set().union(*(state.maybe for state in every))
    if not living:
        return State(maybe=maybe, dead=True)
    return State(
        bound=set.intersection(*(state.bound for state in living)),
        maybe=maybe,
        gone=set.intersection(*(state.gone for state in living)),
        applied=set.intersection(*(state.applied for state in living)),
    )
