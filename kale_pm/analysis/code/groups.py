"""Groups of variables that belong together, such as those that share objects."""

from __future__ import annotations

from collections.abc import Collection


class Groups:
    """A variable is in one group at most; all members of a group hold the same set."""

    def __init__(self) -> None:
        self._of: dict[str, set[str]] = {}

    def copy(self) -> Groups:
        copies = {id(group): set(group) for group in self.all()}
        new = Groups()
        new._of = {name: copies[id(group)] for name, group in self._of.items()}
        return new

    def names(self) -> Collection[str]:
        """All variables that are in a group."""
        return self._of.keys()

    def all(self) -> Collection[set[str]]:
        return {id(group): group for group in self._of.values()}.values()

    def of(self, name: str) -> Collection[str]:
        """``name`` and all that belong to it."""
        return self._of.get(name) or (name,)

    def join(self, name: str, other: str) -> None:
        """The two belong together from now on, and with them their groups."""
        small = self._of.setdefault(name, {name})
        large = self._of.setdefault(other, {other})
        if small is large:
            return
        if len(small) > len(large):
            small, large = large, small
        large |= small
        self._of.update(dict.fromkeys(small, large))

    def part(self, name: str) -> None:
        """``name`` leaves its group; the others stay together."""
        if group := self._of.pop(name, None):
            group.discard(name)
